"""Latents drawn like an encoder's."""

from __future__ import annotations

import numpy as np
import torch

from stylex.models.latents import normal_axes, normal_latents


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


def test_axes_map_noise_to_the_same_distribution_the_longest_ones_first() -> None:
    random = np.random.default_rng(0)
    given = (random.standard_normal((500, 3)) @ np.array([[2, 0, 0], [1, 0.5, 0], [0, 0, 0.1]]) + 5).astype(np.float32)
    axes = normal_axes(given, 5).numpy()
    np.testing.assert_allclose(axes[0], given.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(axes[1:].T @ axes[1:], np.cov(given.T), atol=1e-4)
    assert np.all(np.diff(np.linalg.norm(axes[1:], axis=1)) <= 1e-6)
    assert np.array_equal(normal_axes(given, 2), axes[:3])
