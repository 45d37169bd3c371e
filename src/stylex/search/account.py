"""What directions account for: is it by them that photographs are answered differently?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from stylex.core.wording import option
from stylex.metrics.accounted import accounted, accounted_at_random
from stylex.search.decision import log_odds
from stylex.search.shifts import statistics_of
from stylex.search.task import Task

SPOILS = 0.02
"""A direction without which so much more of the variance is accounted for is not what photographs are answered by."""


MANY = 1 / 10
"""Of more than 20 classes so much of what is asked is asked: a class that is told by five properties at once has few
images that any one of them decides for, and log odds that hardly differ between all the others."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """How much of how answers differ follows from measured effects.

    Attributes:
        columns: of the effects, those that account for it together.
        spoiling: columns that move rebuilt pictures, but without which the others account for more.
        photographs: fraction of the variance of the photographs' log odds.
        rebuilt: the same of the rebuilt pictures'.
        random: the first of as many random mixtures of all directions, on average.
    """

    columns: tuple[int, ...]
    spoiling: tuple[int, ...]
    photographs: float
    rebuilt: float
    random: float


def account(task: Task, columns: Sequence[int], changes: Float[ndarray, "2 m n"]) -> Account:
    """What columns of the effects account for, less those that spoil it.

    Where an image lies along each direction, times what a step along it does to rebuilt pictures, summed over the
    directions, is set against the log odds on the photograph; nothing is fitted to these (``metrics.accounted``). Of
    many classes the steps are those on images that have the target in reach. Unless nothing is asked
    (``task.accounted`` 0), directions are left out as long as the rest accounts for more by ``SPOILS``.

    Args:
        task: measured effects of directions, and where the images lie along them.
        columns: of the effects.
        changes: what each move does to the log odds of each image.
    """
    _, s = task.drawn
    statistics, indices = statistics_of(task.space), np.asarray(task.effects.indices)
    width = task.effects.shift_range * (statistics.maximum - statistics.minimum)[indices].astype(np.float64)
    steps = (changes[1] - changes[0])[:, task.in_reach].mean(axis=1)
    slopes = steps / np.where(width > 0, width, np.inf)
    places = s[:, indices.tolist()].double().cpu().numpy()
    base = task.effects.base_logits
    answers, answers_rebuilt = (
        log_odds(logits, task.target, task.output).astype(np.float64)
        for logits in (base if task.photographs is None else task.photographs, base)
    )

    def part(some: Sequence[int], of: Float[ndarray, " n"] = answers) -> float:
        return accounted(places[:, list(some)], slopes[list(some)], of)

    kept = list(columns)
    while task.accounted > 0 and len(kept) > 1:
        without = {column: part([c for c in kept if c != column]) for column in kept}
        worst = max(without, key=lambda column: without[column])
        if without[worst] <= part(kept) + SPOILS:
            break
        kept.remove(worst)
    random = accounted_at_random(places, slopes, answers, count=len(kept))
    return Account(
        columns=tuple(kept),
        spoiling=tuple(column for column in columns if column not in kept),
        photographs=part(kept),
        rebuilt=part(kept, answers_rebuilt),
        random=float(random.mean()) if len(random) else 0.0,
    )


def asked(task: Task) -> float:
    """The least fraction that is to be accounted for."""
    return task.accounted if task.first is None else MANY * task.accounted


def said_of(account: Account, task: Task) -> str:
    """The end of a finding: how much the directions claimed account for, and which were left out."""
    count, left = len(account.columns), len(account.spoiling)
    whole = f"All {count} together account" if count > 1 else "It accounts"
    text = (
        f"{whole} for {_percent(account.photographs)} of how {task.differ} differ "
        f"({'as many' if count > 1 else 'one'} at random: {_percent(account.random)})."
    )
    if left:
        text += (
            f" {left} more move{'s' if left == 1 else ''} rebuilt pictures but not what photographs are answered by: "
            f"without {'it' if left == 1 else 'them'} more is accounted for, so {'it is' if left == 1 else 'they are'} "
            "left out."
        )
    return text


def too_little(account: Account, task: Task) -> str:
    """Why nothing is claimed of directions that move the answer, but by which photographs are hardly answered."""
    count, m = len(account.columns) + len(account.spoiling), len(task.effects.indices)
    begun = f"Nothing found: {count} of {m} directions {task.driving(count)} where turned, but "
    if task.photographs is not None and np.ptp(log_odds(task.photographs, task.target, task.output)) == 0:
        return f"{begun}all photographs searched are answered alike; give images that are not."
    return (
        f"{begun}account{'s' if count == 1 else ''} for {_percent(account.photographs)} of how {task.differ} differ "
        f"({_percent(account.rebuilt)} on the rebuilt pictures); {_percent(asked(task))} is asked "
        f"({option('accounted', 0)} asks for nothing)."
    )


def _percent(fraction: float) -> str:
    return f"{float(f'{100 * fraction:.2g}'):g}%"
