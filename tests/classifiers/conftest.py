"""Tiny models that the tests of this folder wrap."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from stylex.classifiers import ClassifierSpec


class Conv(nn.Module):
    """Two sizes of maps, BatchNorm and dropout: all that eval mode matters for."""

    def __init__(self, k: int = 3, channels: int = 3) -> None:
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.two = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(), nn.Dropout(0.5))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(6, k)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.pool(self.two(self.one(x))).flatten(1))
        return y


@pytest.fixture
def make_spec() -> Callable[..., ClassifierSpec]:
    def make(**changes: object) -> ClassifierSpec:
        given: dict[str, object] = {"labels": ("a", "b", "c"), "input_size": 16, "channels": 3}
        return ClassifierSpec(**(given | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture
def conv() -> Conv:
    torch.manual_seed(0)
    return Conv()


@pytest.fixture
def x() -> Tensor:
    return torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
