"""Accuracy by groups of images, of which the worst counts where a classifier goes by what it should not."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray

from stylex.core.evaluation import Interval
from stylex.metrics.interval import bootstrap

FEWEST = 10
"""A group of fewer images is too small to be called the worst."""


def worst_group(
    right: Float[ndarray, " n"], group: Int64[ndarray, " n"], *, before: Float[ndarray, " n"] | None = None
) -> Interval:
    """The accuracy of the group where it is lowest, with its interval over images; nan where no group is large enough.

    Args:
        right: 1 for each image that the classifier is right on, else 0.
        group: of each image, from 0.
        before: of another classifier on the same images; the difference of the two worst accuracies is then measured.

    Source: Sagawa et al. 2020 (worst-group accuracy).
    """
    counts = np.bincount(group)
    large = np.flatnonzero(counts >= FEWEST)
    if len(large) == 0:
        return Interval.nothing()

    def worst(of: ndarray, rows: ndarray) -> float:
        n = np.bincount(group[rows], minlength=len(counts))[large]
        hits = np.bincount(group[rows], weights=of[rows], minlength=len(counts))[large]
        return float(np.where(n > 0, hits / np.maximum(n, 1), np.inf).min())

    def statistic(rows: ndarray) -> float:
        return worst(right, rows) - (0.0 if before is None else worst(before, rows))

    return bootstrap(statistic, len(right))
