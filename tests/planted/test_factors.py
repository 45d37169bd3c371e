"""Kinds of factors: distributed as they say, in 0..1, and with the moments that the rule's score is made by."""

from functools import cache

import numpy as np
import pytest

from stylex.planted.factors import CORRELATION, KINDS, LESION, moments
from stylex.planted.families import FAMILIES
from stylex.planted.images import Planted

pytestmark = pytest.mark.integration

N = 3000


@cache
def drawn(family: str, kind: str) -> Planted:
    return Planted.sample(family, range(N), seed=0, bias=0, kind=kind)


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("kind", KINDS)
def test_factors_lie_in_0_to_1_and_have_the_moments_told(family: str, kind: str) -> None:
    planted = drawn(family, kind)
    mean, covariance = moments(kind, planted.family.factors)
    assert planted.factors.min() >= 0
    assert planted.factors.max() <= 1
    np.testing.assert_allclose(planted.factors.mean(axis=0), mean, atol=0.03)
    np.testing.assert_allclose(np.cov(planted.factors.T), covariance, atol=0.015)


def test_skewed_factors_pile_up_at_one_end_or_the_other() -> None:
    factors = drawn("leaves", "skewed").factors
    centred = factors - factors.mean(axis=0)
    skewness = (centred**3).mean(axis=0) / factors.std(axis=0) ** 3
    assert skewness[::2].min() > 0.8
    assert skewness[1::2].max() < -0.8


def test_discrete_factors_have_two_to_four_levels() -> None:
    factors = drawn("cells", "discrete").factors
    levels = [len(np.unique(column)) for column in factors.T]
    assert levels == [2, 3, 4, 2, 3, 4, 2, 3, 4]


def test_correlated_factors_are_uniform_and_all_pairs_go_together() -> None:
    factors = drawn("leaves", "correlated").factors
    pairs = np.corrcoef(factors.T)[np.triu_indices(factors.shape[1], 1)]
    np.testing.assert_allclose(pairs, CORRELATION, atol=0.08)
    for column in factors.T:
        np.testing.assert_allclose(np.quantile(column, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.04)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_half_of_the_images_have_a_lesion(family: str) -> None:
    planted = drawn(family, "local")
    sizes = planted.factors[:, planted.family.factors.index(LESION)]
    assert abs((sizes > 0).mean() - 0.5) < 0.04
    assert sizes[sizes > 0].min() >= 0.4
    assert planted.family.dots not in FAMILIES[family].factors
