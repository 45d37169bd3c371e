"""The worst group: the lowest of the groups that are large enough, and nothing where none is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stylex.metrics.groups import FEWEST, worst_group


def test_it_is_the_lowest_accuracy() -> None:
    right, group = np.array([1.0] * 40 + [1.0, 0.0] * 10), np.array([0] * 40 + [1] * 20)
    worst = worst_group(right, group)
    assert worst.value == 0.5
    assert worst.low < 0.5 < worst.high


def test_a_small_group_is_not_called_the_worst() -> None:
    right = np.array([1.0] * 40 + [0.0] * (FEWEST - 1))
    group = np.array([0] * 40 + [1] * (FEWEST - 1))
    assert worst_group(right, group).value == 1
    assert math.isnan(worst_group(right[:5], group[:5]).value)


def test_the_difference_is_of_the_two_worst_even_where_they_are_other_groups() -> None:
    group = np.repeat([0, 1], 20)
    before = np.concatenate([np.ones(20), np.tile([1.0, 0.0], 10)])
    after = np.concatenate([np.tile([1.0, 1.0, 1.0, 0.0], 5), np.ones(20)])
    assert worst_group(after, group, before=before).value == pytest.approx(0.25)
    same = worst_group(after, group, before=after)
    assert (same.value, same.low, same.high) == (0, 0, 0)
