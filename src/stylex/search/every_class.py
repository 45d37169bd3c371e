"""Every class of a classifier explained, one after another, out of effects that are measured once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from stylex.core.attribute import Attribute
from stylex.core.explanation import Explanation
from stylex.core.overview import Standing
from stylex.core.progress import Done, Started, Step, silent
from stylex.metrics.controls import at_equal_change
from stylex.search.class_search import TOGETHER, Kept, Looks, explanation_of
from stylex.search.classes import ClassSearch, Workplace, measure_classes
from stylex.search.config import SearchConfig
from stylex.search.controls import LENGTHS, RandomBeside
from stylex.search.encoding import Searched
from stylex.search.methods import method_for
from stylex.search.subject import TrainedSubject
from stylex.search.task import Task

TASK = "classes"
"""Name of this work in progress events."""
_LOOKS = Looks(shown=3, strips=False, draws=4, moved=50)


def explain_every(
    subject: TrainedSubject,
    encoded: Searched,
    config: SearchConfig,
    targets: Sequence[int],
    *,
    figures: Mapping[str, float],
    settings: Mapping[str, Any],
    at: Workplace,
) -> Iterator[tuple[Explanation, Standing | None]]:
    """Explain each class by itself, a few attributes and pictures each.

    Effects of all moves on all classes are measured once, and random moves to compare with are drawn once. What is
    made of one class is dropped before the next, so that memory holds the effects, ``images * moves * classes``
    numbers (beyond 1 GiB they stay on disk), and a copy of them for the class at hand.

    Args:
        subject, encoded, config, settings: as in ``explain_class``.
        targets: the classes.
        figures: how good the images' reconstructions are (``quality``), to be written into each explanation.
        at: where; of several processes only the first one is given explanations.

    Returns:
        Of each class its explanation, and what its first attribute does over all images.

    Raises:
        SearchError, ConfigError: as in ``search_classes``.
    """
    num = max(config.attributes, TOGETHER)
    measured = measure_classes(subject, encoded, config, targets, num=num, at=at)
    if measured is None:
        return
    ranking = method_for(config).rankings[config.selection]
    beside = RandomBeside(subject, measured.s, np.asarray(measured.effects.indices))
    kept = Kept(figures=figures)
    at.listener(Started(task=TASK, total=len(targets), unit="classes"))
    for done, target in enumerate(targets, start=1):
        task = measured.task(config, target, beside=beside)
        found = ClassSearch(
            tasks=(task,),
            rankings=(ranking(task, num, silent),),
            rows=measured.rows,
            screened=measured.screened,
        )
        explanation = explanation_of(
            subject,
            encoded,
            replace(config, target=subject.labels[target]),
            found,
            kept=kept,
            settings={**settings, "target": subject.labels[target]},
            looks=_LOOKS,
            listener=silent,
        )
        first = next(iter(explanation.ranking), None)
        yield explanation, None if first is None else standing(task, first, beside)
        at.listener(Step(task=TASK, done=done))
    at.listener(Done(task=TASK))


def standing(task: Task, attribute: Attribute, beside: RandomBeside) -> Standing:
    """What an attribute alone does to a class's place among the answers, beside random moves that change as much.

    Args:
        task: measured effects of the attribute on the class.
        attribute: one of those measured.
        beside: random moves of some of the images, each as far as it changes the picture as much as the attribute
            does, but no further than that goes (``at_equal_change``).
    """
    base = task.searched.base_logits
    column = task.effects.position(task.space.index(attribute.coordinate))
    after = base + task.searched.change(int(attribute.sign > 0), column)
    used = task.not_target[beside.rows]
    moves, (wanted, far) = beside.moves, beside.change_and_length(attribute)
    change = at_equal_change(wanted[used], far[used], moves.change[used], moves.logits[used], LENGTHS)
    start = np.broadcast_to(task.effects.base_logits[beside.rows[used]][:, None], change.shape)
    random = start + change
    return Standing(
        images=len(base),
        turned=int(task.turns(base, after).sum()),
        place=float(np.median(_places(base, task.target))),
        moved=float(np.median(_places(after, task.target))),
        random_turned=float(task.turns(start, random).mean()),
        random_place=float(np.median(_places(random, task.target))),
    )


def _places(logits: Float[ndarray, "*n k"], target: int) -> Float[ndarray, "*n"]:
    """Where a class stands among the answers: 1 is first."""
    return np.asarray((logits > logits[..., target : target + 1]).sum(axis=-1) + 1.0)
