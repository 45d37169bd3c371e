"""A small explanation with something of everything in it."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.explanation import Counterfactual, ExplainedImage, Explanation, Strip
from stylex.core.stylespace import StyleCoordinate, StyleLayer, StyleSpace, StyleStatistics


def _shoe(rng: np.random.Generator, height: int) -> np.ndarray:
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[12 - height : 12, 3:9] = 180
    picture[9:12, 3:14] = (200, 180, 160)
    return picture + rng.integers(0, 8, picture.shape, dtype=np.uint8)


def _probabilities(logits: np.ndarray) -> np.ndarray:
    exp = np.exp(logits - logits.max())
    return (exp / exp.sum()).astype(np.float32)


@pytest.fixture
def explanation() -> Explanation:
    rng = np.random.default_rng(0)
    space = StyleSpace(
        [
            StyleLayer(name="b4.conv1", kind="conv", resolution=4, channels=8),
            StyleLayer(name="b8.conv0", kind="conv", resolution=8, channels=4),
            StyleLayer(name="b4.torgb", kind="torgb", resolution=4, channels=8),
        ]
    ).observed(StyleStatistics.observe(rng.normal(size=(5, 20)).astype(np.float32)))

    def attribute(layer: str, channel: int, sign: int, label: str | None) -> Attribute:
        return Attribute(
            coordinate=StyleCoordinate(layer, channel),
            sign=1 if sign > 0 else -1,
            shift_range=1.0,
            target=1,
            target_label="ankle boot",
            effect=2.3 - channel / 3,
            source_label="sneaker",
            significance=0.01 if label else None,
            tested="p" if label else None,
            label=label,
        )

    attributes = (attribute("b4.conv1", 3, 1, "Shaft height"), attribute("b8.conv0", 2, -1, None))
    images, changes = [], []
    for i in range(3):
        logits = np.array([1.5 - i / 3, -1.0 + 0.1 * i], np.float32)
        original = None if i == 2 else _shoe(rng, 3)
        images.append(
            ExplainedImage(
                id=f"test-{i}",
                original=original,
                reconstruction=_shoe(rng, 3),
                logits=None if original is None else logits,
                probabilities=None if original is None else _probabilities(logits),
                reconstruction_logits=logits,
                reconstruction_probabilities=_probabilities(logits),
                label="sneaker" if i else None,
            )
        )
        for j, used in enumerate([(0,), (1,), (0, 1)]):
            after = logits + np.array([-1, 1], np.float32) * (j + 1 + i / 2)
            changes.append(
                Counterfactual(
                    image=f"test-{i}",
                    attributes=used,
                    picture=_shoe(rng, 5 + j),
                    logits=after,
                    probabilities=_probabilities(after),
                    target=1,
                    role="subset" if len(used) > 1 else "shows",
                )
            )
    return Explanation(
        scope="class",
        title="What makes a shoe an ankle boot",
        labels=("sneaker", "ankle boot"),
        output="softmax",
        ranking=AttributeRanking(
            attributes=attributes, strategy="attfind", images=40, explained=0.9, finding="Two attributes explain 90%."
        ),
        images=tuple(images),
        counterfactuals=tuple(changes),
        figures={"agreement": 0.99, "probability_error": 1 / 3, "kl": math.nan},
        settings={"shift_range": 1.0, "seed": 0, "filters": ["unstable"], "note": "naïve ✓"},
        snapshot={"path": "runs/shoes/snapshot", "sha256": "ab" * 32},
        space=space,
        notes=("Measured on held-out images.",),
    )


@pytest.fixture
def turned(explanation: Explanation) -> Explanation:
    """The same with its first image turned from end to end, by each attribute."""
    image = explanation.images[0]
    shares = (-1.5, -1.0, 0.0, 1.0, 1.5)
    frames = np.stack([np.clip(image.reconstruction + 20.0 * share, 0, 255).astype(np.uint8) for share in shares])
    answers = np.stack([_probabilities(np.array([1, share], np.float32)) for share in shares])
    strips = tuple(
        Strip(image=image.id, attribute=place, shares=shares, frames=frames, probabilities=answers)
        for place in range(2)
    )
    return dataclasses.replace(explanation, strips=strips)
