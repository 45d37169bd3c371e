"""One image explained along directions."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from stylex.classifiers import ClassifierSpec
from stylex.classifiers.classifier import Classifier, Directed, standardised
from stylex.core.progress import Alarm, Event
from stylex.report.page import render_report
from stylex.search.classes import Workplace
from stylex.search.config import SearchConfig
from stylex.search.encoding import Encoded, encode
from stylex.search.image_search import explain_image
from stylex.search.subject import TrainedSubject

pytestmark = pytest.mark.integration


def alone(encoded: Encoded) -> Encoded:
    """The first image."""
    return Encoded(
        ids=encoded.ids[:1],
        labels=encoded.labels[:1],
        **{name: getattr(encoded, name)[:1] for name in ("x", "x_rec", "logits", "logits_rec", "s")},
    )


def test_an_image_is_explained_along_directions(shipped: tuple[TrainedSubject, Encoded]) -> None:
    subject, encoded = shipped
    one = alone(encoded)
    explanation = explain_image(subject, one, SearchConfig(attributes=5), target=None, settings={})
    assert {attribute.coordinate.layer for attribute in explanation.ranking} == {"independent"}
    # Strongest on this photograph first; every one that is listed is shown by itself, and those together are named.
    effects = [attribute.effect for attribute in explanation.ranking]
    assert effects == sorted(effects, reverse=True)
    shown = {cf.attributes for cf in explanation.counterfactuals if cf.role == "independent"}
    assert shown == {(i,) for i in range(len(explanation.ranking))}
    chain = max((cf for cf in explanation.counterfactuals if cf.role == "subset"), key=lambda cf: len(cf.attributes))
    assert ", ".join(explanation.ranking[i].name for i in chain.attributes) in explanation.ranking.finding


def test_what_only_the_whole_needs_is_shown_alone_too(shipped: tuple[TrainedSubject, Encoded]) -> None:
    subject, encoded = shipped
    one = alone(encoded)
    config = SearchConfig(attributes=1, shift_range=0.15)
    explanation = explain_image(subject, one, config, target=None, settings={})
    assert len(explanation.ranking) > 1
    effects = [attribute.effect for attribute in explanation.ranking]
    assert effects == sorted(effects, reverse=True)
    by_effect = [cf for cf in explanation.counterfactuals if cf.role == "independent"]
    moved = [float(cf.logits[cf.target] - explanation.images[0].reconstruction_logits[cf.target]) for cf in by_effect]
    assert moved == pytest.approx(effects, abs=1e-3)


def test_what_speaks_against_the_explanation_is_heard_and_kept(shipped: tuple[TrainedSubject, Encoded]) -> None:
    subject, encoded = shipped
    one = alone(encoded)
    other = replace(one, logits=one.logits.flip(1))  # the photograph gets the other answer
    poor = replace(subject, snapshot=replace(subject.snapshot, figures={"agreement": 0.88}))
    heard: list[Event] = []
    explanation = explain_image(
        poor, other, SearchConfig(attributes=1), target=None, settings={}, at=Workplace(listener=heard.append)
    )
    notes = explanation.notes
    assert explanation.ranking.finding.startswith("The photograph is predicted ")
    assert "already; what follows moves its reconstruction only" in explanation.ranking.finding
    assert "decides differently on the reconstruction" in notes[0]
    assert "88.0% of the images: train longer" in notes[1]
    assert notes == tuple(event.message for event in heard if isinstance(event, Alarm))
    plain = explain_image(subject, one, SearchConfig(attributes=1), target=None, settings={})
    assert plain.notes == ()
    assert "already" not in plain.ranking.finding


class Light(torch.nn.Module):
    """Tells how light a picture is, in percent."""

    def forward(self, x: Tensor) -> Tensor:
        return 100 * x.mean((1, 2, 3))[:, None]


def test_a_number_of_one_image_is_moved_both_ways_in_its_unit(
    shipped: tuple[TrainedSubject, Encoded],
) -> None:
    subject, encoded = shipped
    spec = ClassifierSpec(labels=("light",), input_size=32, channels=1, output="regression", unit="percent")
    told = Directed(standardised(Classifier(Light(), spec), [encoded.x]), 0, by=2.0)
    numbers = TrainedSubject.of(subject.snapshot, told)
    one = encode(numbers, encoded.x[:1], encoded.ids[:1])
    explanation = explain_image(numbers, one, SearchConfig(attributes=4), target=None, settings={})
    assert explanation.title == "What raises and lowers light on this image"
    assert {a.target_label for a in explanation.ranking} == {"more light", "less light"}
    for cf in explanation.counterfactuals:
        if cf.role != "independent":
            continue
        attribute = explanation.ranking[cf.attributes[0]]
        rise = float(cf.picture.mean() - explanation.images[0].reconstruction.mean()) / 255 * 100
        towards = rise if attribute.target == 0 else -rise
        assert towards == pytest.approx(attribute.effect, abs=0.5)  # what is drawn, counted by hand
    for target in (0, 1):
        chain = [cf for cf in explanation.counterfactuals if cf.role == "subset" and cf.target == target]
        assert len(chain) > 0
    less = explain_image(numbers, one, SearchConfig(attributes=2), target=1, settings={})
    assert less.title == "What lowers light on this image"
    assert {a.target for a in less.ranking} == {1}
    assert " lowers light by " in less.ranking.finding
    page = render_report(explanation)
    text = re.sub(r"<[^>]*>", " ", re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL))
    assert "P(" not in text
    assert "logit" not in text
    assert "Rebuilding alone took light from " in text
    assert "The bar of light goes from " in text
    assert "the least and the most said of the training images" in text
    assert "together move light from " in text or "One change moves light from " in text
    far = replace(one, logits=one.logits + torch.tensor([[2.0, -2.0]]))
    doubted = explain_image(numbers, far, SearchConfig(attributes=1), target=0, settings={})
    assert "differs by more than half a standard deviation" in doubted.notes[0]
    assert "more than half a standard deviation" in render_report(doubted)


def test_what_goes_on_with_the_rebuilding_is_noted(shipped: tuple[TrainedSubject, Encoded]) -> None:
    subject, encoded = shipped
    strongest = explain_image(
        subject, alone(encoded), SearchConfig(attributes=1), target=None, settings={}
    ).counterfactuals[0]
    after = torch.from_numpy(strongest.picture.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]
    for sign, does in ((1, "goes on with"), (-1, "takes back")):
        x = encoded.x_rec[:1] - sign * (after - encoded.x_rec[:1])
        told = explain_image(
            subject, replace(alone(encoded), x=x), SearchConfig(attributes=1), target=None, settings={}
        )
        note = told.ranking[0].note
        assert note is not None
        assert f"this {does} what rebuilding changed" in note
