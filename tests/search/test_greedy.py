"""The greedy search: what it takes, in which order, and where it stops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stylex.search.greedy import greedy

WORTH = {"a": 3.0, "b": 2.0, "A": 2.5, "c": 0.05, "d": -1.0}


def score(chosen: Sequence[str], added: Sequence[str]) -> np.ndarray:
    return np.array([sum(WORTH[name] for name in [*chosen, one]) for one in added])


def same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def test_the_best_come_first_and_rivals_are_left_out() -> None:
    assert greedy("dcbaA", score, start=0.0, num=9, excludes=same) == ["a", "b", "c"]


def test_it_stops_at_enough_at_the_number_and_where_nothing_is_gained() -> None:
    assert greedy("dcbaA", score, start=0.0, num=9, excludes=same, enough=3.0) == ["a"]
    assert greedy("dcbaA", score, start=0.0, num=2, excludes=same) == ["a", "b"]
    assert greedy("dcbaA", score, start=0.0, num=9, excludes=same, least=0.1) == ["a", "b"]
    assert greedy("d", score, start=0.0, num=9, excludes=same) == []
    assert greedy("a", score, start=5.0, num=9, excludes=same, enough=5.0) == []
