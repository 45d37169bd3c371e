"""torchvision's classifiers by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from stylex.classifiers import check_classifier, load_classifier
from stylex.core.errors import ClassifierError

NAME = "shufflenet_v2_x0_5"


@pytest.fixture
def models(library: Callable[[str], Any]) -> Any:
    return library("torchvision.models")


def saved(models: Any, path: Path, **how: Any) -> Any:
    torch.manual_seed(0)
    model = models.get_model(NAME, weights=None, **how).eval()
    save_file(model.state_dict(), path)
    return model


def test_logits_numbers_and_names_are_the_librarys_own(models: Any, tmp_path: Path, photographs: Tensor) -> None:
    model = saved(models, tmp_path / "all.safetensors")
    classifier = load_classifier(f"torchvision:{NAME},checkpoint={tmp_path}/all.safetensors")
    weights = models.get_model_weights(NAME).DEFAULT
    own, spec = weights.transforms(), classifier.spec
    assert (spec.input_size, list(spec.mean), list(spec.std)) == (own.crop_size[0], own.mean, own.std)
    assert (spec.labels[0], spec.labels[134]) == (weights.meta["categories"][0], weights.meta["categories"][134])
    with torch.no_grad():
        torch.testing.assert_close(classifier.logits(photographs), model(classifier.prepare(photographs)))
    check_classifier(classifier, channels=3, resolution=32)


def test_a_checkpoint_of_other_classes(models: Any, tmp_path: Path, photographs: Tensor) -> None:
    model = saved(models, tmp_path / "two.safetensors", num_classes=2)
    (tmp_path / "names.txt").write_text("cat\ndog")
    reference = f"torchvision:{NAME},checkpoint={tmp_path}/two.safetensors"
    classifier = load_classifier(f"{reference},labels={tmp_path}/names.txt")
    with torch.no_grad():
        torch.testing.assert_close(classifier.logits(photographs), model(classifier.prepare(photographs)))
    with pytest.raises(ClassifierError, match="2 outputs and no names"):
        load_classifier(reference)


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("torchvision:resnett", "no image classifier 'resnett'; it has resnet"),
        ("torchvision:resnet18,weights=MINE", "no weights 'MINE' of resnet18; it has IMAGENET1K_V1"),
        ("torchvision:fasterrcnn_resnet50_fpn", "no image classifier"),
    ],
)
def test_what_is_not_there_is_one_line(models: Any, reference: str, says: str) -> None:
    with pytest.raises(ClassifierError, match=says):
        load_classifier(reference)
