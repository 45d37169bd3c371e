"""What a person has turned, as an explanation of one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.explanation import Counterfactual, ExplainedImage, Explanation
from stylex.core.studio import StudioImage, Turn
from stylex.core.stylespace import StyleSpace
from stylex.search.decision import Output, probabilities


@dataclass(frozen=True, eq=False, kw_only=True)
class Setting:
    """Knobs turned on one image.

    Attributes:
        image: the image.
        knobs: position of each turned knob -> how much of its shift was taken, never 0.
        attributes: the knobs' attributes, in ascending order of their positions.
    """

    image: StudioImage
    knobs: Mapping[int, float]
    attributes: Sequence[Attribute]

    def turns(self) -> list[Turn]:
        """What must be drawn: the image at rest, each knob alone, then each knob added to those before it."""
        order = sorted(self.knobs)
        added = [order[:n] for n in range(1, len(order) + 1)]
        wanted: list[list[int]] = [[], *([knob] for knob in order), *added]
        return [Turn(image=self.image.id, knobs={knob: self.knobs[knob] for knob in each}) for each in wanted]


@dataclass(frozen=True, eq=False, kw_only=True)
class Opened:
    """What the explanation says of the studio that it was made in."""

    labels: tuple[str, ...]
    output: Output
    space: StyleSpace
    settings: Mapping[str, Any]
    snapshot: Mapping[str, str]


def explained_by_hand(
    setting: Setting, pictures: Sequence[NDArray[np.uint8]], logits: NDArray[np.float32], opened: Opened
) -> Explanation:
    """The explanation of a setting, given the pictures of its ``turns`` and the logits ``[n, k]`` on them."""
    shown, count = setting.image, len(setting.attributes)
    p = probabilities(logits, opened.output).astype(np.float32)
    goal = int(np.argmax(p[-1] - p[0]))
    attributes = []
    for place, (attribute, knob) in enumerate(zip(setting.attributes, sorted(setting.knobs), strict=True)):
        turned = attribute.shift_range * setting.knobs[knob]
        attributes.append(
            replace(
                attribute,
                sign=attribute.sign if turned > 0 else -attribute.sign,
                shift_range=abs(turned),
                effect=float(logits[1 + place, attribute.target] - logits[0, attribute.target]),
                significance=None,
                hidden=False,
            )
        )
    jobs: list[tuple[Literal["independent", "subset"], tuple[int, ...]]] = [
        ("independent", (place,)) for place in range(count)
    ]
    jobs += [("subset", tuple(range(n))) for n in range(1, count + 1)] if count > 1 else []
    counterfactuals = tuple(
        Counterfactual(
            image=shown.id,
            attributes=used,
            picture=pictures[1 + row],
            logits=logits[1 + row],
            probabilities=p[1 + row],
            target=attributes[used[0]].target if role == "independent" else goal,
            role=role,
        )
        for row, (role, used) in enumerate(jobs)
    )
    return Explanation(
        scope="image",
        title=f"What {shown.name} becomes when {count} {'knob is' if count == 1 else 'knobs are'} turned",
        labels=opened.labels,
        output=opened.output,
        ranking=AttributeRanking(
            attributes=tuple(attributes),
            strategy="by hand",
            images=1,
            explained=float(p[0].argmax() != p[-1].argmax()),
            finding=f"Turned by hand: the probability of {opened.labels[goal]} goes from {p[0][goal]:.3f} to "
            f"{p[-1][goal]:.3f}.",
        ),
        images=(
            ExplainedImage(
                id=shown.id,
                original=shown.original,
                reconstruction=pictures[0],
                logits=None if shown.probabilities is None else _logits(shown.probabilities, opened.output),
                probabilities=shown.probabilities,
                reconstruction_logits=logits[0],
                reconstruction_probabilities=p[0],
                label=shown.label,
            ),
        ),
        counterfactuals=counterfactuals,
        figures={},
        settings={**opened.settings, "image": shown.id, "knobs": {str(k): v for k, v in setting.knobs.items()}},
        snapshot=opened.snapshot,
        space=opened.space,
    )


def _logits(p: NDArray[np.float32], output: Output) -> NDArray[np.float32]:
    """Logits that have these probabilities."""
    tiny = np.clip(p.astype(np.float64), 1e-30, 1 - 1e-12)
    return (np.log(tiny) if output == "softmax" else np.log(tiny / (1 - tiny))).astype(np.float32)
