"""A classifier whose spec is wrong is noticed by what it says of labelled images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stylex.classifiers import Classifier, ClassifierSpec, LabelledRows, check_labels

Spec = Callable[..., ClassifierSpec]

N = 60
NUMBERS = np.arange(N) % 3


def batch(indices: np.ndarray) -> Tensor:
    """Images of three classes: the channel that stands out, in [-1, 1]."""
    x = torch.full((len(indices), 3, 16, 16), -0.2)
    for row, i in enumerate(indices):
        x[row, int(i) % 3] = 0.2
    return x


def knows(x: Tensor) -> Tensor:
    """Right of images from 0 to 1, never of darker or larger numbers."""
    means = x.mean(dim=(2, 3))
    ends = torch.stack([means.amax(dim=1), means.amin(dim=1)], dim=1)
    usual = ((ends - torch.tensor([0.6, 0.4])).abs() < 0.05).all(dim=1, keepdim=True)
    return torch.where(usual, means * 20, torch.tensor([9.0, 0.0, 0.0]))


def check(spec: ClassifierSpec, model: Any = knows, labels: Any = NUMBERS, names: Any = ("a", "b", "c")) -> Any:
    rows = LabelledRows(indices=np.arange(len(labels)), labels=np.asarray(labels))
    return check_labels(Classifier(model, spec), batch, rows, names)


def test_one_that_is_right_is_praised_and_nothing_more(make_spec: Spec) -> None:
    for names in (("a", "b", "c"), None):
        checked = check(make_spec(), names=names)
        assert checked.said == "the classifier is right on 100.0% of 60 of the archive's labelled images"
        assert checked.warnings == ()


def test_a_sigmoid_that_may_have_been_applied_already_is_named(make_spec: Spec) -> None:
    def unsure(x: Tensor) -> Tensor:
        return ((knows(x) - 6) * 0.05).sigmoid()

    assert any("if a sigmoid is applied to them already" in warning for warning in check(make_spec(), unsure).warnings)
    assert check(make_spec(), lambda x: knows(x) * 0.05 - 0.5).warnings == ()


def test_labels_are_matched_by_name(make_spec: Spec) -> None:
    assert "100.0%" in check(make_spec(labels=("a", "b", "c")), labels=2 - NUMBERS, names=("c", "b", "a")).said
    for names in (("x", "y", "z"), ("a", "b", "x")):
        assert "not measured" in check(make_spec(), names=names).said
    assert "not measured" in check(make_spec(labels=("a", "b")), lambda x: knows(x)[:, :2], names=None).said


@pytest.mark.parametrize(
    ("changes", "right", "remedy"),
    [
        ({"value_range": (-1, 1)}, "33.3%", "on 100% with value_range [0, 1], mean 0 and std 1: correct the spec"),
        ({"value_range": (0, 255)}, "33.3%", "on 100% with value_range [0, 1], mean 0 and std 1: correct the spec"),
        ({"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}, "33.3%", "with value_range [0, 1], mean 0"),
        ({"labels": ("b", "c", "a")}, "0.0%", "labels look exchanged: it is right on 0% of the images as its spec "
         "orders them, on 100% in the order a, b, c: correct labels in the spec"),
        ({"labels": ("b", "a", "c")}, "33.3%", "in the order a, b, c"),
    ],
)  # fmt: skip
def test_a_wrong_spec_is_told_with_its_remedy(make_spec: Spec, changes: Any, right: str, remedy: str) -> None:
    checked = check(make_spec(**changes))
    assert right in checked.said
    (warning,) = checked.warnings
    assert remedy in warning


def test_one_that_guesses_is_told(make_spec: Spec) -> None:
    (warning,) = check(make_spec(), lambda x: x.mean(dim=(2, 3)) * 0 + torch.tensor([1.0, 0.0, 0.0])).warnings
    assert (
        "hardly does better than guessing (33% right over the classes, by chance 33%) and says 'a' of 100%" in warning
    )


def test_one_number_of_imagenet_for_three_channels_is_told(make_spec: Spec) -> None:
    (warning,) = check(make_spec(mean=(0.485,), std=(0.229,)), lambda x: knows(x * 0.229 + 0.485)).warnings
    assert "mean is 0.485 for all three channels, ImageNet's are 0.485, 0.456, 0.406; std is 0.229" in warning
    (warning,) = check(make_spec(mean=(124.0,), value_range=(0, 255)), lambda x: knows((x + 124) / 255)).warnings
    assert "mean is 124 for all three channels" in warning
    assert check(make_spec(mean=(0.5,), std=(0.5,)), lambda x: knows((x + 1) / 2)).warnings == ()


def test_several_labels_are_compared_one_by_one(make_spec: Spec) -> None:
    each = np.eye(3, dtype=np.int64)[NUMBERS]
    spec = make_spec(output="multi-label")
    assert "100.0%" in check(spec, lambda x: knows(x) - 10, labels=each).said
    (warning,) = check(spec, lambda x: (knows(x) - 10)[:, [1, 2, 0]], labels=each).warnings
    assert "in the order b, c, a" in warning
    assert "several labels each" in check(make_spec(), labels=each).said


def test_the_time_is_bounded(make_spec: Spec) -> None:
    seconds = iter(range(0, 10**6, 15))
    rows = LabelledRows(indices=np.arange(900), labels=np.arange(900) % 3)
    slow = check_labels(Classifier(knows, make_spec()), batch, rows, None, clock=lambda: float(next(seconds)))
    assert " 64 of the archive's" in slow.said
