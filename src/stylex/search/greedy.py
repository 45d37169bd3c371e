"""The one greedy search: add, one after another, what raises a score most on top of what was added before."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from jaxtyping import Float
from numpy import ndarray

T = TypeVar("T")


def greedy(
    pool: Sequence[T],
    score: Callable[[Sequence[T], Sequence[T]], Float[ndarray, " pool"]],
    *,
    start: float,
    num: int,
    excludes: Callable[[T, T], bool],
    least: float = 0.0,
    enough: float = math.inf,
) -> list[T]:
    """Choose from a pool.

    Args:
        pool: what can be chosen.
        score: given what is chosen, and what could be added: the score with each of these added.
        start: the score with nothing chosen.
        num: most to choose.
        excludes: whether something, once chosen, takes another out of the pool; it should take out itself.
        least: smallest rise of the score that counts.
        enough: the score at which to stop.

    Returns:
        What was chosen, in order.
    """
    chosen: list[T] = []
    left, reached = list(pool), start
    while left and len(chosen) < num and reached < enough:
        scores = score(chosen, left)
        best = int(scores.argmax())
        if scores[best] <= reached + least:
            break
        chosen.append(left[best])
        reached = float(scores[best])
        left = [other for other in left if not excludes(chosen[-1], other)]
    return chosen
