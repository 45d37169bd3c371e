"""The machine that takes part: it sees changes, and is told no more than a person."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylex.core.errors import ConfigError, StoreError
from stylex.store.answers import read_answers
from stylex.study.machine import by_first_picture, cast_of, chosen, observed, seen, simulate


def png(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def pair(seed: int, part: slice, amount: int) -> tuple[np.ndarray, np.ndarray]:
    before = np.random.default_rng(seed).integers(60, 190, (16, 16), dtype=np.uint8)
    after = before.copy()
    after[part] = before[part] + amount
    return seen(png(before), png(after))


def test_it_sorts_by_what_changes_whatever_the_picture() -> None:
    top, bottom = slice(0, 8), slice(8, 16)
    examples = [[pair(0, top, 50), pair(1, top, 50)], [pair(2, bottom, 50), pair(3, bottom, 50)]]
    assert [chosen(examples, pair(9, part, 50)) for part in (top, bottom)] == [0, 1]
    assert chosen(examples, pair(2, top, 50)) == 0
    assert chosen(examples, pair(2, top, 50), by_first_picture) == 1  # the same picture as an example of the other side


def test_it_sees_nothing_where_nothing_changes() -> None:
    still = pair(0, slice(0, 0), 0)
    assert chosen([[still, still], [still, still]], still) == 0


def test_what_it_makes_of_a_study(made) -> None:
    folder, study = made()
    told = observed(folder, study)
    assert set(told) == {i for i, item in enumerate(study.items) if item.kind == "sort" and item.role == "question"}
    assert all(one.change for one in told.values())
    assert 0.1 < np.mean([one.first for one in told.values()]) < 0.9


def test_a_picture_that_is_none_is_said(made) -> None:
    folder, study = made()
    (folder / study.flickers[0].after).write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    with pytest.raises(StoreError, match="cannot be read"):
        observed(folder, study)


def test_who_takes_part() -> None:
    assert cast_of(5) == ["looks", "looks", "guesses", "left", "leaves"]
    with pytest.raises(ConfigError, match="needs 4 or more"):
        cast_of(3)


def test_the_whole_loop_over_http(made) -> None:
    folder, study = made(attributes=2, images=2)
    length = len(study.orders[0])
    given = simulate(folder, ["looks", "left", "leaves"], together=3)
    assert given == [length, length, (length + 1) // 2]
    answers = read_answers(folder, study)
    assert len(answers.given) == sum(given)
    assert {answer.side for answer in answers.given if answer.rater == 1 and answer.side is not None} == {0}


def test_too_few_links_are_said(made, tmp_path: Path) -> None:
    folder, _ = made()
    with pytest.raises(StoreError, match="links for 6 raters; 7 are to take part"):
        simulate(folder, ["looks"] * 7)
