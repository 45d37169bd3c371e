"""Folders named as parts are parts, whatever lies beside them; what can be read in two ways is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stylex.core.errors import DataError
from stylex.data.archive import ImageSet, open_images
from stylex.data.layout import read_layout
from stylex.data.prepare import PrepareConfig, PrepareSummary, prepare

Save = Callable[..., Path]


def run(save: Save, folders: list[str], each: int = 2) -> tuple[PrepareSummary, ImageSet]:
    """An archive of so many pictures in each of these folders (``""``: at the top)."""
    seed = 0
    for folder in folders:
        for _ in range(each):
            path = save(f"{folder}/{seed}.png" if folder else f"{seed}.png", seed=seed)
            seed += 1
    photos = next(parent for parent in path.parents if parent.name == "photos")
    summary = prepare(photos, photos.parent / "out.zip", PrepareConfig(resolution=16), overwrite=True)
    return summary, open_images(photos.parent / "out.zip")


def under(tops: list[str], classes: list[str]) -> list[str]:
    return [f"{top}/{name}" for top in tops for name in classes]


@pytest.mark.parametrize("training", ["train", "Training"])
@pytest.mark.parametrize("test", ["val", "valid", "validation", "dev", "eval", "holdout", "test", "TEST"])
def test_two_parts_with_the_same_classes_are_parts(save: Save, training: str, test: str) -> None:
    summary, images = run(save, under([training, test], ["cat", "dog"]))
    assert images.label_names == ("cat", "dog")
    assert summary.divided == {"train": 4, "test": 4}
    assert all(name.startswith(test) for name in images.split("test").names)
    assert f"divided by the folders {', '.join(sorted([training, test]))}" in str(summary)
    assert (f"{test} is the test part" in str(summary)) == (test != "test")


def test_beside_a_test_part_validation_is_training(save: Save) -> None:
    summary, images = run(save, under(["train", "val", "test"], ["cat", "dog"]))
    assert summary.divided == {"train": 8, "test": 4}
    assert {name.split("/")[0] for name in images.split("train").names} == {"train", "val"}
    assert "val counts as training" in str(summary)


def test_training_and_validation_in_one_folder_are_a_part(save: Save) -> None:
    summary, _ = run(save, under(["trainval", "test"], ["cat", "dog"]))
    assert summary.divided == {"train": 4, "test": 4}


def test_what_lies_beside_the_parts_is_left_out_and_named(save: Save) -> None:
    beside = ["", "unlabeled", "extra"]
    readme = save("x.png").with_name("README.md")
    save("x.png").rename(readme)
    summary, images = run(save, [*under(["train", "val"], ["cat", "dog"]), *beside])
    assert images.label_names == ("cat", "dog")
    assert summary.images == 8
    reasons = dict(summary.skipped)
    assert [reasons[name] for name in ("8.png", "unlabeled/10.png", "extra/12.png")] == [
        "beside the folders train, val"
    ] * 3


def test_a_class_may_be_missing_from_a_part(save: Save) -> None:
    _, images = run(save, [*under(["train"], ["cat", "dog", "eel"]), *under(["test"], ["cat", "eel"])])
    assert images.label_names == ("cat", "dog", "eel")
    assert len(images.split("test")) == 4


def test_flat_parts_are_unlabelled(save: Save) -> None:
    summary, images = run(save, ["train", "val"])
    assert images.labels is None
    assert summary.divided == {"train": 2, "test": 2}


def test_parts_may_lie_in_the_classes(save: Save) -> None:
    summary, images = run(save, [*under(["cat", "dog"], ["train", "test"]), "cat/extra"])
    assert images.label_names == ("cat", "dog")
    assert summary.divided == {"train": 4, "test": 4}
    assert dict(summary.skipped)["cat/extra/8.png"] == "beside the folders test, train"
    assert "by the folders test, train in the class folders" in str(summary)


def test_a_test_part_without_classes_is_left_out(save: Save) -> None:
    summary, images = run(save, [*under(["train"], ["cat", "dog"]), "test"], each=12)
    assert summary.counts == {"cat": 12, "dog": 12}
    assert summary.divided == {}
    assert "the classes in train/" in str(summary)
    assert len(images.split("test")) + len(images.split("train")) == 24


def test_one_part_with_classes_and_what_is_unlabelled(save: Save) -> None:
    summary, _ = run(save, [*under(["train"], ["cat", "dog"]), "unlabeled"])
    assert summary.counts == {"cat": 2, "dog": 2}
    assert dict(summary.skipped)["unlabeled/4.png"] == "not in train/"


def test_a_folder_around_everything_with_a_stray_picture_beside_it(save: Save) -> None:
    summary, _ = run(save, [*under(["set/train", "set/val"], ["cat", "dog"]), ""], each=1)
    assert summary.counts == {"cat": 2, "dog": 2}
    assert summary.divided == {"train": 2, "test": 2}
    assert dict(summary.skipped) == {"4.png": "not in set/"}


@pytest.mark.parametrize(
    ("folders", "counts"),
    [
        (["bus", "car", "train"], ["bus", "car", "train"]),
        (["cat", "dog"], ["cat", "dog"]),
        (["cat/a", "cat/b", "dog/a"], ["cat", "dog"]),
        (["bus/day", "bus/night", "train/day", "train/night"], ["bus", "train"]),
        (["only"], []),
        (["", "few"], []),
    ],
)
def test_other_folders_are_classes(save: Save, folders: list[str], counts: list[str]) -> None:
    summary, _ = run(save, folders)
    assert list(summary.counts) == counts
    assert summary.divided == {}


@pytest.mark.parametrize(
    ("folders", "readings"),
    [
        (["train", "test", "bus"], ["test, train, bus are classes", "test, train are parts"]),
        (
            ["train/cat", "train/dog", "test/red", "test/blue"],
            ["are classes", "test/ has blue, red; train/ has cat, dog"],
        ),
        (["train/cat", "train/dog", "images"], ["images, train are classes", "cat, dog in train/ are"]),
        (["train/cat", "train/dog", "val/cat", "val/dog", "old/cat"], ["are classes", "are all parts"]),
        (
            under(["a/train", "a/test", "b/train", "b/test"], ["x", "y"]),
            ["a, b are classes", "x, y in the folders test, train are"],
        ),
        (["train/a", "train/b", "x/test/a", "x/test/b"], ["train, x are classes", "the parts in x are parts"]),
    ],
)
def test_two_readings_are_refused_with_both(save: Save, folders: list[str], readings: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        run(save, folders)
    message = str(caught.value)
    for reading in readings:
        assert reading in message
    assert "can be read in two ways" in message
    assert "metadata.csv" in message


def test_a_table_decides_where_folders_do_not(save: Save, tmp_path: Path) -> None:
    names = [
        str(save(f"{top}/{i}.png", seed=3 * i + place).relative_to(tmp_path / "photos"))
        for i in range(2)
        for place, top in enumerate(("train", "test", "bus"))
    ]
    rows = [f"{name},{'ab'[i % 2]},{'dev' if i < 2 else 'train'}" for i, name in enumerate(names)]
    (tmp_path / "photos" / "metadata.csv").write_text("file_name,label,split\n" + "\n".join(rows))
    summary = prepare(tmp_path / "photos", tmp_path / "out.zip", PrepareConfig(resolution=16))
    assert summary.counts == {"a": 3, "b": 3}
    assert summary.divided == {"train": 4, "test": 2}
    assert "divided by the column split of metadata.csv" in str(summary)


def test_every_picture_is_placed_or_set_aside_once() -> None:
    tops, subs = ("", "train/", "val/", "dog/"), ("", "cat/", "test/")
    names = [f"{top}{sub}{i}.png" for top in tops for sub in subs for i in range(2)]
    for n in range(1, len(names)):
        layout = read_layout(names[:n])
        assert sorted([*layout.places, *layout.aside]) == sorted(names[:n])
