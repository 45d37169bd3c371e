"""Krippendorff's alpha: how far observers agree, beyond what the same answers dealt out at random would."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def unlike(a: Hashable, b: Hashable) -> float:
    """The distance of names: 0 where they are the same, else 1."""
    return 0.0 if a == b else 1.0


def apart(a: frozenset[str], b: frozenset[str]) -> float:
    """The distance of two sets: 1 less the share of all their members that both have (Jaccard)."""
    return 0.0 if a == b else 1 - len(a & b) / len(a | b)


def alpha(units: Sequence[Sequence[T]], distance: Callable[[T, T], float] = unlike) -> float:
    """1: all observers say the same of every unit; 0: they agree as by chance; below: less than that.

    Args:
        units: for each thing that was judged, what its observers said of it; things with fewer than two do not count.
        distance: between two answers, 0 of equal ones.

    Returns:
        1 - D_o / D_e, with D_o the mean distance within units (each pair weighted by 1 / (m - 1) in a unit of m) and
        D_e that of all pairs of answers. nan where all answers are alike, or there are no pairs.

    Source: Krippendorff 2011, Computing Krippendorff's alpha-reliability.
    """
    paired = [unit for unit in units if len(unit) > 1]
    counts: dict[T, int] = {}
    within = 0.0
    for unit in paired:
        for answer in unit:
            counts[answer] = counts.get(answer, 0) + 1
        within += sum(distance(a, b) for a in unit for b in unit) / (len(unit) - 1)
    n = sum(counts.values())
    between = sum(many * others * distance(a, b) for a, many in counts.items() for b, others in counts.items())
    return math.nan if between == 0 else 1 - (within / n) / (between / (n * (n - 1)))
