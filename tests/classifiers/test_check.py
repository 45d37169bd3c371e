"""What is wrong with a classifier is said in one line before a training starts."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stylex.classifiers import Classifier, ClassifierSpec, check_classifier, load_classifier
from stylex.core.errors import ClassifierError

Spec = Callable[..., ClassifierSpec]


def mean(x: Tensor) -> Tensor:
    return x.mean(dim=(2, 3))


def crash(x: Tensor) -> Tensor:
    raise KeyError("inside\nof it")


def one_at_a_time(x: Tensor) -> Tensor:
    return x.reshape(1, 3, -1).mean(dim=2)


def normalised_over_the_batch(x: Tensor) -> Tensor:
    return (mean(x) - mean(x).mean(dim=0)) * 100


class Noisy(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(mean(x), 0.5, training=True)


@pytest.mark.parametrize(
    ("model", "changes", "says"),
    [
        (mean, {"channels": 1}, "takes 1 channel"),
        (mean, {"labels": ("a", "b")}, "shape \\[1, 3\\]"),
        (crash, {}, "KeyError: 'inside"),
        (one_at_a_time, {}, "batch dimension dynamic"),
        (normalised_over_the_batch, {}, "other images of the batch"),
        (Noisy(), {}, "differently each time"),
        (lambda x: mean(x) / 0, {}, "not finite"),
        (lambda x: mean(x).detach(), {}, "no gradient"),
        (lambda x: (mean(x) * 99).round(), {}, "zero everywhere"),
        (lambda x: torch.from_numpy(mean(x).detach().numpy()), {}, "no gradient"),
        (lambda x: mean(x).softmax(dim=1), {}, "set output to probabilities"),
        (lambda x: mean(x) * 50 - 99, {"output": "probabilities"}, "set output to logits"),
        (lambda x: mean(x).double().sqrt() ** 2, {"value_range": (-1, -2)}, "not finite"),
        (lambda x: "cat", {}, "expected a tensor"),
        (nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 3)), {}, "RuntimeError"),
    ],
)
def test_what_is_wrong_is_said(make_spec: Spec, model: Any, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ClassifierError, match=says) as caught:
        check_classifier(Classifier(model, make_spec(**changes)), channels=3, resolution=16)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("resolution", [8, 16, 33])
def test_a_good_one_passes(conv: nn.Module, make_spec: Spec, resolution: int) -> None:
    check_classifier(Classifier(conv, make_spec()), channels=3, resolution=resolution)


def test_search_needs_no_gradient(make_spec: Spec) -> None:
    blind = Classifier(lambda x: mean(x).detach(), make_spec())
    check_classifier(blind, channels=3, resolution=16, need_gradient=False)


def test_labels_of_the_data(make_spec: Spec) -> None:
    classifier = Classifier(mean, make_spec())
    for fine in (None, ("a", "b", "c"), ("c", "a"), ("x", "y")):
        check_classifier(classifier, channels=3, resolution=16, labels=fine)
    with pytest.raises(ClassifierError, match="does not know"):
        check_classifier(classifier, channels=3, resolution=16, labels=("a", "b", "d"))


@pytest.mark.integration
def test_a_program_exported_for_one_image_is_told(conv: nn.Module, make_spec: Spec, tmp_path: Path) -> None:
    program = torch.export.export(conv.eval(), (torch.zeros(1, 3, 16, 16),))
    torch.export.save(program, tmp_path / "one.pt2")
    with pytest.raises(ClassifierError, match="batch dimension dynamic"):
        check_classifier(load_classifier(tmp_path / "one.pt2", make_spec()), channels=3, resolution=16)


@pytest.mark.integration
def test_torchscript_traced_in_training_mode_is_told(conv: nn.Module, make_spec: Spec, tmp_path: Path) -> None:
    class Batchnorm(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.batch_norm(x, None, None, training=True).amax(dim=(2, 3))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(Batchnorm(), torch.zeros(2, 3, 16, 16)).save(str(tmp_path / "train.pt"))
    with pytest.raises(ClassifierError, match="other images of the batch"):
        check_classifier(load_classifier(tmp_path / "train.pt", make_spec()), channels=3, resolution=16)


def pictures(n: int = 16) -> Tensor:
    """Half of them dark, half of them bright, as photographs of two classes might be."""
    x = torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(2)) * 0.5 - 0.75
    x[::2] += 1
    return x


def sure(x: Tensor) -> Tensor:
    return (mean(x) - 0.5) * 20


@pytest.mark.parametrize(
    ("model", "output", "labels", "remedy"),
    [
        (lambda x: sure(x)[:, :1].sigmoid(), "single-logit", ("a", "b"), "set output to probabilities"),
        (lambda x: sure(x)[:, :1].sigmoid(), "multi-label", ("a",), "set output to multi-label-probabilities"),
        (lambda x: sure(x).sigmoid(), "multi-label", ("a", "b", "c"), "set output to multi-label-probabilities"),
        (
            lambda x: sure(x)[:, :2].sigmoid(),
            "logits",
            ("a", "b"),
            "set output to multi-label-probabilities if several",
        ),
        # One that is hardly sure of anything: as logits, these would say yes of every image.
        (lambda x: (sure(x)[:, :1] * 0.05).sigmoid(), "single-logit", ("a", "b"), "set output to probabilities"),
        (lambda x: (sure(x) * 0.05).sigmoid(), "multi-label", ("a", "b", "c"), "multi-label-probabilities"),
        (lambda x: (sure(x) * 0.05 - 3).sigmoid(), "multi-label", ("a", "b", "c"), "multi-label-probabilities"),
    ],
)
def test_a_sigmoid_that_is_already_applied_is_noticed_over_real_images(
    make_spec: Spec, model: Any, output: str, labels: tuple[str, ...], remedy: str
) -> None:
    wrong = Classifier(model, make_spec(output=output, labels=labels))
    with pytest.raises(ClassifierError, match="look like probabilities, with a sigmoid already applied") as caught:
        check_classifier(wrong, channels=3, resolution=16, images=pictures())
    assert remedy in str(caught.value)
    right = "probabilities" if output == "single-logit" else "multi-label-probabilities"
    check_classifier(
        Classifier(model, make_spec(output=right, labels=labels)), channels=3, resolution=16, images=pictures()
    )


@pytest.mark.parametrize(
    ("model", "outputs"),
    [
        (sure, ("logits", "multi-label")),
        (lambda x: sure(x) * 0.01, ("logits", "multi-label")),
        (lambda x: sure(x) * 0.01 + 0.5, ("logits",)),
    ],
)
def test_real_logits_are_not_taken_for_probabilities(make_spec: Spec, model: Any, outputs: tuple[str, ...]) -> None:
    for output in outputs:
        fine = Classifier(model, make_spec(output=output))
        check_classifier(fine, channels=3, resolution=16, images=pictures())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_classifier_of_another_precision_is_named_as_the_cause(
    conv: nn.Module, make_spec: Spec, dtype: torch.dtype
) -> None:
    with pytest.raises(ClassifierError) as caught:
        check_classifier(Classifier(conv.to(dtype), make_spec()), channels=3, resolution=16)
    assert f"its weights are {str(dtype).removeprefix('torch.')} and images come as float32" in str(caught.value)
    assert "input_size" not in str(caught.value)
