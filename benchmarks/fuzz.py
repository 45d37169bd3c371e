"""Damaged, foreign and malicious files in front of every loader: only a ``StylexError`` may come of it.

    python benchmarks/fuzz.py --cases 1000000 --json docs/results/fuzz.json
    python benchmarks/fuzz.py --cases 20000 --of explanation --seed 3

Each case takes good files, harms them in one to three ways (bytes, JSON values, members of a zip and parts of a PNG
with their checksums made right, the header of weights, links and pipes in the place of files) and opens them. A finding
is any other exception, a message of several lines, more than 10 s of a processor, more than 1 GiB, a crash or a hanging
process, a program started, a connection opened or a file written outside. A worker process does the cases, so that a
crash ends only itself. The door, the seed and a case's number give its harm. Doors get cases by how many they do in a
second: what is read in a millisecond gets most of them, what has to be tried in a process of its own the fewest.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import io
import json
import multiprocessing
import os
import pickletools
import random
import resource
import shutil
import signal
import stat
import struct
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from stylex.core.errors import StylexError

SECONDS, HANGS, BYTES = 10.0, 60.0, 2**30
"""Of processor time, of the clock (other work may fill the machine), and of memory."""

ODD_VALUES: Sequence[Any] = (
    None, True, False, 0, -1, 1, 0.0, 0.5, -0.0, 1e308, 2**31, 2**63, 10**400, 65536, 10**9, "", ".", "..", "/", "a\0b",
    "../../x", "/etc/passwd", "x" * 5000, "\ud800", "\n", "<img onerror=x>", "__import__('os')", [], {}, [[]], [None],
    ["a", "a"], {"a": 1}, [0] * 1000,
)  # fmt: skip
ODD_BYTES: Sequence[bytes] = (
    b"", b"\0", b"\xff" * 8, b"PK\x03\x04", b"{", b"[" * 100_000, b'{"a":' * 50_000, b"NaN", b"1e999", b"9" * 6000,
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\x80\x04c", b"\n" * 4,
    struct.pack("<Q", 2**40), struct.pack("<I", 2**31 - 1), struct.pack(">I", 2**31 - 1),
)  # fmt: skip


@dataclass(frozen=True)
class Door:
    """A way in for files.

    Attributes:
        make: makes good ones in a folder.
        load: opens them.
        share: of all cases, how many thousandths are this door's.
    """

    make: Callable[[Path], None]
    load: Callable[[Path], object]
    share: float


# Harm. Each is drawn as numbers (where, how, with what) and done to whatever is there.


@dataclass(frozen=True)
class Harm:
    """One harm: its kind, and numbers that choose the place and the value."""

    kind: str
    a: int
    b: int
    c: int


KINDS = ("bytes", "bytes", "json", "json", "json", "zip", "zip", "weights", "file", "png", "png")


def drawn(name: str, seed: int, number: int) -> list[Harm]:
    """The harms of a case: one to three."""
    rng = random.Random(f"{name} {seed} {number}")
    return [
        Harm(rng.choice(KINDS), rng.randrange(2**16), rng.randrange(2**24), rng.randrange(2**16))
        for _ in range(rng.choice((1, 1, 2, 3)))
    ]


def do(harm: Harm, folder: Path) -> None:
    """Harm one of the folder's files."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    if not files:
        return
    wanted: dict[str, Callable[[Path], bool]] = {
        "json": _is_json,
        "zip": zipfile.is_zipfile,
        "weights": lambda path: path.suffix in (".safetensors", ".pkl"),
        "png": _is_png,
    }
    fitting = [path for path in files if wanted.get(harm.kind, lambda path: True)(path)]
    path = (fitting or files)[harm.a % len(fitting or files)]
    if harm.kind == "file":
        _replace_file(path, harm)
    else:
        data = path.read_bytes()
        path.write_bytes((_HOW[harm.kind] if fitting else _harm_bytes)(data, harm))


def _is_json(path: Path) -> bool:
    return path.suffix in (".json", ".yaml")


