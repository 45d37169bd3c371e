"""WebDataset shards: tar files whose members of one key are a sample, read in place; nothing is unpacked to the disk.

Source: https://github.com/webdataset/webdataset (the format).
"""

from __future__ import annotations

import glob
import re
import tarfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from stylex.core.errors import DataError
from stylex.core.reference import reason
from stylex.core.untrusted import parse_json
from stylex.core.wording import option
from stylex.data.images import MAX_BYTES, SUFFIXES, PictureError
from stylex.data.index import is_nobodys
from stylex.data.source import Listing, Photo, number_labels
from stylex.data.tree import Files, printable

_MOST_SHARDS = 100_000
_LABELS = ("cls", "json", "txt")
"""Endings of the members that hold a label, in the order in which they are asked."""
_FIELDS = ("label", "cls", "class")
_LONGEST = 2**20
_LONGEST_LABEL = 200


def shards_of(source: str) -> list[Path] | None:
    """The tar files that a source names: ``a.tar``, a glob, or ``a-{000..003}.tar``; None: it names none.

    Raises:
        DataError: it looks like shards, but none is there, or one that it counts is not.
    """
    if not source.lower().endswith(".tar"):
        return None
    counted = re.fullmatch(r"(.*)\{(\d+)\.\.(\d+)\}(.*)", source, re.DOTALL)
    if counted is not None:
        before, first, last, after = counted.groups()
        if not 0 <= int(last) - int(first) < _MOST_SHARDS:
            raise DataError(f"{source}: expected shards counted upwards, {{000..003}}, at most {_MOST_SHARDS}")
        paths = [Path(f"{before}{i:0{len(first)}d}{after}") for i in range(int(first), int(last) + 1)]
    elif Path(source).exists() or not glob.has_magic(source):
        paths = [Path(source)]
    else:
        paths = [Path(found) for found in sorted(glob.glob(source))]
    if lost := [path for path in paths if not path.is_file()]:
        raise DataError(f"there is no shard {lost[0]} ({len(lost)} of {len(paths)} missing); make the count smaller")
    if not paths:
        raise DataError(f"no shard is named {source}; expected files such as shards-000.tar")
    return paths


@contextmanager
def open_shards(paths: Sequence[Path]) -> Iterator[tuple[Files, Listing]]:
    """The samples of some shards, labelled by their ``.cls``, ``.json`` (``label``, ``cls`` or ``class``) or ``.txt``.

    Raises:
        DataError: a shard is damaged, or no plain tar.
    """
    with ExitStack() as stack:
        shards = [_Shard(path, stack) for path in paths]
        tars = _Shards({shard.name: shard for shard in shards})
        if len(tars.shards) < len(shards):
            raise DataError(f"two of the shards are called {shards[0].name}: give shards of different names")
        yield tars, _list(shards, str(paths[0]) if len(paths) == 1 else f"{len(paths)} shards")


@dataclass(frozen=True, eq=False)
class _Sample:
    """Members of one key, by their endings."""

    key: str
    members: dict[str, tarfile.TarInfo] = field(default_factory=dict)

    def pictures(self) -> list[str]:
        return [end for end in self.members if f".{end.rpartition('.')[2]}" in SUFFIXES]


