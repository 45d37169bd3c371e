"""Precision and recall of samples."""

from __future__ import annotations

import numpy as np

from stylex.metrics.features import Features
from stylex.metrics.manifold import precision_recall


def features(values: np.ndarray, extractor: str = "net") -> Features:
    return Features(values=values, extractor=extractor)


def test_precision_and_recall_see_what_is_missing() -> None:
    grid = np.stack(np.meshgrid(np.arange(8.0), np.arange(8.0)), axis=-1).reshape(-1, 2)
    half = grid[grid[:, 0] < 3.5]
    same, missing = (
        precision_recall(features(grid), features(grid + 0.1)),
        precision_recall(features(grid), features(half)),
    )
    assert (same.precision.value, same.recall.value) == (1, 1)
    assert missing.precision.value == 1  # all that is generated is real
    assert 0.4 < missing.recall.value < 0.9  # but only half of the real is generated
    away = precision_recall(features(grid), features(grid + 100))
    assert (away.precision.value, away.recall.value) == (0, 0)
