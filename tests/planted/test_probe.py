"""Linear probes: they find what the latents hold linearly, and nothing where there is nothing."""

import numpy as np
import pytest

from stylex.core.errors import EvaluationError
from stylex.planted.probe import linear_r2

N = 300


def test_what_latents_hold_linearly_is_read_and_what_they_do_not_is_not() -> None:
    random = np.random.default_rng(0)
    factors = random.random((N, 3))
    latents = np.concatenate([factors[:, :1] * 3 + 1, factors[:, 1:2] + random.normal(0, 12**-0.5, (N, 1))], axis=1)
    latents = latents @ random.normal(size=(2, 20)) + 1e-6 * random.normal(size=(N, 20))
    r2 = linear_r2(latents, factors)
    assert r2[0] == pytest.approx(1, abs=0.01)
    assert r2[1] == pytest.approx(0.5, abs=0.1)  # half of what varies in its latent is noise
    assert abs(r2[2]) < 0.05


def test_more_latents_than_images_do_not_learn_by_heart() -> None:
    random = np.random.default_rng(1)
    factors, tail = random.random((N, 2)), random.normal(size=(N, 900))
    assert linear_r2(tail, factors).max() < 0.1
    held = np.concatenate([factors[:, :1], tail[:, :200]], axis=1)
    assert linear_r2(held, factors)[0] > 0.4  # one number among 200 that say nothing
    assert linear_r2(held, factors)[1] < 0.1


def test_latents_that_never_vary_hold_nothing() -> None:
    factors = np.random.default_rng(2).random((N, 1))
    assert abs(linear_r2(np.ones((N, 4)), factors)[0]) < 0.05


def test_the_unit_of_latents_and_factors_does_not_matter() -> None:
    random = np.random.default_rng(3)
    latents, factors = random.normal(size=(N, 6)), random.random((N, 2))
    factors[:, 0] += latents[:, 2]
    np.testing.assert_allclose(linear_r2(latents, factors), linear_r2(5 * latents - 2, 100 * factors), atol=1e-9)


def test_mistakes_are_told() -> None:
    with pytest.raises(EvaluationError, match="30 latents and 20 rows"):
        linear_r2(np.zeros((30, 2)), np.zeros((20, 1)))
    with pytest.raises(EvaluationError, match="10 images are too few"):
        linear_r2(np.zeros((10, 2)), np.zeros((10, 1)))
    with pytest.raises(EvaluationError, match="factor 1 never varies"):
        linear_r2(np.zeros((30, 2)), np.stack([np.arange(30.0), np.ones(30)], axis=1))
