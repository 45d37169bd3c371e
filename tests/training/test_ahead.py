"""Batches drawn ahead are those that are drawn when they are asked for."""

from __future__ import annotations

import threading

import pytest

from stylex.core.errors import DataError
from stylex.training.ahead import Ahead


@pytest.mark.parametrize("by_thread", [False, True])
def test_each_batch_is_drawn_once_and_in_order(by_thread) -> None:
    drawn: list[tuple[int, bool]] = []

    def draw(nimg: int) -> int:
        drawn.append((nimg, threading.current_thread() is threading.main_thread()))
        return nimg

    ahead = Ahead(draw, size=4, total=18, by_thread=by_thread)
    assert [ahead.take(nimg) for nimg in range(8, 18, 4)] == [8, 12, 16]
    ahead.close()
    assert [nimg for nimg, _ in drawn] == [8, 12, 16]
    assert [by_main for _, by_main in drawn] == [True, not by_thread, not by_thread]


def test_one_that_was_not_expected_is_drawn_all_the_same() -> None:
    ahead = Ahead(lambda nimg: nimg, size=4, total=100, by_thread=True)
    assert [ahead.take(nimg) for nimg in (0, 8, 4)] == [0, 8, 4]
    ahead.close()


def test_what_goes_wrong_is_said_when_the_batch_is_asked_for() -> None:
    def draw(nimg: int) -> int:
        if nimg == 4:
            raise DataError("damaged there")
        return nimg

    ahead = Ahead(draw, size=4, total=100, by_thread=True)
    assert ahead.take(0) == 0
    with pytest.raises(DataError, match="damaged there"):
        ahead.take(4)
    ahead.close()
