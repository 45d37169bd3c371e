"""The comparison's folder: whole, read back, and nothing else is overwritten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stylex.core.comparison import Cell, Compared, Comparison
from stylex.core.errors import StoreError
from stylex.store.comparison import COMPARISON, PAGE, check_folder, read_comparison, write_comparison

MADE = Comparison(
    labels=("a", "b"), searched=4, measured=8, change=0.1, perceptual=0.2, reference=None, extractor="e",
    rows=(Compared(name="one", title="One", about="x", kind="moves", cells={"flips": Cell(0.5, 0.1, 0.9)}),),
    settings={"seed": 0}, snapshot={"path": "run", "sha256": "0"},
)  # fmt: skip


def test_a_comparison_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = write_comparison(MADE, "<!doctype html>", tmp_path / "comparison")
    assert sorted(entry.name for entry in folder.iterdir()) == sorted([COMPARISON, PAGE])
    for place in (folder, folder / COMPARISON):
        assert read_comparison(place).to_json() == MADE.to_json()


def test_what_stands_there_is_not_overwritten_unasked(tmp_path: Path) -> None:
    folder = tmp_path / "comparison"
    check_folder(folder, overwrite=False)
    write_comparison(MADE, "", folder)
    with pytest.raises(StoreError, match="already holds a comparison"):
        check_folder(folder, overwrite=False)
    check_folder(folder, overwrite=True)
    (folder / "letter.txt").write_text("dear")
    with pytest.raises(StoreError, match="something else and stays"):
        check_folder(folder, overwrite=True)
    with pytest.raises(StoreError, match="is not a folder"):
        check_folder(folder / "letter.txt", overwrite=True)


def test_what_is_no_comparison_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no comparison"):
        read_comparison(tmp_path / "none")
    for text in ("[]", "{", json.dumps({"schema": "other"})):
        (tmp_path / COMPARISON).write_text(text)
        with pytest.raises(StoreError, match="not a comparison that can be read"):
            read_comparison(tmp_path)
