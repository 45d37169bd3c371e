"""AttFind: the coordinates that drive a class, chosen one after another over measured effects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.metrics.significance import FEWEST_TO_TEST, NOISE_FLOOR, largest_sign_flip
from stylex.search.decision import margin
from stylex.search.task import Task, mean_of


@dataclass(frozen=True, eq=False, kw_only=True)
class SoFar:
    """What the attributes chosen so far do to the images searched, by their measured effects.

    Attributes:
        logits: ``[n, k]``, of the reconstructions with all effects added up, which is exact for a linear system and a
            good guess elsewhere (``counterfactual.flip_rate`` renders it).
        last: ``[n]``, what the last attribute raises the target's logit by.
        raised: ``[n]``, sum of all that raised it.
    """

    logits: Float[ndarray, "n k"]
    last: Float[ndarray, " n"]
    raised: Float[ndarray, " n"]


Rule = Callable[[Task, SoFar], Bool[ndarray, " n"]]
"""Which images count as explained, and are dropped from the search."""


def by_flip(threshold: float = 0.0) -> Rule:
    """Explained is what the attributes together bring to a margin of ``threshold`` logits: at 0, the decision turns."""

    def turned(task: Task, so_far: SoFar) -> Bool[ndarray, " n"]:
        if task.output == "regression":
            return task.turns(task.searched.base_logits, so_far.logits)
        return margin(so_far.logits, task.target, task.output) >= threshold

    return turned


def by_effect(threshold: float = 0.3) -> Rule:
    """Explained is where one attribute raises the target's logit by ``threshold``, which the paper leaves open."""
    return lambda task, so_far: so_far.last >= threshold


def by_sum(threshold: float = 1.0) -> Rule:
    """Explained is where the attributes' raises of the target's logit add up to ``threshold``: the notebook's."""
    return lambda task, so_far: so_far.raised >= threshold


def attfind(
    task: Task,
    *,
    num: int = 10,
    explained: Rule | None = None,
    restart: bool = False,
    floor: float = NOISE_FLOOR,
    alpha: float = 0.05,
    permutations: int = 1000,
    seed: int = 0,
) -> AttributeRanking:
    """Choose the attributes that drive images to the target class: Algorithm 1 of the paper.

    Over the images not predicted the target, take the coordinate and direction of the largest mean effect on the
    target's logit; drop the images that it explains; repeat on the rest. A coordinate whose mean effect is positive
    both ways is passed over (it does not turn one thing up or down), and a coordinate is taken once.

    Args:
        task: measured effects, and what to drive to.
        num: attributes wanted.
        explained: when an image is explained (default: by the task's threshold, or else ``by_flip()``, which asks what
            a person asks, where a number of logits means something else for every classifier).
        restart: when every image is explained and attributes are still wanted, go on with all images and the
            coordinates left; otherwise stop there.
        floor: smallest mean effect, in logits, that counts.
        alpha: largest p-value that counts. The p-value is a sign-flip permutation test of the mean effect over all
            the images searched, corrected for having looked at every coordinate and direction. With fewer than 5
            images it is not tested.
        permutations, seed: of that test.

    Returns:
        The ranking, best first; each attribute's effect is its mean over all images searched. Empty when nothing
        moves the classifier, and then ``finding`` says what the best was.

    Source: Lang et al., ICCV 2021, Algorithm 1.
    """
    usual = by_flip() if task.threshold is None else by_effect(task.threshold)
    rule, target, searched = explained or usual, task.target, task.searched
    n, m = len(searched), len(task.effects.indices)
    if n == 0:
        return task.ranking([], "attfind", images=0, explained=0.0, nothing=task.nobody)
    table = searched.table(target).reshape(n, 2 * m)
    overall = mean_of(table)
    p = largest_sign_flip(table, permutations=permutations, seed=seed) if n >= FEWEST_TO_TEST else None
    usable = np.ones(2 * m, dtype=bool) if p is None else p <= alpha

    attributes: list[Attribute] = []
    remaining, ever = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
    logits, raised = searched.base_logits.astype(np.float64), np.zeros(n)
    while len(attributes) < num and m:
        if not remaining.any():
            if not restart:
                break
            remaining[:] = True
            logits, raised = searched.base_logits.astype(np.float64), np.zeros(n)
        mean = mean_of(table, remaining).reshape(2, m)
        mean[:, (mean > 0).all(axis=0)] = 0
        mean[~usable.reshape(2, m)] = 0
        sign, column = divmod(int(mean.argmax()), m)
        if mean[sign, column] <= floor:
            break
        pick = sign * m + column
        attributes.append(task.attribute(sign, column, float(overall[pick]), None if p is None else float(p[pick])))
        usable[[column, m + column]] = False
        logits = logits + searched.change(sign, column)
        raised = raised + np.maximum(table[:, pick], 0)
        now = rule(task, SoFar(logits=logits, last=table[:, pick], raised=raised))
        ever |= now
        remaining &= ~now
    return task.ranking(
        attributes, "attfind", images=n, explained=float(ever.mean()), nothing=_why_nothing(overall, p, n, floor, alpha)
    )


def _why_nothing(overall: ndarray, p: ndarray | None, n: int, floor: float, alpha: float) -> str:
    if overall.size == 0:
        return "no coordinate was measured."
    best = int(overall.argmax())
    text = f"the largest mean effect over {n} image{'' if n == 1 else 's'} is {overall[best]:.3f} logit"
    if overall[best] <= floor:
        return f"{text}, not above the floor of {floor:g}."
    if p is not None and p.min() > alpha:
        return f"{text}, which chance alone explains (smallest p {p.min():.2f}, wanted {alpha:g} or less)."
    return f"{text}, but no coordinate raises it one way only, above the floor of {floor:g} and beyond chance."
