"""WebDataset shards: samples and labels, and shards that are damaged or mean harm."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylex.core.errors import DataError
from stylex.data.archive import open_images
from stylex.data.prepare import PrepareConfig, PrepareSummary, prepare

Member = tuple[str, bytes]


def picture(seed: int, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(file, kind)
    return file.getvalue()


def shard(path: Path, members: Sequence[Member | tarfile.TarInfo]) -> Path:
    with tarfile.open(path, "w") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            tar.addfile(info, io.BytesIO(member[1]))
    return path


def run(source: str | Path, out: Path, **options: str) -> PrepareSummary:
    return prepare(str(source), out, PrepareConfig(resolution=16, **options), overwrite=True)  # type: ignore[arg-type]


def samples(start: int, count: int, end: str = "cls") -> list[Member]:
    labels = {"cls": lambda i: str(i % 2), "json": lambda i: json.dumps({"label": "ab"[i % 2]}), "txt": lambda i: "x\n"}
    return [
        member
        for i in range(start, start + count)
        for member in ((f"s{i}.png", picture(i)), (f"s{i}.{end}", labels[end](i).encode()))
    ]


def test_shards_are_counted_globbed_or_one(tmp_path: Path) -> None:
    for n in range(3):
        shard(tmp_path / f"s-{n:03d}.tar", samples(4 * n, 4))
    summary = run(tmp_path / "s-{000..002}.tar", tmp_path / "out.zip")
    assert summary.counts == {"0": 6, "1": 6}
    assert "3 shards" in summary.labels_from
    globbed = run(tmp_path / "s-*.tar", tmp_path / "globbed.zip")
    assert globbed.path.read_bytes() == summary.path.read_bytes()
    images = open_images(run(tmp_path / "s-001.tar", tmp_path / "one.zip").path)
    assert images.names == tuple(f"s-001/s{i}.png" for i in range(4, 8))
    with Image.open(io.BytesIO(picture(4))) as first:
        np.testing.assert_array_equal(images.pictures([0])[0], np.asarray(first))


@pytest.mark.parametrize(("end", "names"), [("json", ("a", "b")), ("txt", ("x",))])
def test_labels_may_be_json_or_text(tmp_path: Path, end: str, names: tuple[str, ...]) -> None:
    assert tuple(run(shard(tmp_path / "a.tar", samples(0, 4, end)), tmp_path / "out.zip").counts) == names


def test_samples_without_labels_are_unlabelled_or_left_out(tmp_path: Path) -> None:
    plain = [("deep/a.jpg", picture(0, "JPEG")), ("deep/b.jpg", picture(1, "JPEG"))]
    assert run(shard(tmp_path / "a.tar", plain), tmp_path / "out.zip").counts == {}
    mixed = run(shard(tmp_path / "b.tar", [*plain, *samples(2, 2)]), tmp_path / "out.zip")
    assert mixed.images == 2
    assert ("b/deep/a.jpg", "no label in its sample") in mixed.skipped


def test_members_that_lead_out_or_are_no_files_are_left_out(tmp_path: Path) -> None:
    link = tarfile.TarInfo("link.png")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    device = tarfile.TarInfo("device.png")
    device.type = tarfile.CHRTYPE
    members = [("../up.png", picture(1)), ("/root.png", picture(2)), ("good.png", picture(3)), link, device]
    summary = run(shard(tmp_path / "a.tar", members), tmp_path / "out.zip")
    assert summary.images == 1
    reasons = dict(summary.skipped)
    assert {reasons[name] for name in ("a/../up.png", "a//root.png") if name in reasons} <= {
        "its name leads out of the shard"
    }
    assert sum("leads out" in reason for reason in reasons.values()) == 2
    assert sum("link or a device" in reason for reason in reasons.values()) == 2


def test_odd_samples_are_left_out_by_name(tmp_path: Path) -> None:
    members = [
        *samples(0, 2),
        ("two.a.png", picture(5)), ("two.b.png", picture(6)), ("none.cls", b"1"),
        ("list.png", picture(7)), ("list.json", b'{"label": [1]}'),
        ("broken.png", picture(8)[:60]), ("broken.cls", b"1"),
    ]  # fmt: skip
    reasons = dict(run(shard(tmp_path / "a.tar", members), tmp_path / "out.zip").skipped)
    assert "2 pictures" in reasons["a/two"]
    assert "no picture" in reasons["a/none"]
    assert "is no label" in reasons["a/list"]
    assert "damaged" in reasons["a/broken.png"]


@pytest.mark.parametrize("damage", ["cut", "noise", "gzip", "middle"])
def test_a_corrupt_shard_is_one_line_that_names_it(tmp_path: Path, damage: str) -> None:
    shard(tmp_path / "s-0.tar", samples(0, 2))
    bad = shard(tmp_path / "s-1.tar", samples(2, 4))
    data = bad.read_bytes()
    if damage == "gzip":
        with tarfile.open(bad, "w:gz"):
            pass
    else:
        middle = bytearray(data)
        middle[1536:2048] = b"\x7f" * 512
        bad.write_bytes({"cut": data[: len(data) // 3], "noise": b"\x7f" * 5000, "middle": bytes(middle)}[damage])
    with pytest.raises(DataError, match=r"s-1\.tar is a corrupt shard") as caught:
        run(tmp_path / "s-{0..1}.tar", tmp_path / "out.zip")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.zip").exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("s-{0..3}.tar", r"there is no shard .*s-1\.tar"),
        ("s-{3..0}.tar", "counted upwards"),
        ("t-*.tar", "no shard is named"),
        ("t.tar", r"there is no shard .*t\.tar"),
    ],
)
def test_shards_that_are_not_there(tmp_path: Path, source: str, message: str) -> None:
    shard(tmp_path / "s-0.tar", samples(0, 2))
    with pytest.raises(DataError, match=message):
        run(tmp_path / source, tmp_path / "out.zip")


def test_shards_have_no_columns(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="shards have no columns"):
        run(shard(tmp_path / "a.tar", samples(0, 2)), tmp_path / "out.zip", label_column="cls")
