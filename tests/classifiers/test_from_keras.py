"""Keras 3 models: run by torch, and refused where they hold code."""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stylex.classifiers import check_classifier, load_classifier, load_recorded
from stylex.core.errors import ClassifierError

SPEC = {
    "labels": ["a", "b", "c"], "input_size": 32, "channels": 3, "value_range": [0, 255], "output": "probabilities"
}  # fmt: skip
Described = Callable[..., Path]


@pytest.fixture
def keras(library: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    if "KERAS_BACKEND" not in os.environ:
        monkeypatch.setenv("KERAS_BACKEND", "torch")
    return library("keras")


def saved(keras: Any, path: Path) -> Any:
    layers = keras.layers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                layers.Input((32, 32, 3)),
                layers.Rescaling(1 / 127.5, -1),
                layers.Conv2D(6, 3, activation="relu", kernel_regularizer="l2"),
                layers.BatchNormalization(),
                layers.GlobalAveragePooling2D(),
                layers.Dense(3, activation="softmax"),
            ]
        )
        model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
        model.save(path)
    return model


def test_probabilities_are_the_models_own(
    keras: Any, tmp_path: Path, described: Described, photographs: Tensor
) -> None:
    model = saved(keras, described(tmp_path / "net.keras", **SPEC))
    classifier = load_classifier(f"keras:{tmp_path}/net.keras")
    with torch.no_grad():
        expected = model((photographs + 1).permute(0, 2, 3, 1) * 127.5, training=False)
        torch.testing.assert_close(classifier.probabilities(classifier.logits(photographs)), expected)
    check_classifier(classifier, channels=3, resolution=32)
    with pytest.raises(ClassifierError, match="because a run names it: give it again"):
        load_recorded(f"keras:{tmp_path}/net.keras", classifier.spec)
    with pytest.raises(ClassifierError, match="because a run names it: give it again"):
        load_recorded(f"{tmp_path}/net.keras", classifier.spec)


def test_another_size_is_one_line(keras: Any, tmp_path: Path, described: Described) -> None:
    saved(keras, described(tmp_path / "net.keras", **(SPEC | {"input_size": 64})))
    with pytest.raises(ClassifierError, match="correct input_size and channels"):
        load_classifier(tmp_path / "net.keras")


@pytest.mark.parametrize(
    ("part", "says"),
    [
        ({"module": "keras.layers", "class_name": "Lambda", "config": {}}, "a Lambda, which can run code"),
        ({"module": "os", "class_name": "system", "config": "true"}, "a class of 'os'"),
        ({"module": "keras.src.utils.file_utils", "class_name": "get_file"}, "a class of 'keras.src.utils"),
        ({"module": "keras.layers", "class_name": "Mine", "registered_name": "pkg>Mine"}, "registered as 'pkg>Mine'"),
    ],
)
def test_a_file_that_holds_code_is_not_opened(
    tmp_path: Path, described: Described, part: dict[str, Any], says: str
) -> None:
    path = described(tmp_path / "net.keras", **SPEC)
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": [part]}}
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    with pytest.raises(ClassifierError, match=says):
        load_classifier(path)
