"""How well numbers can be read linearly off features: ridge regression, scored on other rows."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray

_PENALTIES = tuple(10.0**power for power in range(-1, 6))


def linear_r2(
    features: Float[ndarray, "n d"], values: Float[ndarray, "n f"], *, test: float = 0.25, seed: int = 0
) -> Float[ndarray, " f"]:
    """Fraction of each value's variance that a ridge regression on the features explains, on rows it has not seen.

    The penalty is chosen for each value on a quarter of the rows that are fitted to. At or below 0: nothing is read.

    Args:
        features: standardized here; those that never vary are left out.
        values: what is to be read.
        test: fraction of the rows that is only scored.
        seed: of the split.
    """
    order = np.random.default_rng(seed).permutation(len(features))
    held = round(test * len(order))
    unseen, known = order[:held], order[held:]
    choosing, fitting = known[: len(known) // 4], known[len(known) // 4 :]
    scores = np.stack([_r2(features, values, fitting, choosing, penalty) for penalty in _PENALTIES])
    finals = np.stack([_r2(features, values, known, unseen, penalty) for penalty in _PENALTIES])
    return np.asarray(np.take_along_axis(finals, scores.argmax(axis=0)[None], axis=0)[0])


def _r2(features: ndarray, values: ndarray, fit: ndarray, score: ndarray, penalty: float) -> ndarray:
    mean, deviation = features[fit].mean(axis=0), features[fit].std(axis=0)
    varies = deviation > 1e-8
    x, z = ((features[rows][:, varies] - mean[varies]) / deviation[varies] for rows in (fit, score))
    level = values[fit].mean(axis=0)
    weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (values[fit] - level))
    wrong = np.square(values[score] - level - z @ weights).mean(axis=0)
    return np.asarray(1 - wrong / np.square(values[score] - values[score].mean(axis=0)).mean(axis=0))
