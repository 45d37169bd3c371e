"""Data sets and arrays that a program has already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset

from stylex.core.errors import DataError
from stylex.data.archive import open_images
from stylex.data.prepare import PrepareConfig, PrepareSummary, prepare

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3), dtype=np.uint8)
LABELS = [0, 1, 0, 1, 2, 2]


class Items(Dataset[Any]):
    """A list with the names of its classes."""

    classes = ("cat", "dog", "owl")

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        if isinstance(self.items[i], Exception):
            raise self.items[i]
        return self.items[i]


def run(source: Any, out: Path, **options: Any) -> PrepareSummary:
    return prepare(source, out, PrepareConfig(resolution=16, **options), overwrite=True)


def chw(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)


@pytest.mark.parametrize(
    "image",
    [
        lambda p: p,
        Image.fromarray,
        chw,
        lambda p: chw(p).float() / 255,
        lambda p: p.astype(np.float64) / 255,
    ],
    ids=["array", "PIL", "tensor", "float tensor", "float array"],
)
@pytest.mark.parametrize("as_dict", [False, True])
def test_items_of_every_kind_give_the_same_archive(tmp_path: Path, image: Any, as_dict: bool) -> None:
    items = [
        {"image": image(p), "label": torch.tensor(y)} if as_dict else (image(p), y)
        for p, y in zip(PICTURES, LABELS, strict=True)
    ]
    summary = run(Items(items), tmp_path / "out.zip")
    images = open_images(summary.path)
    np.testing.assert_array_equal(images.pictures(range(6)), PICTURES)
    assert summary.counts == {"cat": 2, "dog": 2, "owl": 2}
    assert images.labels is not None
    assert images.labels.tolist() == LABELS


def test_arrays_need_no_data_set(tmp_path: Path) -> None:
    labelled = run((PICTURES, np.array(LABELS)), tmp_path / "a.zip")
    assert labelled.counts == {"label 0": 2, "label 1": 2, "label 2": 2}
    assert run(PICTURES[..., 0], tmp_path / "b.zip").channels == 1
    named = run((PICTURES, ["a", "b", "a", "b", "c", "c"]), tmp_path / "c.zip")
    assert named.counts == {"a": 2, "b": 2, "c": 2}
    several = open_images(run((PICTURES, np.eye(6, 3, dtype=int)), tmp_path / "d.zip").path)
    assert several.multi_label
    tensors = TensorDataset(torch.from_numpy(PICTURES).permute(0, 3, 1, 2), torch.tensor(LABELS))
    assert run(tensors, tmp_path / "e.zip").counts == labelled.counts
    assert run(tuple(tensors.tensors), tmp_path / "f.zip").path.read_bytes() == labelled.path.read_bytes()


def test_a_part_of_a_data_set_knows_its_classes_and_groups_are_kept(tmp_path: Path) -> None:
    items = [{"img": p, "target": y, "who": i // 2} for i, (p, y) in enumerate(zip(PICTURES, LABELS, strict=True))]
    summary = run(Subset(Items(items), [5, 0, 1, 4]), tmp_path / "out.zip", group_column="who")
    assert summary.counts == {"cat": 1, "dog": 1, "owl": 2}
    assert open_images(summary.path).groups == ("2", "0", "0", "2")


def test_items_that_cannot_be_used_are_left_out_by_number(tmp_path: Path) -> None:
    normalised = (chw(PICTURES[0]).float() - 128) / 64
    items: list[Any] = [(p, y) for p, y in zip(PICTURES, LABELS, strict=True)]
    items += [(normalised, 0), ValueError("broken"), (PICTURES[0], None), (np.zeros((2, 2, 7), np.uint8), 1), ("a", 1)]
    reasons = dict(run(Items(items), tmp_path / "out.zip").skipped)
    assert "expected uint8, or floats from 0 to 1" in reasons["00000006"]
    assert "ValueError: broken" in reasons["00000007"]
    assert reasons["00000008"] == "no label"
    assert "of the shape [2, 2, 7]" in reasons["00000009"]
    assert "00000010" in reasons


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(())


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Endless(), "expected a folder, a zip"),
        (7, "cannot take images from int"),
        ((PICTURES, [1]), "6 images and 1 labels"),
        (PICTURES[0, 0], "images of the shape"),
        ((PICTURES, [1, "a", 1, 1, 1, 1]), "labels are of several kinds"),
        (PICTURES[:0], "the data set holds no pictures"),
    ],
)
def test_what_holds_no_images_is_told(tmp_path: Path, source: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        run(source, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


def test_columns_are_keys_of_dictionaries(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the items are no dictionaries"):
        run((PICTURES, LABELS), tmp_path / "out.zip", label_column="y")
