"""Latents drawn like an encoder's."""

from __future__ import annotations

import numpy as np
import torch

from stylex.models.latents import normal_latents


def test_drawn_latents_have_the_mean_and_the_covariance_of_those_given() -> None:
    random = np.random.default_rng(0)
    given = (random.standard_normal((4000, 3)) @ np.array([[2, 0, 0], [1, 0.5, 0], [0, 0, 0]]) + 5).astype(np.float32)
    drawn = normal_latents(given, 4000, seed=1)
    assert drawn.dtype == torch.float32
    np.testing.assert_allclose(drawn.mean(dim=0), given.mean(axis=0), atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(given.T), atol=0.25)
    near = normal_latents(given, 4000, seed=1, spread=0.5)
    np.testing.assert_allclose(np.cov(near.T), np.cov(given.T) / 4, atol=0.1)
    assert torch.equal(drawn, normal_latents(given, 4000, seed=1))
