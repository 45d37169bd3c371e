"""The artefact filter: attributes that make pictures look less (or more) real to the discriminator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.search.decision import Output
from stylex.search.render import Critic
from stylex.search.task import Task


@dataclass(frozen=True, kw_only=True)
class RealismCheck:
    """A ranking without the attributes that change how real pictures look.

    Attributes:
        ranking: what is left, in order; ``finding`` names what was rejected.
        rejected: what is not, in order.
        changes: of every attribute of the original ranking, the largest change of the discriminator's logit.
    """

    ranking: AttributeRanking
    rejected: tuple[Attribute, ...]
    changes: tuple[float, ...]


@torch.inference_mode()
def keep_realistic(
    task: Task,
    ranking: AttributeRanking,
    discriminator: Critic,
    *,
    threshold: float = 0.2,
    images: int = 10,
    min_effect: float = 0.2,
) -> RealismCheck:
    """Reject attributes that move the discriminator's logit by more than ``threshold`` on any of a few images.

    Looked at are the first ``images`` images on which the attribute's measured effect exceeds ``min_effect``
    logits; an attribute without any is kept, there being nothing to see.

    Args:
        task: measured effects, with the subject that draws them.
        ranking: what to filter.
        discriminator: how real a picture looks, conditioned on the classifier's probabilities.
        threshold: in logits of the discriminator. Its scale differs from training to training; 0.2 is the notebook's.
        images: most images looked at for each attribute.
        min_effect: in logits.

    Source: the official notebook, with three deviations: the picture is moved by the attribute's own shift (the
    notebook moves it twice as far, and judges pictures that nobody is shown); only the attribute's own direction is
    looked at, since that is what is shown; and the discriminator is conditioned, before and after, on the classifier's
    probabilities of the very picture (the notebook takes those of the original image before).
    """
    (subject, s), changes = task.drawn, list[float]()
    for attribute in ranking:
        column = task.effects.position(task.space.index(attribute.coordinate))
        effect = task.effects.change(int(attribute.sign > 0), column)[:, attribute.target]
        rows = torch.from_numpy(np.flatnonzero(effect > min_effect)[:images]).to(s.device)
        if len(rows) == 0:
            changes.append(0.0)
            continue
        before, after = (
            discriminator(x, _probabilities(subject.classifier.logits(x), task.output))
            for x in (subject.draw(s[rows]), subject.draw(subject.moved(s[rows], [attribute])))
        )
        changes.append(float((after - before).abs().max()))
    kept = tuple(a for a, change in zip(ranking, changes, strict=True) if change <= threshold)
    rejected = tuple(a for a, change in zip(ranking, changes, strict=True) if change > threshold)
    finding = ranking.finding
    if rejected:
        finding += f" Rejected as artefacts: {_names(rejected)}."
    return RealismCheck(
        ranking=replace(ranking, attributes=kept, finding=finding), rejected=rejected, changes=tuple(changes)
    )


def _probabilities(logits: Tensor, output: Output) -> Tensor:
    return logits.softmax(dim=1) if output == "softmax" else logits.sigmoid()


def _names(attributes: Sequence[Attribute]) -> str:
    return ", ".join(attribute.name for attribute in attributes)
