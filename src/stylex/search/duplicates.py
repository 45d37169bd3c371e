"""Attributes that draw the same change: only the first of them is a knob of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.search.choosing import spread
from stylex.search.task import Task

_ALIKE = 0.9
"""Cosine of two changes of the picture from which on they are one to the eye."""
_IMAGES = 16


@torch.inference_mode()
def without_duplicates(task: Task, ranking: AttributeRanking) -> AttributeRanking:
    """Leave out attributes that change pictures as a stronger one does, and say so in the finding.

    Compared is what is drawn: on some images that are not predicted the target, the difference that each attribute
    makes, as a vector of pixels. Attributes whose differences point the same way (a cosine of 0.9 or more) differ at
    most in how far they go on an image; and what looks the same has the same effect on the classifier.

    Args:
        task: the subject that draws, and the images' style vectors.
        ranking: attributes towards one target, best first.
    """
    (subject, s), rows = task.drawn, np.flatnonzero(task.not_target)
    if len(ranking) < 2 or len(rows) == 0:
        return ranking
    own = s[torch.from_numpy(rows[spread(len(rows), min(_IMAGES, len(rows)))]).to(s.device)]
    before = subject.draw(own)
    kept: list[tuple[Attribute, Tensor]] = []
    same: list[tuple[Attribute, Attribute]] = []
    for attribute in ranking:
        change = (subject.draw(subject.moved(own, [attribute])) - before).flatten(1)
        like = next((other for other, theirs in kept if _cosine(change, theirs) >= _ALIKE), None)
        if like is None:
            kept.append((attribute, change))
        else:
            same.append((attribute, like))
    if not same:
        return ranking
    pairs = ", ".join(f"{attribute.name} as {like.name}" for attribute, like in same)
    return replace(
        ranking,
        attributes=tuple(attribute for attribute, _ in kept),
        finding=f"{ranking.finding} Left out, since they draw the same as a stronger one: {pairs}.",
    )


def _cosine(a: Float[Tensor, "n pixels"], b: Float[Tensor, "n pixels"]) -> float:
    """Over images; those that one of them hardly changes count little, since they may be at its extreme already."""
    return float((a * b).sum() / (a.norm(dim=1) * b.norm(dim=1)).sum().clamp(min=1e-12))
