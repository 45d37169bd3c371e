"""timm's networks by name: their numbers, their logits, and what does not fit."""

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

NAME = "resnet10t"
Library = Callable[[str], Any]


@pytest.fixture
def timm(library: Library) -> Any:
    return library("timm")


def saved(timm: Any, path: Path, **how: Any) -> Any:
    torch.manual_seed(0)
    model = timm.create_model(NAME, **how).eval()
    save_file(model.state_dict(), path)
    return model


def test_logits_numbers_and_names_are_the_librarys_own(timm: Any, tmp_path: Path, photographs: Tensor) -> None:
    model = saved(timm, tmp_path / "all.safetensors")
    classifier = load_classifier(f"timm:{NAME},checkpoint={tmp_path}/all.safetensors")
    own = timm.data.resolve_model_data_config(model)
    spec = classifier.spec
    assert (spec.input_size, spec.mean, spec.std) == (own["input_size"][1], own["mean"], own["std"])
    assert spec.interpolation == own["interpolation"] == "bicubic"
    assert spec.k == len(set(spec.labels)) == 1000
    assert spec.labels[285] == "Egyptian cat"
    with torch.no_grad():
        torch.testing.assert_close(classifier.logits(photographs), model(classifier.prepare(photographs)))
    check_classifier(classifier, channels=3, resolution=32)


def test_a_picture_is_resized_as_the_librarys_transform_does(timm: Any, tmp_path: Path, photographs: Tensor) -> None:
    from PIL import Image

    model = saved(timm, tmp_path / "all.safetensors")
    classifier = load_classifier(f"timm:{NAME},checkpoint={tmp_path}/all.safetensors")
    config = {**timm.data.resolve_model_data_config(model), "crop_pct": 1.0}
    transform = timm.data.create_transform(**config, is_training=False)
    pictures = ((photographs + 1) * 127.5).round().byte()
    theirs = torch.stack([transform(Image.fromarray(p.permute(1, 2, 0).numpy())) for p in pictures])
    ours = classifier.prepare(pictures.float() / 127.5 - 1)
    assert float((ours - theirs).abs().max()) < 2.5 / 255 / min(classifier.spec.std)


def test_a_checkpoint_of_other_classes_needs_their_names(timm: Any, tmp_path: Path, photographs: Tensor) -> None:
    model = saved(timm, tmp_path / "five.safetensors", num_classes=5)
    reference = f"timm:{NAME},checkpoint={tmp_path}/five.safetensors"
    with pytest.raises(ClassifierError, match="5 outputs and no names"):
        load_classifier(reference)
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\ne\n")
    classifier = load_classifier(f"{reference},labels={tmp_path}/names.txt")
    assert classifier.spec.labels == tuple("abcde")
    with torch.no_grad():
        torch.testing.assert_close(classifier.logits(photographs), model(classifier.prepare(photographs)))
    (tmp_path / "names.json").write_text('["a", "b"]')
    with pytest.raises(ClassifierError, match="5 outputs, but 2 labels"):
        load_classifier(f"{reference},labels={tmp_path}/names.json")


def test_what_does_not_fit_is_one_line(timm: Any, tmp_path: Path) -> None:
    saved(timm, tmp_path / "five.safetensors", num_classes=5)
    (tmp_path / "junk.safetensors").write_text("junk")
    names = f",labels={tmp_path}/names.txt"
    for reference, says in {
        f"timm:resnet18,checkpoint={tmp_path}/five.safetensors{names}": "do not fit the network: conv1.weight is",
        f"timm:vit_tiny_patch16_224,checkpoint={tmp_path}/five.safetensors": "weights of another network",
        f"timm:{NAME},checkpoint={tmp_path}/junk.safetensors": "cannot be read",
        f"timm:{NAME},checkpoint={tmp_path}/none.pth": "opening them runs code",
        "timm:resnet10x": "timm has no network 'resnet10x'; it has",
    }.items():
        with pytest.raises(ClassifierError, match=says) as caught:
            load_classifier(reference)
        assert "\n" not in str(caught.value)
