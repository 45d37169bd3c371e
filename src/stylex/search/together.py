"""A class's attributes chosen together: each one for what it adds to those already applied."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.progress import Done, Listener, Started, Step, silent
from stylex.metrics.significance import FEWEST_TO_TEST, NOISE_FLOOR, largest_sign_flip
from stylex.search.decision import margin
from stylex.search.greedy import greedy
from stylex.search.task import Task

CANDIDATES = 64
"""How many of the strongest moves are tried at each step; all, where there are no more."""

_LEAST_GAIN = 0.01
"""An attribute that brings the images nearer by fewer logits than this adds nothing."""

_ENOUGH = 1.0
"""Logits beyond the decision boundary above which an image gains nothing more."""


@torch.inference_mode()
def together(
    task: Task,
    *,
    num: int = 10,
    candidates: int = CANDIDATES,
    images: int = 100,
    alpha: float = 0.05,
    listener: Listener = silent,
) -> AttributeRanking:
    """Choose the attributes that turn most images when moved together.

    Effects do not add up: two coordinates that draw the same thing give it once. So each step renders every
    candidate on top of the attributes already chosen, on the same images, and takes the one that brings them
    farthest towards the target (mean margin, counted up to a logit beyond the boundary). Where few knobs were
    searched, as of directions, every one is a candidate, both ways: one that does nothing for the target by itself
    may take away what another brings for a third class.

    Args:
        task: single effects, what to drive to, and the subject that draws.
        num: attributes wanted.
        candidates: how many of the strongest moves are tried at each step, each of which raises the target by itself;
            if there are no more moves than this, all of them.
        images: how many images (spread over those not predicted the target) they are tried on.
        alpha: as in ``attfind.attfind``.
        listener: hears one ``Step`` for each attribute.

    Returns:
        The ranking, in the order of choice; each effect is the attribute's own, alone, over all images searched.
        ``explained`` is the fraction of the tried images that all of them together turn.

    Source: the subset selection of Lang et al., ICCV 2021, section 3.4, carried from one image to a class.
    """
    (subject, s), places = task.drawn, np.flatnonzero(task.not_target)
    pool, nothing = _pool(task, candidates, alpha)
    tried = places[np.unique(np.linspace(0, len(places) - 1, min(images, len(places))).round().astype(int))]
    own = s[torch.from_numpy(tried).to(s.device)]
    listener(Started(task="together", total=num, unit="attributes"))

    base = task.effects.base_logits[tried]

    def reached(chosen: Sequence[Attribute], added: Sequence[Attribute]) -> Float[ndarray, " added"]:
        listener(Step(task="together", done=len(chosen)))
        ends = [subject.logits(subject.moved(own, [*chosen, attribute])) for attribute in added]
        return np.array([_reached(base, logits, task) for logits in ends])

    chosen = greedy(
        pool,
        reached,
        start=_reached(base, base, task),
        num=num,
        excludes=lambda added, other: added.coordinate == other.coordinate,
        least=_LEAST_GAIN,
    )
    listener(Done(task="together"))
    ends = subject.logits(subject.moved(own, chosen)) if chosen else base
    fraction = float(task.turns(base, ends).mean()) if len(tried) else 0.0
    finding = (
        f"{len(chosen)} attributes together turn {fraction:.0%} of {len(tried)} images to {task.name!r}."
        if chosen
        else f"Nothing moves the classifier towards {task.name!r}: {nothing}"
    )
    return AttributeRanking(
        attributes=tuple(chosen), strategy="together", images=len(places), explained=fraction, finding=finding
    )


def _reached(base: ndarray, logits: ndarray, task: Task) -> float:
    # How far images are towards the target on average; of numbers, from where they were.
    margins = margin(logits, task.target, task.output)
    if task.output == "regression":
        return float(np.minimum(margins - margin(base, task.target, task.output), task.by).mean()) if len(logits) else 0
    return float(np.minimum(margins, _ENOUGH).mean()) if len(margins) else 0.0


def _pool(task: Task, candidates: int, alpha: float) -> tuple[list[Attribute], str]:
    # The moves to try, the strongest over the images first; or why there are none.
    if len(task.searched) == 0:
        return [], "there are no images to move; give images of other classes."
    table = task.searched.table(task.target)
    mean = table.mean(axis=0, dtype=np.float64)
    n, signs, m = table.shape
    p = np.zeros((signs, m))
    if n >= FEWEST_TO_TEST:
        p = largest_sign_flip(table.reshape(n, signs * m)).reshape(signs, m)
    tried = np.ones((signs, m), dtype=np.bool_)
    if mean.size > candidates:
        tried = (mean > NOISE_FLOOR) & (p <= alpha) & (np.arange(signs)[:, None] == mean.argmax(axis=0))
    order = [divmod(move, m) for move in np.argsort(-mean, axis=None, kind="stable").tolist()]
    pool = [
        task.attribute(sign, c, float(mean[sign, c]), float(p[sign, c]) if n >= FEWEST_TO_TEST else None)
        for sign, c in [move for move in order if tried[move]][:candidates]
    ]
    return pool, (
        f"the largest mean effect over {n} images is {mean.max():.3f} logit, or chance alone explains it, or it brings "
        "another class as well."
    )
