"""What a person turned by hand, as an explanation of one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.explanation import Counterfactual, ExplainedImage, Explanation, Picture
from stylex.core.numbers import KEY
from stylex.core.studio import StudioImage
from stylex.search.class_search import in_unit
from stylex.search.decision import Output, probabilities
from stylex.search.subject import TrainedSubject


def turned_by_hand(
    subject: TrainedSubject,
    image: StudioImage,
    turned: Sequence[tuple[Attribute, float]],
    drawn: tuple[Sequence[Picture], NDArray[np.float32]],
    *,
    settings: Mapping[str, Any],
    notes: tuple[str, ...] = (),
) -> Explanation:
    """An explanation of one image by attributes turned by hand, each added in turn.

    Args:
        subject: whose space the attributes move in.
        image: what was turned.
        turned: attributes, and the fraction of its shift that each is turned by.
        drawn: pictures and logits: of the image at rest, with each attribute alone, and with the first 1, 2, ... of
            them together.
        settings, notes: to be written into the explanation.
    """
    (pictures, logits), labels, numbers = drawn, tuple(subject.labels), subject.numbers
    p = probabilities(logits, subject.output).astype(np.float32)
    goal = int(np.argmax(p[-1] - p[0]))
    attributes = []
    for row, (attribute, fraction) in enumerate(turned, start=1):
        shift = attribute.shift_range * fraction
        attributes.append(
            replace(
                attribute,
                sign=attribute.sign if shift > 0 else -attribute.sign,
                shift_range=abs(shift),
                effect=float(logits[row, attribute.target] - logits[0, attribute.target]),
                significance=None,
                tested=None,
                hidden=False,
            )
        )
    count = len(turned)
    roles: list[tuple[Literal["independent", "subset"], tuple[int, ...]]] = [
        ("independent", (i,)) for i in range(count)
    ]
    roles += [("subset", tuple(range(n))) for n in range(1, count + 1)] if count > 1 else []
    counterfactuals = tuple(
        Counterfactual(
            image=image.id,
            attributes=used,
            picture=pictures[row],
            logits=logits[row],
            probabilities=p[row],
            target=attributes[used[0]].target if role == "independent" else goal,
            role=role,
        )
        for row, (role, used) in enumerate(roles, start=1)
    )
    ranking = AttributeRanking(
        attributes=tuple(attributes),
        strategy="by hand",
        images=1,
        explained=float(
            p[0].argmax() != p[-1].argmax() if numbers is None else logits[-1][goal] - logits[0][goal] >= subject.by
        ),
        finding=f"Turned by hand: the probability of {labels[goal]} goes from {p[0][goal]:.3f} to {p[-1][goal]:.3f}.",
    )
    if numbers is not None:
        was, became = (numbers.said(float(places[goal]), goal) for places in (p[0], p[-1]))
        ranking = replace(
            in_unit(ranking, numbers), finding=f"Turned by hand: {numbers.names[goal]} goes from {was} to {became}."
        )
        settings = {**settings, KEY: numbers.to_json()}
    return Explanation(
        scope="image",
        title=f"What {image.name} becomes when {count} {'knob is' if count == 1 else 'knobs are'} turned",
        labels=labels,
        output=subject.output,
        ranking=ranking,
        images=(
            ExplainedImage(
                id=image.id,
                original=image.original,
                reconstruction=pictures[0],
                logits=None if image.probabilities is None else _logits(image.probabilities, subject.output),
                probabilities=image.probabilities,
                reconstruction_logits=logits[0],
                reconstruction_probabilities=p[0],
                label=image.label,
            ),
        ),
        counterfactuals=counterfactuals,
        figures={},
        settings=dict(settings),
        notes=notes,
        snapshot={"path": str(subject.snapshot.path), "sha256": subject.snapshot.sha256},
        space=subject.space,
    )


def _logits(p: NDArray[np.float32], output: Output) -> NDArray[np.float32]:
    """Logits that have these probabilities."""
    tiny = np.clip(p.astype(np.float64), 1e-30, 1 - 1e-12)
    return (np.log(tiny) if output == "softmax" else np.log(tiny / (1 - tiny))).astype(np.float32)


def shows_first(explanation: Explanation) -> str | None:
    """The image that shows the first attribute best; None where no photograph is kept."""
    for cf in explanation.counterfactuals:
        if explanation.image(cf.image).original is not None:
            return cf.image
    return None
