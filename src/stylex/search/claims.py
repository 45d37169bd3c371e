"""Which directions an explanation may claim: more than random ones, both ways, and what photographs differ in too."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.wording import option
from stylex.metrics.controls import MOST, at_equal_change, beside_controls, both_ways, works_both_ways
from stylex.metrics.significance import benjamini_hochberg
from stylex.search.account import account, asked, said_of, too_little
from stylex.search.controls import LENGTHS, TESTED, RandomBeside
from stylex.search.decision import log_odds
from stylex.search.task import Task

FALSE_DISCOVERIES = 0.05
"""Expected fraction of chance findings among what is claimed."""
SMALL = 0.15
"""An effect below this fraction of the log odds' deviation over the images is negligible."""
LEAST = math.log(2)
"""So is one that does not even double the odds, which takes an even chance to two in three."""
HALF = 1 / 2
"""Of many classes, a direction must work both ways on more than this fraction of the images in reach."""


def claim(task: Task, *, num: int | None = None) -> AttributeRanking:
    """Rank the directions that drive the classifier towards a class, strongest first, and leave out all others.

    Each direction, each way, must hold on images not predicted the target: the mean change of the target's log odds
    is more than negligible, and more than what random moves of the same images do that change the picture as much or
    are as long, whichever comes first.
    Over all images, whatever they are predicted, it must work both ways on most of them: raise the log odds, and lower
    them when turned back, as far as the image has anywhere to go. (Images not predicted the target can hardly move
    anywhere but towards it, so a mean above zero says nothing; and a classifier that answers by chance has slopes, but
    no direction that means the same on most images.)

    All together must account for a part of how the answers on the photographs differ (``task.accounted``), by where
    the photographs lie along them and what a step was measured to do; those that spoil it are left out (``account``). A
    classifier that learnt coin flips by heart has slopes too, and of a direction that covers the whole picture, such as
    brightness, even one that means the same on most images; but its photographs are not answered by it.

    Of more than 20 classes (200 birds) an image that has nothing of a class cannot have less of it, and a property
    with several values (six colours) has no two ends that speak for every class. There the mean effect is that on
    images of which the class is among the first twentieth of the answers (three at least), and most is more than half
    of these: they were chosen for a high answer, so that a move without meaning lowers it, whichever way it goes. A
    tenth of what is asked of two classes is to be accounted for.

    Args:
        task: measured effects of the directions, what to drive to, and the subject that draws random moves.
        num: attributes wanted at most (default: all that can be claimed).

    Returns:
        Attributes with ``significance``, the q-value (false discovery rate over all moves; of both tests the larger p).
        An image counts as explained if one of them alone turns it. Effects are means over the images not predicted the
        target (of many classes, those of which it is in reach).

    Source: Benjamini & Hochberg 1995 (false discovery rate); Berger 1982 (of several tests, the largest p).
    """
    if len(task.searched) == 0:
        return task.ranking([], "directions", images=0, explained=0.0, nothing=task.nobody)
    searched, m, target, output = task.searched, len(task.effects.indices), task.target, task.output
    n, every = len(searched), task.changes()
    changes, reach = every[:, :, task.not_target], task.in_reach
    negligible = SMALL * float(log_odds(task.effects.base_logits, target, output).std())
    least = negligible if output == "regression" else max(LEAST, negligible)
    movable = task.not_target & reach
    if not movable.any():
        nothing = f"on no image searched is it among the first {task.first} answers. {_remedy()}"
        return task.ranking([], "directions", images=n, explained=0.0, nothing=nothing)
    mean = every[:, :, movable].mean(axis=2)
    moves = [divmod(move, m) for move in range(2 * m)]
    p = np.array(
        [
            both_ways(every[sign, i, reach], every[1 - sign, i, reach], _most(task)) if mean[sign, i] >= least else 1.0
            for sign, i in moves
        ]
    )
    beside = _Chance(task)
    for move, (sign, i) in enumerate(moves):
        if p[move] <= FALSE_DISCOVERIES:
            p[move] = max(p[move], beside.p_value(sign, i, changes[sign, i]))
    q = benjamini_hochberg(p).reshape(2, m)
    order = [move for move in np.argsort(-mean.ravel(), kind="stable") if q.ravel()[move] <= FALSE_DISCOVERIES]
    behind = account(task, sorted({moves[move][1] for move in order}), every)
    if order and behind.photographs < asked(task):
        return AttributeRanking(
            attributes=(), strategy="directions", images=n, explained=0.0, finding=too_little(behind, task)
        )
    order = [move for move in order if moves[move][1] in behind.columns]
    attributes: list[Attribute] = []
    turned = np.zeros(n, dtype=bool)
    for move in order[:num]:
        sign, column = moves[move]
        turned |= task.turned(sign, column)
        effect = float(searched.change(sign, column)[movable[task.not_target], target].mean(dtype=np.float64))
        attributes.append(task.attribute(sign, column, effect, float(q[sign, column]), "q"))
    fraction = float(turned.mean())
    which = "them" if len(attributes) == len(order) else f"the strongest {len(attributes)}"
    finding = (
        f"{len(order)} of {m} directions {task.driving(len(order))}; "
        f"{f'one or another of {which}' if len(order) > 1 else 'it'} alone {task.turning(fraction)} {n} images"
        f"{task.enough}. {said_of(behind, task)}"
        if attributes
        else f"Nothing found: none of {m} directions {task.driving(1)} on {n} images. "
        + _why_nothing(task, every[:, :, reach], mean, p, least)
    )
    return AttributeRanking(
        attributes=tuple(attributes), strategy="directions", images=n, explained=fraction, finding=finding
    )


