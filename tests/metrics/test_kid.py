"""Kernel distance of two sets of features."""

from __future__ import annotations

import numpy as np
import pytest

from stylex.metrics.features import Features
from stylex.metrics.kid import kernel_distance

RANDOM = np.random.default_rng(0)


def features(values: np.ndarray, extractor: str = "net") -> Features:
    return Features(values=values, extractor=extractor)


def test_kid_of_equal_distributions_is_zero_on_average_and_its_interval_knows() -> None:
    random = np.random.default_rng(1)
    inside, values = 0, []
    for _ in range(60):
        found = kernel_distance(*(features(random.standard_normal((25, 6))) for _ in range(2))).interval
        values.append(found.value)
        inside += found.low <= 0 <= found.high
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0 < max(values)
    assert inside >= 54


def test_kid_is_the_mean_kernel_over_pairs_and_its_jackknife_leaves_images_out() -> None:
    a, b = RANDOM.standard_normal((6, 3)), RANDOM.standard_normal((5, 3)) + 0.5

    def direct(x: np.ndarray, y: np.ndarray) -> float:
        def mean(p: np.ndarray, q: np.ndarray, *, same: bool) -> float:
            pairs = [(i, j) for i in range(len(p)) for j in range(len(q)) if not (same and i == j)]
            return float(np.mean([(p[i] @ q[j] / 3 + 1) ** 3 for i, j in pairs]))

        return mean(x, x, same=True) + mean(y, y, same=True) - 2 * mean(x, y, same=False)

    found = kernel_distance(features(a), features(b)).interval
    without = [direct(np.delete(a, i, 0), b) for i in range(6)], [direct(a, np.delete(b, i, 0)) for i in range(5)]
    reach = 1.96 * np.sqrt(sum((len(w) - 1) * np.var(w) for w in without))
    assert found.value == pytest.approx(direct(a, b))
    assert found.high - found.value == pytest.approx(reach)
