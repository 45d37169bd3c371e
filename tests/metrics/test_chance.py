"""Intervals, p-values and the false discovery rate: what chance does."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stylex.metrics.interval import bootstrap, mean_interval
from stylex.metrics.significance import benjamini_hochberg, sign_flip


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


@pytest.mark.parametrize("n", [8, 30])
def test_p_values_of_nothing_are_uniform(n: int) -> None:
    random = np.random.default_rng(1)
    p = np.array([sign_flip(random.standard_normal(n), permutations=499, seed=i) for i in range(400)])
    for level in (0.05, 0.2, 0.5, 0.8):
        assert abs((p <= level).mean() - level) < 3 * math.sqrt(level * (1 - level) / 400) + 1 / 256
    assert p.min() > 0


def test_a_sure_effect_has_the_smallest_p_there_is() -> None:
    assert sign_flip(np.ones(5)) == 1 / 32  # all patterns are tried
    assert sign_flip(np.ones(40), permutations=999) == 1 / 1000
    assert sign_flip(-np.ones(40)) == 1
    assert sign_flip(np.array([])) == 1


def test_q_values_are_those_of_the_definition() -> None:
    q = benjamini_hochberg(np.array([0.04, 0.01, 0.03, 0.5]))
    assert q == pytest.approx([0.04 * 4 / 3, 0.04, 0.04 * 4 / 3, 0.5])


def test_the_false_discovery_rate_is_held() -> None:
    from scipy.stats import norm

    random = np.random.default_rng(2)
    shares, found = [], []
    for _ in range(200):
        z = random.standard_normal(1000)
        z[:100] += 3.5
        q = benjamini_hochberg(norm.sf(z))
        claimed = q <= 0.05
        shares.append(claimed[100:].sum() / max(claimed.sum(), 1))
        found.append(claimed[:100].mean())
    assert np.mean(shares) <= 0.05  # of what is claimed, at most so much is false
    assert np.mean(found) > 0.5


def test_the_mean_is_a_statistic_like_others() -> None:
    values = np.random.default_rng(4).standard_normal(30)
    found, general = mean_interval(values, seed=7), bootstrap(lambda rows: float(values[rows].mean()), 30, seed=7)
    assert (found.value, found.low, found.high) == pytest.approx((general.value, general.low, general.high))
