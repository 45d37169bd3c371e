"""Precision and recall of generated images: are they like real ones, and do they reach all real ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from stylex.core.evaluation import Interval
from stylex.metrics.features import Features, one_extractor
from stylex.metrics.interval import mean_interval

NEIGHBOURS = 3
"""The k of the k-nearest-neighbour balls, as in the source."""


@dataclass(frozen=True, kw_only=True)
class PrecisionRecall:
    """How two sets of images cover each other.

    Attributes:
        precision: fraction of generated images inside the real ones' manifold.
        recall: fraction of real images inside the generated ones' manifold.
        extractor: whose features.
        images: real, generated.
    """

    precision: Interval
    recall: Interval
    extractor: str
    images: tuple[int, int]


def precision_recall(real: Features, generated: Features, *, k: int = NEIGHBOURS) -> PrecisionRecall:
    """Precision and recall by balls that reach each image's k-th nearest neighbour.

    Raises:
        EvaluationError: the features come from two extractors.

    Source: Kynkaanniemi et al. 2019.
    """
    extractor = one_extractor(real, generated)
    assert min(len(real), len(generated)) > k, "the k-th neighbour must be there"
    a, b = real.values.astype(np.float64), generated.values.astype(np.float64)
    return PrecisionRecall(
        precision=mean_interval(_inside(b, a, k).astype(np.float64)),
        recall=mean_interval(_inside(a, b, k).astype(np.float64)),
        extractor=extractor,
        images=(len(real), len(generated)),
    )


def _inside(points: Float[ndarray, "n d"], manifold: Float[ndarray, "m d"], k: int) -> Bool[ndarray, " n"]:
    """Whether each point lies in the ball of any point of the manifold."""
    own = _squared(manifold, manifold)
    np.fill_diagonal(own, np.inf)
    radius = np.partition(own, k - 1, axis=1)[:, k - 1]
    return np.asarray((_squared(points, manifold) <= radius).any(axis=1))


def _squared(x: Float[ndarray, "n d"], y: Float[ndarray, "m d"]) -> Float[ndarray, "n m"]:
    centre = y.mean(axis=0)  # distances do not change, and rounding does
    x, y = x - centre, y - centre
    return np.asarray(np.maximum((x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1) - 2 * x @ y.T, 0.0))