class _Shard:
    """One tar file: its samples in order, and their members' bytes; safe in threads."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self.path, self.name = path, path.stem
        self._lock = threading.Lock()
        self.skipped: list[tuple[str, str]] = []
        self.samples: dict[str, _Sample] = {}
        try:
            self._tar = stack.enter_context(tarfile.open(path, "r:"))  # noqa: SIM115 (closed by the stack)
            infos = list(self._tar)
            whole = _ends_well(path, self._tar.offset)
        except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError) as error:
            raise self._corrupt(reason(error)) from None
        if not whole:
            raise self._corrupt("it stops before its end mark")
        for info in infos:
            self._take(info)

    def _corrupt(self, why: str) -> DataError:
        return DataError(f"{self.path} is a corrupt shard, or no plain tar ({why}): copy it again, or leave it out")

    def _take(self, info: tarfile.TarInfo) -> None:
        path = PurePosixPath(info.name.replace("\\", "/"))
        if info.isdir() or any(is_nobodys(part) for part in path.parts if part not in (".", "..")):
            return
        (shown,) = printable([f"{self.name}/{path.as_posix()}"])
        if path.is_absolute() or ".." in path.parts or ":" in str(path):
            self.skipped.append((shown, "its name leads out of the shard"))
        elif not info.isreg() or info.issparse():
            self.skipped.append((shown, "a link or a device, not a file"))
        elif info.size > MAX_BYTES:
            self.skipped.append((shown, f"larger than {MAX_BYTES // 2**20} MiB: refused"))
        else:
            stem, _, ends = path.name.partition(".")
            key = (path.parent / stem).as_posix()
            if ends.lower() in self.samples.setdefault(key, _Sample(key)).members:
                self.skipped.append((shown, "twice in its shard: the first used"))
            self.samples[key].members.setdefault(ends.lower(), info)

    def read(self, info: tarfile.TarInfo) -> bytes:
        with self._lock:
            file = self._tar.extractfile(info)
            assert file is not None
            return file.read()


def _ends_well(path: Path, offset: int) -> bool:
    """Whether the block at which reading stopped is the zeros that end a tar.

    The standard library takes a damaged header, and the end of a file that was cut, for the end as well.
    """
    with path.open("rb") as file:
        file.seek(offset)
        block = file.read(tarfile.BLOCKSIZE)
    return len(block) == tarfile.BLOCKSIZE and not any(block)


class _Shards:
    def __init__(self, shards: dict[str, _Shard]) -> None:
        self.shards = shards

    def read(self, name: str) -> bytes:
        shard, _, rest = name.partition("/")
        key, _, end = rest.partition("\0")
        try:
            return self.shards[shard].read(self.shards[shard].samples[key].members[end])
        except Exception as error:  # what the file system and the reader raise on files that changed meanwhile
            raise PictureError(name.replace("\0", "."), f"cannot be read from its shard ({reason(error)})") from None


def _list(shards: Sequence[_Shard], where: str) -> Listing:
    skipped = [each for shard in shards for each in shard.skipped]
    found: list[tuple[str, str, str | None]] = []
    sources = set()
    for shard in shards:
        for sample in shard.samples.values():
            pictures = sample.pictures()
            (shown,) = printable([f"{shard.name}/{sample.key}"])
            if len(pictures) != 1:
                what = f"{len(pictures)} pictures ({', '.join(pictures[:3])})" if pictures else "no picture"
                skipped.append((shown, f"a sample with {what}, expected one"))
                continue
            try:
                end, label = _label(shard, sample, shown)
            except PictureError as error:
                skipped.append((shown, error.reason))
                continue
            sources.add(end)
            found.append((f"{shard.name}/{sample.key}\0{pictures[0]}", f"{shown}.{pictures[0]}", label))
    labelled = any(label is not None for _, _, label in found)
    skipped += [(name, "no label in its sample") for _, name, label in found if labelled and label is None]
    kept = [(file, name, label) for file, name, label in found if not labelled or label is not None]
    names, number = number_labels([label for _, _, label in kept if label is not None])
    photos = [
        Photo(file=file, name=shown, label=None if label is None else number[label])
        for shown, (file, _, label) in zip(printable([name for _, name, _ in kept]), kept, strict=True)
    ]
    ends = ", ".join(f".{end}" for end in _LABELS if end in sources)
    return Listing(
        photos=tuple(photos),
        label_names=names or None,
        labels_from=f"the members {ends} of {where}" if labelled else f"none (no {', '.join(_LABELS)} in {where})",
        skipped=skipped,
    )


def _label(shard: _Shard, sample: _Sample, shown: str) -> tuple[str | None, str | None]:
    """The ending that says a sample's label, and the label as text."""
    for end in _LABELS:
        info = sample.members.get(end)
        if info is None:
            continue
        if info.size > _LONGEST:
            raise PictureError(shown, f"its .{end} is larger than a label is")
        try:
            data = shard.read(info)
            said: Any = _field(parse_json(data)) if end == "json" else data.decode().strip()
        except (OSError, ValueError, tarfile.TarError) as error:
            raise PictureError(shown, f"its .{end} cannot be read ({reason(error)})") from None
        if said is None:
            continue
        if isinstance(said, bool) or not isinstance(said, str | int) or len(str(said)) > _LONGEST_LABEL:
            raise PictureError(shown, f"its .{end} is no label: expected a number or a name")
        if text := str(said).strip():
            return end, text
    return None, None


def _field(said: Any) -> Any:
    """What a ``.json`` says: itself, or the first of its fields that are known."""
    return next((said[key] for key in _FIELDS if key in said), None) if isinstance(said, dict) else said


def refuse_columns(label_column: str | None, group_column: str | None) -> None:
    """Shards have no columns.

    Raises:
        DataError: one was asked for.
    """
    if label_column or group_column:
        given = "label_column" if label_column else "group_column"
        raise DataError(
            f"{option(given)} was given, but shards have no columns: labels are members .cls, .json or .txt"
        )
