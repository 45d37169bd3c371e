"""Pictures, and changes of them that are distinct: each its own quarter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

K, N, SIDE = 4, 40, 16


@pytest.fixture
def pictures() -> Callable[..., np.ndarray]:
    """Random pictures, ``[40, channels, 16, 16]``, by a seed."""

    def make(seed: int = 0, channels: int = 1) -> np.ndarray:
        random = np.random.default_rng(seed)
        return random.uniform(-0.8, 0.8, (N, channels, SIDE, SIDE)).astype(np.float32)

    return make


@pytest.fixture
def distinct() -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Four changes of each picture, ``[4, 40, ...]``, and their effects, ``[4, 40, 2]``, by a seed."""

    def make(before: np.ndarray, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Each attribute brightens its own quarter, on every image by another amount; with the effects it has."""
        amount = np.random.default_rng(seed).uniform(0.1, 0.5, (K, N))
        after = np.repeat(before[None], K, axis=0)
        for k in range(K):
            rows, columns = (slice(8 * (k // 2), 8 * (k // 2) + 8), slice(8 * (k % 2), 8 * (k % 2) + 8))
            after[k][..., rows, columns] += amount[k][:, None, None, None].astype(np.float32)
        effects = np.stack([3 * amount, -3 * amount], axis=2)
        return after, effects

    return make
