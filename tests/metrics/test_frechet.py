"""Frechet distance of two sets of features."""

from __future__ import annotations

import numpy as np
import pytest

from stylex.metrics.features import Features
from stylex.metrics.frechet import frechet_distance

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
