"""Files and folders that appear whole or not at all. The one module of core that touches the disk: every floor writes.

Each room names the error that its users know (``error``). Whatever ends the writing, a refusal of the system, a
mistake or Ctrl-C, nothing half-written is left, and what was there before is there again.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stylex.core.errors import StoreError, StylexError


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
    temporary = _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
    except OSError as refusal:
        raise cannot_write(path, refusal, error) from refusal
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(
    path: Path,
    *,
    replace: bool = False,
    keep: Callable[[str], bool] | None = None,
    error: type[StylexError] = StoreError,
) -> Iterator[Path]:
    """A temporary folder beside ``path`` to fill; it takes the name ``path`` when the block ends well.

    Args:
        path: the folder to appear; an empty one may be there.
        replace: put it in the place of an existing folder.
        keep: which entries of a replaced folder, by name, go on in the new one.
        error: what its users know.

    Raises:
        StylexError: of type ``error``: the system refused a write, or ``path`` holds something and may not be replaced.
    """
    path = path.resolve()  # a link stays, and what it leads to is replaced
    temporary, old = _beside(path), _beside(path)
    try:
        if not replace and path.is_dir() and any(path.iterdir()):
            raise error(f"{path} exists already; remove it, or choose another place")
        temporary.mkdir(parents=True)
        yield temporary
        if keep is not None and path.is_dir():
            _copy([entry for entry in path.iterdir() if keep(entry.name)], temporary)
        for file in temporary.rglob("*"):
            if file.is_file() and not file.is_symlink():
                _sync(file)
        if path.is_dir():
            os.rename(path, old)
        os.rename(temporary, path)
    except OSError as refusal:
        raise cannot_write(path, refusal, error) from refusal
    finally:
        if old.exists() and not path.exists():
            os.rename(old, path)
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def cannot_write(path: Path, refusal: OSError, error: type[StylexError] = StoreError) -> StylexError:
    """The user's words for a write that the system refused."""
    reason = refusal.strerror or type(refusal).__name__
    return error(f"cannot write {path}: {reason}; free some space, or choose a place you may write to")


def _beside(path: Path) -> Path:
    path = path.absolute()
    return path.parent / f".{path.name}.{secrets.token_hex(4)}"


def _copy(entries: list[Path], folder: Path) -> None:
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            shutil.copytree(entry, folder / entry.name, symlinks=True)
        else:
            shutil.copy2(entry, folder / entry.name, follow_symlinks=False)


def _sync(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
