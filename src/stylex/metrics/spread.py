"""Over how many things a change is spread: one alone, or all at once."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def spread_over(changes: Float[ndarray, "n m"]) -> Float[ndarray, " n"]:
    """The participation ratio of each row's changes: 1 where one thing alone changes, m where all change alike.

    It does not depend on how large a change is. nan where nothing changes.

    Args:
        changes: of m things, each in a unit of its own such as its standard deviation.

    Source: Bell & Dean, Discuss. Faraday Soc. 1970 (participation of modes).
    """
    square = np.square(changes.astype(np.float64))
    total, fourth = square.sum(axis=1), np.square(square).sum(axis=1)
    return np.where(fourth > 0, total**2 / np.where(fourth > 0, fourth, 1), np.nan)
