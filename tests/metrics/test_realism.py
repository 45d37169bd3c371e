"""Distances of sets of features: closed forms, equal sets, few images, and no mixing of extractors."""

from __future__ import annotations

import numpy as np
import pytest

from stylex.core.errors import EvaluationError
from stylex.metrics.features import Features
from stylex.metrics.frechet import frechet_distance
from stylex.metrics.kid import kernel_distance
from stylex.metrics.manifold import precision_recall

RANDOM = np.random.default_rng(0)


def features(values: np.ndarray, extractor: str = "net") -> Features:
    return Features(values=values, extractor=extractor)


def exactly(mean: np.ndarray, root: np.ndarray, n: int = 40) -> np.ndarray:
    """A sample whose mean is ``mean`` and whose covariance is ``root' root``, both exactly."""
    raw = RANDOM.standard_normal((n, len(mean)))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(raw.T @ raw / (n - 1)).T)
    return white @ root + mean


def test_frechet_of_two_normal_distributions_is_the_closed_form() -> None:
    d = 5
    mean_a, mean_b = RANDOM.standard_normal((2, d))
    sigma_a, sigma_b = np.abs(RANDOM.standard_normal((2, d)))
    found = frechet_distance(
        features(exactly(mean_a, np.diag(sigma_a))), features(exactly(mean_b, np.diag(sigma_b), n=70))
    )
    # Diagonal covariances: |difference of means|^2 + |difference of standard deviations|^2.
    assert found.value == pytest.approx(np.square(mean_a - mean_b).sum() + np.square(sigma_a - sigma_b).sum(), abs=1e-9)
    assert found.images == (40, 70)
    assert found.warning is None


def test_frechet_of_any_covariances_is_the_trace_of_the_root() -> None:
    from scipy.linalg import sqrtm

    roots = RANDOM.standard_normal((2, 4, 4))
    a, b = (exactly(np.zeros(4), root) for root in roots)
    covariances = [root.T @ root for root in roots]
    direct = sum(np.trace(c) for c in covariances) - 2 * np.trace(sqrtm(covariances[0] @ covariances[1])).real
    assert frechet_distance(features(a), features(b)).value == pytest.approx(direct, rel=1e-8)


def test_frechet_with_fewer_images_than_dimensions_is_exact_and_says_so() -> None:
    a = RANDOM.standard_normal((7, 300))
    same, other = frechet_distance(features(a), features(a)), frechet_distance(features(a), features(a + 2))
    assert same.value == pytest.approx(0, abs=1e-9)
    assert other.value == pytest.approx(4 * 300, rel=1e-9)  # equal covariances: only the means differ
    assert same.warning is not None
    assert "7 images are fewer than 300" in same.warning


def test_frechet_is_symmetric() -> None:
    a, b = features(RANDOM.standard_normal((9, 20))), features(RANDOM.standard_normal((30, 20)) + 1)
    assert frechet_distance(a, b).value == pytest.approx(frechet_distance(b, a).value, rel=1e-9)


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


@pytest.mark.parametrize("measure", [frechet_distance, kernel_distance, precision_recall])
def test_features_of_two_extractors_are_not_compared(measure: object) -> None:
    a, b = RANDOM.standard_normal((2, 8, 3))
    assert callable(measure)
    with pytest.raises(EvaluationError, match=r"by classifier .* not compared with features by inception"):
        measure(features(a, "classifier"), features(b, "inception"))
