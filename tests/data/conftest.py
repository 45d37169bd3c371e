"""Photographs made on the fly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def noise(seed: int, size: tuple[int, int] = (20, 20), channels: int = 3) -> np.ndarray:
    """A picture [h, w, 3] or [h, w] that no other seed gives."""
    shape = (size[1], size[0], 3) if channels == 3 else (size[1], size[0])
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Writes a picture below ``photos/`` and gives its path."""

    def write(name: str, seed: int = 0, **kind: object) -> Path:
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(seed, **kind)).save(path)
        return path

    return write


@pytest.fixture
def photos(save: Callable[..., Path]) -> Path:
    """Two class folders, ``cat`` with four pictures and ``dog`` with three."""
    for i in range(7):
        save(f"{'cat' if i < 4 else 'dog'}/{i}.png", seed=i)
    return save("cat/0.png", seed=0).parent.parent
