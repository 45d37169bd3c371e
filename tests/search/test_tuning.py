"""Pivotal tuning: nearer to the photograph, knobs keep their meaning, and the snapshot's own networks stay."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stylex.core.progress import Event, Step
from stylex.search.encoding import Encoded, encode
from stylex.search.subject import TrainedSubject
from stylex.search.tuning import TuneConfig, tune

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def shoe(shipped: tuple[TrainedSubject, Encoded]) -> tuple[TrainedSubject, Encoded]:
    subject, encoded = shipped
    return subject, encode(subject, encoded.x[3:4], encoded.ids[3:4])


def l1(encoded: Encoded) -> float:
    return float((encoded.x_rec - encoded.x).abs().mean())


def test_the_photograph_is_redrawn_nearer_and_knobs_keep_their_meaning(shoe) -> None:
    subject, before = shoe
    weights = {name: value.clone() for name, value in subject.synthesis.state_dict().items()}
    heard: list[Event] = []
    tuned, after = tune(subject, before, TuneConfig(steps=60), listener=heard.append)
    assert l1(after) < 0.7 * l1(before)
    assert sum(isinstance(event, Step) for event in heard) == 60
    # Its places along directions are what they were.
    at = torch.from_numpy(subject.indices)
    assert torch.equal(after.s[:, at], before.s[:, at])
    knob = int(subject.indices[0])
    for sign in (-1, 1):
        changes = []
        for each, encoded in ((subject, before), (tuned, after)):
            moved = encoded.s.clone()
            moved[:, knob] += sign * 2
            changes.append((each.draw(moved) - encoded.x_rec).flatten().numpy())
        assert np.corrcoef(*changes)[0, 1] > 0.8
    assert all(torch.equal(value, weights[name]) for name, value in subject.synthesis.state_dict().items())
    with torch.inference_mode():
        torch.testing.assert_close(after.logits_rec, subject.classifier.logits(after.x_rec))


def test_the_same_photograph_is_tuned_the_same_and_its_effects_are_nobody_elses(shoe) -> None:
    subject, before = shoe
    one, other = (tune(subject, before, TuneConfig(steps=3)) for _ in range(2))
    assert torch.equal(one[1].s, other[1].s)
    assert one[0].key == ""
