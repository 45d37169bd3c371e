"""Intervals over images: the one bootstrap that every measure uses."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from stylex.core.evaluation import Interval

DRAWS = 1000
"""Bootstrap samples, where not said otherwise."""


def bootstrap(
    statistic: Callable[[Int[ndarray, " n"]], float], n: int, *, draws: int = DRAWS, seed: int = 0
) -> Interval:
    """The statistic over all n images, with the 95% percentile interval over images drawn with replacement.

    Args:
        statistic: from positions of images (some twice, some not at all) to a number. Draws of which it is nan are
            left out.
        n: how many images there are; of none, nothing is measured.
        draws: how many samples.
        seed: of the samples; statistics of the same n images and seed see the same samples.

    Source: Efron 1979.
    """
    if n == 0:
        return Interval.nothing()
    return _interval(float(statistic(np.arange(n))), np.array([statistic(rows) for rows in _samples(n, draws, seed)]))


def mean_interval(values: Float[ndarray, " n"], *, draws: int = DRAWS, seed: int = 0) -> Interval:
    """``bootstrap`` of the mean of a number for each image; images of which it is nan do not count.

    Where all images say yes (1), or all say no (0), all samples are alike, and would claim to be sure: the end of the
    interval is then the exact one for a fraction.

    Source: Clopper & Pearson 1934 (the exact end).
    """
    known = values[np.isfinite(values)].astype(np.float64)
    if len(known) == 0:
        return Interval.nothing()
    end = 0.025 ** (1 / len(known))
    if (known == 1).all():
        return Interval(value=1.0, low=end, high=1.0)
    if (known == 0).all():
        return Interval(value=0.0, low=0.0, high=1 - end)
    return _interval(float(known.mean()), known[_samples(len(known), draws, seed)].mean(axis=1))


def jackknife(statistic: Callable[[Int[ndarray, " m"]], float], n: int, *, groups: int = 10, seed: int = 0) -> Interval:
    """The statistic over all n images, with a 95% interval from leaving out one group of them after another.

    For what images drawn twice would change, as a distance of sets: there ``bootstrap`` is of no use.

    Args:
        statistic: from positions of images, none twice, to a number.
        n: how many images there are; of fewer than two groups of two, the interval is unknown.
        groups: how many, at random, as even as can be.
        seed: of the groups.

    Source: Tukey 1958; with groups, Kott 2001.
    """
    order = np.random.default_rng(seed).permutation(n)
    value = float(statistic(np.sort(order)))
    parts = np.array_split(order, min(groups, n // 2))
    if len(parts) < 2:
        return Interval(value=value, low=float("nan"), high=float("nan"))
    left = np.array([statistic(np.sort(np.setdiff1d(order, part))) for part in parts])
    reach = 1.96 * float(np.sqrt((len(parts) - 1) * left.var()))
    return Interval(value=value, low=value - reach, high=value + reach)


def _samples(n: int, draws: int, seed: int) -> Int[ndarray, "draws n"]:
    return np.random.default_rng(seed).integers(n, size=(draws, n))


def _interval(value: float, sampled: Float[ndarray, " draws"]) -> Interval:
    known = sampled[np.isfinite(sampled)]
    if not np.isfinite(value) or len(known) == 0:
        return Interval(value=value, low=float("nan"), high=float("nan"))
    low, high = np.quantile(known, (0.025, 0.975))
    return Interval(value=value, low=float(low), high=float(high))
