"""Bootstrap intervals: they cover what they say they cover."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stylex.metrics.interval import bootstrap, jackknife, mean_interval


def test_an_interval_of_a_mean_covers_it_about_95_times_of_100() -> None:
    random = np.random.default_rng(0)
    covered = 0
    for i in range(100):
        found = mean_interval(random.standard_normal(40) + 3, seed=i)
        covered += found.low <= 3 <= found.high
    assert 88 <= covered <= 99


def test_an_interval_is_the_same_for_the_same_seed_and_leaves_out_what_is_unknown() -> None:
    values = np.array([1.0, 2.0, 3.0, np.nan])
    assert mean_interval(values) == mean_interval(values)
    assert mean_interval(values).value == 2
    assert math.isnan(mean_interval(np.array([])).value)
    assert math.isnan(bootstrap(lambda rows: float("nan"), 5).low)


def test_equal_values_have_no_width_but_a_share_of_all_or_none_is_never_sure() -> None:
    found = mean_interval(np.full(9, 0.3))
    assert (found.value, found.low, found.high) == pytest.approx((0.3, 0.3, 0.3))
    every, none = mean_interval(np.ones(100)), mean_interval(np.zeros(100))
    # With a true share at the end of the interval, all 100 say yes in one of 40 cases.
    assert (every.value, every.high) == (1, 1)
    assert every.low**100 == pytest.approx(0.025)
    assert (none.value, none.low, none.high) == (0, 0, pytest.approx(1 - every.low))


def test_leaving_groups_out_covers_a_statistic_that_images_drawn_twice_would_change() -> None:
    random, covered = np.random.default_rng(0), 0
    for i in range(200):
        values = random.standard_normal(60)
        found = jackknife(lambda rows, values=values: float(values[rows].std(ddof=1)), 60, seed=i)
        assert found.value == pytest.approx(values.std(ddof=1))
        covered += found.low <= 1 <= found.high
    assert 175 <= covered <= 199
    assert math.isnan(jackknife(lambda rows: 1.0, 3).low)


def test_the_mean_is_a_statistic_like_others() -> None:
    values = np.random.default_rng(4).standard_normal(30)
    found, general = mean_interval(values, seed=7), bootstrap(lambda rows: float(values[rows].mean()), 30, seed=7)
    assert (found.value, found.low, found.high) == pytest.approx((general.value, general.low, general.high))
