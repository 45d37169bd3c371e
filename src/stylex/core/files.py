"""Files and folders that appear whole or not at all. Of core, this and ``lock.py`` touch the disk: every floor writes.

Each room names the error that its users know (``error``). Whatever ends the writing, a refusal of the system, a
mistake or Ctrl-C, nothing half-written is left, and what was there before is there again. What a killed process
leaves (hidden, beside the place, with its process number in the name) is cleared by the next one that writes there.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import re
import secrets
import shutil
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from stylex.core.errors import StoreError, StylexError

_OLD = "-old"


def write_whole(path: Path, data: bytes | memoryview, *, error: type[StylexError] = StoreError) -> None:
    """Write ``data`` to ``path`` so that a reader sees the old file or the new one, never a part.

    Raises:
        StylexError: of type ``error``: the file cannot be written (full disk, no permission).
    """
    with new_file(path, error=error) as temporary:
        temporary.write_bytes(data)


@contextmanager
def new_file(path: Path, *, error: type[StylexError] = StoreError) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to; it takes the place of ``path`` when the block ends well.

    Raises:
        StylexError: of type ``error``: the system refused a write.
    """
    path = sayable(path, error)
    temporary = _beside(path)
    try:
        with parents_of(path):
            _clear_leftovers(path)
            try:
                yield temporary
                _sync(temporary)
                os.replace(temporary, path)
            finally:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)
    except OSError as refusal:
        raise cannot_write(path, refusal, error) from refusal


@contextmanager
def new_folder(
    path: Path,
    *,
    replace: bool = False,
    keep: Callable[[str], bool] | None = None,
    error: type[StylexError] = StoreError,
) -> Iterator[Path]:
    """A temporary folder beside ``path`` to fill; it takes the name ``path`` when the block ends well.

    An existing folder and the new one exchange their names in one step, where the system can do that; else the old
    one steps aside first, and if the process is killed just then, the next one that writes here puts it back.

    Args:
        path: the folder to appear; an empty one may be there.
        replace: put it in the place of an existing folder.
        keep: which entries of a replaced folder, by name, go on in the new one.
        error: what its users know.

    Raises:
        StylexError: of type ``error``: the system refused a write, or ``path`` holds something and may not be replaced.
    """
    path = sayable(path, error)
    try:
        path = path.resolve()  # a link stays, and what it leads to is replaced
    except (OSError, RuntimeError) as refusal:  # links in a circle
        raise error(f"cannot write {path}: {refusal}; choose another place") from refusal
    temporary = _beside(path)
    old = temporary.with_name(temporary.name + _OLD)
    try:
        with parents_of(path):
            _clear_leftovers(path)
            if not replace and path.is_dir() and any(path.iterdir()):
                raise error(f"{path} exists already; remove it, or choose another place")
            try:
                temporary.mkdir()
                yield temporary
                if keep is not None and path.is_dir():
                    _copy([entry for entry in path.iterdir() if keep(entry.name)], temporary)
                for file in temporary.rglob("*"):
                    if file.is_file() and not file.is_symlink():
                        _sync(file)
                if not path.is_dir():
                    os.rename(temporary, path)
                elif not _exchange(temporary, path):
                    os.rename(path, old)
                    os.rename(temporary, path)
            finally:
                if old.exists() and not path.exists():
                    os.rename(old, path)
                shutil.rmtree(temporary, ignore_errors=True)
                shutil.rmtree(old, ignore_errors=True)
    except OSError as refusal:
        raise cannot_write(path, refusal, error) from refusal


def check_writable(path: Path, *, error: type[StylexError] = StoreError) -> None:
    """Say before any work that ``path`` could not be written; nothing stays of the attempt.

    Raises:
        StylexError: of type ``error``: the system refuses.
    """
    path = sayable(path, error).absolute()
    probe = _beside(path)
    try:
        with suppress(FileNotFoundError):
            path.lstat()  # a name that is too long
        with parents_of(path, keep=False):
            probe.mkdir()
            probe.rmdir()
    except OSError as refusal:
        raise cannot_write(path, refusal, error) from refusal


