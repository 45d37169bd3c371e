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
    random = np.random.default_rng(seed)
    values = np.array([statistic(random.integers(n, size=n)) for _ in range(draws)], dtype=np.float64)
    values = values[np.isfinite(values)]
    value = float(statistic(np.arange(n)))
    if not np.isfinite(value) or len(values) == 0:
        return Interval(value=value, low=float("nan"), high=float("nan"))
    low, high = np.quantile(values, (0.025, 0.975))
    return Interval(value=value, low=float(low), high=float(high))


def mean_interval(values: Float[ndarray, " n"], *, seed: int = 0) -> Interval:
    """The mean of a number for each image, with its bootstrap interval; images of which it is nan do not count."""
    known = values[np.isfinite(values)].astype(np.float64)
    return bootstrap(lambda rows: float(known[rows].mean()), len(known), seed=seed)
