"""Kinds of factors: how the numbers that images are drawn from are distributed, and whether they go together.

Uniform independent factors suit a search for independent components; those of photographs are seldom so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.special import ndtr, ndtri

from stylex.core.errors import DataError

KINDS = ("uniform", "skewed", "discrete", "correlated", "local")
"""Uniform and independent; piled up at one end; a few levels; each two correlated; uniform but for one lesion."""
CORRELATION = 0.36
"""Of each two factors of the kind ``correlated``."""
LESION = "lesion"
"""The factor of the kind ``local``: 0 where there is none, in half of the images; else its size."""
_SMALLEST_LESION = 0.4
_MIDPOINTS = (np.arange(10_000) + 0.5) / 10_000


def check_kind(kind: str) -> None:
    """Refuse what is no kind of factors.

    Raises:
        DataError: there is no such kind.
    """
    if kind not in KINDS:
        raise DataError(f"no kind of planted factors {kind!r}; there are {', '.join(KINDS)}")


def factor_values(kind: str, names: Sequence[str], u: Float[ndarray, "*n f"]) -> Float[ndarray, "*n f"]:
    """Uniform numbers as values of these factors in 0..1, each a rising function of its own number.

    Args:
        kind: one of ``KINDS``.
        names: of the factors, in order.
        u: uniform in 0..1.
    """
    order = np.arange(len(names))
    if kind == "skewed":
        return np.where(order % 2, 1 - (1 - u) ** 3, u**3)
    if kind == "discrete":
        levels = 2 + order % 3
        values: ndarray = np.minimum(np.floor(u * levels), levels - 1) / (levels - 1)
        return values
    if kind == "local":
        size = _SMALLEST_LESION + (1 - _SMALLEST_LESION) * (2 * u - 1)
        return np.where(np.array(names) == LESION, np.where(u < 0.5, 0.0, size), u)
    return u


def made_to_go_together(kind: str, u: Float[ndarray, " f"], common: Float[ndarray, ""] | float) -> Float[ndarray, " f"]:
    """Independent uniform numbers as uniform ones that are correlated by ``CORRELATION``, where the kind asks for it.

    Args:
        kind: one of ``KINDS``.
        u: uniform in 0..1.
        common: a standard normal number that all of them share.

    Source: a Gaussian copula; Pearson 1907 for the correlation of uniform numbers, 6 / pi asin(r / 2).
    """
    if kind != "correlated":
        return u
    r = 2 * np.sin(np.pi * CORRELATION / 6)
    together: ndarray = ndtr(r**0.5 * common + (1 - r) ** 0.5 * ndtri(u))
    return together


def moments(kind: str, names: Sequence[str]) -> tuple[Float[ndarray, " f"], Float[ndarray, "f f"]]:
    """Mean and covariance of the factors of a kind."""
    values = factor_values(kind, names, np.repeat(_MIDPOINTS[:, None], len(names), axis=1))
    std = values.std(axis=0)
    correlation = CORRELATION if kind == "correlated" else 0.0
    return values.mean(axis=0), np.outer(std, std) * (correlation + (1 - correlation) * np.eye(len(names)))
