"""Pictures at half the size, for drags: read off the features that a network has before its last layers.

The sum of a StyleGAN2's colours up to half the size is no finished picture: the last layers add contrast and tone to it
(the shipped shoes are grey on grey there). So a convolution is fitted, by least squares over a few images, from the
features and colours at half the size to the finished pictures, reduced.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from stylex.core.stylespace import StyleSpace
from stylex.search.render import Synthesizer

ENOUGH = 16
"""Images to learn from."""
_PIXELS = 4096
"""Of each of them, at most."""
_RIDGE = 1e-3
"""Beside the mean square of a feature."""


class HalfSize:
    """How to read a picture off the features before step ``step``.

    Attributes:
        step: the step before which all is done at half the side.
        images: how many it has learnt from; none: it cannot draw yet.
    """

    def __init__(self, step: int) -> None:
        self.step, self.images = step, 0
        self._products: tuple[Tensor, Tensor] | None = None
        self._weight, self._bias = torch.empty(0), torch.empty(0)

    @classmethod
    def of(cls, space: StyleSpace, steps: Sequence[str]) -> HalfSize | None:
        """For a network of these steps; None where it has no layers of half the side."""
        sides = {layer.resolution: layer.name for layer in space.layers if layer.kind == "torgb"}
        name = sides.get(max(sides, default=0) // 2)
        return cls(steps.index(name) + 1) if name in steps else None

    @torch.no_grad()
    def learn(self, synthesis: Synthesizer, s: Float[Tensor, "n s_dim"], x: Float[Tensor, "n c h w"]) -> None:
        """Learn from images and their pictures, as far as it has not learnt from ``ENOUGH``."""
        n = min(len(s), ENOUGH - self.images)
        for row in range(n):
            features = _features(synthesis.between(s[row : row + 1], 0, self.step))
            columns = F.unfold(features, 3, padding=1)[0].T
            seen = torch.linspace(0, len(columns) - 1, min(len(columns), _PIXELS), device=x.device).long()
            wanted = F.avg_pool2d(x[row].float(), 2).flatten(1).T[seen].double()
            given = F.pad(columns[seen], (0, 1), value=1.0).double()
            products = (given.T @ given, given.T @ wanted)
            if self._products is not None:
                products = (products[0] + self._products[0], products[1] + self._products[1])
            self._products = products
        self.images += max(n, 0)
        if n > 0 and self._products is not None:
            square, wanted = self._products
            ridge = _RIDGE * square.diagonal().mean() * torch.eye(len(square), dtype=square.dtype, device=square.device)
            solved = torch.linalg.solve(square + ridge, wanted).float().T
            self._weight, self._bias = solved[:, :-1].unflatten(1, (-1, 3, 3)), solved[:, -1]
        if self.images >= ENOUGH:
            self._products = None

    def picture(self, state: Any) -> Float[Tensor, "n c h w"]:
        """The pictures of half the side, given the state before ``step``."""
        assert self.images > 0
        features = _features(state)
        with torch.autocast(features.device.type, enabled=False):
            return F.conv2d(features, self._weight, self._bias, padding=1)


def _features(state: Any) -> Tensor:
    return torch.cat([tensor.float() for tensor in state if tensor is not None], dim=1)
