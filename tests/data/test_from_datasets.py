"""Data sets of the package datasets: saved on the disk, or given as objects."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylex.core.errors import DataError
from stylex.data.archive import open_images
from stylex.data.prepare import PrepareConfig, PrepareSummary, prepare

datasets = pytest.importorskip("datasets")
pytestmark = pytest.mark.filterwarnings("ignore")
PICTURES = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)


def a_set(start: int = 0, stop: int = 8, **more: Any) -> Any:
    n = stop - start
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog", "owl"])}
    given = {"image": [Image.fromarray(p) for p in PICTURES[start:stop]], "label": [i % 2 for i in range(n)]}
    for name, (feature, values) in more.items():
        features[name], given[name] = feature, values
    return datasets.Dataset.from_dict(given, features=datasets.Features(features))


def run(source: Any, out: Path, **options: Any) -> PrepareSummary:
    return prepare(source, out, PrepareConfig(resolution=16, **options), overwrite=True)


def test_a_saved_set_is_its_pictures_with_the_names_of_its_classes(tmp_path: Path) -> None:
    a_set().save_to_disk(tmp_path / "saved")
    summary = run(tmp_path / "saved", tmp_path / "out.zip")
    images = open_images(summary.path)
    assert images.label_names == ("cat", "dog", "owl")
    assert summary.counts == {"cat": 4, "dog": 4, "owl": 0}
    np.testing.assert_array_equal(images.pictures(range(8)), PICTURES)
    assert run(a_set(), tmp_path / "object.zip").counts == summary.counts


def test_splits_divide_it_or_one_is_chosen(tmp_path: Path) -> None:
    both = datasets.DatasetDict({"train": a_set(0, 5), "test": a_set(5, 8)})
    both.save_to_disk(tmp_path / "saved")
    summary = run(tmp_path / "saved", tmp_path / "out.zip")
    assert summary.divided == {"train": 5, "test": 3}
    assert len(open_images(summary.path).split("test")) == 3
    assert run(f"{tmp_path / 'saved'},split=test", tmp_path / "test.zip").images == 3
    assert run(f"{tmp_path / 'saved'},split=train+test", tmp_path / "all.zip").images == 8
    with pytest.raises(DataError, match="no split 'dev': its splits are train, test"):
        run(f"{tmp_path / 'saved'},split=dev", tmp_path / "none.zip")


def test_columns_are_chosen_by_name(tmp_path: Path) -> None:
    more = {
        "mask": (datasets.Image(), [Image.fromarray(p[..., 0]) for p in PICTURES]),
        "sex": (datasets.ClassLabel(names=["f", "m"]), [0, 1] * 4),
        "patient": (datasets.Value("string"), [f"p{i // 2}" for i in range(8)]),
        "tags": (datasets.Sequence(datasets.ClassLabel(names=["x", "y"])), [[], [0], [1], [0, 1]] * 2),
    }
    a_set(**more).save_to_disk(tmp_path / "saved")
    with pytest.raises(DataError, match=r"several columns of images \(image, mask\)"):
        run(tmp_path / "saved", tmp_path / "out.zip")
    summary = run(f"{tmp_path / 'saved'},image=mask,label=sex,group=patient", tmp_path / "out.zip")
    images = open_images(summary.path)
    assert (images.channels, images.label_names) == (1, ("f", "m"))
    assert len(set(images.groups)) == 4
    several = open_images(run(f"{tmp_path / 'saved'},image=image,label=tags", tmp_path / "tags.zip").path)
    assert several.labels is not None
    assert several.labels[:4].tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]
    with pytest.raises(DataError, match="no label column 'colour'"):
        run(f"{tmp_path / 'saved'},image=image,label=colour", tmp_path / "none.zip")
    with pytest.raises(DataError, match="has the option 'lable'; a saved data set takes split="):
        run(f"{tmp_path / 'saved'},lable=sex", tmp_path / "none.zip")


def test_rows_without_picture_or_label_are_left_out(tmp_path: Path) -> None:
    given = a_set().to_dict()
    given["image"][2], given["label"][3] = None, -1
    features = a_set().features
    summary = run(datasets.Dataset.from_dict(given, features=features), tmp_path / "out.zip")
    assert dict(summary.skipped) == {"00000002": "no picture in its row", "/00000003": "no label in its row"}


def test_a_picture_that_a_saved_set_only_points_to_is_not_opened(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.fromarray(PICTURES[0]).save(secret)
    plain = {"image": [{"bytes": None, "path": str(secret)}] * 2, "label": [0, 1]}
    given = datasets.Dataset.from_dict(plain, features=a_set().features)
    with pytest.raises(DataError, match="its picture lies elsewhere"):
        run(given, tmp_path / "out.zip")


def test_a_damaged_set_is_told_in_one_line(tmp_path: Path) -> None:
    a_set().save_to_disk(tmp_path / "saved")
    for path in (tmp_path / "saved").glob("*.arrow"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="is a damaged data set") as caught:
        run(tmp_path / "saved", tmp_path / "out.zip")
    assert "\n" not in str(caught.value)
    shutil.rmtree(tmp_path / "saved")


def test_a_set_by_name_goes_the_same_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def fetched(*given: Any, **options: Any) -> Any:
        asked.append((given, options))
        return datasets.DatasetDict({"train": a_set(0, 5), "test": a_set(5, 8)})

    monkeypatch.setattr(datasets, "load_dataset", fetched)
    summary = run("hf://datasets/org/pets,config=small,split=train", tmp_path / "out.zip")
    assert summary.images == 5
    assert asked == [(("org/pets", "small"), {"revision": None, "split": None})]
    with pytest.raises(DataError, match="names no data set"):
        run("hf://datasets/", tmp_path / "out.zip")


def test_a_hub_that_cannot_be_reached_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetched(*given: Any, **options: Any) -> Any:
        raise ConnectionError("no route")

    monkeypatch.setattr(datasets, "load_dataset", fetched)
    with pytest.raises(DataError, match="org/pets cannot be fetched: ConnectionError: no route"):
        run("hf://datasets/org/pets", tmp_path / "out.zip")
