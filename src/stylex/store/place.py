"""Places to write to: folders of ours are known by their JSON file, and nothing else is ever replaced."""

from __future__ import annotations

import os
from pathlib import Path

from stylex.core.errors import StoreError
from stylex.core.files import check_writable, read_whole
from stylex.core.untrusted import parse_json
from stylex.core.wording import option
from stylex.store.manifest import LARGEST_MANIFEST


def is_ours(file: Path, kind: str) -> bool:
    """Whether a folder's JSON file says that this package wrote it (of whatever version)."""
    try:
        content = parse_json(read_whole(file, largest=LARGEST_MANIFEST))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("schema") == kind


def check_free(target: Path, name: str, kind: str, *, overwrite: bool) -> None:
    """Say before any work that a folder of this kind (``stylex-NOUN``) could not be written there.

    Args:
        target: the folder to be.
        name: of the JSON file by which it is known.
        kind: what the file calls it.
        overwrite: whether one of this kind may be replaced.

    Raises:
        StoreError: something else stands there, one that may not be replaced, or the system refuses.
    """
    noun = kind.removeprefix("stylex-")
    check_writable(target)
    if not os.path.lexists(target):
        return
    if not target.is_dir() or target.is_symlink():
        raise StoreError(f"{target} is not a folder; choose another place for the {noun}")
    if not any(target.iterdir()):
        return
    if not is_ours(target / name, kind):
        raise StoreError(f"{target} holds something else and stays as it is; choose an empty or a new folder")
    if not overwrite:
        raise StoreError(
            f"{target} already holds an {noun}; choose another folder, or give "
            f"{option('overwrite', True)} to replace it"
        )
