"""Archives, ours and others': what they give, what is said when they are damaged, and how they are divided."""

from __future__ import annotations

import io
import json
import subprocess
import tracemalloc
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylex.core.errors import DataError
from stylex.data import archive as archive_module
from stylex.data.archive import ArchiveIndex, ImageSet, open_images, sample_order, write_archive

N = 60


def png(seed: int, size: tuple[int, int] = (16, 16), mode: str = "RGB") -> bytes:
    shape = size[::-1] if mode == "L" else (*size[::-1], 4 if mode == "RGBA" else 3)
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def write_zip(path: Path, members: dict[str, bytes | object]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content if isinstance(content, bytes) else json.dumps(content))
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """Sixty pictures of ours, of twenty groups, with three labels."""
    pictures = np.random.default_rng(0).integers(0, 256, (N, 16, 16, 3), dtype=np.uint8)
    index = ArchiveIndex(
        resolution=16,
        channels=3,
        names=[f"{i}.png" for i in range(N)],
        labels=[i % 3 for i in range(N)],
        label_names=["a", "b", "c"],
        split_keys=[str(i // 3) for i in range(N)],
        splits=[None] * N,
        groups=[f"g{i // 3}" for i in range(N)],
        contents=[None] * N,
    )
    write_archive(tmp_path / "own.zip", pictures, index)
    return tmp_path / "own.zip"


@pytest.fixture
def images(own: Path) -> ImageSet:
    return open_images(own)


def test_what_is_written_is_read(images: ImageSet) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (N, 16, 16, 3), dtype=np.uint8)
    assert len(images) == N
    np.testing.assert_array_equal(images.pictures(range(N)), pictures)
    np.testing.assert_array_equal(images.pictures([5, 5, 2]), pictures[[5, 5, 2]])
    assert images.pictures([]).shape == (0, 16, 16, 3)
    x = images.batch([7])
    assert x.dtype == torch.float32
    np.testing.assert_allclose(x[0].permute(1, 2, 0).numpy(), pictures[7] / 127.5 - 1, atol=1e-6)
    with pytest.raises(IndexError):
        images.pictures([N])


def test_mirrored_images_exchange_left_and_right(images: ImageSet) -> None:
    plain = images.batch([0, 1, 2])
    torch.testing.assert_close(images.batch([0, 1, 2], mirror=True), plain.flip(3))
    mixed = images.batch([0, 1, 2], mirror=np.array([True, False, True]))
    torch.testing.assert_close(mixed, torch.stack([plain[0].flip(2), plain[1], plain[2].flip(2)]))
    torch.testing.assert_close(images.batch([0, 1, 2], mirror=False), plain)


def test_subsets_and_selections_are_image_sets(images: ImageSet) -> None:
    some = images.subset([9, 3])
    assert some.names == ("9.png", "3.png")
    np.testing.assert_array_equal(some.pictures([1]), images.pictures([3]))
    assert images.subset(np.arange(N) == 4).names == ("4.png",)
    assert images.labels is not None
    of_b = images.select("b")
    assert of_b.labels is not None
    assert of_b.names == images.select(1).names
    assert set(of_b.labels) == {1}
    assert len(images.select(99)) == 0
    with pytest.raises(DataError, match="its labels are a, b, c"):
        images.select("d")


def test_the_two_parts_are_the_whole_and_share_no_group(images: ImageSet) -> None:
    for seed in range(10):
        train, test = images.split("train", 0.3, seed), images.split("test", 0.3, seed)
        assert sorted(train.names + test.names) == sorted(images.names)
        assert not set(train.groups) & set(test.groups)
    assert images.split("test", 0.3).names == images.split("test", 0.3).names
    assert set(images.split("test", 0.2).names) < set(images.split("test", 0.6).names)


def test_a_split_is_about_as_large_as_asked(tmp_path: Path) -> None:
    n = 2000
    index = ArchiveIndex(
        resolution=16,
        channels=1,
        names=[str(i) for i in range(n)],
        labels=None,
        label_names=None,
        split_keys=[f"key{i}" for i in range(n)],
        splits=[None] * n,
        groups=[None] * n,
        contents=[None] * n,
    )
    write_archive(tmp_path / "a.zip", np.zeros((n, 16, 16, 1), np.uint8), index)
    assert abs(len(open_images(tmp_path / "a.zip").split("test", 0.1)) - 200) < 45


def test_splits_that_cannot_be_meant(images: ImageSet) -> None:
    with pytest.raises(DataError, match="between 0 and 1"):
        images.split("test", 1.0)
    with pytest.raises(DataError, match=r"the test part .* is empty"):
        images.split("train").split("test")


def test_pictures_may_be_read_from_many_threads(images: ImageSet, own: Path) -> None:
    expected = images.pictures(range(N))
    fresh = open_images(own)
    orders = [np.random.default_rng(i).permutation(N) for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for order, pictures in zip(orders, pool.map(fresh.pictures, orders), strict=True):
            np.testing.assert_array_equal(pictures, expected[order])


def test_large_archives_are_read_without_being_kept(
    images: ImageSet, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = images.pictures([4, 2])
    monkeypatch.setattr(archive_module, "MEMORY_BYTES", 1000)
    large = open_images(own)
    np.testing.assert_array_equal(large.pictures([4, 2]), expected)
    assert large.pictures([]).shape == (0, 16, 16, 3)


def test_the_fingerprint_shows_any_change(own: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(own) as archive:
        members: dict[str, bytes | object] = {name: archive.read(name) for name in archive.namelist()}
    same = write_zip(tmp_path / "same.zip", members)
    other = write_zip(tmp_path / "other.zip", {**members, "00000/img00000003.png": png(1)})
    prints = [open_images(path).fingerprint for path in (own, same, other)]
    assert prints[0] == prints[1] != prints[2]


# Archives that others wrote.


def test_foreign_archives_are_read(tmp_path: Path) -> None:
    members = {f"0000{i // 5}/deep/img{i}.png": png(i, mode="L") for i in range(20)}
    labels = {"labels": [[name.replace("/", "\\"), i % 4] for i, name in enumerate(members)]}
    images = open_images(write_zip(tmp_path / "a.zip", {**members, "dataset.json": labels}))
    assert (len(images), images.channels, images.label_names) == (20, 1, None)
    assert images.labels is not None
    assert images.labels.tolist() == [i % 4 for i in range(20)]
    assert images.names == tuple(members)
    assert not set(images.split("train", 0.5).names) & set(images.split("test", 0.5).names)


@pytest.mark.parametrize("labels", [None, {}, {"labels": None}])
def test_foreign_archives_without_labels(tmp_path: Path, labels: object) -> None:
    members: dict[str, bytes | object] = {"a.png": png(0), "b.png": png(1)}
    if labels is not None:
        members["dataset.json"] = labels
    images = open_images(write_zip(tmp_path / "a.zip", members))
    assert images.labels is None
    with pytest.raises(DataError, match="no labels"):
        images.select(0)


def test_foreign_equal_pictures_stay_together(tmp_path: Path) -> None:
    images = open_images(write_zip(tmp_path / "a.zip", {f"{i:02}.png": png(i // 2) for i in range(40)}))
    train = images.split("train", 0.5).names
    assert all((f"{i:02}.png" in train) == (f"{i + 1:02}.png" in train) for i in range(0, 40, 2))


def test_label_vectors_are_several_labels(tmp_path: Path) -> None:
    labels = {"labels": [["a.png", [0, 1, 1]], ["b.png", [1.0, 0.0, 1.0]]]}
    images = open_images(write_zip(tmp_path / "a.zip", {"a.png": png(0), "b.png": png(1), "dataset.json": labels}))
    assert images.multi_label
    assert images.select(2).names == ("a.png", "b.png")
    assert images.select(1).names == ("a.png",)
    with pytest.raises(DataError, match="0 to 2"):
        images.select(3)


PAIR = {"a.png": png(0), "b.png": png(1)}
DAMAGED: dict[str, tuple[dict[str, bytes | object], str]] = {
    "no pictures": ({"readme.txt": b"hello"}, "no pictures"),
    "two sizes": ({**PAIR, "b.png": png(1, (32, 32))}, "b.png is not 16 x 16"),
    "two kinds": ({**PAIR, "b.png": png(1, mode="L")}, "b.png is not 16 x 16 pixels with 3"),
    "not square": ({"a.png": png(0, (32, 16))}, "32 x 16 pixels, expected a square"),
    "odd size": ({"a.png": png(0, (48, 48))}, "run `stylex prepare`"),
    "alpha": ({"a.png": png(0, mode="RGBA")}, "of kind RGBA"),
    "no PNG": ({"a.png": b"hello"}, "a.png is damaged"),
    "labels no JSON": ({**PAIR, "dataset.json": b"{"}, "dataset.json is not JSON"),
    "labels no object": ({**PAIR, "dataset.json": [1]}, "holds a list"),
    "labels no list": ({**PAIR, "dataset.json": {"labels": {"a.png": 1}}}, "expected {'labels'"),
    "a name too many": ({**PAIR, "dataset.json": {"labels": [["c.png", 1], ["a.png", 1], ["b.png", 1]]}}, "c.png"),
    "a label too few": ({**PAIR, "dataset.json": {"labels": [["a.png", 1]]}}, "no label for b.png"),
    "a label in words": ({**PAIR, "dataset.json": {"labels": [["a.png", "cat"], ["b.png", 1]]}}, "label of a.png"),
    "a negative label": ({**PAIR, "dataset.json": {"labels": [["a.png", -1], ["b.png", 1]]}}, "label of a.png is -1"),
    "mixed labels": ({**PAIR, "dataset.json": {"labels": [["a.png", [1]], ["b.png", [1, 0]]]}}, "different lengths"),
    "another stylex.json": ({**PAIR, "stylex.json": {"schema": "other"}}, "schema 'other'"),
    "a later version": ({**PAIR, "stylex.json": {"schema": "stylex/archive", "version": 99}}, "version 99"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_archives_that_cannot_be_used(case: str, tmp_path: Path) -> None:
    members, message = DAMAGED[case]
    path = write_zip(tmp_path / "a.zip", members)
    with pytest.raises(DataError) as caught:
        open_images(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("files", ["x.png"]),
        ("files", 3),
        ("names", ["too few"]),
        ("split_keys", [1] * N),
        ("splits", ["dev"] * N),
        ("groups", {}),
        ("label_names", "abc"),
        ("label_names", ["a"]),
        ("resolution", 32),
    ],
)
def test_a_tampered_index_is_refused(key: str, value: object, own: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(own) as archive:
        members: dict[str, bytes | object] = {name: archive.read(name) for name in archive.namelist()}
    members["stylex.json"] = {**json.loads(members["stylex.json"]), key: value}  # type: ignore[arg-type]
    with pytest.raises(DataError) as caught:
        open_images(write_zip(tmp_path / "tampered.zip", members))
    assert "stylex.json" in str(caught.value) or "x.png is missing" in str(caught.value)


def test_a_lost_picture_is_named(own: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(own) as archive:
        members: dict[str, bytes | object] = {name: archive.read(name) for name in archive.namelist()}
    del members["00000/img00000004.png"]
    with pytest.raises(DataError, match=r"img00000004\.png"):
        open_images(write_zip(tmp_path / "lost.zip", members))


def test_damaged_bytes_are_found_when_they_are_read(own: Path, tmp_path: Path) -> None:
    data = bytearray(own.read_bytes())
    with zipfile.ZipFile(own) as archive:
        at = archive.getinfo("00000/img00000007.png").header_offset + 400
    data[at] ^= 255
    (tmp_path / "bad.zip").write_bytes(data)
    images = open_images(tmp_path / "bad.zip")
    images.pictures([6, 8])
    with pytest.raises(DataError, match=r"img00000007\.png is damaged"):
        images.pictures([7])


def test_a_picture_of_another_size_in_our_archive_is_found_when_it_is_read(own: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(own) as archive:
        members: dict[str, bytes | object] = {name: archive.read(name) for name in archive.namelist()}
    members["00000/img00000007.png"] = png(0, (32, 32))
    with pytest.raises(DataError, match=r"img00000007\.png is not 16 x 16"):
        open_images(write_zip(tmp_path / "bad.zip", members)).pictures([7])


def test_what_is_no_archive_is_refused(tmp_path: Path, own: Path) -> None:
    with pytest.raises(DataError, match="stylex prepare"):
        open_images(tmp_path)
    with pytest.raises(DataError, match="there is no archive"):
        open_images(tmp_path / "none.zip")
    (tmp_path / "cut.zip").write_bytes(own.read_bytes()[:5000])
    with pytest.raises(DataError, match="not a readable zip"):
        open_images(tmp_path / "cut.zip")


# The order of training.


def test_every_epoch_shows_every_image_once() -> None:
    n = 23
    shown = np.concatenate([sample_order(n, nimg, 7, seed=1) for nimg in range(0, 7 * n, 7)])
    epochs = shown.reshape(-1, n)
    assert (np.sort(epochs, axis=1) == np.arange(n)).all()
    assert len({epoch.tobytes() for epoch in epochs}) == len(epochs)


def test_the_order_depends_on_the_counter_alone() -> None:
    whole = sample_order(10, 0, 64, seed=3)
    for batch in (1, 4, 16, 64):
        parts = [sample_order(10, nimg, batch, seed=3) for nimg in range(0, 64, batch)]
        np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert Counter(sample_order(3, 6, 9, seed=0).tolist()) == {0: 3, 1: 3, 2: 3}
    assert not np.array_equal(sample_order(10, 0, 64, seed=4), whole)
    assert (sample_order(1, 5, 3, seed=0) == 0).all()


def encoded(kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((16, 16, 3), 90, np.uint8)).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "WEBP", "TIFF"])
def test_members_are_opened_as_what_they_are(kind: str, tmp_path: Path) -> None:
    images = open_images(write_zip(tmp_path / "a.zip", {"0.png": encoded(kind)}))
    assert abs(int(images.pictures([0]).mean()) - 90) < 3


@pytest.mark.parametrize("kind", ["EPS", "GIF", "PPM", "TGA", "PCX", "PDF"])
@pytest.mark.parametrize("later", [False, True])
def test_no_other_format_is_opened_whatever_its_name(
    kind: str, later: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(*given: object, **options: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", started)
    members = {"0.png": png(0), "1.png": encoded(kind)} if later else {"0.png": encoded(kind)}
    with pytest.raises(DataError, match="is damaged"):
        open_images(write_zip(tmp_path / "a.zip", members)).pictures([len(members) - 1])


@pytest.mark.parametrize("name", ["0.png", "dataset.json", "stylex.json"])
def test_members_that_unpack_to_too_much_are_refused_unread(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0.png" if name != "0.png" else "1.png", png(0))
        archive.writestr(name, (png(1) if name == "0.png" else b'{"labels": null}') + b" " * 40_000_000)
    tracemalloc.start()
    with pytest.raises(DataError, match="would unpack to 38 MiB"):
        open_images(tmp_path / "a.zip").pictures([0])
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


def test_one_folder_around_everything_changes_nothing(own: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(own) as archive:
        wrapped = {f"shoes/{name}": archive.read(name) for name in archive.namelist()}
    images, again = open_images(own), open_images(write_zip(tmp_path / "w.zip", wrapped))
    assert again.names == images.names
    assert again.label_names == images.label_names
    np.testing.assert_array_equal(again.labels, images.labels)
    np.testing.assert_array_equal(again.pictures([7]), images.pictures([7]))


def test_what_systems_put_into_a_zip_is_no_picture(tmp_path: Path) -> None:
    beside = {f"{folder}/0.png": b"x" for folder in ("__MACOSX", "@eaDir", "a/@eaDir")} | {"._0.png": b"x"}
    assert len(open_images(write_zip(tmp_path / "a.zip", {"0.png": png(0), **beside}))) == 1


def test_labels_without_names_are_called_by_their_numbers(tmp_path: Path) -> None:
    labels = {"labels": [["0.png", 2], ["1.png", 0]]}
    images = open_images(write_zip(tmp_path / "a.zip", {"0.png": png(0), "1.png": png(1), "dataset.json": labels}))
    assert images.label_names is None
    assert images.numbered_names == ("label 0", "label 1", "label 2")


def test_a_part_that_the_source_leaves_empty_is_named_as_the_cause(tmp_path: Path) -> None:
    index = ArchiveIndex(
        resolution=16, channels=1, names=["a", "b"], labels=None, label_names=None, split_keys=["a", "b"],
        splits=["test", "test"], groups=[None] * 2, contents=[None] * 2,
    )  # fmt: skip
    write_archive(tmp_path / "a.zip", np.zeros((2, 16, 16, 1), np.uint8), index)
    with pytest.raises(DataError, match="its source puts all 2 images in the test part"):
        open_images(tmp_path / "a.zip").split("train")
