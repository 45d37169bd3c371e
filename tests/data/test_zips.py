"""Archives in several zips: the same images, fingerprint and errors as in one."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import stylex
from stylex.core.errors import DataError
from stylex.data import open_images
from stylex.data.prepare import bytes_in
from stylex.data.zips import HEAD, SHARDS


@pytest.fixture
def photographs(tmp_path) -> Path:
    random = np.random.default_rng(0)
    for i in range(30):
        path = tmp_path / "photographs" / ("cat", "dog")[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photographs"


@pytest.fixture
def sharded(photographs, tmp_path) -> Path:
    stylex.prepare(photographs, tmp_path / "shards", resolution=16, shard_size="5KB")
    return tmp_path / "shards"


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_shards_are_read_as_one_zip_is(photographs, sharded, tmp_path) -> None:
    stylex.prepare(photographs, tmp_path / "one.zip", resolution=16)
    one, many = open_images(tmp_path / "one.zip"), open_images(sharded)
    assert len(list(sharded.glob("shard-*.zip"))) == 6
    assert all(path.stat().st_size < 8_000 for path in sharded.glob("shard-*.zip"))
    for name in ("names", "files", "split_keys", "groups", "label_names", "fingerprint", "resolution", "channels"):
        assert getattr(one, name) == getattr(many, name), name
    assert one.labels is not None
    assert many.labels is not None
    assert (one.labels == many.labels).all()
    order = np.random.default_rng(0).permutation(30)
    assert (one.pictures(order) == many.pictures(order)).all()
    assert one.split("test").names == many.split("test").names


def test_the_same_input_gives_the_same_bytes_and_replaces_what_is_there(photographs, sharded) -> None:
    before = files(sharded)
    with pytest.raises(DataError, match="exists already: give overwrite=True"):
        stylex.prepare(photographs, sharded, resolution=16, shard_size="5KB")
    assert files(sharded) == before
    stylex.prepare(photographs, sharded, resolution=16, shard_size=5000, overwrite=True)
    assert files(sharded) == before
    stylex.prepare(photographs, sharded, resolution=16, shard_size="1MB", overwrite=True)
    assert sorted(files(sharded)) == ["index.zip", "shard-00000.zip"]
    assert len(open_images(sharded)) == 30


def test_a_part_that_is_missing_or_another_one_is_named(sharded) -> None:
    moved = sharded / "shard-00002.zip"
    moved.rename(sharded / "away")
    with pytest.raises(DataError, match=r"shard-00002\.zip is missing, a part of the archive .*: put it back"):
        open_images(sharded)
    shutil.copy(sharded / "shard-00001.zip", moved)
    with pytest.raises(DataError, match=r"shard-00002\.zip is not the part that the archive"):
        open_images(sharded)
    moved.write_bytes((sharded / "away").read_bytes()[:1000])
    with pytest.raises(DataError, match=r"shard-00002\.zip is not a readable zip"):
        open_images(sharded)


def test_a_damaged_picture_is_named(sharded) -> None:
    path = sharded / "shard-00000.zip"
    data = bytearray(path.read_bytes())
    data[200] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"img00000000\.png is damaged"):
        open_images(sharded).pictures([0])


@pytest.mark.parametrize(
    "told",
    [
        b"{",
        b"[]",
        b'{"schema": "stylex/shards", "version": 2, "shards": []}',
        json.dumps(
            {"schema": "stylex/shards", "version": 1, "shards": [{"file": "../x.zip", "directory": ""}]}
        ).encode(),
        json.dumps({"schema": "stylex/shards", "version": 1, "shards": [{"file": 3, "directory": ""}]}).encode(),
    ],
)
def test_a_damaged_list_of_parts_opens_nothing(sharded, told) -> None:
    with zipfile.ZipFile(sharded / HEAD) as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if name != SHARDS}
    with zipfile.ZipFile(sharded / HEAD, "w") as archive:
        for name, data in {**kept, SHARDS: told}.items():
            archive.writestr(name, data)
    with pytest.raises(DataError, match=r"shards\.json is damaged or missing"):
        open_images(sharded)


def test_where_shards_are_written(photographs, tmp_path) -> None:
    with pytest.raises(DataError, match="shards go to a folder"):
        stylex.prepare(photographs, tmp_path / "a.zip", shard_size="2GB")
    other = tmp_path / "other"
    other.mkdir()
    (other / "diary.txt").write_text("dear")
    with pytest.raises(DataError, match="holds something else"):
        stylex.prepare(photographs, other, shard_size="2GB", overwrite=True)
    assert files(other) == {"diary.txt": b"dear"}


def test_sizes() -> None:
    assert [bytes_in(x) for x in ("2GB", "1.5 mb", "3k", 7, "1GiB")] == [2 * 10**9, 1_500_000, 3000, 7, 2**30]
    for wrong in ("", "GB", "-1", "0", "2 parsecs", "1e9", "ib"):
        with pytest.raises(DataError, match="expected a size such as 2GB"):
            bytes_in(wrong)
