"""A class's attributes chosen together: each one for what it adds to those already applied."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.progress import Done, Listener, Started, Step, silent
from stylex.core.stylespace import StyleSpace
from stylex.search.attfind import FEWEST_TO_TEST, NOISE_FLOOR, significance
from stylex.search.decision import Output, margin, predicted
from stylex.search.effects import EffectTable
from stylex.search.render import Judge, Synthesizer, judge
from stylex.search.shifts import apply_attributes

CANDIDATES = 64
"""How many of the strongest moves are tried at each step; all, where there are no more."""

_LEAST_GAIN = 0.01
"""An attribute that brings the images nearer by fewer logits than this adds nothing."""

_ENOUGH = 1.0
"""Logits beyond the decision boundary above which an image gains nothing more."""


@torch.inference_mode()
def together(
    synthesis: Synthesizer,
    classifier: Judge,
    space: StyleSpace,
    s: Float[Tensor, "n s_dim"],
    effects: EffectTable,
    target: int,
    *,
    labels: Sequence[str],
    output: Output = "softmax",
    source: int | None = None,
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
        synthesis, classifier, space: the networks and the layout.
        s, effects: the images' style vectors and single effects, row for row.
        target: class to drive to.
        labels, output, source, alpha: as of ``attfind.attfind``.
        num: attributes wanted.
        candidates: how many of the strongest moves are tried at each step, each of which raises the target by itself;
            if there are no more moves than this, all of them.
        images: how many images (spread over those not predicted the target) they are tried on.
        listener: hears one ``Step`` for each attribute.

    Returns:
        The ranking, in the order of choice; each effect is the attribute's own, alone, over all images searched.
        ``explained`` is the share of the tried images that all of them together turn.

    Source: the subset selection of Lang et al., ICCV 2021, section 3.4, carried from one image to a class.
    """
    rows = ~predicted(effects.base_logits, target, output)
    if source is not None:
        rows &= predicted(effects.base_logits, source, output)
    places = np.flatnonzero(rows)
    pool, nothing = _pool(effects, places, target, space, labels, source, candidates, alpha)
    tried = places[np.unique(np.linspace(0, len(places) - 1, min(images, len(places))).round().astype(int))]
    current = s[torch.from_numpy(tried).to(s.device)]
    chosen: list[Attribute] = []
    reached, share = _reached(effects.base_logits[tried], target, output)
    listener(Started(task="together", total=num, unit="attributes"))
    while pool and len(chosen) < num:
        moved = (judge(synthesis, classifier, apply_attributes(current, [attribute], space)) for attribute in pool)
        ends = [_reached(logits.cpu().numpy(), target, output) for logits in moved]
        best = max(range(len(pool)), key=lambda i: ends[i])
        if ends[best][0] <= reached + _LEAST_GAIN:
            break
        (reached, share), added = ends[best], pool[best]
        current = apply_attributes(current, [added], space)
        chosen.append(added)
        pool = [attribute for attribute in pool if attribute.coordinate != added.coordinate]
        listener(Step(task="together", done=len(chosen)))
    listener(Done(task="together"))
    finding = (
        f"{len(chosen)} attributes together turn {share:.0%} of {len(tried)} images to {labels[target]!r}."
        if chosen
        else f"Nothing moves the classifier towards {labels[target]!r}: {nothing}"
    )
    return AttributeRanking(
        attributes=tuple(chosen), strategy="together", images=len(places), explained=share, finding=finding
    )


def _reached(logits: ndarray, target: int, output: Output) -> tuple[float, float]:
    # How far images are towards the target on average, and the share that has arrived.
    margins = margin(logits, target, output)
    return (float(np.minimum(margins, _ENOUGH).mean()), float((margins >= 0).mean())) if len(margins) else (0.0, 0.0)


def _pool(
    effects: EffectTable,
    places: ndarray,
    target: int,
    space: StyleSpace,
    labels: Sequence[str],
    source: int | None,
    candidates: int,
    alpha: float,
) -> tuple[list[Attribute], str]:
    # The moves to try, the strongest over the images first; or why there are none.
    if len(places) == 0:
        return [], "there are no images to move; give images of other classes."
    table = effects.of(places).table(target)
    mean = table.mean(axis=0, dtype=np.float64)
    n, signs, m = table.shape
    p = np.zeros((signs, m))
    if n >= FEWEST_TO_TEST:
        p = significance(table.reshape(n, signs * m)).reshape(signs, m)
    tried = np.ones((signs, m), dtype=np.bool_)
    if mean.size > candidates:
        tried = (mean > NOISE_FLOOR) & (p <= alpha) & (np.arange(signs)[:, None] == mean.argmax(axis=0))
    order = [divmod(place, m) for place in np.argsort(-mean, axis=None, kind="stable").tolist()]
    pool = [
        Attribute(
            coordinate=space.coordinate(int(effects.indices[c])),
            sign=1 if sign else -1,
            shift_range=effects.shift_range,
            target=target,
            target_label=labels[target],
            effect=float(mean[sign, c]),
            source_label=None if source is None else labels[source],
            significance=float(p[sign, c]) if n >= FEWEST_TO_TEST else None,
        )
        for sign, c in [move for move in order if tried[move]][:candidates]
    ]
    return pool, (
        f"the largest mean effect over {n} images is {mean.max():.3f} logit, or chance alone explains it, or it brings "
        "another class as well."
    )
