"""A classifier that makes a training long is told before it, with what was measured of the remedies."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from tests.training.conftest import judge, tiny
from torch import Tensor

from stylex.classifiers import Classifier
from stylex.data.archive import ImageSet
from stylex.training.rehearsal import Cost, classifier_advice, cost_of, expectation, plan


def test_a_quick_classifier_is_not_worth_a_word(data: ImageSet) -> None:
    assert classifier_advice(judge(), data, 1000) is None


def test_a_smaller_input_is_offered_where_the_answers_agree(data: ImageSet) -> None:
    large = Classifier(judge().model, replace(judge().spec, input_size=128))
    told = classifier_advice(large, data, 10**9, worth_saying_s=0)
    assert told is not None
    assert "the classifier's own passes, at 128 px, would take about" in told
    assert "hours of this training here: with input_size 64 in its spec it answers 100% of 60 images alike and" in told
    assert "times less; or show it fewer of each step's images (schedule.classifier_share=0.25), train for" in told
    assert "train for fewer images (kimg), or on a GPU (device='cuda')" in told
    shown_less = classifier_advice(large, data, 10**9, share=0.25, worth_saying_s=0)
    assert shown_less is not None
    assert "classifier_share" not in shown_less


def by_size(x: Tensor) -> Tensor:
    """Another answer for another size."""
    own = x.mean(dim=(1, 2, 3))[:, None] * 0 + (1.0 if x.shape[-1] == 128 else -1.0)
    return torch.cat([own, -own], dim=1)


def of_one_size(x: Tensor) -> Tensor:
    return x.reshape(-1, 128 * 128)[:, :2]


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (by_size, "with input_size 96 in its spec it answers 0% of 60 images alike, too few to train with that"),
        (of_one_size, "it takes no other input size"),
    ],
)
def test_a_smaller_input_is_not_offered_where_it_would_not_do(data: ImageSet, model: object, says: str) -> None:
    given = Classifier(model, replace(judge().spec, input_size=128))  # type: ignore[arg-type]
    told = classifier_advice(given, data, 10**6, worth_saying_s=0)
    assert told is not None
    assert says in told


@pytest.mark.integration
def test_an_encoder_that_is_told_the_answer_at_the_end_is_rehearsed_too(data: ImageSet) -> None:
    told = {"schedule__encoder_after": 0.25, "schedule__reconstruct_first": 0.25, "model__class_encoder": "after"}
    said = plan(tiny(**told), data, 10, judge(), "cpu", done=0)
    assert said.startswith("would train for 64 images in 8 steps, about ")


def test_what_a_training_will_cost_is_measured_before_it(data: ImageSet) -> None:
    long = tiny(schedule__kimg=100)
    told = expectation(long, data, judge(), "cpu", done=0)
    assert told is not None
    found = re.fullmatch(r"expected: about (.+) and ([\d.]+) GB of memory on cpu, by 3 steps of each kind", told)
    assert found is not None, told
    assert 0 < float(found[2]) < 64
    cost = cost_of(long, data, judge(), "cpu")
    assert cost.seconds > 0
    assert cost.bytes is not None
    assert cost.bytes > 2**26


def test_a_short_training_is_not_rehearsed(data: ImageSet, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tiny(schedule__kimg=100)
    assert expectation(tiny(), data, judge(), "cpu", done=0) is None
    assert expectation(long, data, judge(), "cpu", done=99_000) is None
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert expectation(long, data, judge(), "cpu", done=0) is None


@pytest.mark.parametrize(
    ("seconds", "says"), [(90, "about 90 seconds"), (600, "about 10 minutes"), (8100, "about 2 h 15 min")]
)
def test_times_are_told_in_the_unit_that_fits(
    data: ImageSet, monkeypatch: pytest.MonkeyPatch, seconds: float, says: str
) -> None:
    cost = Cost(seconds=seconds * 2, bytes=3 * 10**9)
    monkeypatch.setattr("stylex.training.rehearsal.cost_of", lambda *args, **more: cost)
    told = expectation(tiny(schedule__kimg=100), data, judge(), "cpu", done=50_000)
    assert told == f"expected: {says} and 3 GB of memory on cpu, by 3 steps of each kind"
