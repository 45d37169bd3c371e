"""The audit's folder: its numbers as JSON, and what people and pipelines read."""

from __future__ import annotations

import json
import os
from pathlib import Path

from stylex.core.audited import Audit
from stylex.core.errors import StoreError
from stylex.core.files import check_writable, new_folder
from stylex.core.wording import option

AUDIT, MARKDOWN, JUNIT = "audit.json", "audit.md", "junit.xml"


def write_audit(audit: Audit, folder: str | Path, *, markdown: str, junit: str) -> Path:
    """Write the folder, whole or not at all, and return its path; an older audit in its place is replaced.

    Args:
        audit: the numbers.
        folder: where.
        markdown, junit: the same for people and for pipelines.

    Raises:
        StoreError: it cannot be written.
    """
    text = json.dumps(audit.to_json(), allow_nan=False, ensure_ascii=False, indent=1)
    with new_folder(Path(folder), replace=True) as building:
        (building / AUDIT).write_text(f"{text}\n", encoding="utf-8")
        (building / MARKDOWN).write_text(markdown, encoding="utf-8")
        (building / JUNIT).write_text(junit, encoding="utf-8")
    return Path(folder)


def check_audit_place(folder: Path, *, overwrite: bool) -> None:
    """Say before any work that an audit could not be written there.

    Raises:
        StoreError: something else stands there, an audit that may not be replaced, or the system refuses.
    """
    check_writable(folder)
    if not os.path.lexists(folder):
        return
    if not folder.is_dir() or folder.is_symlink():
        raise StoreError(f"{folder} is not a folder; choose another place for the audit")
    names = {entry.name for entry in folder.iterdir()}
    if not names:
        return
    if AUDIT not in names or names - {AUDIT, MARKDOWN, JUNIT}:
        raise StoreError(f"{folder} holds something else and stays as it is; choose an empty or a new folder")
    if not overwrite:
        raise StoreError(
            f"{folder} already holds an audit; choose another folder, or give {option('overwrite', True)} to replace it"
        )
