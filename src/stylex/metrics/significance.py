"""Is it more than chance: sign-flip p-values, and what many of them are worth together."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

NOISE_FLOOR = 0.05
"""Mean effects below this many logits are taken for nothing: they move a probability by about 0.01 at most."""

FEWEST_TO_TEST = 5
"""With fewer images, no pattern of signs is rare enough (2^-4 > 0.05) to call an effect significant."""

_AT_ONCE = 2**24
"""Numbers worked on at once."""


def sign_flip(differences: Float[ndarray, " n"], *, permutations: int = 9999, seed: int = 0) -> float:
    """P-value of the mean difference being above zero.

    If nothing but chance told one side of each pair from the other, each difference would be as likely negative as
    positive. So signs are flipped at random (all patterns, where there are no more than ``permutations``), and the
    fraction of patterns counts whose mean is as large as the one seen. Of no images the p-value is 1.

    Source: Fisher 1935; Phipson & Smyth 2010 (why one is added).
    """
    n = len(differences)
    if n == 0:
        return 1.0
    seen = differences.sum(dtype=np.float64)
    slack = 1e-9 * np.abs(differences).sum(dtype=np.float64)  # a pattern must not lose against itself by rounding
    if 2**n <= permutations:
        patterns = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float((patterns @ differences.astype(np.float64) >= seen - slack).mean())
    patterns = np.random.default_rng(seed).choice((-1.0, 1.0), size=(permutations, n))
    reached = int((patterns @ differences.astype(np.float64) >= seen - slack).sum())
    return (reached + 1) / (permutations + 1)


def benjamini_hochberg(p: Float[ndarray, " m"]) -> Float[ndarray, " m"]:
    """Q-values: the smallest false discovery rate at which each hypothesis would be rejected.

    Rejecting all with q <= 0.05 keeps the expected fraction of false ones among them at 5% or less, for tests that are
    independent or positively dependent.

    Source: Benjamini & Hochberg 1995.
    """
    m = len(p)
    order = np.argsort(p, kind="stable")
    raised = p[order] * m / np.arange(1, m + 1)
    q = np.empty(m)
    q[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    return q


def holm(p: Float[ndarray, " m"]) -> Float[ndarray, " m"]:
    """P-values corrected for their number: rejecting all that are <= 0.05 errs once or more in 5% of cases at most.

    Source: Holm 1979.
    """
    m = len(p)
    order = np.argsort(p, kind="stable")
    corrected = np.empty(m)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(m, 0, -1)), 1.0)
    return corrected


def largest_sign_flip(
    table: Float[ndarray, "n columns"], *, permutations: int = 1000, seed: int = 0
) -> Float[ndarray, " columns"]:
    """P-value of each column's mean being above zero, corrected for the number of columns.

    If a column did nothing, each image's effect would be as likely negative as positive. So the signs of whole
    images are flipped at random (all patterns, where there are few), and a column's mean is compared with the
    *largest* of all columns' each time. Means are taken in units of the column's root mean square, which ranks as
    the t statistic does: in logits, one strong column would drown all the others.

    Source: Westfall & Young 1993 (single-step maxT); Nichols & Holmes 2002 (sign flips).
    """
    n, columns = table.shape
    if exact := 2**n <= permutations:
        flips = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        flips = np.random.default_rng(seed).choice((-1, 1), size=(permutations, n))
    flips = flips.astype(np.float32)
    largest = np.full(len(flips), -np.inf, dtype=np.float32)
    seen = np.empty(columns)
    together = max(1, min(4096, _AT_ONCE // n))
    for part in (slice(start, start + together) for start in range(0, columns, together)):
        effects = table[:, part].astype(np.float64)
        rms = np.sqrt(np.square(effects).mean(axis=0))
        unit = (effects / np.where(rms > 0, rms, 1)).astype(np.float32)
        np.maximum(largest, (flips @ unit).max(axis=1), out=largest)
        seen[part] = unit.sum(axis=0, dtype=np.float64)
    # The slack forgives rounding: a pattern of signs must not lose against itself.
    reached = len(flips) - np.searchsorted(np.sort(largest), seen - 1e-4 * n, side="left")
    return np.asarray(reached / len(flips) if exact else (reached + 1) / (len(flips) + 1))
