"""Kernel distance (KID): unbiased however few images there are, with an interval."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from stylex.core.evaluation import Interval
from stylex.metrics.features import Features, one_extractor


@dataclass(frozen=True, kw_only=True)
class Kid:
    """A kernel distance.

    Attributes:
        interval: the squared maximum mean discrepancy; 0 on average for equal distributions, so it may be negative.
        extractor: whose features.
        images: in each of the two sets.
    """

    interval: Interval
    extractor: str
    images: tuple[int, int]


def kernel_distance(a: Features, b: Features) -> Kid:
    """The unbiased squared MMD under the kernel (x.y / d + 1)^3, with a 95% interval by the jackknife over images.

    A bootstrap draws images twice, and an image is much like itself: it would be biased. The jackknife leaves each
    image out once, and here in closed form.

    Raises:
        EvaluationError: the features come from two extractors.

    Source: Binkowski et al. 2018; Gretton et al. 2012 (the estimator); Efron & Stein 1981 (the jackknife).
    """
    extractor = one_extractor(a, b)
    n, m = len(a), len(b)
    assert min(n, m) >= 3, "the jackknife of an unbiased estimate needs three images on each side"
    x, y = a.values.astype(np.float64), b.values.astype(np.float64)
    xx, yy, xy = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    np.fill_diagonal(xx, 0)
    np.fill_diagonal(yy, 0)
    within_x, within_y, across = xx.sum(), yy.sum(), xy.sum()
    value = within_x / (n * (n - 1)) + within_y / (m * (m - 1)) - 2 * across / (n * m)
    without_x = (
        (within_x - 2 * xx.sum(axis=1)) / ((n - 1) * (n - 2))
        + within_y / (m * (m - 1))
        - 2 * (across - xy.sum(axis=1)) / ((n - 1) * m)
    )
    without_y = (
        within_x / (n * (n - 1))
        + (within_y - 2 * yy.sum(axis=1)) / ((m - 1) * (m - 2))
        - 2 * (across - xy.sum(axis=0)) / (n * (m - 1))
    )
    variance = (n - 1) * without_x.var() + (m - 1) * without_y.var()
    reach = 1.96 * float(np.sqrt(variance))
    return Kid(
        interval=Interval(value=float(value), low=float(value) - reach, high=float(value) + reach),
        extractor=extractor,
        images=(n, m),
    )


def _kernel(x: Float[ndarray, "n d"], y: Float[ndarray, "m d"]) -> Float[ndarray, "n m"]:
    return np.asarray((x @ y.T / x.shape[1] + 1) ** 3)
