"""How much of what a classifier says of photographs do measured effects account for: R2 of a sum of slopes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy import ndarray


def accounted(places: Float[ndarray, "n m"], slopes: Float[ndarray, " m"], answers: Float[ndarray, " n"]) -> float:
    """The fraction of the variance of answers that follows from places and what a step along each does.

    Nothing is fitted to the answers: each image's place along a direction is multiplied by what moving rebuilt pictures
    along it was measured to do, and the sum over the directions is correlated with the answers. So a direction that
    moves the answers where it is turned, but along which photographs differ without being answered differently, counts
    for nothing.

    Args:
        places: of the images along each direction, in any unit.
        slopes: change of the answer for a step of 1 along it.
        answers: of the photographs, in logits.

    Returns:
        The squared correlation; 0 where the sum goes against the answers, or one of both does not vary.
    """
    foretold = (places - places.mean(axis=0)) @ slopes
    varied = answers - answers.mean()
    length = np.sqrt((foretold @ foretold) * (varied @ varied))
    r = foretold @ varied / length if length > 0 else 0.0
    return float(np.clip(r, 0.0, 1.0) ** 2)


def accounted_at_random(
    places: Float[ndarray, "n m"],
    slopes: Float[ndarray, " m"],
    answers: Float[ndarray, " n"],
    *,
    count: int,
    draws: int = 200,
    seed: int = 0,
) -> Float[ndarray, " draws"]:
    """The same of so many directions drawn at random among mixtures of those given; none where none are asked for.

    A mixture's slope is that of its parts, each in standard deviations of its places.
    """
    if count == 0 or len(slopes) == 0:
        return np.zeros(0)
    deviation = places.std(axis=0)
    standard, steep = places / np.where(deviation > 0, deviation, 1), slopes * deviation
    random = np.random.default_rng([seed, 6])
    values = []
    for _ in range(draws):
        mix = random.standard_normal((len(slopes), count))
        values.append(accounted(standard @ mix, steep @ mix, answers))
    return np.array(values)
