"""Files and folders that appear whole or not at all; used by every floor that writes."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stylex.core.errors import StoreError


def write_whole(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` so that a reader sees the old file or the new one, never a part.

    Raises:
        StoreError: the file cannot be written (full disk, no permission); nothing half-written is left.
    """
    with new_file(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A temporary name beside ``path`` to write to; it takes the place of ``path`` when the block ends well.

    Raises:
        StoreError: the system refused a write; the temporary file is gone and ``path`` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _sync(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """A temporary folder beside ``path`` to fill; it takes the name ``path`` when the block ends well.

    Args:
        path: the folder to appear.
        replace: put it in the place of an existing folder.

    Raises:
        StoreError: the system refused a write, or ``path`` exists and may not be replaced.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    old = path.with_name(f".{path.name}.{secrets.token_hex(4)}.old")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _sync(file)
        if replace and path.exists():
            os.rename(path, old)
        os.rename(temporary, path)
    except OSError as error:
        if old.exists() and not path.exists():
            os.rename(old, path)
        raise cannot_write(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def cannot_write(path: Path, error: OSError) -> StoreError:
    """The user's words for a write that the system refused."""
    reason = error.strerror or type(error).__name__
    return StoreError(f"cannot write {path}: {reason}; free some space, or choose a place you may write to")


def _sync(path: Path) -> None:
    with open(path, "rb") as file:
        os.fsync(file.fileno())
