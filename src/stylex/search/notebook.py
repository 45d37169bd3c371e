"""The official notebook's rankings of style coordinates, as published but for its mean over no images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray

from stylex.core.attribute import AttributeRanking
from stylex.core.errors import SearchError
from stylex.search.decision import predicted
from stylex.search.effects import Effects, EffectTable
from stylex.search.task import Task, mean_of


def filter_unstable(
    values: Float[ndarray, "n signs m k"], *, count: int, threshold: float = 0.3
) -> Float[ndarray, "n signs m k"]:
    """Set the effects of unstable images to zero.

    Unstable is an image of which more than ``count`` entries (over directions, coordinates and classes) move a
    logit by more than ``threshold``. Such images still count in means, with no effect.
    """
    unstable = (np.abs(values) > threshold).sum(axis=(1, 2, 3)) > count
    return np.where(unstable[:, None, None, None], np.zeros((), values.dtype), values)


def notebook_selection(
    effects: Float[ndarray, "n 2 m k"],
    target_class: int,
    num: int,
    max_image_effect: float,
    unstable_count: int = 0,
) -> Int64[ndarray, "picks 2"]:
    """Pick (sign index, coordinate) pairs as the official notebook does.

    Repeat: over the images whose picked effects do not yet add up to ``max_image_effect``, take the column of the
    largest mean positive effect. Only the picked direction of a coordinate is used up. Where the notebook goes on
    with the mean over no images, this stops; so it does when no column has a positive effect left.

    Args:
        effects: changes of logits; sign index 0 = moved to the minimum, 1 = to the maximum.
        target_class: the class whose logit is to rise.
        num: picks wanted.
        max_image_effect: accumulated effect, in logits, at which an image counts no longer.
        unstable_count: first clear images with more than this many effects beyond 0.3 logit (0: do not).
    """
    if unstable_count > 0:
        effects = filter_unstable(effects, count=unstable_count)
    return _selected(effects[..., target_class], num, max_image_effect)


def _selected(table: Float[ndarray, "n 2 m"], num: int, max_image_effect: float) -> Int64[ndarray, "picks 2"]:
    n, _, m = table.shape
    rise = np.maximum(table, 0).reshape(n, 2 * m)
    accumulated = np.zeros(n)
    picks: list[tuple[int, int]] = []
    while len(picks) < num and m:
        open_images = accumulated < max_image_effect
        if not open_images.any():
            break
        mean = rise[open_images].mean(axis=0)
        pick = int(mean.argmax())
        if mean[pick] <= 0:
            break
        picks.append(divmod(pick, m))
        accumulated += rise[:, pick]
        rise[:, pick] = 0
    return np.array(picks, dtype=np.int64).reshape(-1, 2)


def notebook_ranking(
    task: Task, *, num: int = 8, max_image_effect: float = 0.5, unstable_count: int = 0
) -> AttributeRanking:
    """The notebook's ranking of one class: against all others, or (with a source) against one.

    One-vs-all looks at all images, those predicted the target included; one-vs-one at those predicted the source.
    Arguments as in ``notebook_selection``; 0.5 logit is the notebook's own value here.
    """
    effects = _stable(task.effects, unstable_count) if unstable_count > 0 else task.effects
    searched = effects if task.source is None else effects.of(task.not_target)
    picks = _selected(searched.table(task.target), num, max_image_effect)
    return _notebook(task, searched, picks, "notebook", max_image_effect)


def binary_combined(
    task: Task, *, num: int = 8, max_image_effect: float = 1.0, unstable_count: int = 0
) -> AttributeRanking:
    """The notebook's combined ranking of two classes: the same coordinates for both, moved opposite ways.

    Picks for each class on the images of the other; one list, without repeated coordinates, ordered by what a
    coordinate does over all images for one class one way and for the other class the other way.
    Arguments as in ``notebook_ranking``; 1 logit is the notebook's own value here.

    Raises:
        SearchError: not two classes.
    """
    if len(task.labels) != 2:
        raise SearchError(
            f"the combined ranking is for 2 classes, but there are {len(task.labels)}; "
            "use a ranking of one class against the others"
        )
    effects = _stable(task.effects, unstable_count) if unstable_count > 0 else task.effects
    # Directions are written as driving to class 0 until the end.
    found: dict[int, int] = {}
    for goal in (0, 1):
        others = ~predicted(effects.base_logits, goal, "softmax")
        for sign, column in _selected(effects.of(others).table(goal), num, max_image_effect):
            found.setdefault(int(column), int(sign) if goal == 0 else 1 - int(sign))
    n, m = len(effects), len(effects.indices)
    mean = [mean_of(effects.table(goal).reshape(n, 2 * m)).reshape(2, m) for goal in (0, 1)]
    order = sorted(found, key=lambda c: mean[0][found[c], c] + mean[1][1 - found[c], c], reverse=True)
    picks = [(found[c] if task.target == 0 else 1 - found[c], c) for c in order[:num]]
    searched = effects.of(task.not_target)
    return _notebook(
        task, searched, np.array(picks, dtype=np.int64).reshape(-1, 2), "notebook-combined", max_image_effect
    )


def _stable(effects: EffectTable, count: int) -> Effects:
    assert isinstance(effects, Effects), "unstable images are told by all their effects in memory"
    return replace(effects, values=filter_unstable(effects.values, count=count))


def _notebook(
    task: Task, searched: EffectTable, picks: ndarray, strategy: str, max_image_effect: float
) -> AttributeRanking:
    n = len(searched)
    columns = searched.table(task.target)[:, picks[:, 0], picks[:, 1]]
    effect = columns.mean(axis=0, dtype=np.float64) if n else np.zeros(len(picks))
    done = np.maximum(columns, 0).sum(axis=1) >= max_image_effect
    attributes = [
        task.attribute(sign, column, float(e)) for (sign, column), e in zip(picks.tolist(), effect, strict=True)
    ]
    nothing = (
        "there were no images to search on." if n == 0 else f"no coordinate raises its logit on any of {n} images."
    )
    return task.ranking(attributes, strategy, images=n, explained=float(done.mean()) if n else 0.0, nothing=nothing)
