"""The explanation folder: ``manifest.json`` and pictures. Its contract is docs/explanation-folder.md."""

from __future__ import annotations

import io
import json
import math
import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any, cast, get_args
from zipfile import BadZipFile, ZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylex.core.attribute import Attribute, AttributeRanking, Tested
from stylex.core.errors import StoreError
from stylex.core.explanation import Counterfactual, ExplainedImage, Explanation, Picture, Strip
from stylex.core.files import check_writable, is_inside, new_folder, read_whole, write_whole
from stylex.core.stylespace import StyleCoordinate, StyleKind, StyleSpace, StyleStatistics

SCHEMA = "stylex-explanation"
VERSION = 1
MANIFEST = "manifest.json"
REPORT = "report.html"
EVALUATION = "evaluation.json"

# What this package puts at the top of a folder. Everything else there belongs to a person and outlives a replacement.
_OURS = frozenset({MANIFEST, "images", "statistics.npz", REPORT, EVALUATION})
_STATISTICS = ("minimum", "maximum", "mean", "std")
_LARGEST_SIDE = 4096
_LARGEST_AREA = 2**26
_LARGEST_FILE = 2**28
_LARGEST_MANIFEST = 2**27
_LONGEST_LABEL = 120
# All that Pillow, zipfile and NumPy raise at bytes which are not what they should be.
_DAMAGE = (
    *(OSError, ValueError, KeyError, SyntaxError, EOFError, MemoryError, OverflowError, NotImplementedError),
    *(RuntimeError, zlib.error, BadZipFile, Image.DecompressionBombError),
)


# Writing.


