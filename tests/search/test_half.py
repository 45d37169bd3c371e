"""Pictures at half the size: what is learnt from a few images, and where it is exact."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stylex.core.stylespace import StyleLayer, StyleSpace
from stylex.models.generator import SynthesisState
from stylex.search.half import ENOUGH, HalfSize


class Linear:
    """Two features at half the size; the picture is their mean, with more contrast and another tone, enlarged."""

    def __init__(self) -> None:
        layers = [StyleLayer(name=n, kind="torgb", resolution=r, channels=64) for n, r in (("a", 8), ("b", 16))]
        self.space, self.steps = StyleSpace(layers), ("a", "b")

    def __call__(self, s: Tensor, *, noise: Any = "const", start: int = 0, state: Any = None) -> Tensor:
        return F.interpolate(s.view(-1, 2, 8, 8).mean(dim=1, keepdim=True) * 3 - 0.5, scale_factor=2)

    def prefix(self, s: Tensor, *, noise: Any = "const") -> list[Any]:
        return [self.between(s, 0, step) for step in range(2)]

    def between(self, s: Tensor, start: int, stop: int, *, noise: Any = "const", state: Any = None) -> Any:
        return SynthesisState(s.view(-1, 2, 8, 8), None) if stop == 1 else SynthesisState(None, self(s))


def test_what_is_linear_is_learnt_exactly_from_the_first_images() -> None:
    network = Linear()
    half = HalfSize.of(network.space, network.steps)
    assert half is not None
    assert (half.step, half.images) == (1, 0)
    s = torch.randn(40, 128, generator=torch.Generator().manual_seed(0))
    half.learn(network, s[:10], network(s[:10]))
    assert half.images == 10
    half.learn(network, s[10:30], network(s[10:30]))
    learnt = half.picture(network.between(s[30:], 0, 1))
    wanted = F.avg_pool2d(network(s[30:]), 2)
    assert (learnt - wanted).abs().mean() < 0.02
    assert (learnt - wanted.roll(1, 0)).abs().mean() > 1
    half.learn(network, s[30:], -network(s[30:]))
    assert half.images == ENOUGH
    assert torch.equal(half.picture(network.between(s[30:], 0, 1)), learnt), "it has learnt enough"


def test_a_network_without_layers_of_half_the_side_has_no_such_pictures() -> None:
    assert HalfSize.of(Linear().space, ("b",)) is None
    assert HalfSize.of(StyleSpace([StyleLayer(name="a", kind="conv", resolution=4, channels=2)]), ("a",)) is None
