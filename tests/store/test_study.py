"""The study folder: what is written is read, nothing is replaced, and what is damaged is refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stylex.core.errors import StoreError
from stylex.core.study import Asked, Flicker, Item, Study, Subject
from stylex.store.study import LINKS, STUDY, digest_of, read_picture, read_study, read_tokens, write_links, write_study

STUDY_OF_TWO = Study(
    title="Corners",
    consent="It is your choice.",
    seed=0,
    subjects=tuple(Subject(method="ours", position=i, name=f"corner {i}", target="bright") for i in range(2)),
    flickers=tuple(
        Flicker(before=f"pictures/{2 * i:05d}.png", after=f"pictures/{2 * i + 1:05d}.png", image=f"image-{i}")
        for i in range(5)
    ),
    items=(
        Item(kind="sort", role="question", block=0, subjects=(0, 1), examples=((0, 1), (2, 3)), picture=4, truth=1),
        Item(kind="describe", role="question", block=1, subjects=(0,), examples=((0, 1),)),
        Item(kind="describe", role="check", block=2, subjects=(), word="river"),
        Item(kind="clinical", role="question", block=3, subjects=(1,), picture=2),
    ),
    orders=(
        (Asked(item=0, flipped=True, right=0), Asked(item=1), Asked(item=2), Asked(item=3)),
        (Asked(item=0, right=1), Asked(item=3), Asked(item=2), Asked(item=1)),
    ),
    notes=("Drawn for tests.",),
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = [name for flicker in STUDY_OF_TWO.flickers for name in (flicker.before, flicker.after)]
    pictures = {name: np.full((4, 4, 1), 20 * i, np.uint8) for i, name in enumerate(names)}
    return write_study(STUDY_OF_TWO, pictures, tmp_path / "study")


def test_what_is_written_is_read(folder: Path) -> None:
    assert read_study(folder) == STUDY_OF_TWO
    assert read_picture(folder, "pictures/00003.png").startswith(b"\x89PNG")
    assert len(digest_of(folder)) == 64


def test_each_rater_has_a_secret_of_his_own_that_others_cannot_read(folder: Path) -> None:
    tokens = read_tokens(folder)
    assert len(set(tokens)) == 2
    assert all(len(token) == 22 for token in tokens)
    assert (folder / LINKS).stat().st_mode & 0o077 == 0
    assert not any(token in (folder / STUDY).read_text() for token in tokens)
    write_links(folder, tokens, "https://study.example.org/")
    assert f"2,https://study.example.org/r/{tokens[1]}/\n" in (folder / LINKS).read_text()
    assert read_tokens(folder) == tokens


def test_no_study_is_ever_replaced(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="whose answers would be lost; choose another folder"):
        write_study(STUDY_OF_TWO, {}, folder)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").touch()
    with pytest.raises(StoreError, match="is not empty; choose another folder"):
        write_study(STUDY_OF_TWO, {}, tmp_path / "other")
    with pytest.raises(StoreError, match="is not a folder"):
        write_study(STUDY_OF_TWO, {}, tmp_path / "other" / "mine.txt")


def harmed(folder: Path, *path: Any, to: Any) -> None:
    content = json.loads((folder / STUDY).read_text())
    inner = content
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    (folder / STUDY).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("items", 0, "picture"), 5),
        (("items", 0, "picture"), None),
        (("items", 0, "subjects"), [0, 2]),
        (("items", 0, "subjects"), [0]),
        (("items", 0, "examples"), [[0, 1]]),
        (("items", 0, "truth"), None),
        (("items", 0, "truth"), 0),
        (("items", 1, "subjects"), []),
        (("items", 2, "word"), None),
        (("items", 0, "kind"), "draw"),
        (("orders", 0, 0), [4, 0, 0]),
        (("orders", 0, 0), [0, 1, 1]),
        (("orders", 0, 0), [0, 1, None]),
        (("orders", 0, 1), [1, 0, 1]),
        (("orders", 0, 1), [0, 1, 0]),
        (("orders", 0), []),
        (("flickers", 0, "before"), "../../etc/passwd"),
        (("flickers", 0, "before"), "pictures/../00001.png"),
        (("title",), 3),
        (("version",), 2),
        (("schema",), "stylex-explanation"),
    ],
)
def test_what_contradicts_itself_is_refused(folder: Path, path: tuple[Any, ...], to: Any) -> None:
    harmed(folder, *path, to=to)
    with pytest.raises(StoreError, match=r"study\.json"):
        read_study(folder)


@pytest.mark.parametrize("content", ["", "rater,link\n", "rater,link\n1,http://x/r/short/\n", "a,b\n", "\xff"])
def test_links_that_are_none_are_refused(folder: Path, content: str) -> None:
    (folder / LINKS).write_bytes(content.encode("latin-1"))
    with pytest.raises(StoreError, match=r"links\.csv"):
        read_tokens(folder)


def test_two_raters_with_one_link_are_refused(folder: Path) -> None:
    write_links(folder, [read_tokens(folder)[0]] * 2, "")
    with pytest.raises(StoreError, match="two raters have one link"):
        read_tokens(folder)


def test_what_is_missing_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="'stylex study new' wrote"):
        read_study(tmp_path / "nothing")
    with pytest.raises(StoreError, match="is not a study folder"):
        read_study(tmp_path)
    (folder / "pictures" / "00001.png").write_bytes(b"<script>")
    with pytest.raises(StoreError, match="is no PNG"):
        read_picture(folder, "pictures/00001.png")
    with pytest.raises(StoreError, match="cannot be read"):
        read_picture(folder, "pictures/00099.png")
