"""Is it more than chance: sign-flip p-values, and the false discovery rate over many of them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def sign_flip(differences: Float[ndarray, " n"], *, permutations: int = 9999, seed: int = 0) -> float:
    """P-value of the mean difference being above zero.

    If nothing but chance told one side of each pair from the other, each difference would be as likely negative as
    positive. So signs are flipped at random (all patterns, where there are no more than ``permutations``), and the
    share of patterns counts whose mean is as large as the one seen. Of no images the p-value is 1.

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

    Rejecting all with q <= 0.05 keeps the expected share of false ones among them at 5% or less, for tests that are
    independent or positively dependent.

    Source: Benjamini & Hochberg 1995.
    """
    m = len(p)
    order = np.argsort(p, kind="stable")
    raised = p[order] * m / np.arange(1, m + 1)
    q = np.empty(m)
    q[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    return q