def _why_nothing(
    task: Task,
    every: Float[ndarray, "2 m n"],
    mean: Float[ndarray, "2 m"],
    p: Float[ndarray, " moves"],
    least: float,
) -> str:
    """Which condition the nearest candidate failed: the direction of the largest effect of those with the least p."""
    m = mean.shape[1]
    large = mean.ravel() >= least
    if not large.any():
        return f"The strongest {task.raises(float(mean.max()))} on average; {task.amount(least)} is asked."
    moves = np.flatnonzero(large).tolist()
    sign, i = divmod(min(moves, key=lambda move: (round(float(p[move]), 3), -mean.ravel()[move])), m)
    ways = int(works_both_ways(every[sign, i], every[1 - sign, i]).sum())
    alone, images = float(task.turned(sign, i).mean()), every.shape[2]
    mostly = both_ways(every[sign, i], every[1 - sign, i], _most(task))
    nearest = task.raises(float(mean[sign, i]))
    said = f"The nearest {nearest} on average and {task.turning(alone)} them{task.enough}, but"
    if mostly > FALSE_DISCOVERIES:
        which = "" if task.first is None else f", on which it is among the first {task.first} answers"
        asked = "two thirds are" if task.first is None else "half is"
        return (
            f"{said} works both ways on {ways} of {images} images only{which}: more than {asked} asked "
            f"(p {mostly:.2g}, at most {FALSE_DISCOVERIES:g} is asked)" + _more(task, ways, images)
        )
    if p[sign * m + i] > FALSE_DISCOVERIES:
        return f"{said} random moves that change the picture as much do the same (p {p[sign * m + i]:.2g})."
    return (
        f"{said} of {2 * m} moves tried one or another is as good by chance (p {p[sign * m + i]:.2g} is q "
        f"{float(benjamini_hochberg(p)[sign * m + i]):.2g}, and at most {FALSE_DISCOVERIES:g} is asked)"
        + _more(task, ways, images)
    )


def _most(task: Task) -> float:
    """More than this fraction of the images must speak for a direction's working both ways."""
    return MOST if task.first is None else HALF


def _more(task: Task, ways: int, images: int) -> str:
    """The remedy where a direction works on most images, only of too few."""
    return f". {_remedy()}" if ways > _most(task) * images else "."


def _remedy() -> str:
    return f"More images may settle it ({option('images')})."


class _Chance:
    """Compares moves of a task with random ones of the same images: its own, or those that many tasks share."""

    def __init__(self, task: Task) -> None:
        self.task = task
        movable = np.flatnonzero(task.not_target)
        if task.beside is None:
            taken = np.unique(np.linspace(0, len(movable) - 1, min(TESTED, len(movable))).round().astype(int))
            subject, s = task.drawn
            self.beside = RandomBeside(subject, s, np.asarray(task.effects.indices), movable[taken])
        else:
            self.beside = task.beside
        self.used = task.not_target[self.beside.rows]
        rows = self.beside.rows[self.used]
        self.positions = np.searchsorted(movable, rows)
        self._base = task.effects.base_logits[rows][:, None, None]
        self._effects: Float[ndarray, "n r lengths"] | None = None

    def p_value(self, sign: int, column: int, changes: Float[ndarray, " n"]) -> float:
        """Of a move's mean effect on the images searched being larger than random moves' of equal change or length."""
        task, random = self.task, self.beside.moves
        if self._effects is None:
            after = log_odds(self._base + random.logits[self.used], task.target, task.output)
            self._effects = after - log_odds(self._base, task.target, task.output)
        change, length = (of[self.used] for of in self.beside.change_and_length(task.attribute(sign, column, 0.0)))
        controls = at_equal_change(change, length, random.change[self.used], self._effects, LENGTHS)
        return beside_controls(changes[self.positions], controls)
