"""From photographs as people keep them to an archive: what is read, what is left out, what is never divided."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import stylex
from stylex.classifiers import ClassifierSpec
from stylex.core.errors import ClassifierError, DataError
from stylex.core.progress import Done, Event, Listener, Started, Step, silent
from stylex.data.archive import open_images
from stylex.data.prepare import PrepareConfig, PrepareSummary, prepare

Save = Callable[..., Path]


def zipped(folder: Path, to: Path, prefix: str = "") -> Path:
    """The folder as a zip, with all names behind ``prefix``."""
    with zipfile.ZipFile(to, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, prefix + path.relative_to(folder).as_posix())
    return to


def table(photos: Path, text: str, name: str = "metadata.csv") -> None:
    photos.mkdir(exist_ok=True)
    (photos / name).write_text(text)


def run(photos: Path, *, overwrite: bool = True, listener: Listener = silent, **options: Any) -> PrepareSummary:
    config = PrepareConfig(**{"resolution": 16, **options})
    return prepare(photos, photos.parent / "out.zip", config, overwrite=overwrite, listener=listener)


def test_class_folders_become_labels(photos: Path) -> None:
    summary = run(photos)
    assert summary.images == 7
    assert summary.counts == {"cat": 4, "dog": 3}
    assert summary.skipped == ()
    images = open_images(summary.path)
    assert images.label_names == ("cat", "dog")
    assert images.labels is not None
    assert images.labels.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert images.names == tuple(f"{'cat' if i < 4 else 'dog'}/{i}.png" for i in range(7))
    assert (images.resolution, images.channels) == (16, 3)


def test_pixels_arrive_unchanged_when_the_size_fits(save: Save, tmp_path: Path) -> None:
    save("a.png", seed=1, size=(32, 32))
    save("b.png", seed=2, size=(32, 32))
    run(tmp_path / "photos", resolution=32)
    stored = open_images(tmp_path / "out.zip").pictures([0, 1])
    for picture, name in zip(stored, "ab", strict=True):
        np.testing.assert_array_equal(picture, np.asarray(Image.open(tmp_path / "photos" / f"{name}.png")))


def test_the_same_photographs_give_the_same_bytes_from_a_folder_or_a_zip(photos: Path, tmp_path: Path) -> None:
    run(photos)
    first = (tmp_path / "out.zip").read_bytes()
    copied = tmp_path / "elsewhere" / "copy"
    shutil.copytree(photos, copied, copy_function=shutil.copy)
    prepare(copied, tmp_path / "2.zip", PrepareConfig(resolution=16))
    prepare(zipped(photos, tmp_path / "plain-source.zip"), tmp_path / "3.zip", PrepareConfig(resolution=16))
    prepare(zipped(photos, tmp_path / "source.zip", "all/of it/"), tmp_path / "4.zip", PrepareConfig(resolution=16))
    assert [(tmp_path / f"{i}.zip").read_bytes() == first for i in (2, 3, 4)] == [True] * 3


def test_the_archive_is_a_stylegan_zip(photos: Path) -> None:
    run(photos)
    with zipfile.ZipFile(photos.parent / "out.zip") as archive:
        labels = json.loads(archive.read("dataset.json"))["labels"]
        assert labels[0] == ["00000/img00000000.png", 0]
        assert len(labels) == 7
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        with archive.open(labels[4][0]) as file, Image.open(file) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (16, 16))
            image.load()


def test_a_flat_folder_is_unlabelled(save: Save, tmp_path: Path) -> None:
    save("a.png", seed=1)
    save("b.png", seed=2)
    assert run(tmp_path / "photos").counts == {}
    images = open_images(tmp_path / "out.zip")
    assert images.labels is None
    assert images.label_names is None
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert json.loads(archive.read("dataset.json")) == {"labels": None}


def test_grey_is_kept_until_one_picture_is_coloured(save: Save, tmp_path: Path) -> None:
    save("a.png", seed=1, channels=1)
    grey = np.asarray(Image.open(save("b.png", seed=2, channels=1)))
    Image.fromarray(np.repeat(grey[..., None], 3, axis=2)).save(tmp_path / "photos" / "b.png")
    assert run(tmp_path / "photos").channels == 1
    before = open_images(tmp_path / "out.zip").pictures([0, 1])
    save("c.png", seed=3)
    assert run(tmp_path / "photos").channels == 3
    after = open_images(tmp_path / "out.zip").pictures([0, 1])
    np.testing.assert_array_equal(after, np.repeat(before, 3, axis=3))
    assert run(tmp_path / "photos", channels=1).channels == 1


def test_bad_files_are_left_out_by_name_in_one_summary(photos: Path, save: Save) -> None:
    (photos / "cat" / "empty.png").touch()
    (photos / "cat" / "cut.png").write_bytes(save("cat/9.png", seed=9).read_bytes()[:300])
    (photos / "dog" / "lies.jpg").write_text("no picture")
    (photos / "notes.txt").write_text("hello")
    (photos / ".hidden.png").touch()
    save("root.png", seed=11)
    red, blue = (Image.new("RGB", (20, 20), colour) for colour in ("red", "blue"))
    red.save(photos / "dog" / "moving.gif", save_all=True, append_images=[blue])
    summary = run(photos)
    assert summary.images == 9
    assert {name for name, _ in summary.skipped} == {
        "cat/empty.png", "cat/cut.png", "dog/lies.jpg", "notes.txt", "root.png",
    }  # fmt: skip
    assert ("dog/moving.gif", "animated: first frame used") in summary.noted
    text = str(summary)
    assert "5 left out" in text
    assert "cat/empty.png: the file is empty" in text
    assert "1 animated: first frame used: dog/moving.gif" in text
    assert "and 4 more" in "\n".join(summary.lines(names=1))


def test_csv_labels_groups_and_splits(save: Save, tmp_path: Path) -> None:
    for i in range(4):
        save(f"{i}.png", seed=i)
    rows = ["file_name,kind,patient,split", "0.png,sick,p1,train", "./1.png,well,p2,test", "2.png,sick,p3,val"]
    table(tmp_path / "photos", "\ufeff" + "\r\n".join([*rows, "3.png,,p4,train", "gone.png,sick,p5,train"]))
    summary = run(tmp_path / "photos", label_column="kind", group_column="patient")
    images = open_images(tmp_path / "out.zip")
    assert images.label_names == ("sick", "well")
    assert images.labels is not None
    assert images.labels.tolist() == [0, 1, 0]
    assert images.groups == ("p1", "p2", "p3")
    assert images.split("test").names == ("1.png",)
    assert images.split("train").names == ("0.png", "2.png")
    assert dict(summary.skipped) == {
        "3.png": "no kind in metadata.csv",
        "gone.png": "named in metadata.csv, line 6, but not there",
    }
    assert summary.divided == {"train": 2, "test": 1}


def test_jsonl_columns_of_truth_values_are_several_labels(save: Save, tmp_path: Path) -> None:
    rows = [{"file_name": f"{i}.png", "smiling": bool(i % 2), "young": i // 2} for i in range(4)]
    for i in range(4):
        save(f"{i}.png", seed=i)
    table(tmp_path / "photos", "\n".join(map(json.dumps, rows)), "metadata.jsonl")
    summary = run(tmp_path / "photos")
    assert summary.counts == {"smiling": 2, "young": 2}
    images = open_images(tmp_path / "out.zip")
    assert images.multi_label
    assert images.labels is not None
    assert images.labels.tolist() == [[0, 0], [1, 0], [0, 1], [1, 1]]
    assert images.select("young").names == ("2.png", "3.png")
    run(tmp_path / "photos", label_column="young")
    assert open_images(tmp_path / "out.zip").label_names == ("0", "1")


def test_values_that_are_neither_0_nor_1_are_left_out_of_several_labels(save: Save, tmp_path: Path) -> None:
    for i in range(3):
        save(f"{i}.png", seed=i)
    table(tmp_path / "photos", "file_name,a,b\n0.png,1,0\n1.png,-1,0\n2.png,,1\n")
    summary = run(tmp_path / "photos", label_column="a, b")
    assert summary.images == 1
    assert [name for name, _ in summary.skipped] == ["1.png", "2.png"]


def test_a_table_without_labels_leaves_the_class_folders(photos: Path) -> None:
    table(photos, "file_name,patient,age\n" + "".join(f"{'cat' if i < 4 else 'dog'}/{i}.png,p,{i}\n" for i in range(6)))
    summary = run(photos)
    assert summary.counts == {"cat": 4, "dog": 3}
    summary = run(photos, group_column="patient")
    assert summary.skipped == (("dog/6.png", "not listed in metadata.csv"),)
    assert summary.labels_from == "class folders"


def test_class_numbers_are_sorted_as_numbers(save: Save, tmp_path: Path) -> None:
    for i in range(3):
        save(f"{i}.png", seed=i)
    table(tmp_path / "photos", "file_name,label\n0.png,10\n1.png,9\n2.png,10\n")
    run(tmp_path / "photos")
    assert open_images(tmp_path / "out.zip").label_names == ("9", "10")


TABLES = {
    "unknown label column": ("file_name,a\n0.png,1\n", {"label_column": "b"}, "no label column 'b'"),
    "unknown group column": ("file_name,a\n0.png,1\n", {"group_column": "b"}, "no group column 'b'"),
    "no file_name": ("name,a\n0.png,1\n", {}, "no column file_name"),
    "too few values": ("file_name,a\n0.png,1\n1.png\n", {}, "line 3: 1 values for 2 columns"),
    "broken quotes": ('file_name,a\n0.png,"1"x\n', {}, "line 2: broken CSV"),
    "two columns of a name": ("file_name,a,a\n0.png,1,2\n", {}, "two columns named 'a'"),
    "only a header": ("file_name,a\n", {}, "has no rows"),
    "nothing at all": ("", {}, "has no rows"),
    "outside": ("file_name,a\n../0.png,1\n", {}, "line 2: file_name '../0.png' leads out of the folder"),
    "absolute": ("file_name,a\n/etc/0.png,1\n", {}, "leads out of the folder"),
    "drive letter": ("file_name,a\nC:\\0.png,1\n", {}, "leads out of the folder"),
    "empty name": ("file_name,a\n,1\n", {}, "line 2: no file_name"),
    "contradiction": ("file_name,a\n0.png,1\n./0.png,2\n", {}, "lines 2 and 3 say different things"),
    "bad split": ("file_name,split\n0.png,tset\n", {}, "line 2: split is 'tset'"),
    "no label anywhere": ("file_name,label\n0.png,\n1.png,\n", {}, "no usable picture"),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables_that_cannot_be_meant(case: str, save: Save, tmp_path: Path) -> None:
    text, options, message = TABLES[case]
    save("0.png", seed=0)
    save("1.png", seed=1)
    table(tmp_path / "photos", text)
    with pytest.raises(DataError) as caught:
        run(tmp_path / "photos", **options)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {"photos"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"file_name": "0.png", "a": 1}\n{"file_name"\n', "line 2: broken JSON"),
        ('\n["0.png"]\n', "line 2: expected an object"),
        ('{"file_name": "0.png", "a": [1]}\n', "line 1: a is a list or object"),
    ],
)
def test_broken_json_lines(text: str, message: str, save: Save, tmp_path: Path) -> None:
    save("0.png", seed=0)
    table(tmp_path / "photos", text, "metadata.jsonl")
    with pytest.raises(DataError, match=message):
        run(tmp_path / "photos")


def test_a_table_that_is_not_utf8_or_twice_there(save: Save, tmp_path: Path) -> None:
    save("0.png", seed=0)
    (tmp_path / "photos" / "metadata.csv").write_bytes(b"file_name,a\n0.png,caf\xe9\n")
    with pytest.raises(DataError, match="line 2: not UTF-8"):
        run(tmp_path / "photos")
    table(tmp_path / "photos", "{}", "metadata.jsonl")
    with pytest.raises(DataError, match=r"both metadata\.csv and metadata\.jsonl"):
        run(tmp_path / "photos")


def test_a_row_said_twice_counts_once(save: Save, tmp_path: Path) -> None:
    save("0.png", seed=0)
    table(tmp_path / "photos", "file_name,a\n0.png,1\n0.png,1\n")
    assert run(tmp_path / "photos").images == 1


def test_equal_pictures_are_counted_and_never_divided(save: Save, tmp_path: Path) -> None:
    for i in range(40):
        save(f"{'ab'[i % 2]}/{i}.png", seed=i // 2)
    Image.open(tmp_path / "photos" / "a" / "0.png").save(tmp_path / "photos" / "b" / "again.bmp")
    summary = run(tmp_path / "photos")
    assert summary.duplicates == 21
    assert "21 equal an earlier picture" in str(summary)
    assert ("b/1.png", "equal to an earlier picture with another label") in summary.noted
    images = open_images(tmp_path / "out.zip")
    train, test = images.split("train", 0.4), images.split("test", 0.4)
    seen = {picture.tobytes() for picture in train.pictures(range(len(train)))}
    assert not any(picture.tobytes() in seen for picture in test.pictures(range(len(test))))


def test_groups_are_never_divided_even_when_they_share_a_picture(save: Save, tmp_path: Path) -> None:
    rows = ["file_name,patient"]
    for i in range(60):
        save(f"{i:02}.png", seed=i if i % 10 else 0)  # every tenth picture is the same one
        rows.append(f"{i:02}.png,p{i // 4}")
    table(tmp_path / "photos", "\n".join(rows))
    run(tmp_path / "photos", group_column="patient")
    images = open_images(tmp_path / "out.zip")
    for seed in range(5):
        train, test = images.split("train", 0.5, seed), images.split("test", 0.5, seed)
        assert not set(train.groups) & set(test.groups)
        seen = {picture.tobytes() for picture in train.pictures(range(len(train)))}
        assert not any(picture.tobytes() in seen for picture in test.pictures(range(len(test))))


def test_adding_pictures_moves_no_other(save: Save, tmp_path: Path) -> None:
    for i in range(40):
        save(f"{i}.png", seed=i)
    run(tmp_path / "photos")
    before = open_images(tmp_path / "out.zip").split("test", 0.3).names
    for i in range(40, 60):
        save(f"a{i}.png", seed=i)
    save("again.png", seed=3)
    run(tmp_path / "photos", resolution=32)  # nor does another size
    after = open_images(tmp_path / "out.zip").split("test", 0.3).names
    assert [name for name in after if not name.startswith("a")] == list(before)


def test_train_and_test_folders_are_honoured_and_kept_apart(save: Save, tmp_path: Path) -> None:
    for part, seeds in (("train", range(6)), ("val", range(6, 8)), ("Test", range(8, 12))):
        for seed in seeds:
            save(f"{part}/{'ab'[seed % 2]}/{seed}.png", seed=seed)
    save("Test/a/copied.png", seed=0)
    summary = run(tmp_path / "photos")
    assert summary.counts == {"a": 7, "b": 6}
    assert summary.divided == {"train": 9, "test": 4}
    images = open_images(tmp_path / "out.zip")
    assert set(images.split("test").names) == {"Test/a/8.png", "Test/b/9.png", "Test/a/10.png", "Test/b/11.png"}
    assert "Test/a/copied.png" in images.split("train").names
    notes = dict(summary.noted)
    assert "counted as training" in notes["Test/a/copied.png"]
    assert "validation" in notes["val/a/6.png"]


def test_what_is_white_is_one_rule_for_the_whole_set(save: Save, tmp_path: Path) -> None:
    save("bright.png")
    ramp = np.linspace(0, 1, 256).reshape(16, 16)
    for name, share in (("bright", 4095), ("dark", 800), ("darker", 100)):
        Image.fromarray((ramp * share).astype(np.uint16)).save(tmp_path / "photos" / f"{name}.png")
    save("eight.png", seed=1, size=(16, 16))
    summary = run(tmp_path / "photos")
    images = open_images(summary.path)
    highest = {name: int(images.pictures([i]).max()) for i, name in enumerate(images.names)}
    assert [highest[f"{name}.png"] for name in ("bright", "dark", "darker")] == [255, 50, 6]
    assert "3 of more than 8 bits: 4095 is white: bright.png, dark.png, darker.png" in str(summary)
    assert "1 nearly black by what is white in the others: darker.png" in str(summary)


@pytest.mark.parametrize(
    ("bright", "dim", "kind", "said", "whites"),
    [
        (65535, 4000, np.uint16, "use numbers up to 4000 only (the first is dim0.png), bright.png up to 65535", "4095"),
        (255.0, 1.0, np.float32, "use numbers up to 1 only (the first is dim0.tif), bright.tif up to 255", "1"),
    ],
)
def test_many_are_not_made_black_for_a_few(
    tmp_path: Path, bright: float, dim: float, kind: Any, said: str, whites: str
) -> None:
    (tmp_path / "photos").mkdir(exist_ok=True)
    ramp, suffix = np.linspace(0, 1, 256).reshape(16, 16), "tif" if kind is np.float32 else "png"

    def save_wide(name: str, ramp: np.ndarray, highest: float) -> None:
        Image.fromarray((ramp * highest).astype(kind)).save(tmp_path / "photos" / f"{name}.{suffix}")

    for i in range(4):
        save_wide(f"dim{i}", np.roll(ramp, i), dim)
    save_wide("bright", ramp, bright)
    with pytest.raises(DataError) as caught:
        run(tmp_path / "photos")
    assert said in str(caught.value)
    assert f"say what is white with white={whites} (larger numbers are cut) or white={bright:g}" in str(caught.value)
    assert not (tmp_path / "out.zip").exists()
    images = open_images(run(tmp_path / "photos", white=float(whites)).path)
    for i in range(len(images)):
        assert images.pictures([i]).max() > 245


def test_what_is_cut_is_named_and_a_class_is_not_lost(tmp_path: Path) -> None:
    ramp = np.linspace(0, 1, 256, dtype=np.float32).reshape(16, 16)
    for name in ("a", "b"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(3):
            picture = np.roll(ramp, i + 7 * (name == "b")) * (1000 if name == "a" else 255)
            place = tmp_path / "photos" / name / f"{i}.tif"
            Image.fromarray(picture if name == "a" else picture.astype(np.uint8)).save(place)
    with pytest.raises(
        DataError, match=r"none of the 3 photographs of 'a' can be used, the first a/0.tif: has values"
    ) as no:
        run(tmp_path / "photos")
    assert "say what is white with white=1000" in str(no.value)
    assert run(tmp_path / "photos", white=1000.0).counts == {"a": 3, "b": 3}
    assert "3 of numbers above white, which are cut: a/0.tif" in str(run(tmp_path / "photos", white=500.0))


@pytest.mark.parametrize("white", [0, -1, 70000, float("nan")])
def test_what_cannot_be_white_is_refused(white: float) -> None:
    with pytest.raises(DataError, match="expected a number from 1 to 65535"):
        PrepareConfig(resolution=16, white=white)


def test_an_archive_can_be_prepared_again(save: Save, tmp_path: Path) -> None:
    rows = ["file_name,label,patient,split"]
    for i in range(12):
        save(f"{i:02}.png", seed=i, size=(40, 40))
        rows.append(f"{i:02}.png,{'ab'[i % 2]},p{i // 2},{'test' if i > 8 else ''}")
    table(tmp_path / "photos", "\n".join(rows))
    run(tmp_path / "photos", resolution=32, group_column="patient")
    prepare(tmp_path / "out.zip", tmp_path / "small.zip", PrepareConfig(resolution=16))
    large, small = open_images(tmp_path / "out.zip"), open_images(tmp_path / "small.zip")
    assert small.resolution == 16
    assert small.names == large.names
    assert small.label_names == large.label_names
    assert small.groups == large.groups
    np.testing.assert_array_equal(small.labels, large.labels)
    assert small.split("test", 0.4).names == large.split("test", 0.4).names


def test_a_foreign_archive_of_any_size_can_be_prepared(tmp_path: Path, save: Save) -> None:
    with zipfile.ZipFile(tmp_path / "foreign.zip", "w") as archive:
        for i, size in enumerate([(50, 40), (64, 64), (512, 512)]):
            archive.write(save("x.png", seed=i, size=size), f"00000/img{i:08d}.png")
        archive.writestr("dataset.json", json.dumps({"labels": [[f"00000/img{i:08d}.png", i + 4] for i in range(3)]}))
    summary = prepare(tmp_path / "foreign.zip", tmp_path / "out.zip", PrepareConfig(resolution=64))
    assert summary.counts == {"label 4": 1, "label 5": 1, "label 6": 1}
    images = open_images(tmp_path / "out.zip")
    assert images.labels is not None
    assert images.labels.tolist() == [4, 5, 6]
    assert images.label_names is None
    with pytest.raises(DataError, match="no columns to choose"):
        prepare(tmp_path / "foreign.zip", tmp_path / "2.zip", PrepareConfig(resolution=64, label_column="a"))


def test_names_are_made_printable_and_stay_different(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for i, name in enumerate([b"a\x01.png", b"a\x02.png", b"a\xff.png"]):
        Image.fromarray(np.full((20, 20), i, np.uint8)).save(photos / "x.png")
        (photos / "x.png").rename(photos / os.fsdecode(name))
    assert run(photos).images == 3
    names = open_images(tmp_path / "out.zip").names
    assert len(set(names)) == 3
    assert all(name.isprintable() for name in names)


def test_links_in_circles_end(photos: Path) -> None:
    (photos / "cat" / "up").symlink_to(photos)
    (photos / "gone.png").symlink_to(photos / "nowhere")
    assert run(photos).images == 7


def test_progress_is_told(photos: Path) -> None:
    heard: list[Event] = []
    run(photos, listener=heard.append)
    assert heard[0] == Started(task="prepare", total=7, unit="images")
    assert [event.done for event in heard if isinstance(event, Step)] == list(range(1, 8))
    assert heard[-1] == Done(task="prepare", path=photos.parent / "out.zip")


def test_options_that_cannot_be_meant(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.zip"

    def refused(
        message: str, source: Path = photos, to: Path = out, *, overwrite: bool = False, **options: Any
    ) -> None:
        with pytest.raises(DataError, match=message) as caught:
            prepare(source, to, PrepareConfig(**{"resolution": 16, **options}), overwrite=overwrite)
        assert "\n" not in str(caught.value)

    refused("the nearest is 32", resolution=30)
    refused("there is no folder or zip", source=tmp_path / "none")
    refused("neither a folder nor a readable zip", source=photos / "cat" / "0.png")
    refused("ends in .zip", to=tmp_path / "out")
    refused("no metadata.csv", label_column="a")
    refused("no metadata.csv", group_column="a")
    (tmp_path / "empty").mkdir()
    refused("holds no pictures", source=tmp_path / "empty")
    (tmp_path / "empty" / "a.png").touch()
    refused("no usable picture: 1 left out, the first a.png: the file is empty", source=tmp_path / "empty")
    (tmp_path / "damaged.zip").write_bytes(zipped(photos, tmp_path / "good.zip").read_bytes()[:-40])
    refused("neither a folder nor a readable zip", source=tmp_path / "damaged.zip")
    refused("it is the source", source=tmp_path / "good.zip", to=tmp_path / "good.zip", overwrite=True)
    refused("cannot write", to=photos / "cat" / "0.png" / "out.zip")
    assert not out.exists()
    run(photos)
    before = out.read_bytes()
    refused("exists already")
    assert out.read_bytes() == before


def test_damaged_members_of_a_zip_are_left_out(photos: Path, tmp_path: Path) -> None:
    data = bytearray(zipped(photos, tmp_path / "source.zip").read_bytes())
    at = data.index((photos / "dog" / "5.png").read_bytes())
    data[at + 200 : at + 210] = b"0123456789"
    (tmp_path / "source.zip").write_bytes(data)
    summary = prepare(tmp_path / "source.zip", tmp_path / "out.zip", PrepareConfig(resolution=16))
    assert summary.images == 6
    assert summary.skipped[0][0] == "dog/5.png"


def test_a_full_disk_leaves_nothing(photos: Path, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for room in (1000, 6500):  # not even the pixels; the pixels, but not the archive
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
        try:
            with pytest.raises(DataError, match="cannot write"):
                run(photos)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert {path.name for path in tmp_path.iterdir()} == {"photos"}


def test_an_interruption_leaves_nothing(photos: Path, tmp_path: Path) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, Step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(photos, listener=stop)
    assert {path.name for path in tmp_path.iterdir()} == {"photos"}


NOBODYS = ("@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information", "__MACOSX", ".git")


@pytest.mark.parametrize("packed", [False, True])
def test_what_systems_leave_behind_is_no_class_and_no_picture(photos: Path, save: Save, packed: bool) -> None:
    for i, name in enumerate(NOBODYS):
        save(f"{name}/{i}.png", seed=50 + i)
        save(f"cat/{name}/{i}.png", seed=60 + i)
    summary = run(zipped(photos, photos.parent / "source.zip") if packed else photos)
    assert summary.counts == {"cat": 4, "dog": 3}
    assert summary.skipped == ()


def test_a_wrapped_archive_keeps_its_labels(tmp_path: Path, save: Save) -> None:
    with zipfile.ZipFile(tmp_path / "wrapped.zip", "w") as archive:
        for i in range(3):
            archive.write(save("x.png", seed=i, size=(64, 64)), f"shoes/00000/img{i:08d}.png")
        labels = [[f"00000/img{i:08d}.png", i % 2] for i in range(3)]
        archive.writestr("shoes/dataset.json", json.dumps({"labels": labels}))
    config = PrepareConfig(resolution=64)
    assert prepare(tmp_path / "wrapped.zip", tmp_path / "out.zip", config).counts == {"label 0": 2, "label 1": 1}


@pytest.mark.parametrize("separator", [";", "\t", ","])
def test_a_table_may_be_separated_as_spreadsheets_do(save: Save, tmp_path: Path, separator: str) -> None:
    save("0.png", seed=0)
    save("1.png", seed=1)
    rows = [("file_name", "label"), ("0.png", "a"), ("1.png", '"b, c; d"')]
    table(tmp_path / "photos", "\n".join(map(separator.join, rows)))
    assert run(tmp_path / "photos").counts == {"a": 1, "b, c; d": 1}


@pytest.mark.parametrize(
    ("name", "content", "remedy"),
    [
        ("a.heic", b"", "save it as JPEG first"),
        ("a.jpg", b"\0\0\0\x18ftypheic\0\0\0\0", "save it as JPEG first"),
        ("a.dng", b"", "develop it to JPEG or TIFF first"),
        ("a.dcm", b"no more of it", "no DICOM file in the usual form"),
    ],
)
def test_files_that_people_have_are_told_how_to_convert(photos: Path, name: str, content: bytes, remedy: str) -> None:
    (photos / "cat" / name).write_bytes(content)
    (skipped,) = run(photos).skipped
    assert skipped[0] == f"cat/{name}"
    assert remedy in skipped[1]


def test_the_thumbnail_of_a_raw_file_is_not_taken_for_the_photograph(photos: Path) -> None:
    Image.new("RGB", (20, 20)).save(photos / "cat" / "raw.tif", tiffinfo={50706: b"\1\4\0\0"})
    assert dict(run(photos).skipped)["cat/raw.tif"].startswith("a camera's raw file")


def test_one_class_folder_alone_is_said(save: Save, tmp_path: Path) -> None:
    save("cat/0.png", seed=0)
    save("cat/1.png", seed=1)
    assert "labels: none (no class folders: all pictures lie in cat/)" in str(run(tmp_path / "photos"))


def test_a_zip_of_padding_is_left_out_unread(photos: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(zipped(photos, tmp_path / "source.zip"), "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cat/padded.png", (photos / "cat" / "0.png").read_bytes() + bytes(30_000_000))
    assert dict(run(tmp_path / "source.zip").skipped)["cat/padded.png"].startswith("would unpack to 28 MiB")


class Bright(torch.nn.Module):
    """Says whether a picture is bright."""

    spec: Any = ClassifierSpec(labels=("dark", "bright"), input_size=16, channels=3, output="single-logit")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((1, 2, 3))[:, None] - 0.5


def test_a_classifiers_answers_may_be_the_labels_and_the_archive_says_so(save: Save, tmp_path: Path) -> None:
    for i, level in enumerate([10, 250, 20, 240, 30]):
        path = save(f"{i}.png")
        Image.fromarray(np.full((16, 16, 3), (level, level, 99), np.uint8)).save(path)
    photos, out = tmp_path / "photos", tmp_path / "out.zip"
    summary = stylex.prepare(photos, out, resolution=16, labels_from=Bright())
    assert summary.counts == {"dark": 3, "bright": 2}
    assert "answers of the classifier" in str(summary)
    images = open_images(out)
    assert images.labels_from == summary.labels_from
    assert images.labels is not None
    assert images.labels.tolist() == [0, 1, 0, 1, 0]
    with pytest.raises(ClassifierError, match=r"takes 3 channel\(s\), the images have 1"):
        stylex.prepare(photos, tmp_path / "grey.zip", resolution=16, channels=1, labels_from=Bright())
    assert not (tmp_path / "grey.zip").exists()


def test_several_answers_above_one_half_are_several_labels(photos: Path, tmp_path: Path) -> None:
    several = Bright()
    several.spec = ClassifierSpec(labels=("bright",), input_size=16, channels=3, output="multi-label")
    images = open_images(stylex.prepare(photos / "cat", tmp_path / "out.zip", resolution=16, labels_from=several).path)
    assert images.multi_label
    with pytest.raises(DataError, match="has labels already"):
        stylex.prepare(photos, tmp_path / "no.zip", resolution=16, labels_from=several)


def test_a_dicom_file_without_its_package_is_left_out_and_told_what_it_needs(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)
    (photos / "cat" / "scan").write_bytes(bytes(128) + b"DICM")
    (skipped,) = run(photos).skipped
    assert skipped[0] == "cat/scan"
    assert "pip install 'stylex[dicom]'" in skipped[1]
