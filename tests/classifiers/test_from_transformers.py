"""Image classifiers of transformers, out of folders that the library itself wrote."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stylex.classifiers import check_classifier, load_classifier, load_recorded
from stylex.core.errors import ClassifierError

TINY = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "image_size": 32,
    "patch_size": 8, "id2label": {0: "cat", 1: "dog", 2: "bird"}, "label2id": {"cat": 0, "dog": 1, "bird": 2},
}  # fmt: skip


@pytest.fixture
def transformers(library: Callable[[str], Any]) -> Any:
    library("torchvision") if library("transformers").utils.is_torchvision_available() else None
    return library("transformers")


def saved(transformers: Any, folder: Path, **changes: Any) -> Any:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = transformers.ViTForImageClassification(transformers.ViTConfig(**(TINY | changes))).eval()
        model.save_pretrained(folder)
    takes = {
        "do_normalize": True, "do_rescale": True, "rescale_factor": 1 / 255, "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.2, 0.25], "resample": 3, "size": {"height": 32, "width": 32},
        "image_processor_type": "ViTImageProcessor",
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(takes))
    return model


def test_logits_numbers_and_names_are_the_models_own(transformers: Any, tmp_path: Path, photographs: Tensor) -> None:
    model = saved(transformers, tmp_path)
    classifier = load_classifier(f"hf:{tmp_path}")
    spec = classifier.spec
    assert spec.labels == ("cat", "dog", "bird")
    assert (spec.input_size, spec.mean, spec.std) == (32, (0.5, 0.4, 0.3), (0.2, 0.2, 0.25))
    assert (spec.interpolation, spec.value_range, spec.output) == ("bicubic", (0.0, 1.0), "logits")
    with torch.no_grad():
        torch.testing.assert_close(classifier.logits(photographs), model(classifier.prepare(photographs)).logits)
    check_classifier(classifier, channels=3, resolution=32)
    assert load_recorded(f"hf:{tmp_path}", spec).spec == spec


def test_the_processor_prepares_alike(transformers: Any, tmp_path: Path, photographs: Tensor) -> None:
    saved(transformers, tmp_path)
    pictures = ((photographs + 1) * 127.5).round().byte()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        processor = transformers.AutoImageProcessor.from_pretrained(tmp_path)
        theirs = processor(list(pictures.numpy()), return_tensors="pt")["pixel_values"]
    ours = load_classifier(f"hf:{tmp_path}").prepare(pictures.float() / 127.5 - 1)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_several_labels_are_known_by_the_configuration(transformers: Any, tmp_path: Path) -> None:
    saved(transformers, tmp_path, problem_type="multi_label_classification")
    assert load_classifier(f"hf:{tmp_path}").spec.output == "multi-label"


def test_what_is_no_classifier_is_one_line(transformers: Any, tmp_path: Path) -> None:
    with pytest.raises(ClassifierError, match="cannot open"):
        load_classifier(f"hf:{tmp_path}")
    saved(transformers, tmp_path, problem_type="regression")
    with pytest.raises(ClassifierError, match="regression"):
        load_classifier(f"hf:{tmp_path}")
    saved(transformers, tmp_path)
    takes = tmp_path / "preprocessor_config.json"
    takes.write_text(json.dumps(json.loads(takes.read_text()) | {"do_flip_channel_order": True}))
    with pytest.raises(ClassifierError, match="do_flip_channel_order"):
        load_classifier(f"hf:{tmp_path}")
    takes.unlink()
    with pytest.raises(ClassifierError, match="without preprocessor_config"):
        load_classifier(f"hf:{tmp_path}")


def test_weights_that_are_missing_are_not_made_up(transformers: Any, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    saved(transformers, tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    save_file(
        {name: value for name, value in weights.items() if not name.startswith("classifier")},
        tmp_path / "model.safetensors",
        metadata={"format": "pt"},
    )
    with pytest.raises(ClassifierError, match=r"no weights for classifier\.bias"):
        load_classifier(f"hf:{tmp_path}")


def test_weights_of_another_shape_are_one_line(
    transformers: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    saved(transformers, tmp_path)
    told = json.loads((tmp_path / "config.json").read_text())
    told["hidden_size"] *= 2
    (tmp_path / "config.json").write_text(json.dumps(told))
    capfd.readouterr()
    with pytest.raises(ClassifierError, match=r"weights of another shape than its config\.json says: .*; give"):
        load_classifier(f"hf:{tmp_path}")
    assert capfd.readouterr() == ("", "")
