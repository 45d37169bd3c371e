"""StyleSpace ranking: the coordinates in which a few sure images of a class stand out from the population.

A baseline that never asks the classifier what a move does: it looks at which images it names a class, and at their
style values. What stands out need not be what the classifier goes by.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.errors import SearchError
from stylex.core.stylespace import StyleSpace
from stylex.search.decision import Output, log_odds, predicted
from stylex.search.shifts import statistics_of
from stylex.search.task import Task

EXEMPLARS = 30
"""Images of a class that are looked at: the source says that 20 to 30 suffice."""
_LEAST_STD = 1e-3
"""Exemplars that agree to so little of a population deviation agree altogether."""


def standing_out(
    s: Float[ndarray, "n s_dim"],
    logits: Float[ndarray, "n k"],
    target: int,
    *,
    space: StyleSpace,
    output: Output = "softmax",
    exemplars: int = EXEMPLARS,
) -> Float[ndarray, " s_dim"]:
    """How far, and how alike, a class's surest images deviate from the population in every style value.

    Style values are taken in standard deviations of the population. The score of a value is the mean over the class's
    images over their own standard deviation, with the mean's sign; 0 for values that never vary.

    Args:
        s: style vectors of images.
        logits: what the classifier says of them.
        target: the class.
        space: layout, with the population's mean and standard deviation.
        output: whether one class or several labels are predicted.
        exemplars: how many of the images predicted the class, the surest, are looked at.

    Raises:
        SearchError: fewer than two images are predicted the class, or nothing was observed of the space.

    Source: Wu, Lischinski & Shechtman, "StyleSpace Analysis", CVPR 2021 (channels told by a few images).
    """
    statistics = statistics_of(space)
    numbers = output == "regression"  # of which the surest are the highest
    named = np.arange(len(logits)) if numbers else np.flatnonzero(predicted(logits, target, output))
    if len(named) < 2:
        raise SearchError(
            f"{len(named)} of {len(logits)} images are predicted class {target}; expected 2 or more to see in what "
            "they stand out: give more images"
        )
    surest = named[np.argsort(-log_odds(logits[named], target, output), kind="stable")[:exemplars]]
    varies = statistics.std > 0
    z = (s[surest].astype(np.float64) - statistics.mean) / np.where(varies, statistics.std, 1)
    return np.asarray(np.where(varies, z.mean(axis=0) / np.maximum(z.std(axis=0), _LEAST_STD), 0.0))


def most_standing_out(
    scores: Float[ndarray, " s_dim"], indices: Int64[ndarray, " m"], num: int
) -> Int64[ndarray, " picks"]:
    """The ``num`` of these flat indices with the largest scores of either sign, the largest first."""
    order = np.argsort(-np.abs(scores[indices]), kind="stable")[:num]
    return np.asarray(indices[order][scores[indices[order]] != 0])


def stylespace_ranking(task: Task, scores: Float[ndarray, " s_dim"], *, num: int = 10) -> AttributeRanking:
    """The coordinates in which a class stands out most, moved the way it stands out.

    Effects are reported, and choose nothing.

    Args:
        task: measured effects of the coordinates to rank (none others need be measured), and what to drive to.
        scores: of ``standing_out`` for the target.
        num: attributes wanted at most.

    Returns:
        The ranking, the largest score first. An image counts as explained if one of them alone turns it.
    """
    searched = task.searched
    n = len(searched)
    attributes: list[Attribute] = []
    turned = np.zeros(n, dtype=bool)
    for index in most_standing_out(scores, np.asarray(task.effects.indices), num):
        column, sign = task.effects.position(int(index)), int(scores[index] > 0)
        turned |= task.turned(sign, column)
        effect = float(searched.change(sign, column)[:, task.target].mean(dtype=np.float64)) if n else 0.0
        attributes.append(task.attribute(sign, column, effect))
    fraction = float(turned.mean()) if n else 0.0
    finding = (
        f"In {len(attributes)} coordinates images of {task.name!r} stand out most; "
        f"one or another of them alone turns {fraction:.0%} of {n} images."
        if attributes
        else f"Images of {task.name!r} stand out in nothing."
    )
    return AttributeRanking(
        attributes=tuple(attributes), strategy="stylespace", images=n, explained=fraction, finding=finding
    )
