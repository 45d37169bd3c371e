"""The overview of all classes: ``overview.json``, its page, and an explanation folder a class below ``classes/``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stylex.core.errors import StoreError
from stylex.core.files import read_whole, write_whole
from stylex.core.overview import Overview
from stylex.core.untrusted import parse_json
from stylex.store.place import check_free, is_ours

OVERVIEW, PAGE, CLASSES = "overview.json", "index.html", "classes"
SCHEMA, VERSION = "stylex-overview", 1
_LARGEST = 2**26


def check_overview(folder: Path, *, overwrite: bool) -> None:
    """Say before any work that an overview could not be written there; one that was interrupted goes on.

    Raises:
        StoreError: something else stands there, a finished one that may not be replaced, or the system refuses.
    """
    if not _unfinished(folder):
        check_free(folder, OVERVIEW, SCHEMA, overwrite=overwrite)


def begin_overview(folder: Path) -> None:
    """Mark the folder as one of an overview that is not finished; what lies there stays until it is replaced.

    Raises:
        StoreError: it cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / OVERVIEW, _packed({"finished": False}))


def finish_overview(overview: Overview, page: str, folder: Path) -> None:
    """Write the page and, after it, the numbers.

    Raises:
        StoreError: they cannot be written, or the settings hold what JSON cannot say.
    """
    numbers = _packed({"finished": True, **overview.to_json()})
    write_whole(folder / PAGE, page.encode())
    write_whole(folder / OVERVIEW, numbers)


def _packed(content: dict[str, Any]) -> bytes:
    try:
        text = json.dumps(
            {"schema": SCHEMA, "version": VERSION, **content}, allow_nan=False, ensure_ascii=False, indent=1
        )
    except (TypeError, ValueError) as error:
        raise StoreError(f"the overview holds a value that JSON cannot say ({error}); use plain numbers") from error
    return f"{text}\n".encode()


def _unfinished(folder: Path) -> bool:
    file = folder / OVERVIEW
    if folder.is_symlink() or not is_ours(file, SCHEMA):
        return False
    content = parse_json(read_whole(file, largest=_LARGEST))
    return isinstance(content, dict) and content.get("finished") is False
