"""Tiny models that the tests of this folder wrap."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


@functools.cache
def _shim() -> None:
    """Let torchvision be imported beside a torch that was built otherwise: two operators that no classifier uses."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        torchvision_operators = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            torchvision_operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(torchvision_operators)
    except ImportError:
        pass


_kept: list[Any] = []
"""Operators are there as long as their library."""


@pytest.fixture
def library() -> Callable[[str], Any]:
    """Imports an optional package, whatever it warns of; skips the test where it is not installed."""

    def imported(name: str) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _shim()
            return pytest.importorskip(name)

    return imported


@pytest.fixture
def described() -> Callable[..., Path]:
    """Writes a spec beside a program, and gives the program's path."""

    def write(path: Path, **spec: object) -> Path:
        path.with_name(path.name + ".json").write_text(json.dumps(spec))
        return path

    return write


@pytest.fixture
def photographs() -> Tensor:
    """Three smooth colour pictures of 32 px in [-1, 1]."""
    rough = torch.rand(3, 3, 5, 5, generator=torch.Generator().manual_seed(3)) * 2 - 1
    return torch.nn.functional.interpolate(rough, size=(32, 32), mode="bilinear", align_corners=True)
