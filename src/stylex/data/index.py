"""What an archive says of its pictures: ``stylex.json`` and ``dataset.json``, and which of its files are pictures."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from stylex.core.errors import DataError
from stylex.core.untrusted import parse_json

SplitName = Literal["train", "test"]
Label = int | tuple[int, ...]

SCHEMA, VERSION = "stylex/archive", 1
INDEX, LABELS = "stylex.json", "dataset.json"

_PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")
_NOBODYS = frozenset(
    {"@eadir", "#recycle", "lost+found", "$recycle.bin", "system volume information", "__macosx", "thumbs.db"}
)


def is_nobodys(name: str) -> bool:
    """Whether a file or folder is hidden, or put there by a system: no picture and no class of anybody's."""
    return name.startswith(".") or name.lower() in _NOBODYS


def archive_root(names: Iterable[str]) -> str:
    """The folder that the archive's own files lie in, as a prefix: some zips have one around everything."""
    names = list(names)
    roots = {name[: -len(PurePosixPath(name).name)] for name in names if PurePosixPath(name).name in (INDEX, LABELS)}
    if len(roots) != 1:
        return ""
    (root,) = roots
    return root if all(name.startswith(root) for name in picture_files(names)) else ""


@dataclass(frozen=True, eq=False, kw_only=True)
class About:
    """The content of ``stylex.json``; see ``archive.ArchiveIndex``."""

    resolution: int
    channels: int
    label_names: tuple[str, ...] | None
    names: Sequence[str]
    split_keys: Sequence[str]
    splits: Sequence[SplitName | None]
    groups: Sequence[str | None]
    contents: Sequence[str | None]
    labels_from: str | None = None

    @classmethod
    def nothing(cls, files: Sequence[str], split_keys: Sequence[str]) -> About:
        """Of an archive that has no ``stylex.json``."""
        nobody = [None] * len(files)
        return cls(
            resolution=0,
            channels=0,
            label_names=None,
            names=files,
            split_keys=split_keys,
            splits=nobody,
            groups=nobody,
            contents=nobody,
        )


def picture_files(names: Iterable[str]) -> tuple[str, ...]:
    """Those files of an archive that are pictures, in order."""
    pictures = (name for name in names if name.lower().endswith(_PICTURE_SUFFIXES))
    return tuple(sorted(name for name in pictures if not any(map(is_nobodys, name.split("/")))))


def parse_labels(content: bytes, files: Sequence[str], where: str) -> list[Label] | None:
    """Read ``dataset.json``: a label for each of ``files``, or None.

    Raises:
        DataError: it is not of the form that StyleGAN's tools write, or does not fit the files.
    """
    rows = _json_object(content, f"{where}: {LABELS}").get("labels")
    if rows is None:
        return None
    if not isinstance(rows, list) or not all(isinstance(r, list) and len(r) == 2 and _is_text(r[0]) for r in rows):
        raise DataError(f"{where}: {LABELS}: expected {{'labels': [[file, label], ...]}}")
    by_file = {file.replace("\\", "/"): _parse_label(label, file, where) for file, label in rows}
    lost = sorted(by_file.keys() - set(files))
    if lost:
        raise DataError(f"{where}: {lost[0]}, named in {LABELS}, is missing ({len(lost)} such)")
    bare = [file for file in files if file not in by_file]
    if bare:
        raise DataError(f"{where}: {LABELS} has no label for {bare[0]} ({len(bare)} such)")
    labels = [by_file[file] for file in files]
    lengths = {len(label) if isinstance(label, tuple) else 0 for label in labels}
    if len(lengths) > 1:
        raise DataError(f"{where}: {LABELS} mixes labels of different lengths")
    return labels


_MOST_CLASSES = 2**20
"""Each class has a name, also where it is only its number."""


def _parse_label(label: Any, file: str, where: str) -> Label:
    if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < _MOST_CLASSES:
        return label
    if isinstance(label, list) and label and all(isinstance(v, int | float) and v in (0, 1) for v in label):
        return tuple(int(v) for v in label)
    raise DataError(
        f"{where}: {LABELS}: the label of {file} is {str(label)[:60]}, expected a class number (0, 1, ...) "
        "or a list of 0 and 1"
    )


def parse_about(content: bytes, files: Sequence[str], where: str) -> About:
    """Read ``stylex.json``.

    Raises:
        DataError: it is damaged, of another version, or of other files.
    """
    again = "prepare the images again"
    about = _json_object(content, f"{where}: {INDEX}")
    if about.get("schema") != SCHEMA:
        raise DataError(f"{where}: {INDEX} has schema {about.get('schema')!r}, expected {SCHEMA!r}")
    if about.get("version") != VERSION:
        raise DataError(f"{where}: {INDEX} has version {about.get('version')!r}, this stylex reads {VERSION}: {again}")
    listed = about.get("files")
    if not isinstance(listed, list) or not all(map(_is_text, listed)):
        raise DataError(f"{where}: {INDEX}: files is damaged: {again}")
    if listed != list(files):
        lost = sorted(set(listed) - set(files))
        what = f"{lost[0]} is missing from the archive" if lost else f"{INDEX} does not list the archive's pictures"
        raise DataError(f"{where}: {what}: {again}")

    def column(key: str, good: Callable[[Any], bool], *, optional: bool) -> list[Any]:
        values = about.get(key)
        if values is None and optional:
            return [None] * len(files)
        if not isinstance(values, list) or len(values) != len(files) or not all(map(good, values)):
            raise DataError(f"{where}: {INDEX}: {key} is damaged: {again}")
        return values

    def text_or_none(value: Any) -> bool:
        return value is None or _is_text(value)

    label_names = about.get("label_names")
    if label_names is not None and not (isinstance(label_names, list) and all(map(_is_text, label_names))):
        raise DataError(f"{where}: {INDEX}: label_names is damaged: {again}")
    labels_from = about.get("labels_from")
    if not text_or_none(labels_from):
        raise DataError(f"{where}: {INDEX}: labels_from is damaged: {again}")
    resolution, channels = about.get("resolution"), about.get("channels")
    return About(
        resolution=resolution if isinstance(resolution, int) else 0,
        channels=channels if isinstance(channels, int) else 0,
        label_names=None if label_names is None else tuple(label_names),
        names=column("names", _is_text, optional=False),
        split_keys=column("split_keys", _is_text, optional=False),
        splits=column("splits", lambda value: value in (None, "train", "test"), optional=True),
        groups=column("groups", text_or_none, optional=True),
        contents=column("contents", text_or_none, optional=True),
        labels_from=labels_from,
    )


def _json_object(content: bytes, where: str) -> dict[str, Any]:
    try:
        value = parse_json(content)
    except ValueError as error:
        raise DataError(f"{where} is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise DataError(f"{where} holds a {type(value).__name__}, expected an object")
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def is_archive_member(name: str) -> bool:
    """Whether a file is named as pictures in a StyleGAN zip are."""
    return re.fullmatch(r"\d{5}/img\d{8}\.png", name) is not None