def _is_png(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"\x89PNG"


def _harm_bytes(data: bytes, harm: Harm) -> bytes:
    at = harm.b % (len(data) + 1)
    odd = ODD_BYTES[harm.c % len(ODD_BYTES)]
    match harm.c // len(ODD_BYTES) % 7:
        case 0:
            return data[:at]
        case 1:
            return data[:at] + odd + data[at:]
        case 2:
            return data[:at] + odd + data[at + len(odd) :]
        case 3:
            return data[:at] + bytes([harm.c % 256]) + data[at + 1 :]
        case 4:
            return data[:at] + data[at + harm.c % 64 :]
        case 5:
            return data[:at] + data[at // 2 : at] + data[at:]
        case _:
            return odd


def _harm_json(data: bytes, harm: Harm) -> bytes:
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return _harm_bytes(data, harm)
    places = list(_places(tree))
    if not places:
        return json.dumps(ODD_VALUES[harm.c % len(ODD_VALUES)]).encode()
    node, key = places[harm.b % len(places)]
    match harm.c // len(ODD_VALUES) % 5:
        case 0:
            del node[key]
        case 1 if isinstance(node, dict):
            node[str(ODD_VALUES[harm.c % len(ODD_VALUES)])[:300]] = node.pop(key)
        case 2 if isinstance(node[key], int | float) and not isinstance(node[key], bool):
            node[key] = [-node[key], float(node[key]), node[key] * 10**6, node[key] + 1, str(node[key])][harm.c % 5]
        case 3:
            other, name = places[harm.c % len(places)]
            with suppress(KeyError, IndexError):
                node[key] = json.loads(json.dumps(other[name]))
        case _:
            node[key] = ODD_VALUES[harm.c % len(ODD_VALUES)]
    return json.dumps(tree).encode()


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    keys = tree if isinstance(tree, dict) else range(len(tree)) if isinstance(tree, list) else ()
    for key in keys:
        yield tree, key
        yield from _places(tree[key])


def _harm_zip(data: bytes, harm: Harm) -> bytes:
    """Another zip, whose checksums are right."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as given:
            members = [(info.filename, given.read(info)) for info in given.infolist()]
    except Exception:
        return _harm_bytes(data, harm)
    i = harm.b % len(members) if members else 0
    compression = zipfile.ZIP_STORED
    if members:
        name, content = members[i]
        match harm.c % 8:
            case 0:
                members.pop(i)
            case 1:
                members[i] = (["../x.png", "/x", "a\0b", "x" * 400, "", "a/", name.upper()][harm.c // 8 % 7], content)
            case 2:
                members[i] = (name, content + bytes(60_000_000 if harm.c % 256 == 2 else 4000 * (harm.c % 64 + 1)))
                compression = zipfile.ZIP_DEFLATED
            case 3:
                members.append(members[i])
            case 4 if name.endswith(".npy"):
                members[i] = (name, _harm_npy(content, harm))
            case 4 | 5 if name.endswith(".pkl"):
                members[i] = (name, _harm_pickle(content, Harm("weights", 0, harm.b // 7, harm.c // 8)))
            case 5 | 6 if content[:1] in (b"{", b"["):
                members[i] = (name, _harm_json(content, Harm("json", 0, harm.b // 7, harm.c // 8)))
            case _:
                members[i] = (name, _harm_bytes(content, Harm("bytes", 0, harm.b // 7, harm.c // 8)))
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, "w", compression) as archive:
        warnings.simplefilter("ignore")
        for name, content in members:
            with suppress(ValueError, struct.error):
                archive.writestr(name, content)
    return out.getvalue()


def _harm_npy(content: bytes, harm: Harm) -> bytes:
    shapes = ["(1000000000000,)", "(4, 5)", "()", "(-1,)", "(20, 0)", "(9999999999999999999999,)", "(2,)*9"]
    kinds = ["<f8", "|O", "<f4", "<U5000", "<c16", ">i2", "|V8"]
    header = f"{{'descr': '{kinds[harm.c % 7]}', 'fortran_order': False, 'shape': {shapes[harm.b % 7]}, }}".encode()
    header += b" " * (64 - (len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + content[-80:]


def _harm_weights(data: bytes, harm: Harm) -> bytes:
    """Weights whose header, or whose pickle, says something else."""
    if data[:1] == b"\x80":
        return _harm_pickle(data, harm)
    if len(data) < 8:
        return data
    (length,) = struct.unpack("<Q", data[:8])
    header = _harm_json(data[8 : 8 + length], harm)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


ODD_STEPS: Sequence[bytes] = (
    b"cos\nsystem\n(X\x04\x00\x00\x00truetR", b"cbuiltins\nexec\nX\x01\x00\x00\x00a\x85R", b"cposix\nfork\n)R",
    b"\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R", b"r\xff\xff\xff\x7f", b"N" + b"\x85" * 5000, b"(" * 5000,
    b"(((t", b"\x8e" + struct.pack("<Q", 2**62), b"B" + struct.pack("<I", 2**31 - 1), b"\x8a\xff" + b"\x01" * 255,
    b"G\x7f\xf8" + bytes(6), b"G\x7f\xf0" + bytes(6), b"J\xff\xff\xff\xff", b"J\xff\xff\xff\x7f", b"K\x00", b"h\x00",
    b"N", b"}", b"]", b")", b"R", b"b", b"0", b".", b"Q", b"\x81", b"s", b"u", b"e", b"\x94", b"2", b"\x82\x01",
    b"i os\nsystem\n", b"X\x01\x00\x00\x00\xff",
)  # fmt: skip
"""Instructions of a pickle: what runs a command, claims memory, nests without end, or stands where it should not."""


def _harm_pickle(data: bytes, harm: Harm) -> bytes:
    """A pickle with other instructions: one is put in, replaced, left out, said twice, or exchanged with another."""
    places: list[int] = []
    with suppress(Exception):
        places.extend(place for _, _, place in pickletools.genops(data) if place is not None)
    if len(places) < 3:
        return _harm_bytes(data, harm)
    i = harm.b % (len(places) - 1)
    at, end = places[i], places[i + 1]
    odd = ODD_STEPS[harm.c % len(ODD_STEPS)]
    match harm.c // len(ODD_STEPS) % 6:
        case 0:
            return data[:at] + odd + data[at:]
        case 1:
            return data[:at] + odd + data[end:]
        case 2:
            return data[:at] + data[end:]
        case 3:
            return data[:end] + data[at:end] * (1 + harm.c % 300) + data[end:]
        case 4:
            j = harm.c % (len(places) - 1)
            return data[:at] + data[places[j] : places[j + 1]] + data[end:]
        case _:
            return (
                data[: at + 1]
                + _harm_bytes(data[at + 1 : end], Harm("bytes", 0, harm.b // 7, harm.c // 8))
                + data[end:]
            )


def _harm_png(data: bytes, harm: Harm) -> bytes:
    """A PNG of which one part is harmed, or another kind of part, and whose checksums are right."""
    chunks, at = [], 8
    while at + 8 <= len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    if not chunks:
        return _harm_bytes(data, harm)
    i = harm.b % len(chunks)
    kind, content = chunks[i]
    inner = Harm("bytes", 0, harm.b // len(chunks), harm.c // 4)
    match harm.c % 4:
        case 0:
            kinds = (b"iCCP", b"zTXt", b"iTXt", b"tRNS", b"PLTE", b"acTL", b"fcTL", b"eXIf", b"gAMA", b"IHDR", b"IEND")
            chunks.insert(i + harm.b % 2, (kinds[harm.b // 7 % len(kinds)], _harm_bytes(content[:40], inner)))
        case 1 if kind == b"IDAT":
            with suppress(zlib.error):
                chunks[i] = kind, zlib.compress(_harm_bytes(zlib.decompress(content), inner), 1)
        case _:
            chunks[i] = kind, _harm_bytes(content, inner)
    parts = [struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks]
    return b"".join([data[:8], *parts])


_HOW = {"bytes": _harm_bytes, "json": _harm_json, "zip": _harm_zip, "weights": _harm_weights, "png": _harm_png}


def _replace_file(path: Path, harm: Harm) -> None:
    data = path.read_bytes()
    path.unlink()
    match harm.c % 8:
        case 0:
            path.symlink_to(path.name)
        case 1:
            os.mkfifo(path)
        case 2:
            path.mkdir()
        case 3:
            path.symlink_to("/dev/zero")
        case 4:
            path.write_bytes(b"")
        case 5:
            path.symlink_to("/etc/passwd")
        case 6:
            path.write_bytes(data)
            with suppress(OSError):
                path.rename(path.with_name("x" * 250))
        case _:
            pass


# Doors.


def _pictures() -> Sequence[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)) for _ in range(4)]


def _encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _make_archive(folder: Path) -> None:
    from stylex.data.archive import ArchiveIndex, write_archive

    index = ArchiveIndex(
        resolution=16, channels=3, names=list("abcd"), labels=[0, 1, 0, 1], label_names=["x", "y"],
        split_keys=list("abcd"), splits=["train", None, "test", "test"], groups=[None, "g", "g", None],
        contents=[None] * 4,
    )  # fmt: skip
    write_archive(folder / "a.zip", [np.asarray(picture) for picture in _pictures()], index)


def _load_archive(folder: Path) -> object:
    from stylex.data.archive import open_images

    images = open_images(folder / "a.zip")
    images.pictures(range(min(len(images), 8)))
    with suppress(StylexError):
        images.split("test")
    return images.labels, images.names, images.fingerprint, images.numbered_names


def _make_foreign(folder: Path) -> None:
    kinds = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        for i, kind in enumerate(kinds):
            archive.writestr(f"w/00000/img{i:08d}.{kind.lower()}", _encoded(_pictures()[i % 4], kind))
        labels = [[f"00000/img{i:08d}.{kind.lower()}", i % 2] for i, kind in enumerate(kinds)]
        archive.writestr("w/dataset.json", json.dumps({"labels": labels}))


def _make_photographs(folder: Path) -> None:
    kinds = {"png": "PNG", "jpg": "JPEG", "gif": "GIF", "bmp": "BMP", "tif": "TIFF", "webp": "WEBP", "ppm": "PPM"}
    kinds |= {"tga": "TGA", "jp2": "JPEG2000", "avif": "AVIF", "ico": "ICO"}
    for i, (suffix, kind) in enumerate(kinds.items()):
        place = folder / "photos" / ("train", "val")[i % 2] / ("cat", "dog")[i // 2 % 2]
        place.mkdir(parents=True, exist_ok=True)
        with suppress(KeyError, OSError):  # a kind that this Pillow was built without
            (place / f"{i}.{suffix}").write_bytes(_encoded(_pictures()[i % 4], kind))
    grey = Image.fromarray(np.asarray(_pictures()[0])[..., 0].astype(np.uint16) * 16)
    (folder / "photos" / "train" / "cat" / "deep.png").write_bytes(_encoded(grey, "PNG"))
    (folder / "photos" / "val" / "cat" / "deep.tif").write_bytes(_encoded(grey, "TIFF", tiffinfo={262: 0}))
    (folder / "photos" / "metadata.csv").write_text("file_name,label,split\ntrain/cat/0.png,cat,train\n")


def _load_photographs(folder: Path) -> object:
    from stylex.data.prepare import PrepareConfig, prepare

    return str(prepare(folder / "photos", folder / "out" / "a.zip", PrepareConfig(resolution=16), overwrite=True))


def _make_packed(folder: Path) -> None:
    _make_photographs(folder)
    (folder / "photos" / "metadata.csv").unlink()
    with zipfile.ZipFile(folder / "p.zip", "w") as archive:
        for path in sorted((folder / "photos").rglob("*.*")):
            archive.write(path, path.relative_to(folder).as_posix())
    shutil.rmtree(folder / "photos")


def _load_packed(folder: Path) -> object:
    from stylex.data.prepare import PrepareConfig, prepare

    return str(prepare(folder / "p.zip", folder / "out" / "a.zip", PrepareConfig(resolution=16), overwrite=True))


def _make_snapshot(folder: Path) -> None:
    from stylex.core.stylespace import StyleStatistics
    from stylex.models.config import DiscriminatorConfig, EncoderConfig, GeneratorConfig
    from stylex.models.discriminator import Discriminator
    from stylex.models.encoder import Encoder
    from stylex.models.generator import Generator
    from stylex.models.snapshot import SnapshotNetworks, SnapshotRecord, save_snapshot

    torch.manual_seed(0)
    shape: dict[str, Any] = {"resolution": 8, "channels": 1, "widths": (4, 4)}
    generator = Generator(GeneratorConfig(**shape, z_dim=4, w_dim=4, c_dim=2, mapping_layers=2))
    style = np.random.default_rng(0).normal(size=(9, generator.synthesis.space.s_dim)).astype(np.float32)
    save_snapshot(
        folder / "snapshot",
        SnapshotNetworks(
            generator=generator,
            encoder=Encoder(EncoderConfig(**shape, w_dim=4)),
            discriminator=Discriminator(DiscriminatorConfig(**shape, c_dim=2, mapping_layers=2)),
            statistics=StyleStatistics.observe(style),
            latents=np.zeros((5, 4), np.float32),
        ),
        SnapshotRecord(
            classifier={"labels": ["a", "b"], "input_size": 8, "channels": 1},
            classifier_reference="somewhere:load",
            classifier_fingerprint="0",
            nimg=10,
            training={},
            figures={"agreement": 0.5},
        ),
    )


def _load_snapshot(folder: Path) -> object:
    from stylex.classifiers import ClassifierSpec, load_recorded
    from stylex.models.snapshot import load_snapshot

    snapshot = load_snapshot(folder / "snapshot")
    spec = ClassifierSpec.from_json(dict(snapshot.classifier))
    with suppress(StylexError):
        load_recorded(snapshot.classifier_reference or "", spec)
    return spec


class _Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.head = torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.head(self.one(x).relu().mean(dim=(2, 3)))
        return y


SPEC = {"labels": ["a", "b"], "input_size": 16, "channels": 1, "mean": [0.5], "std": [0.5]}


def _make_classifier(folder: Path) -> None:
    from stylex.classifiers import Classifier, ClassifierSpec, SmallCNN, save_small_classifier

    torch.manual_seed(0)
    net = SmallCNN(channels=1, k=2, resolution=16, width=4)
    save_small_classifier(Classifier(net, ClassifierSpec.from_json(SPEC)), folder / "c")


def _make_script(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(_Net().eval()), folder / "c.pt")
    (folder / "c.pt.json").write_text(json.dumps(SPEC))


def _make_program(folder: Path) -> None:
    n = torch.export.Dim("n", min=1, max=64)
    program = torch.export.export(_Net().eval(), (torch.zeros(2, 1, 16, 16),), dynamic_shapes=({0: n},))
    torch.export.save(program, folder / "c.pt2")
    (folder / "c.pt2.json").write_text(json.dumps(SPEC))


def _load_classifier(name: str) -> Callable[[Path], object]:
    def load(folder: Path) -> object:
        from stylex.classifiers import check_classifier, load_classifier

        classifier = load_classifier(folder / name)
        if classifier.spec.input_size <= 64:
            check_classifier(classifier, channels=1, resolution=16)
        return classifier

    return load


def _make_explanation(folder: Path, side: int = 16, channels: int = 3) -> None:
    from stylex.core.attribute import Attribute, AttributeRanking
    from stylex.core.explanation import Counterfactual, ExplainedImage, Explanation, Strip
    from stylex.core.stylespace import StyleCoordinate, StyleLayer, StyleSpace, StyleStatistics
    from stylex.store.folder import write_explanation

    pixels = [np.asarray(picture)[:side, :side, :channels] for picture in _pictures()]
    space = StyleSpace([StyleLayer(name="b4.conv1", kind="conv", resolution=4, channels=20)])
    attribute = Attribute(
        coordinate=StyleCoordinate("b4.conv1", 3), sign=1, shift_range=1.0, target=1, target_label="y", effect=2.0,
        source_label="x", significance=0.01, label=None,
    )  # fmt: skip
    numbers = np.array([0.25, 0.75], np.float32)
    image = ExplainedImage(
        id="one", original=pixels[0], reconstruction=pixels[1], logits=numbers, probabilities=numbers,
        reconstruction_logits=numbers, reconstruction_probabilities=numbers, label="x",
    )  # fmt: skip
    changed = Counterfactual(
        image="one", attributes=(0,), picture=pixels[2], logits=numbers, probabilities=numbers, target=1, role="shows"
    )
    strip = Strip(
        image="one", attribute=0, shares=(0.0, 1.0), frames=np.stack(pixels[:2]), probabilities=np.stack([numbers] * 2)
    )
    explanation = Explanation(
        scope="class", title="t", labels=("x", "y"), output="softmax",
        ranking=AttributeRanking(attributes=(attribute,), strategy="s", images=1, explained=0.5, finding="f"),
        images=(image,), counterfactuals=(changed,), strips=(strip,), figures={"agreement": 0.5}, settings={"a": 1},
        snapshot={"sha256": "0"}, notes=("n",),
        space=space.observed(StyleStatistics.observe(np.random.default_rng(0).normal(size=(5, 20)).astype(np.float32))),
    )  # fmt: skip
    write_explanation(explanation, folder / "e")


def _load_explanation(folder: Path) -> object:
    from stylex.report.page import render_report
    from stylex.store.evaluation import evaluation_in
    from stylex.store.folder import is_explanation_folder, read_explanation

    is_explanation_folder(folder / "e")
    explanation = read_explanation(folder / "e")
    return render_report(explanation, evaluation_in(folder / "e"))


def _make_study(folder: Path) -> None:
    from stylex.core.study import Answer, Asked, Flicker, Item, Study, Subject
    from stylex.store.answers import Ledger
    from stylex.store.study import write_study

    names = [f"pictures/{i:05d}.png" for i in range(10)]
    study = Study(
        title="t",
        consent="c",
        seed=0,
        subjects=tuple(Subject(method="m", position=i, name=f"a{i}", target="y") for i in range(2)),
        flickers=tuple(Flicker(before=names[2 * i], after=names[2 * i + 1], image=f"i{i}") for i in range(5)),
        items=(
            Item(kind="sort", role="question", block=0, subjects=(0, 1), examples=((0, 1), (2, 3)), picture=4, truth=1),
            Item(kind="describe", role="check", block=1, subjects=(), word="river"),
            Item(kind="clinical", role="question", block=2, subjects=(1,), picture=2),
        ),
        orders=((Asked(item=0, flipped=True, right=0), Asked(item=1), Asked(item=2)), (Asked(item=0, right=1),)),
    )
    pixels = [np.asarray(picture)[:8, :8] for picture in _pictures()]
    write_study(study, {name: pixels[i % len(pixels)] for i, name in enumerate(names)}, folder / "s")
    with Ledger(folder / "s", study) as ledger:
        ledger.consent(0)
        ledger.keep(Answer(rater=0, place=0, seconds=1.0, side=1))
        ledger.keep(Answer(rater=0, place=1, seconds=1.0, words="river"))
        ledger.keep(Answer(rater=0, place=2, seconds=1.0, words="heart", plausible="no"))


def _load_study(folder: Path) -> object:
    from stylex.store.answers import read_answers
    from stylex.store.study import read_study, read_tokens
    from stylex.study.analysis import analyse, rows_of
    from stylex.study.machine import observed
    from stylex.study.page import analysis_page, table_of

    study = read_study(folder / "s")
    read_tokens(folder / "s")
    answers = read_answers(folder / "s", study)
    analysis = analyse(study, answers, machine=observed(folder / "s", study))
    return analysis_page(analysis, study, folder / "s"), table_of(study, rows_of(study, answers, 0))


def _make_evaluation(folder: Path) -> None:
    from stylex.core.evaluation import Evaluation, Measure

    measure = Measure(name="reconstruction.agreement", value=0.5, low=0.4, high=0.6, images=3)
    evaluation = Evaluation(
        title="t", labels=("x", "y"), searched=1, measured=2, measures=(measure,), attributes=(), settings={},
        snapshot={}, notes=(),
    )  # fmt: skip
    from stylex.store.evaluation import write_evaluation

    write_evaluation(evaluation, folder / "evaluation.json")


def _load_evaluation(folder: Path) -> object:
    from stylex.store.evaluation import read_evaluation

    return read_evaluation(folder / "evaluation.json")


def _make_attack(folder: Path) -> None:
    from stylex.core.attacked import Attack, AttackedImage, Probe, Score
    from stylex.core.evaluation import Interval
    from stylex.store.attack import write_attack

    pictures = [np.asarray(picture)[:16, :16] for picture in _pictures()]
    numbers = np.array([0.25, 0.75], np.float32)
    image = AttackedImage(
        id="one", original=pictures[0], rebuilt=pictures[1], counterfactual=pictures[0], probabilities=numbers,
        rebuilt_probabilities=numbers, counterfactual_probabilities=numbers, target=1, converged=True, steps=7,
        changed=3, length=1.5, scores={"spots": 0.5}, label="x",
    )  # fmt: skip
    attack = Attack(
        title="t", labels=("x", "y"), towards="y", coordinates=8, probability=0.75, images=(image,),
        probes=(Probe(descriptor="spots", kind="continuous", images=99, quality=0.9, shuffled=0.0, weak=False),),
        scores=(Score(descriptor="spots", change=Interval(value=0.5, low=0.4, high=0.6), images=1),),
        settings={"verb": "attack"}, notes=("one",),
    )  # fmt: skip
    write_attack(attack, folder / "a")


def _load_attack(folder: Path) -> object:
    from stylex.report.attack import render_attack
    from stylex.store.attack import read_attack

    return render_attack(read_attack(folder / "a"))


def _make_comparison(folder: Path) -> None:
    from stylex.core.comparison import Cell, Compared, Comparison
    from stylex.store.comparison import write_comparison

    cells = {"flips": Cell(0.5, 0.1, 0.9), "distinct": Cell.without("it has no attributes")}
    row = Compared(name="one", title="One", about="x", kind="moves", cells=cells, curve=((0.0, 0.0), (0.1, 0.5)))
    comparison = Comparison(
        labels=("a", "b"), searched=4, measured=8, change=0.1, perceptual=0.2, reference="one", extractor="e",
        rows=(row,), settings={"seed": 0}, snapshot={"path": "run", "sha256": "0"}, notes=("few",),
    )  # fmt: skip
    write_comparison(comparison, "", folder / "c")


def _load_comparison(folder: Path) -> object:
    from stylex.store.comparison import read_comparison

    return read_comparison(folder / "c")


def _make_table(folder: Path) -> None:
    rows = [f"{i}.png,{i % 2},{i / 7:.3f},{'mf'[i % 2]},{'abc'[i % 3]}" for i in range(12)]
    (folder / "t.csv").write_text("\n".join(["image,hat,age,sex,kind", *rows]))


def _load_table(folder: Path) -> object:
    from stylex.data.descriptors import read_descriptors

    table = read_descriptors(folder / "t.csv")
    return table.of([f"{i}.png" for i in range(12)])


def _make_domain(folder: Path) -> None:
    from stylex.models.config import GeneratorConfig
    from stylex.models.domain import DomainVector
    from stylex.models.generator import Generator

    config = GeneratorConfig(resolution=16, channels=1, widths=(8, 8, 8), z_dim=4, w_dim=4, c_dim=0, mapping_layers=1)
    weights = dict(Generator(config).named_parameters())
    name = next(name for name in weights if name.endswith("affine.weight"))
    vector = DomainVector(
        generator=config, offsets={name: torch.zeros_like(weights[name])}, record={"method": "affine"}
    )
    for file, data in vector.files().items():
        (folder / file).write_bytes(data)


def _load_domain(folder: Path) -> object:
    from stylex.models.domain import is_adapted, read_domain

    is_adapted(folder)
    return read_domain(folder)


def _plain_networks() -> Any:
    """A generator and a discriminator as other programs have them."""
    from stylex.models.config import DiscriminatorConfig, GeneratorConfig
    from stylex.models.discriminator import Discriminator
    from stylex.models.generator import Generator

    torch.manual_seed(0)
    shape: dict[str, Any] = {"resolution": 8, "channels": 1, "widths": (4, 4), "c_dim": 0}
    generator = Generator(GeneratorConfig(**shape, z_dim=4, w_dim=4, mapping_layers=2))
    return generator, Discriminator(DiscriminatorConfig(**shape, mapping_layers=1))


def _make_pickle(folder: Path) -> None:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.models.layouts import ada_checkpoint

    (folder / "g.pkl").write_bytes(ada_checkpoint(*_plain_networks()))


def _make_rosinality(folder: Path, *, zipped: bool) -> None:
    from stylex.models.rosinality import to_rosinality

    whole = to_rosinality(*_plain_networks())
    # Without a zip around it, this is five pickles in a row and the tensors' bytes.
    torch.save(whole, folder / ("g.pt" if zipped else "g.pkl"), _use_new_zipfile_serialization=zipped)


def _make_names_of_others(folder: Path) -> None:
    from safetensors.torch import save_file

    from stylex.models.rosinality import to_rosinality

    state = to_rosinality(*_plain_networks())["g_ema"]
    save_file(state, folder / "g.safetensors")


def _load_generator(name: str) -> Callable[[Path], object]:
    def load(folder: Path) -> object:
        from stylex.models.imported import read_stylegan2

        generator = read_stylegan2(folder / name).generator
        if generator.config.resolution <= 64:
            generator.synthesis(generator.synthesis.styles(generator.mapping.w_avg[None]))
        return generator

    return load


def _make_config(folder: Path) -> None:
    (folder / "c.yaml").write_text(json.dumps({"kimg": 5, "loss": {"pixel": 2.0}, "preset": "small-32"}))


def _load_config(folder: Path) -> object:
    from stylex.cli.parser import parse

    return parse(
        ["train", "--config", str(folder / "c.yaml"), "--data", "a.zip", "--classifier", "m:f", "--out", "runs/a"]
    )


def _make_names(folder: Path) -> None:
    from stylex.store.names import NAMES, Mark, packed

    known: dict[str, Any] = {"snapshot": "0", "layer": "b4.conv1", "channel": 3, "sign": 1, "target_label": "y"}
    marks = [
        Mark(label="a wide sole", hidden=False, observed=None, **known),
        Mark(label=None, hidden=True, observed=(0.0, 1.0, 0.5, 0.2), **known),
    ]
    (folder / NAMES).write_bytes(packed(marks))


def _load_names(folder: Path) -> object:
    from stylex.store.names import waiting_in

    return waiting_in(folder)


def _effect_shards(folder: Path) -> Any:
    from stylex.search.shards import Shards

    return Shards(folder / "effects", ["settings", 1], [np.arange(3, dtype=np.float32)])


def _make_effects(folder: Path) -> None:
    from stylex.search.shards import Block

    shards, vectors = _effect_shards(folder), np.eye(2, dtype=np.float32)
    shards.folder.mkdir(parents=True)
    values = np.zeros((2, 2, 2, 3), np.float16)
    block = Block(values=values, classes=np.tile(np.arange(2), (2, 1)), base_logits=np.zeros((2, 2), np.float32))
    shards.write([shards.key(vector) for vector in vectors], block)


def _load_effects(folder: Path) -> object:
    return [np.asarray(block.values[:, row]).sum() for block, row in _effect_shards(folder).slots.values()]


def _make_state(folder: Path) -> None:
    from stylex.training.state import append_row, save_state

    parts = {"encoder": _Net().state_dict(), "steps": 3, "order": torch.arange(5)}
    save_state(folder / "state.pt", nimg=10, identity={"options": {"seed": 0}, "data": "a"}, parts=parts)
    for nimg in (5, 10):
        append_row(folder / "stats.jsonl", {"nimg": nimg, "pixel": 0.5})


def _load_state(folder: Path) -> object:
    from stylex.training.state import load_state, tidy

    nimg, parts = load_state(folder / "state.pt", identity={"options": {"seed": 0}, "data": "a"})
    tidy(folder, nimg=nimg, training={"seed": 0}, classifier_fingerprint="0")
    return parts


def _door_of_pictures(kind: str, **options: Any) -> Door:
    def make(folder: Path) -> None:
        (folder / "picture").write_bytes(_encoded(_pictures()[0], kind, **options))

    def load(folder: Path) -> object:
        from stylex.data.images import load_image

        return load_image(folder / "picture", resolution=16, channels=3)

    return Door(make, load, 50)


_REQUESTS: Sequence[Sequence[Any]] = (
    ["GET", "/api/describe", None], ["GET", "/api/images?after=1", None], ["GET", "/api/images/one", None],
    ["GET", "/api/images/one/rebuilt.png", None], ["GET", "/api/jobs/1", None], ["DELETE", "/api/jobs/1", None],
    ["POST", "/api/frames", {"viewer": "v", "lane": "knob", "turns": [{"image": "one", "knobs": {"0": 1.0}}]}],
    ["POST", "/api/frames", {"viewer": "v", "lane": "knob", "draft": True, "turns": [{"image": "one", "knobs": {}}]}],
    ["POST", "/api/flip", {"image": "one", "knobs": [0], "target": 1}],
    ["POST", "/api/search", {"image": "one", "target": None}],
    ["POST", "/api/knobs/0", {"label": "sole", "hidden": False}],
    ["POST", "/api/export", {"kind": "png", "image": "one", "knobs": {"0": 1.0}}],
)  # fmt: skip


def _make_requests(folder: Path) -> None:
    for number, request in enumerate(_REQUESTS):
        (folder / f"{number:02}.json").write_text(json.dumps(request))
    (folder / "picture").write_bytes(_encoded(_pictures()[0], "PNG"))


def _load_requests(folder: Path) -> object:
    """The harmed requests, sent to an explorer; the refusal of one is the refusal of all."""
    good = {f"{number:02}.json": json.dumps(request).encode() for number, request in enumerate(_REQUESTS)}
    good["picture"] = _encoded(_pictures()[0], "PNG")
    _explorer()
    sent: list[int] = []
    for name, content in good.items():
        path = folder / name
        if path.is_file() and stat.S_ISREG(path.stat().st_mode) and (body := path.read_bytes()) != content:
            sent.append(_answered(*_as_request(name, body)))
    if any(status >= 500 for status in sent):
        raise Finding(f"an answer {max(sent)}")
    if any(status >= 400 for status in sent):
        raise StylexError("refused")
    return sent


def _as_request(name: str, body: bytes) -> tuple[str, str, bytes]:
    if name == "picture":
        return "POST", "/api/images?name=own", body
    with suppress(ValueError, RecursionError, TypeError):
        method, path, content = json.loads(body)
        if isinstance(method, str) and isinstance(path, str):
            return method, path, b"" if content is None else json.dumps(content).encode()
    return "POST", _REQUESTS[int(name[:2])][1], body


def _answered(method: str, target: str, body: bytes) -> int:
    """The status of an explorer's answer."""
    path, _, query = target.partition("?")
    kind = b"application/octet-stream" if path == "/api/images" else b"application/json"
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(errors="replace"), "query_string": query.encode(errors="replace"),
        "root_path": "", "headers": [(b"host", b"127.0.0.1"), (b"content-type", kind)], "client": None, "server": None,
    }  # fmt: skip
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    loop, app = _explorer()
    loop.run_until_complete(app(scope, receive, send))
    return statuses[0]


@functools.cache
def _explorer() -> tuple[asyncio.AbstractEventLoop, Any]:
    """An explorer of tiny networks, and the loop that it runs in."""
    from stylex.classifiers import Classifier, ClassifierSpec, SmallCNN
    from stylex.live.studio import LiveStudio
    from stylex.models.snapshot import load_snapshot
    from stylex.store.folder import read_explanation
    from stylex.ui.server import build_app

    with tempfile.TemporaryDirectory() as folder:
        _make_snapshot(Path(folder))
        _make_explanation(Path(folder), side=8, channels=1)
        snapshot, explanation = load_snapshot(Path(folder) / "snapshot"), read_explanation(Path(folder) / "e")
    classifier = Classifier(SmallCNN(channels=1, k=2, resolution=16, width=4), ClassifierSpec.from_json(SPEC))
    studio = LiveStudio(snapshot, classifier, explanation=explanation)
    while studio.load_more():
        pass
    return asyncio.new_event_loop(), build_app(studio)


DOORS: Mapping[str, Door] = {
    "archive": Door(_make_archive, _load_archive, 140),
    "foreign": Door(_make_foreign, _load_archive, 60),
    "photographs": Door(_make_photographs, _load_photographs, 10),
    "packed": Door(_make_packed, _load_packed, 10),
    "PNG": _door_of_pictures("PNG"),
    "JPEG": _door_of_pictures("JPEG"),
    "WebP": _door_of_pictures("WEBP"),
    "TIFF": _door_of_pictures("TIFF"),
    "BMP": _door_of_pictures("BMP"),
    "requests": Door(_make_requests, _load_requests, 10),
    "snapshot": Door(_make_snapshot, _load_snapshot, 70),
    "classifier": Door(_make_classifier, _load_classifier("c"), 70),
    "script": Door(_make_script, _load_classifier("c.pt"), 1),
    "program": Door(_make_program, _load_classifier("c.pt2"), 2),
    "explanation": Door(_make_explanation, _load_explanation, 20),
    "names": Door(_make_names, _load_names, 120),
    "effects": Door(_make_effects, _load_effects, 60),
    "state": Door(_make_state, _load_state, 27),
    "evaluation": Door(_make_evaluation, _load_evaluation, 120),
    "config": Door(_make_config, _load_config, 10),
    "attack": Door(_make_attack, _load_attack, 20),
    "comparison": Door(_make_comparison, _load_comparison, 120),
    "table": Door(_make_table, _load_table, 120),
    "domain": Door(_make_domain, _load_domain, 60),
    "study": Door(_make_study, _load_study, 6),
    "pickle": Door(_make_pickle, _load_generator("g.pkl"), 40),
    "rosinality": Door(functools.partial(_make_rosinality, zipped=True), _load_generator("g.pt"), 40),
    "legacy": Door(functools.partial(_make_rosinality, zipped=False), _load_generator("g.pkl"), 40),
    "generator": Door(_make_names_of_others, _load_generator("g.safetensors"), 40),
}


# One case.


class Finding(Exception):
    """What must not happen."""


class _Hangs(BaseException):
    pass


_watched: Path | None = None


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    """What no loader may do, whatever it is given."""
    if _watched is None:
        return
    if event == "subprocess.Popen" and arguments[0] == sys.executable:  # in which TorchScript is tried
        return
    if event in ("subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "socket.connect", "pty.spawn"):
        raise Finding(f"{event} {arguments!r:.200}")
    if event == "open" and isinstance(arguments[0], str | bytes | Path):
        writes = isinstance(arguments[1], str) and bool(set(arguments[1]) & set("wax+"))
        if writes and not str(os.fsdecode(arguments[0])).startswith((str(_watched), "/dev/null")):
            raise Finding(f"wrote {arguments[0]!r:.200}")


@contextmanager
def _limited(folder: Path) -> Iterator[None]:
    global _watched

    def alarm(number: int, frame: object) -> None:
        raise _Hangs

    before = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, HANGS)
    _watched = folder
    try:
        yield
    finally:
        _watched = None
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _memory(which: str) -> int:
    """In bytes: ``VmRSS`` now, ``VmHWM`` at most so far."""
    return int(Path("/proc/self/status").read_text().partition(f"{which}:")[2].split()[0]) * 1024


def _processor_seconds() -> float:
    """That this process and those it waited for have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def check(door: Door, good: Path, harms: Sequence[Harm], place: Path) -> str:
    """Do one case; says how it ended.

    Raises:
        Finding: in a way that it must not.
    """
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(good, place)
    for harm in harms:
        with suppress(
            OSError, ValueError, ArithmeticError, RecursionError, LookupError, struct.error, zipfile.BadZipFile
        ):
            do(harm, place)
    base, began = _memory("VmRSS"), _processor_seconds()
    said = "opened"
    try:
        with _limited(place):
            door.load(place)
    except StylexError as error:
        said = "refused"
        if "\n" in str(error) or len(str(error)) > 6000:
            raise Finding(f"a long message: {str(error)[:300]}") from error
    except _Hangs as error:
        raise Finding("it hangs") from error
    except Finding:
        raise
    except BaseException as error:
        raise Finding(f"{type(error).__name__}: {str(error)[:200]}") from error
    if (took := _processor_seconds() - began) > SECONDS:
        raise Finding(f"{took:.0f} s")
    if (most := _memory("VmHWM") - base) > BYTES:
        Path("/proc/self/clear_refs").write_text("5")  # the next peak is counted from here
        raise Finding(f"more than {BYTES >> 20} MiB: {most >> 20}")
    return said


# Many cases, in a process of their own.


def _work(name: str, numbers: range, seed: int, folder: Path, pipe: Any) -> None:
    sys.addaudithook(_watch)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    good, place = folder / "good", folder / "place"
    good.mkdir(parents=True)
    door = DOORS[name]
    door.make(good)
    door.load(good)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)

    for number in numbers:
        case = drawn(name, seed, number)
        pipe.send(("case", number))
        try:
            pipe.send(("end", check(door, good, case, place)))
        except Finding as finding:
            where = traceback.extract_tb((finding.__cause__ or finding).__traceback__)
            last = next((f"{Path(x.filename).name}:{x.lineno}" for x in reversed(where) if "stylex" in x.filename), "?")
            pipe.send(("finding", f"{finding} at {last}"))


def fuzz(name: str, count: int, seed: int, folder: Path) -> tuple[Counter[str], Counter[tuple[str, int]]]:
    """So many cases at one door: how often each end, and the findings, each with the number of its first case."""
    ends: Counter[str] = Counter()
    first: dict[str, int] = {}
    found: Counter[str] = Counter()
    case = -1

    def finding(what: str) -> None:
        ends["found"] += 1
        found[what] += 1
        first.setdefault(what, case)

    while case + 1 < count:
        ours, theirs = multiprocessing.get_context("spawn").Pipe(duplex=False)
        begun = case
        work = (name, range(case + 1, count), seed, folder / f"{name}-{case + 1}", theirs)
        worker = multiprocessing.get_context("spawn").Process(target=_work, args=work)
        worker.start()
        theirs.close()
        with suppress(EOFError):
            while ours.poll(2 * HANGS):  # nothing for so long: it hangs where no signal reaches
                word, what = ours.recv()
                if word == "case":
                    case = what
                elif word == "end":
                    ends[what] += 1
                else:
                    finding(what)
        worker.kill()
        worker.join()
        if case == begun:
            raise SystemExit(f"{name}: even what is good cannot be made or opened")
        if sum(ends.values()) <= case:
            finding(f"the process died or hung ({worker.exitcode})")
    return ends, Counter({(what, first[what]): times for what, times in found.items()})


def main() -> int:
    """Run it, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000, help="over all doors")
    parser.add_argument("--of", nargs="+", choices=sorted(DOORS), default=sorted(DOORS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--place", type=Path, help="where files are harmed; a disk in memory is fastest")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    options = parser.parse_args()
    shares = sum(DOORS[name].share for name in options.of)
    rows = []
    with tempfile.TemporaryDirectory(dir=options.place) as folder:
        for name in options.of:
            began = time.monotonic()
            count = max(1, round(options.cases * DOORS[name].share / shares))
            ends, findings = fuzz(name, count, options.seed, Path(folder))
            seconds = time.monotonic() - began
            rows.append({"door": name, "cases": sum(ends.values()), "seconds": round(seconds, 1)} | dict(ends))
            print(f"{name}: {dict(ends)}, {sum(ends.values()) / seconds:.0f} a second", flush=True)
            for (what, number), times in findings.items():
                print(f"  {times} x {what}\n    case {number}: {drawn(name, options.seed, number)}", flush=True)
    bad = sum(row.get("found", 0) for row in rows)
    report = {"seed": options.seed, "cases": sum(row["cases"] for row in rows), "found": bad, "doors": rows}
    print(f"all: {report['cases']} cases, {bad} of them findings")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
