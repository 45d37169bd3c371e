"""The zip files that an archive is: one, or a folder with an index and shards of pictures, read as if they were one.

The folder holds ``index.zip``, which says everything of the pictures (``dataset.json``, ``stylex.json``) and which
shards there are (``shards.json``), and ``shard-00000.zip`` and so on, each a zip of pictures, in order.
"""

from __future__ import annotations

import bisect
import hashlib
import itertools
import json
import os
import threading
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from stylex.core.errors import DataError
from stylex.core.files import new_file, new_folder
from stylex.core.untrusted import parse_json

HEAD, SHARDS = "index.zip", "shards.json"
_SCHEMA, _VERSION = "stylex/shards", 1
_LARGEST_LIST = 16 * 2**20
_AGAIN = "prepare the images again"
_DATE = (1980, 1, 1, 0, 0, 0)  # the same input gives the same bytes


class OneZip:
    """One zip file. Safe to be read from several threads, and after a fork, as ``Sharded`` is.

    Raises:
        DataError: (on use) it is none that can be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._zip: zipfile.ZipFile | None = None
        self._pid = 0

    def holding(self, name: str) -> zipfile.ZipFile:
        """The zip that a member is in, if it is in any."""
        return self.opened()

    def opened(self) -> zipfile.ZipFile:
        """The zip, open."""
        # A forked process shares its parent's file position, and would read what the parent seeks to.
        with self._lock:
            if self._zip is None or self._pid != os.getpid():
                try:
                    self._zip, self._pid = zipfile.ZipFile(self.path), os.getpid()
                except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
                    raise DataError(f"{self.path} is not a readable zip archive ({error})") from None
            return self._zip

    def directory(self) -> list[zipfile.ZipInfo]:
        """What the zip holds, by name."""
        return sorted(self.opened().infolist(), key=lambda info: info.filename)


class Sharded:
    """An index and shards in a folder.

    Raises:
        DataError: a shard is missing, or is not the one that the index was written with.
    """

    def __init__(self, folder: Path) -> None:
        self._index = OneZip(folder / HEAD)
        own = self._index.directory()
        self._own = frozenset(info.filename for info in own)
        self._shards, self._firsts = [], []
        members = [info for info in own if info.filename != SHARDS]
        for file, digest in _listed(self._index):
            shard = OneZip(folder / file)
            if not shard.path.is_file():
                raise DataError(f"{shard.path} is missing, a part of the archive {folder}: put it back, or {_AGAIN}")
            held = shard.directory()
            if not held or _digest(held) != digest:
                raise DataError(f"{shard.path} is not the part that the archive {folder} was written with: {_AGAIN}")
            self._shards.append(shard)
            self._firsts.append(held[0].filename)
            members += held
        self._members = sorted(members, key=lambda info: info.filename)
        if self._firsts != sorted(self._firsts):
            raise DataError(f"{folder}: {SHARDS} does not list the parts in order: {_AGAIN}")

    def holding(self, name: str) -> zipfile.ZipFile:
        """The shard that a picture is in, or the index."""
        if name in self._own or not self._shards:
            return self._index.opened()
        return self._shards[max(0, bisect.bisect_right(self._firsts, name) - 1)].opened()

    def directory(self) -> list[zipfile.ZipInfo]:
        """All members, by name, as one zip would hold them."""
        return self._members


def is_sharded(path: Path) -> bool:
    """Whether a folder is a sharded archive, by its index."""
    return (path / HEAD).is_file()


def zips_of(path: Path) -> OneZip | Sharded:
    """The zips of an archive: a file, or a folder with shards.

    Raises:
        DataError: they cannot be read, or do not belong together.
    """
    return Sharded(path) if path.is_dir() else OneZip(path)


def write_zips(
    path: Path,
    pictures: Iterable[tuple[str, bytes]],
    texts: Sequence[tuple[str, bytes]],
    *,
    shard_bytes: int | None,
) -> None:
    """Write members, the pictures in the order of their names: into one zip, or into shards of about so many bytes.

    Raises:
        DataError: it cannot be written; nothing is left of it.
    """
    if shard_bytes is None:
        with new_file(path, error=DataError) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, data in itertools.chain(pictures, texts):
                _write_member(archive, name, data)
        return
    with new_folder(path, replace=True, error=DataError) as folder:
        listed = list(_write_shards(folder, pictures, shard_bytes))
        about = {"schema": _SCHEMA, "version": _VERSION, "shards": listed}
        with zipfile.ZipFile(folder / HEAD, "w", zipfile.ZIP_STORED) as archive:
            for name, data in [*texts, (SHARDS, json.dumps(about).encode())]:
                _write_member(archive, name, data)


def _write_shards(folder: Path, pictures: Iterable[tuple[str, bytes]], most: int) -> Iterator[dict[str, str]]:
    """Fill one shard after the other, each with at least one picture; what is to be listed of each."""
    waiting = next(rest := iter(pictures), None)
    for number in itertools.count():
        if waiting is None:
            return
        file, room = f"shard-{number:05d}.zip", most
        with zipfile.ZipFile(folder / file, "w", zipfile.ZIP_STORED) as archive:
            while waiting is not None and (room >= len(waiting[1]) or room == most):
                _write_member(archive, *waiting)
                room -= len(waiting[1])
                waiting = next(rest, None)
            yield {"file": file, "directory": _digest(archive.infolist())}


def _write_member(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    info = zipfile.ZipInfo(name, _DATE)
    info.create_system = 3
    info.external_attr = 0o644 << 16
    archive.writestr(info, data)


def _digest(members: Iterable[zipfile.ZipInfo]) -> str:
    """sha256 of names, sizes and checksums, in order."""
    digest = hashlib.sha256()
    for info in members:
        digest.update(f"{info.filename}\0{info.file_size}\0{info.CRC}\n".encode("utf-8", "replace"))
    return digest.hexdigest()


def _listed(index: OneZip) -> list[tuple[str, str]]:
    """The shards' files and digests.

    Raises:
        DataError: the list is damaged, or of another version.
    """
    try:
        if index.opened().getinfo(SHARDS).file_size > _LARGEST_LIST:
            raise ValueError("too long")
        told = parse_json(index.opened().read(SHARDS))
        if (told["schema"], told["version"]) != (_SCHEMA, _VERSION):
            raise ValueError("of another version")
        listed = [(each["file"], each["directory"]) for each in told["shards"]]
        # Only names beside the index: nothing said there opens another file.
        if not all(isinstance(x, str) for pair in listed for x in pair) or any(
            Path(file).name != file or not file.endswith(".zip") for file, _ in listed
        ):
            raise ValueError("it names what is no shard")
    except DataError:
        raise
    except Exception as error:  # zipfile and JSON raise nearly anything on damaged data
        raise DataError(f"{index.path}: {SHARDS} is damaged or missing ({error}): {_AGAIN}") from None
    return listed
