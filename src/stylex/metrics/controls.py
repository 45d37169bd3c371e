"""Is it this move, or would any do: effects in pairs with random moves of the same images, and both ways."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from scipy.stats import binomtest

_AT_ONCE = 2**22
"""Random choices drawn at once."""
MOST = 2 / 3
"""More than this fraction of the images must speak for a move's working both ways. Of a classifier overfitted to coin
flips, up to .68 of the images did for one of 24 directions, and up to .74 for one of 128 random ones; with a generator
that holds brightness as one direction up to .81."""
GIVE = 0.2
"""Of what is between a move's two ends: so far beyond one of them an image may lie that counts as between them."""


def beside_controls(
    effect: Float[ndarray, " n"],
    controls: Float[ndarray, "n r"],
    *,
    permutations: int = 9999,
    seed: int = 0,
) -> float:
    """P-value of the mean effect being larger than what random moves of the same images do.

    If the move were one like the others, then on each image its effect would be as likely any one of its own and the
    controls'. So on each image one of these ``r + 1`` is chosen at random, and the fraction of such choices counts
    whose mean is as large as the effect's. Nothing is assumed of the effects' sign: images that are not predicted the
    target can hardly move anywhere but towards it, by whatever move.

    Args:
        effect: of the move, on each image.
        controls: of random moves of the same image, equally large.
        permutations: random choices.
        seed: of them.

    Returns:
        The p-value; 1 of no images or no controls.

    Source: Fisher 1935 (randomisation within blocks); Phipson & Smyth 2010 (why one is added).
    """
    n, r = controls.shape
    if n == 0 or r == 0:
        return 1.0
    every = np.concatenate([effect[:, None], controls], axis=1).astype(np.float64)
    seen = every[:, 0].sum()
    slack = 1e-9 * np.abs(every).max(axis=1).sum()  # the choice of the move itself must not lose by rounding
    random, rows = np.random.default_rng(seed), np.arange(n)
    reached = 0
    for start in range(0, permutations, step := max(1, _AT_ONCE // n)):
        chosen = random.integers(r + 1, size=(min(step, permutations - start), n))
        reached += int((every[rows, chosen].sum(axis=1) >= seen - slack).sum())
    return (reached + 1) / (permutations + 1)


def at_equal_change(
    change: Float[ndarray, " n"],
    length: Float[ndarray, " n"],
    control_change: Float[ndarray, "n r lengths"],
    control_effect: Float[ndarray, "n r lengths *k"],
    lengths: Sequence[float],
) -> Float[ndarray, "n r *k"]:
    """What random moves do where they change the picture as much as another move does, but go no further than it.

    Each random move was taken at several lengths; between two of them (and from nothing, at no change) its effect is
    interpolated. One that never changes the picture as much counts at its longest. A move that changes much of the
    picture at once, as that of a background, is compared with moves as long instead: further out lie pictures that
    nothing was ever drawn like, and whatever is drawn there turns answers.

    Args:
        change: of the move, on each image, in any unit of the pictures' difference.
        length: how far the move goes on each image.
        control_change: of the random moves at each length, ascending, in the unit of the change.
        control_effect: likewise; one number or several.
        lengths: of the random moves, in the unit of the length.
    """
    n, r, _ = control_change.shape
    start, along = np.zeros((n, r, 1)), np.array([0.0, *lengths])
    x = np.maximum.accumulate(np.concatenate([start, control_change], axis=2), axis=2)
    y = np.concatenate([np.zeros_like(control_effect[:, :, :1], dtype=np.float64), control_effect], axis=2)
    out = np.empty((n, r, *y.shape[3:]))
    for i, j in np.ndindex(n, r):
        far = min(float(np.interp(change[i], x[i, j], along)), float(length[i]))
        after = int(np.clip(np.searchsorted(along, far), 1, len(along) - 1))
        part = (min(far, along[-1]) - along[after - 1]) / (along[after] - along[after - 1])
        out[i, j] = (1 - part) * y[i, j, after - 1] + part * y[i, j, after]
    return out


def both_ways(up: Float[ndarray, " n"], down: Float[ndarray, " n"], most: float = MOST) -> float:
    """P-value of a move working both ways on more than two thirds of all images; 1 of no images.

    It does on an image that ends higher turned up than turned down, and lies between these ends, give or take a fifth
    of what is between them: a move goes to an end of what was observed, and an image that is there already (with the
    warmer of two backgrounds) goes nowhere. A move that has nothing to do with what is measured does so on a quarter
    to three tenths.

    Args:
        up: what is measured after the move, less before, on each image.
        down: the same after the move turned back.
        most: another fraction than two thirds.

    Source: Clopper & Pearson 1934 (the exact binomial test).
    """
    if len(up) == 0:
        return 1.0
    return float(binomtest(int(works_both_ways(up, down).sum()), len(up), most, alternative="greater").pvalue)


def works_both_ways(up: Float[ndarray, "*n"], down: Float[ndarray, "*n"]) -> Bool[ndarray, "*n"]:
    """On which images a move works both ways."""
    give = GIVE * (up - down)
    return (up > down) & (down <= give) & (up >= -give)