def write_explanation(explanation: Explanation, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write the folder, whole or not at all, and return its path.

    The folder is built beside its place and renamed. With ``overwrite`` an older explanation folder is replaced;
    what a person added to it (files this package does not write) is kept. A folder of any other kind is never touched.

    Raises:
        StoreError: the place is taken, the disk refuses, or the explanation holds numbers that JSON cannot say.
    """
    target = Path(path).absolute()
    check_place(target, overwrite=overwrite)
    files, manifest = _pack(explanation)
    files[MANIFEST] = _dump(manifest)
    with new_folder(target, replace=overwrite, keep=lambda name: name not in _OURS) as building:
        for name, data in files.items():
            (building / name).parent.mkdir(parents=True, exist_ok=True)
            (building / name).write_bytes(data)
    return target


def save_labels(path: str | Path, labels: Mapping[int, str | None]) -> None:
    """Name attributes in a written folder: position in the ranking -> a person's name (None or blank: no name).

    Raises:
        StoreError: no such folder or attribute, or a name longer than 120 characters.
    """
    folder = Path(path)
    manifest = _load_manifest(folder)
    attributes = manifest["ranking"]["attributes"]
    for position, label in labels.items():
        _check_position(folder, attributes, position)
        words = " ".join((label or "").split())
        if len(words) > _LONGEST_LABEL:
            raise StoreError(
                f"the name of attribute {position} has {len(words)} characters; use at most {_LONGEST_LABEL}"
            )
        attributes[position]["label"] = words or None
    write_whole(folder / MANIFEST, _dump(manifest))


def save_hidden(path: str | Path, hidden: Mapping[int, bool]) -> None:
    """Mark attributes in a written folder as not worth showing, or as worth it again: position -> whether hidden.

    Raises:
        StoreError: no such folder or attribute.
    """
    folder = Path(path)
    manifest = _load_manifest(folder)
    attributes = manifest["ranking"]["attributes"]
    for position, value in hidden.items():
        _check_position(folder, attributes, position)
        attributes[position]["hidden"] = value
    write_whole(folder / MANIFEST, _dump(manifest))


def _check_position(folder: Path, attributes: Sequence[Any], position: int) -> None:
    if not 0 <= position < len(attributes):
        raise StoreError(
            f"{folder} has {len(attributes)} attributes, numbered from 0, and none at {position}; "
            "give a position that exists"
        )


def is_explanation_folder(path: str | Path) -> bool:
    """Whether the folder's manifest says that this package wrote it (of whatever version)."""
    try:
        manifest = json.loads(read_whole(Path(path) / MANIFEST, largest=_LARGEST_MANIFEST))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(manifest, dict) and manifest.get("schema") == SCHEMA


def check_place(target: Path, *, overwrite: bool) -> None:
    """Say before any work that an explanation could not be written there.

    Raises:
        StoreError: something else stands there, an explanation that may not be replaced, or the system refuses.
    """
    check_writable(target)
    if not os.path.lexists(target):
        return
    if not target.is_dir() or target.is_symlink():
        raise StoreError(f"{target} is not a folder; choose another place for the explanation")
    if not any(target.iterdir()):
        return
    if not is_explanation_folder(target):
        raise StoreError(f"{target} holds something else and stays as it is; choose an empty or a new folder")
    if not overwrite:
        raise StoreError(
            f"{target} already holds an explanation; choose another folder, or give --overwrite to replace it"
        )


def _pack(explanation: Explanation) -> tuple[dict[str, bytes], dict[str, Any]]:
    """The folder's files except the manifest, by relative path, and the manifest."""
    e = explanation
    files: dict[str, bytes] = {}

    def picture(name: str, pixels: Picture) -> str:
        files[name] = _png(pixels)
        return name

    _check_ids([image.id for image in e.images])
    images = [
        {
            "id": image.id,
            "label": image.label,
            "original": None if image.original is None else picture(f"images/{image.id}/original.png", image.original),
            "reconstruction": picture(f"images/{image.id}/reconstruction.png", image.reconstruction),
            "logits": _numbers(image.logits, image.id),
            "probabilities": _numbers(image.probabilities, image.id),
            "reconstruction_logits": _numbers(image.reconstruction_logits, image.id),
            "reconstruction_probabilities": _numbers(image.reconstruction_probabilities, image.id),
        }
        for image in e.images
    ]
    count: Counter[tuple[str, str]] = Counter()
    counterfactuals = []
    for cf in e.counterfactuals:
        count[cf.image, cf.role] += 1
        name = f"images/{cf.image}/changed/{cf.role}-{count[cf.image, cf.role]}.png"
        counterfactuals.append(
            {
                "image": cf.image,
                "attributes": [int(i) for i in cf.attributes],
                "picture": picture(name, cf.picture),
                "logits": _numbers(cf.logits, cf.image),
                "probabilities": _numbers(cf.probabilities, cf.image),
                "target": int(cf.target),
                "role": cf.role,
            }
        )
    strips = [
        {
            "image": strip.image,
            "attribute": int(strip.attribute),
            "picture": picture(f"images/{strip.image}/turned/{strip.attribute + 1}.png", np.hstack(list(strip.frames))),
            "shares": [float(share) for share in strip.shares],
            "probabilities": [_numbers(row, strip.image) for row in strip.probabilities],
        }
        for strip in e.strips
    ]
    statistics = e.space.statistics
    if statistics is not None:
        buffer = io.BytesIO()
        np.savez(buffer, **{name: getattr(statistics, name) for name in _STATISTICS})
        files["statistics.npz"] = buffer.getvalue()
    manifest = {
        "schema": SCHEMA,
        "version": VERSION,
        "scope": e.scope,
        "title": e.title,
        "labels": list(e.labels),
        "output": e.output,
        "ranking": {
            "strategy": e.ranking.strategy,
            "images": int(e.ranking.images),
            "explained": float(e.ranking.explained),
            "finding": e.ranking.finding,
            "attributes": [_pack_attribute(attribute) for attribute in e.ranking],
        },
        "images": images,
        "counterfactuals": counterfactuals,
        "strips": strips,
        # A figure that could not be measured is NaN in Python and null in JSON.
        "figures": {name: None if math.isnan(value) else float(value) for name, value in e.figures.items()},
        "settings": dict(e.settings),
        "snapshot": dict(e.snapshot),
        "space": {"layers": e.space.to_json(), "statistics": None if statistics is None else "statistics.npz"},
        "notes": list(e.notes),
    }
    _check_references(manifest, "the explanation")
    return files, manifest


def _pack_attribute(a: Attribute) -> dict[str, Any]:
    return {
        "layer": a.coordinate.layer,
        "channel": int(a.coordinate.channel),
        "sign": int(a.sign),
        "shift_range": float(a.shift_range),
        "target": int(a.target),
        "target_label": a.target_label,
        "effect": float(a.effect),
        "source_label": a.source_label,
        "significance": None if a.significance is None else float(a.significance),
        "tested": a.tested,
        "label": a.label,
        "hidden": a.hidden,
    }


def _check_ids(ids: list[str]) -> None:
    pattern = _schema()["$defs"]["id"]["pattern"]
    for image_id in ids:
        if re.fullmatch(pattern, image_id) is None:
            raise StoreError(
                f"the image id {image_id!r} cannot name a file; use letters, digits, '.', '_' and '-', at most 120"
            )
    # Some file systems do not tell capitals from small letters.
    twice = [name for name, n in Counter(i.casefold() for i in ids).items() if n > 1]
    if twice:
        raise StoreError(f"the image id {twice[0]!r} is used twice (capitals do not count); give each image its own id")


def _numbers(values: NDArray[np.float32] | None, image_id: str) -> list[float] | None:
    if values is None:
        return None
    if not np.isfinite(values).all():
        raise StoreError(
            f"the classifier's output for image {image_id!r} is not finite; mend it or leave that image out"
        )
    # The shortest decimal that reads back as the same float32.
    return [float(str(v)) for v in np.asarray(values, dtype=np.float32)]


def _png(pixels: Picture) -> bytes:
    assert pixels.dtype == np.uint8, pixels.dtype
    assert pixels.ndim == 3, pixels.shape
    assert pixels.shape[2] in (1, 3), pixels.shape
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _dump(manifest: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(manifest, allow_nan=False, ensure_ascii=False, indent=1).encode()
    except (TypeError, ValueError) as error:
        raise StoreError(
            f"the explanation holds a value that JSON cannot say ({error}); use plain finite numbers, texts and lists"
        ) from error


# Reading.


def read_explanation(path: str | Path) -> Explanation:
    """Read what ``write_explanation`` wrote: the same explanation, number for number and pixel for pixel.

    Nothing in the folder is executed or unpickled, and nothing outside it is opened.

    Raises:
        StoreError: the folder is missing, foreign, of a newer version or damaged; the message names the file.
    """
    folder = Path(path)
    manifest = _load_manifest(folder)
    ranking = manifest["ranking"]
    pictures = _Pictures(folder)
    return Explanation(
        scope=manifest["scope"],
        title=manifest["title"],
        labels=tuple(manifest["labels"]),
        output=manifest["output"],
        ranking=AttributeRanking(
            attributes=tuple(_unpack_attribute(row, ranking["strategy"]) for row in ranking["attributes"]),
            strategy=ranking["strategy"],
            images=ranking["images"],
            explained=float(ranking["explained"]),
            finding=ranking["finding"],
        ),
        images=tuple(
            ExplainedImage(
                id=row["id"],
                original=None if row["original"] is None else pictures.load(row["original"]),
                reconstruction=pictures.load(row["reconstruction"]),
                logits=_array(row["logits"]),
                probabilities=_array(row["probabilities"]),
                reconstruction_logits=np.asarray(row["reconstruction_logits"], dtype=np.float32),
                reconstruction_probabilities=np.asarray(row["reconstruction_probabilities"], dtype=np.float32),
                label=row["label"],
            )
            for row in manifest["images"]
        ),
        counterfactuals=tuple(
            Counterfactual(
                image=row["image"],
                attributes=tuple(row["attributes"]),
                picture=pictures.load(row["picture"]),
                logits=np.asarray(row["logits"], dtype=np.float32),
                probabilities=np.asarray(row["probabilities"], dtype=np.float32),
                target=row["target"],
                role=row["role"],
            )
            for row in manifest["counterfactuals"]
        ),
        strips=tuple(_load_strip(pictures, row) for row in manifest.get("strips", ())),
        figures={name: math.nan if value is None else float(value) for name, value in manifest["figures"].items()},
        settings=manifest["settings"],
        snapshot=manifest["snapshot"],
        space=_load_space(folder, manifest["space"]),
        notes=tuple(manifest["notes"]),
    )


@cache
def _schema() -> dict[str, Any]:
    text = resources.files("stylex.store").joinpath("explanation.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _load_manifest(folder: Path) -> dict[str, Any]:
    # Imported here because it is slow to import, and writing does not need it.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import extend

    file = folder / MANIFEST
    if not folder.is_dir():
        raise StoreError(f"{folder} is not a folder; give the folder that 'stylex find' or 'stylex explain' wrote")
    try:
        content = read_whole(file, largest=_LARGEST_MANIFEST)
        manifest = json.loads(content, parse_constant=_finite, parse_float=_finite, parse_int=_whole)
    except FileNotFoundError:
        raise StoreError(f"{folder} is not an explanation folder: it has no {MANIFEST}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{file} cannot be read ({error}); write the explanation again") from error
    if not isinstance(manifest, dict) or manifest.get("schema") != SCHEMA:
        raise StoreError(f'{file} is not the manifest of an explanation: expected "schema": "{SCHEMA}"')
    version = manifest.get("version")
    if version != VERSION:
        raise StoreError(
            f"{file} has version {version!r} and this stylex reads version {VERSION}; "
            "use the stylex that wrote it, or write the explanation again"
        )
    # To the standard 1.0 is an integer; to Python it is no index.
    types = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda checker, value: type(value) is int)
    validator: Any = cast(Any, extend)(Draft202012Validator, type_checker=types)
    wrong = best_match(validator(_schema()).iter_errors(manifest))
    if wrong is not None:
        raise StoreError(f"{file} is damaged at {wrong.json_path}: {wrong.message[:200]}; write the explanation again")
    _check_references(manifest, str(file))
    return manifest


def _whole(text: str) -> int:
    if len(text) > 18:
        raise ValueError(f"{text[:20]}... is larger than any number here")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a finite number")
    return value


def _check_references(manifest: Mapping[str, Any], where: str) -> None:
    """What a JSON schema cannot say: numbers point at things that exist, and lengths agree."""

    def check(true: bool, problem: str) -> None:
        if not true:
            raise StoreError(f"{where} contradicts itself: {problem}; write the explanation again")

    k, attributes = len(manifest["labels"]), manifest["ranking"]["attributes"]
    ids = [row["id"] for row in manifest["images"]]
    check(len(set(ids)) == len(ids), "two images have one id")
    channels = {row["name"]: row["channels"] for row in manifest["space"]["layers"]}
    for i, row in enumerate(attributes):
        check(row["channel"] < channels.get(row["layer"], 0), f"attribute {i} lies outside the space")
        check(row["target"] < k, f"attribute {i} has target {row['target']} of {k} labels")
    for row in manifest["images"]:
        for key in ("logits", "probabilities", "reconstruction_logits", "reconstruction_probabilities"):
            check(row[key] is None or len(row[key]) == k, f"image {row['id']!r} needs {k} {key}")
    for i, row in enumerate(manifest["counterfactuals"]):
        check(row["image"] in ids, f"counterfactual {i} changes the image {row['image']!r}, which is not there")
        check(max(row["attributes"]) < len(attributes), f"counterfactual {i} uses an attribute that is not there")
        check(row["target"] < k, f"counterfactual {i} has target {row['target']} of {k} labels")
        check(len(row["logits"]) == len(row["probabilities"]) == k, f"counterfactual {i} needs {k} logits")
    for i, row in enumerate(manifest.get("strips", ())):
        shares, n = row["shares"], len(row["shares"])
        check(row["image"] in ids, f"strip {i} turns the image {row['image']!r}, which is not there")
        check(row["attribute"] < len(attributes), f"strip {i} turns an attribute that is not there")
        check(all(a < b for a, b in zip(shares, shares[1:], strict=False)), f"the shares of strip {i} do not ascend")
        check(len(row["probabilities"]) == n, f"strip {i} needs {n} rows of probabilities")
        check(all(len(p) == k for p in row["probabilities"]), f"strip {i} needs {k} probabilities in each row")


def _unpack_attribute(row: Mapping[str, Any], strategy: str) -> Attribute:
    return Attribute(
        coordinate=StyleCoordinate(row["layer"], row["channel"]),
        sign=row["sign"],
        shift_range=float(row["shift_range"]),
        target=row["target"],
        target_label=row["target_label"],
        effect=float(row["effect"]),
        source_label=row["source_label"],
        significance=row["significance"],
        tested=row["tested"] if "tested" in row else _tested(row, strategy),
        label=row["label"],
        hidden=row.get("hidden", False),
    )


def _tested(row: Mapping[str, Any], strategy: str) -> Tested | None:
    """Which value an older folder holds, where it says only how its attributes were chosen."""
    if row["significance"] is None:
        return None
    return "q" if strategy == "directions" else "p"


def _array(values: list[float] | None) -> NDArray[np.float32] | None:
    return None if values is None else np.asarray(values, dtype=np.float32)


def _inside(folder: Path, name: str) -> Path:
    """The file of that relative name; refuses every name that leads out of the folder."""
    pure = PurePosixPath(name)
    file = folder / pure
    plain = not pure.is_absolute() and ".." not in pure.parts and "\\" not in name and ":" not in name
    if not plain or not is_inside(file, folder):
        raise StoreError(f"{folder / MANIFEST} names {name!r}, which is not a file inside the folder; do not trust it")
    return file


def _load(file: Path, load: Callable[[Path], Any], expected: str) -> Any:
    """Load a file of the folder, with the user's words for everything that can be wrong with it."""
    try:
        if not file.is_file():
            raise StoreError(f"{file} is missing; write the explanation again")
        if file.stat().st_size > _LARGEST_FILE:
            raise ValueError("it is larger than anything here")
        return load(file)
    except _DAMAGE as error:
        reason = getattr(error, "strerror", None) or error
        raise StoreError(f"{file} is damaged ({reason}); expected {expected}; write the explanation again") from error


def _load_strip(pictures: _Pictures, row: Mapping[str, Any]) -> Strip:
    return Strip(
        image=row["image"],
        attribute=row["attribute"],
        shares=tuple(float(share) for share in row["shares"]),
        frames=pictures.frames(row["picture"], len(row["shares"])),
        probabilities=np.asarray(row["probabilities"], dtype=np.float32),
    )


class _Pictures:
    """The pictures of a folder, which are all of one size."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.size: tuple[int, int] | None = None

    def load(self, name: str) -> Picture:
        """One picture."""
        return self._alike(name, self._load(name, _LARGEST_SIDE))

    def frames(self, name: str, n: int) -> NDArray[np.uint8]:
        """Several, which lie in one file from left to right; ``[n, h, w, c]``."""
        sheet = self._load(name, n * _LARGEST_SIDE)
        if sheet.shape[1] % n:
            raise StoreError(
                f"{self.folder / name} is damaged ({sheet.shape[1]} pixels wide); expected {n} frames of one width; "
                "write the explanation again"
            )
        frames = np.stack(np.hsplit(sheet, n))
        self._alike(name, frames[0])
        return frames

    def _alike(self, name: str, picture: Picture) -> Picture:
        size = picture.shape[1], picture.shape[0]
        self.size = self.size or size
        if size != self.size:
            here, others = (f"{width} x {height} pixels" for width, height in (size, self.size))
            raise StoreError(f"{self.folder / name} is {here}, others are {others}; write the explanation again")
        return picture

    def _load(self, name: str, widest: int) -> Picture:
        def load(file: Path) -> Picture:
            with Image.open(file, formats=["PNG"]) as image:
                width, height = image.size
                if height > _LARGEST_SIDE or width > widest or height * width > _LARGEST_AREA:
                    raise ValueError(f"it is {width} by {height} pixels")
                if image.mode not in ("L", "RGB"):
                    raise ValueError(f"its mode is {image.mode}")
                pixels = np.asarray(image, dtype=np.uint8)
            return pixels[:, :, None] if pixels.ndim == 2 else pixels

        expected = f"an 8-bit grey or RGB PNG up to {widest} pixels wide"
        picture: Picture = _load(_inside(self.folder, name), load, expected)
        return picture


def _numbers_in(archive: ZipFile, name: str, n: int) -> NDArray[np.float32]:
    """An array of n numbers in an ``.npz``; what is declared is checked before anything of that size is made."""
    wrong = ValueError(f"its array {name} is not {n} numbers")
    info = archive.getinfo(f"{name}.npy")
    if info.file_size > 16 * n + 65536:
        raise wrong
    stream = io.BytesIO(archive.read(info))
    try:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(stream)
    except Exception as error:  # the header is Python text, which NumPy parses
        raise wrong from error
    if shape != (n,) or dtype.kind != "f":
        raise wrong
    return np.frombuffer(stream.read(n * dtype.itemsize), dtype, n).astype(np.float32)


def _load_space(folder: Path, row: Mapping[str, Any]) -> StyleSpace:
    file = folder / MANIFEST
    kinds = [layer["kind"] for layer in row["layers"]]
    if kinds != sorted(kinds, key=get_args(StyleKind).index):
        raise StoreError(
            f"{file} contradicts itself: convolution layers come before ToRGB layers, and these before directions"
        )
    space = StyleSpace.from_json(
        [{k: layer[k] for k in ("name", "kind", "resolution", "channels")} for layer in row["layers"]]
    )
    if row["statistics"] is None:
        return space

    def load(file: Path) -> StyleStatistics:
        with open(file, "rb") as stream, ZipFile(stream) as archive:
            stream.seek(0)
            if stream.read(2) != b"PK":  # zipfile reads past whatever stands before
                raise ValueError("it is no .npz file")
            return StyleStatistics(**{name: _numbers_in(archive, name, space.s_dim) for name in _STATISTICS})

    statistics = _load(_inside(folder, row["statistics"]), load, "arrays " + ", ".join(_STATISTICS))
    return space.observed(statistics)
