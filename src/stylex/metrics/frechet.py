"""Frechet distance of two sets of features, numerically right when there are few of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from stylex.core.evaluation import Interval
from stylex.metrics.features import Features, one_extractor
from stylex.metrics.interval import jackknife


@dataclass(frozen=True, kw_only=True)
class Frechet:
    """A Frechet distance, with what it depends on beside the images.

    Attributes:
        value: the distance (squared, as everybody reports it).
        extractor: whose features.
        images: in each of the two sets. The value falls as they grow: compare equal numbers only.
        dimensions: of the features.
    """

    value: float
    extractor: str
    images: tuple[int, int]
    dimensions: int

    @property
    def warning(self) -> str | None:
        """Why to mistrust the number, if there is a reason."""
        fewest = min(self.images)
        if fewest >= self.dimensions:
            return None
        return (
            f"{fewest} images are fewer than {self.dimensions} dimensions: the Frechet distance is far above its limit "
            "and compares only with the same number of images; trust KID here"
        )


def frechet_distance(a: Features, b: Features) -> Frechet:
    """The Frechet distance of the normal distributions fitted to two sets of features.

    With the sets centred and divided by root(n - 1) to A and B, the covariances are A'A and B'B, and the trace of the
    root of their product is the sum of the singular values of A B'. So no covariance is ever formed and no root of a
    singular matrix taken: the result is exact to float64 for two images as for a million.

    Raises:
        EvaluationError: the features come from two extractors.

    Source: Dowson & Landau 1982; Heusel et al. 2017 (over Inception features).
    """
    extractor = one_extractor(a, b)
    assert min(len(a), len(b)) >= 2, "a covariance needs two images"
    mean_a, root_a = _moments(a.values)
    mean_b, root_b = _moments(b.values)
    cross = float(np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum())
    value = float(np.square(mean_a - mean_b).sum() + np.square(root_a).sum() + np.square(root_b).sum() - 2 * cross)
    return Frechet(
        value=max(value, 0.0), extractor=extractor, images=(len(a), len(b)), dimensions=int(a.values.shape[1])
    )


def frechet_interval(a: Features, b: Features, *, seed: int = 0) -> Interval:
    """The Frechet distance of two sets of as many images, with a 95% interval over pairs of them, 0 at the least.

    It tells how far the distance would be another one with other images of the same number, not how far it is above
    that of very many.
    """
    assert len(a) == len(b), "pairs are left out together"
    found = jackknife(lambda rows: frechet_distance(a.at(rows), b.at(rows)).value, len(a), seed=seed)
    return Interval(value=found.value, low=max(found.low, 0.0), high=found.high)


def _moments(values: Float[ndarray, "n d"]) -> tuple[Float[ndarray, " d"], Float[ndarray, "r d"]]:
    """The mean, and a matrix R of at most d rows with R'R the covariance."""
    x = values.astype(np.float64)
    mean = x.mean(axis=0)
    root = (x - mean) / np.sqrt(len(x) - 1)
    if len(root) > root.shape[1]:
        root = np.linalg.qr(root, mode="r")
    return mean, root
