"""Attributes of two searches matched by what they do."""

from __future__ import annotations

import numpy as np
import pytest

from stylex.metrics.stability import stability

K, N, SIDE = 4, 40, 16


@pytest.mark.parametrize("sign", [1, -1])
def test_the_same_attributes_in_another_order_and_the_other_way_round_are_matched(
    sign: int, pictures, distinct
) -> None:
    before = pictures()
    after, effects = distinct(before)
    changes = after - before
    order = np.array([2, 0, 3, 1])
    found = stability(effects, changes, sign * effects[order], sign * changes[order], shuffles=50)
    assert found.pairs == tuple((int(k), int(np.flatnonzero(order == k)[0])) for k in range(K))
    assert found.similarity == pytest.approx(np.ones(K), abs=1e-5)
    assert found.fraction == 1
    assert found.null.max() < 1
    assert found.p == pytest.approx(1 / 51)


def test_unrelated_attributes_are_not_matched_beyond_their_null() -> None:
    random = np.random.default_rng(3)
    sides = [(random.standard_normal((K, N, 2)), random.standard_normal((K, N, 30)).astype(np.float32)) for _ in "ab"]
    found = stability(*sides[0], *sides[1], shuffles=99)
    assert found.fraction == 0
    assert found.p > 0.02


def test_rankings_of_different_length_are_matched_as_far_as_they_go(pictures, distinct) -> None:
    before = pictures()
    after, effects = distinct(before)
    found = stability(effects[:2], (after - before)[:2], effects, after - before, shuffles=20)
    assert found.pairs == ((0, 0), (1, 1))
