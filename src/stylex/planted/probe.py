"""Linear probes: how much of each known factor can be read off latents, by cross-validated ridge regression."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from stylex.core.errors import EvaluationError

_FOLDS = 5
_PENALTIES = np.logspace(-6, 4, 21)
"""Penalties tried, in units of the mean squared singular value."""


def linear_r2(
    latents: Float[ndarray, "n d"], factors: Float[ndarray, "rows f"], *, seed: int = 0
) -> Float[ndarray, " f"]:
    """R2 of each factor predicted linearly from the latents of images left out of the fit.

    1 is a factor that the latents hold entirely and linearly, 0 or less one that they do not.

    Args:
        latents: any numbers that an image is encoded as: w, or w and noise maps side by side.
        factors: of the same images, in any unit.
        seed: of the division into folds.

    Raises:
        EvaluationError: rows do not match, the images are too few, or a factor never varies.

    Source: Hoerl & Kennard 1970 (ridge regression); Golub, Heath & Wahba 1979 (generalised cross-validation, which
    chooses each factor's penalty on the images fitted to).
    """
    n = len(latents)
    if len(factors) != n:
        raise EvaluationError(f"{n} latents and {len(factors)} rows of factors; give one row of each for every image")
    if n < 4 * _FOLDS:
        raise EvaluationError(f"{n} images are too few for a linear probe; give {4 * _FOLDS} or more")
    x, y = latents.astype(np.float64), factors.astype(np.float64)
    if (y.std(axis=0) == 0).any():
        raise EvaluationError(
            f"factor {int(y.std(axis=0).argmin())} never varies, so nothing predicts it; leave it out"
        )
    predicted = np.empty_like(y)
    for left_out in np.array_split(np.random.default_rng(seed).permutation(n), _FOLDS):
        fit = np.setdiff1d(np.arange(n), left_out)
        predicted[left_out] = _ridge(x[fit], y[fit], x[left_out])
    return np.asarray(1 - ((y - predicted) ** 2).mean(axis=0) / y.var(axis=0), dtype=np.float64)


def _ridge(x: Float[ndarray, "n d"], y: Float[ndarray, "n f"], new: Float[ndarray, "m d"]) -> Float[ndarray, "m f"]:
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    scale = x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    left, singular, right = np.linalg.svd((x - x_mean) / scale, full_matrices=False)
    on_left, n = left.T @ (y - y_mean), len(x)
    beyond = ((y - y_mean) ** 2).sum(axis=0) - (on_left**2).sum(axis=0)
    best, weights = np.full(y.shape[1], np.inf), np.zeros((x.shape[1], y.shape[1]))
    for penalty in _PENALTIES * (singular**2).mean():
        kept = singular**2 / (singular**2 + penalty) if penalty else np.zeros_like(singular)
        error = (((1 - kept)[:, None] * on_left) ** 2).sum(axis=0) + beyond
        score = error / max(n - 1 - kept.sum(), 1e-9) ** 2
        better = score < best
        shrunk = np.divide(kept, singular, out=np.zeros_like(singular), where=singular > 0)
        weights[:, better] = right.T @ (shrunk[:, None] * on_left[:, better])
        best = np.where(better, score, best)
    return np.asarray((new - x_mean) / scale @ weights + y_mean, dtype=np.float64)
