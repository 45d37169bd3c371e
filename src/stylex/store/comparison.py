"""The comparison's folder: its numbers as JSON, checked on reading, and its page."""

from __future__ import annotations

import json
import os
from pathlib import Path

from stylex.core.comparison import Comparison
from stylex.core.errors import StoreError, first_line
from stylex.core.files import check_writable, new_folder, read_whole
from stylex.core.untrusted import parse_json
from stylex.core.wording import option

COMPARISON, PAGE = "comparison.json", "comparison.html"
_LARGEST = 2**26


def write_comparison(comparison: Comparison, page: str, folder: str | Path) -> Path:
    """Write the folder, whole or not at all, and return its path; an older comparison in its place is replaced.

    Args:
        comparison: the numbers.
        page: the HTML that shows them.
        folder: where.

    Raises:
        StoreError: it cannot be written, or the settings hold what JSON cannot say.
    """
    try:
        text = json.dumps(comparison.to_json(), allow_nan=False, ensure_ascii=False, indent=1)
    except (TypeError, ValueError) as error:
        raise StoreError(f"the comparison holds a value that JSON cannot say ({error}); use plain numbers") from error
    with new_folder(Path(folder), replace=True) as building:
        (building / COMPARISON).write_text(f"{text}\n", encoding="utf-8")
        (building / PAGE).write_text(page, encoding="utf-8")
    return Path(folder)


def read_comparison(path: str | Path) -> Comparison:
    """Read what ``stylex compare`` wrote: the folder, or its ``comparison.json``.

    Raises:
        StoreError: it is missing, something else, of another version or damaged.
    """
    file = Path(path) / COMPARISON if Path(path).is_dir() else Path(path)
    try:
        row = parse_json(read_whole(file, largest=_LARGEST))
        if not isinstance(row, dict):
            raise ValueError("it is not a JSON object")
        return Comparison.from_json(row)
    except FileNotFoundError:
        raise StoreError(f"there is no comparison {file}; make one with `stylex compare`") from None
    except (OSError, ValueError, OverflowError) as error:
        raise StoreError(f"{file} is not a comparison that can be read: {first_line(error)}; compare again") from error


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Say before any work that a comparison could not be written there.

    Raises:
        StoreError: something else stands there, a comparison that may not be replaced, or the system refuses.
    """
    check_writable(folder)
    if not os.path.lexists(folder):
        return
    if not folder.is_dir() or folder.is_symlink():
        raise StoreError(f"{folder} is not a folder; choose another place for the comparison")
    names = {entry.name for entry in folder.iterdir()}
    if not names:
        return
    if COMPARISON not in names or names - {COMPARISON, PAGE}:
        raise StoreError(f"{folder} holds something else and stays as it is; choose an empty or a new folder")
    if not overwrite:
        raise StoreError(
            f"{folder} already holds a comparison; choose another folder, or give {option('overwrite', True)} to "
            "replace it"
        )
