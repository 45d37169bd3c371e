"""Strips in the folder: read back as they were, checked, and not missed in folders that have none."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stylex.core.errors import StoreError
from stylex.core.explanation import Explanation
from stylex.store.folder import read_explanation, write_explanation


@pytest.fixture
def folder(turned: Explanation, tmp_path: Path) -> Path:
    return write_explanation(turned, tmp_path / "explanation")


def change(folder: Path, strips: list[dict[str, Any]] | None) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["strips"]
    if strips is not None:
        manifest["strips"] = strips
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_strips_are_read_back(turned: Explanation, folder: Path) -> None:
    read = read_explanation(folder).strips
    assert len(read) == 2
    for was, now in zip(turned.strips, read, strict=True):
        assert (was.image, was.attribute, was.shares) == (now.image, now.attribute, now.shares)
        np.testing.assert_array_equal(was.frames, now.frames)
        np.testing.assert_array_equal(was.probabilities, now.probabilities)
        assert now.probabilities.dtype == np.float32
    assert (folder / "images" / "test-0" / "turned" / "2.png").is_file()


def test_a_folder_without_strips_opens(folder: Path) -> None:
    change(folder, None)
    assert read_explanation(folder).strips == ()


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("image", "nobody", "which is not there"),
        ("attribute", 7, "not there"),
        ("shares", [0.0, 0.0, 1.0, 2.0, 3.0], "ascend"),
        ("shares", [0.0], "rows of probabilities"),
        ("probabilities", [[0.5, 0.5]] * 4 + [[1.0]], "needs 2 probabilities"),
        ("probabilities", [[2.0, 0.5]] * 5, "damaged at"),
        ("picture", "../../secret.png", "not a file inside"),
        ("picture", "images/test-1/original.png", "5 frames"),
    ],
)
def test_a_damaged_strip_is_named(folder: Path, key: str, value: Any, words: str) -> None:
    strips = json.loads((folder / "manifest.json").read_text())["strips"]
    change(folder, [{**strips[0], key: value}])
    with pytest.raises(StoreError, match=words):
        read_explanation(folder)


def test_numbers_that_json_cannot_say_are_refused(turned: Explanation, tmp_path: Path) -> None:
    bad = dataclasses.replace(turned.strips[0], probabilities=np.full((5, 2), np.nan, np.float32))
    with pytest.raises(StoreError, match="not finite"):
        write_explanation(dataclasses.replace(turned, strips=(bad,)), tmp_path / "x")
