"""Files by name, wherever a person keeps them: in a folder or in a zip."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol, runtime_checkable

from stylex.core.errors import DataError
from stylex.core.files import read_whole
from stylex.data.images import MAX_BYTES, PictureError
from stylex.data.index import is_nobodys

_UNPACKED = 16 * 2**20
_PADDED = 200
"""Members of a zip that grow beyond both, as pictures and tables do not, are not unpacked."""


@runtime_checkable
class Files(Protocol):
    """Pictures by name, wherever they come from."""

    def read(self, name: str) -> bytes:
        """The picture as a file's bytes; PictureError if they cannot be read. Safe in threads."""
        ...


@runtime_checkable
class Tree(Files, Protocol):
    """Files by name, wherever they lie; names are relative, with ``/``."""

    path: Path
    names: tuple[str, ...]


@contextmanager
def open_tree(path: Path, *, leave_out: Path) -> Iterator[Tree]:
    """The files of a folder or a zip; ``leave_out`` is not among them.

    Raises:
        DataError: there is no such folder or zip, or it cannot be read.
    """
    if path.is_dir():
        yield _Folder(path, leave_out)
        return
    if not path.is_file():  # nor is a pipe, which would be waited for
        raise DataError(f"there is no folder or zip {path}")
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is neither a folder nor a readable zip")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"{path} is not a readable zip ({error})") from None
    with archive:
        yield _Zip(path, archive)


class _Folder:
    def __init__(self, path: Path, leave_out: Path) -> None:
        self.path = path
        try:
            found = sorted(_walk(path, leave_out))
        except OSError as error:
            raise DataError(f"{error.filename or path} cannot be read ({error.strerror or error})") from None
        self._files = printable(found)
        self.names = tuple(self._files)

    def read(self, name: str) -> bytes:
        path = self.path / self._files[name]
        try:
            return read_whole(path, largest=MAX_BYTES)
        except OSError as error:
            raise PictureError(name, f"cannot be read ({error.strerror or error})") from None


def _walk(root: Path, leave_out: Path) -> Iterator[str]:
    """Names of the regular files below a folder; links to folders are followed, but not in circles."""
    seen: set[str] = set()

    def refuse(error: OSError) -> None:
        raise error

    for folder, folders, files in os.walk(root, followlinks=True, onerror=refuse):
        real = os.path.realpath(folder)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(x for x in folders if not is_nobodys(x))
        for file in files:
            path = Path(folder, file)
            if not is_nobodys(file) and path.is_file() and not _is_same(path, leave_out):
                yield path.relative_to(root).as_posix()


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:  # the other is not there
        return False


class _Zip:
    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self.path = path
        self._archive = archive
        infos = {_inside(x.filename): x for x in archive.infolist() if not x.filename.endswith("/")}
        shown = [x for x in sorted(infos) if not any(map(is_nobodys, x.split("/")))]
        self._infos = {name: infos[given] for name, given in printable(shown).items()}
        self.names = tuple(self._infos)

    def read(self, name: str) -> bytes:
        info = self._infos[name]
        if info.file_size > MAX_BYTES:
            raise PictureError(name, f"larger than {MAX_BYTES // 2**20} MiB: refused")
        if info.file_size > max(_UNPACKED, _PADDED * info.compress_size):
            raise PictureError(
                name, f"would unpack to {info.file_size // 2**20} MiB, nearly all of it padding: refused"
            )
        try:
            return self._archive.read(info)
        except Exception as error:  # zipfile, zlib and friends raise nearly anything on damaged data
            raise PictureError(name, f"cannot be read from the zip ({str(error) or type(error).__name__})") from None


def _inside(name: str) -> str:
    """A zip member's name with ``/``, relative."""
    return PurePosixPath(name.replace("\\", "/")).as_posix().lstrip("/")


def printable(names: Sequence[str]) -> dict[str, str]:
    """Names that can be printed and stored (no control characters, all of it text) -> the names given."""
    out: dict[str, str] = {}
    for name in names:
        text = name.encode("utf-8", "replace").decode()
        shown = base = "".join(c if c.isprintable() else "?" for c in text)
        again = 2
        while shown in out:
            stem, suffix = os.path.splitext(base)
            shown, again = f"{stem}~{again}{suffix}", again + 1
        out[shown] = name
    return out
