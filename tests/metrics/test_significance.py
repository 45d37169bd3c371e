"""Randomisation tests and false discovery rates: sure where they can be, uniform where there is nothing."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from stylex.metrics.significance import benjamini_hochberg, holm, largest_sign_flip, sign_flip


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


def test_holms_values_are_those_of_the_definition() -> None:
    # 0.01 * 4, 0.02 * 3 = 0.06, 0.03 * 2 = 0.06, 0.5 * 1
    assert holm(np.array([0.03, 0.01, 0.5, 0.02])) == pytest.approx([0.06, 0.04, 0.5, 0.06])
    assert holm(np.array([0.6, 0.7])) == pytest.approx([1, 1])
    assert holm(np.array([])).shape == (0,)


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


def test_noise_is_called_significant_rarely() -> None:
    random = np.random.default_rng(1)
    smallest = [largest_sign_flip(random.normal(size=(15, 80)), permutations=200, seed=i).min() for i in range(100)]
    assert np.mean(np.array(smallest) <= 0.05) <= 0.12


def test_significance_of_few_images_counts_every_pattern_of_signs() -> None:
    table = np.random.default_rng(2).normal((1.0, 0.0, 0.3, -1.0), size=(6, 4))
    unit = table / np.sqrt(np.square(table).mean(axis=0))
    flips = np.array(list(product([1, -1], repeat=6)))
    largest = (flips @ unit).max(axis=1)
    expected = [(largest >= total - 1e-6).mean() for total in unit.sum(axis=0)]
    np.testing.assert_allclose(largest_sign_flip(table, permutations=64), expected)


def test_a_strong_coordinate_does_not_drown_a_weak_steady_one() -> None:
    random = np.random.default_rng(3)
    table = np.stack([50 + random.normal(size=100), 0.3 + 0.1 * random.normal(size=100), random.normal(size=100)], 1)
    p = largest_sign_flip(table)
    assert (p[:2] < 0.01).all()
    assert p[2] > 0.05
