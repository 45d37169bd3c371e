"""How local a change of pictures is, and whether two changes lie in the same place."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

SHARE = 0.9
"""The fraction of the squared difference that the named pixels hold."""


def area(
    before: Float[ndarray, "n c h w"], after: Float[ndarray, "n c h w"], *, fraction: float = SHARE
) -> Float[ndarray, " n"]:
    """The smallest fraction of each image's pixels that holds 90% of the squared difference; nan where nothing changed.

    0 is a change of a single pixel, 0.9 one of all pixels alike.
    """
    energy = _energy(before, after)
    total = energy.sum(axis=1)
    running = np.cumsum(np.sort(energy, axis=1)[:, ::-1], axis=1)
    needed = (running < fraction * total[:, None]).sum(axis=1) + 1
    return np.where(total > 0, needed / energy.shape[1], np.nan)


def overlap(before: Float[ndarray, "n c h w"], after: Float[ndarray, "k n c h w"]) -> Float[ndarray, "k k"]:
    """How much the changes by each two of K attributes lie in the same place, 0 (nowhere) to 1 (everywhere alike).

    Each change's squared difference is scaled to sum 1 over the image; the overlap is the sum of the smaller of two,
    averaged over the images that both change. nan where there are none.
    """
    maps = np.stack([_energy(before, changed) for changed in after])
    total = maps.sum(axis=2, keepdims=True)
    changed = total[:, :, 0] > 0
    maps = maps / np.where(total > 0, total, 1)
    out = np.full((len(maps), len(maps)), np.nan)
    for i in range(len(maps)):
        for j in range(i, len(maps)):
            both = changed[i] & changed[j]
            if both.any():
                out[i, j] = out[j, i] = np.minimum(maps[i][both], maps[j][both]).sum(axis=1).mean()
    return out


def _energy(before: Float[ndarray, "n c h w"], after: Float[ndarray, "n c h w"]) -> Float[ndarray, "n p"]:
    return np.asarray(np.square(after.astype(np.float64) - before).sum(axis=1).reshape(len(before), -1))
