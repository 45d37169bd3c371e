"""Latents like those of the encoder, to draw new pictures from."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor


def normal_latents(
    latents: Float[ndarray, "m w_dim"], n: int, *, seed: int = 0, spread: float = 1.0
) -> Float[Tensor, "n w_dim"]:
    """Draw from a normal distribution with the mean and covariance of an encoder's latents.

    A mapping network has to learn for long before its pictures are any good; an encoder that reconstructs well knows
    already where pictures lie.

    Args:
        latents: of training images, as a snapshot keeps them.
        n: how many to draw.
        seed: of the draw.
        spread: below 1: nearer to the average picture.
    """
    known = latents.astype(np.float64)
    covariance = spread**2 * np.atleast_2d(np.cov(known, rowvar=False))
    drawn = np.random.default_rng(seed).multivariate_normal(known.mean(axis=0), covariance, size=n)
    return torch.from_numpy(drawn.astype(np.float32))


def normal_axes(latents: Float[ndarray, "m w_dim"], length: int) -> Float[Tensor, "rows w_dim"]:
    """The same distribution as a map from noise: a row for its centre, then one for each of ``length`` normal numbers.

    Each row is a principal axis as long as the latents' deviation along it, the longest first, so that shorter noise
    leaves out what varies least; rows beyond the latents' dimensions are zero.
    """
    known = latents.astype(np.float64)
    centre = known.mean(axis=0)
    _, lengths, axes = np.linalg.svd((known - centre) / max(1, len(known) - 1) ** 0.5, full_matrices=False)
    rows = np.zeros((1 + length, known.shape[1]))
    rows[0] = centre
    count = min(length, len(axes))
    rows[1 : 1 + count] = (lengths[:, None] * axes)[:count]
    return torch.from_numpy(rows.astype(np.float32))
