"""A classifier that makes a training long is told before it, with what was measured of the remedies."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tests.training.conftest import judge, tiny
from torch import Tensor

from stylex.classifiers import Classifier
from stylex.data.archive import ImageSet
from stylex.training.rehearsal import classifier_advice, plan


def test_a_quick_classifier_is_not_worth_a_word(data: ImageSet) -> None:
    assert classifier_advice(judge(), data, 1000) is None


def test_a_smaller_input_is_offered_where_the_answers_agree(data: ImageSet) -> None:
    large = Classifier(judge().model, replace(judge().spec, input_size=128))
    told = classifier_advice(large, data, 10**9, worth_saying_s=0)
    assert told is not None
    assert "the classifier's own passes, at 128 px, would take about" in told
    assert "hours of this training here: with input_size 64 in its spec it answers 100% of 60 images alike and" in told
    assert "times less; or train for fewer images (kimg), or on a GPU (device='cuda')" in told


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