def read_whole(path: Path, *, largest: int = 2**36) -> bytes:
    """The bytes of a regular file of at most ``largest`` bytes; a pipe, a device or a folder is never opened.

    Raises:
        OSError: it is none, is not there, is larger, does not fit into memory, or the system refuses.
    """
    if "\0" in str(path):
        raise FileNotFoundError(errno.ENOENT, "no file has a null character in its name", str(path))
    known = os.stat(path)
    if stat.S_ISDIR(known.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(known.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    if known.st_size > largest:
        raise OSError(errno.EFBIG, f"it is larger than {largest // 2**20} MiB", str(path))
    try:
        with open(path, "rb") as file:
            return file.read(known.st_size)
    except MemoryError:
        raise OSError(errno.ENOMEM, "it does not fit into memory", str(path)) from None


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a path, with all links followed, lies in a folder; False where links go in circles."""
    try:
        resolved = path.resolve()
        return not os.path.islink(resolved) and resolved.is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):
        return False


def cannot_write(path: Path, refusal: OSError, error: type[StylexError] = StoreError) -> StylexError:
    """The user's words for a write that the system refused."""
    reason = refusal.strerror or type(refusal).__name__
    return error(f"cannot write {path}: {reason}; free some space, or choose a place you may write to")


def sayable(path: Path, error: type[StylexError]) -> Path:
    """The path, if a file can be called so.

    Raises:
        StylexError: of type ``error``: it holds null characters.
    """
    if "\0" in str(path):
        raise error(f"cannot write {str(path)!r}: a name holds no null characters; choose another")
    return path


@contextmanager
def parents_of(path: Path, *, keep: bool = True) -> Iterator[None]:
    """The folders above a path, made where they are missing; gone again if the block fails."""
    missing = [folder for folder in path.absolute().parents if not folder.exists()]
    kept = False
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
        kept = keep
    finally:
        for folder in [] if kept else missing:
            with suppress(OSError):
                folder.rmdir()


# Temporary names: .NAME.HOST-PROCESS-RANDOM, so that the next writer can tell whose they are.


def _beside(path: Path) -> Path:
    path = path.absolute()
    return path.parent / f"{_prefix(path)}{_host()}-{os.getpid()}-{secrets.token_hex(4)}"


def _prefix(path: Path) -> str:
    return f".{path.name[:40]}."


@cache
def _host() -> str:
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]


def _clear_leftovers(path: Path) -> None:
    """Remove what killed processes of this machine left beside a path, and put an old folder back if it is gone."""
    path = path.absolute()
    ours = re.compile(rf"{re.escape(_prefix(path))}{_host()}-(\d{{1,10}})-[0-9a-f]{{8}}({_OLD})?")
    with suppress(OSError):
        for name in os.listdir(path.parent):
            found = ours.fullmatch(name)
            if not found or is_alive(int(found[1])):
                continue
            left = path.parent / name
            if found[2] and not path.exists():
                os.rename(left, path)
            elif left.is_dir() and not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()


def is_alive(process: int) -> bool:
    """Whether there is a process of that number on this machine."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's
        return True
    return True


def _exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two folders in one step; False where the system or the disk cannot."""
    swap = 2  # RENAME_EXCHANGE of Linux, RENAME_SWAP of macOS
    libc: Any = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None
    names = (os.fsencode(one), os.fsencode(other))
    if sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(*names, ctypes.c_uint(swap))
    elif hasattr(libc, "renameat2"):
        here = -100  # AT_FDCWD
        failed = libc.renameat2(here, names[0], here, names[1], ctypes.c_uint(swap))
    else:
        return False
    if failed and ctypes.get_errno() not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(other))
    return not failed


def _copy(entries: list[Path], folder: Path) -> None:
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, folder / entry.name, symlinks=True)
        else:
            shutil.copy2(entry, folder / entry.name, follow_symlinks=False)


def _sync(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
