"""A discriminator that judges images by a pretrained network's maps, mixed at random.

Source: Sauer et al., "Projected GANs Converge Faster", NeurIPS 2021: frozen features, random mixing across channels
and scales, a small head a scale.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from stylex.core.wording import option
from stylex.models.config import DiscriminatorConfig
from stylex.models.discriminator import Discriminator
from stylex.models.generator import Mapping
from stylex.models.ops import channels_last
from stylex.models.pretrained import CHANNELS, EfficientNetMaps

_MIXED = 64
"""Channels of each scale after mixing."""
_WIDTH = 64
"""Of the heads."""


Judge: TypeAlias = "Discriminator | ProjectedDiscriminator"
"""What judges whether pictures are real."""


def judge_of(config: DiscriminatorConfig) -> Judge:
    """A fresh discriminator of that kind and shape."""
    return ProjectedDiscriminator(config) if config.kind == "projected" else Discriminator(config)


class ProjectedDiscriminator(nn.Module):
    """Image, with the classifier's output c when conditional -> logits of being real, of each scale and place.

    The pretrained network is opened at the first image: it is no part of the weights, which are the heads' and the
    random mixing's.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        self.across_channels = nn.ModuleList(_Mixing(f, 1) for f in CHANNELS)
        self.across_scales = nn.ModuleList(_Mixing(_MIXED, 3) for _ in CHANNELS)
        # A map 2^i times 4 px is halved i times; the widest of 64 px is 32 px.
        self.heads = nn.ModuleList(_head(halvings) for halvings in range(len(CHANNELS) - 1, -1, -1))
        self.outs = nn.ModuleList(_normed(_WIDTH, _WIDTH if config.c_dim else 1, 1) for _ in CHANNELS)
        self.mapping = (
            Mapping(0, config.c_dim, _WIDTH, layers=config.mapping_layers, lr_multiplier=0.01) if config.c_dim else None
        )
        self._eyes: list[EfficientNetMaps] = []  # in a list: not a part of the network
        channels_last(self)

    def scores(self, x: Float[Tensor, "n c h w"], c: Float[Tensor, "n k"] | None = None) -> Float[Tensor, "n m"]:
        """Judge images, each scale at each of its places; ``c`` is ignored by an unconditional discriminator."""
        projection = None
        if self.mapping is not None:
            assert c is not None, "a conditional discriminator needs c"
            projection = self.mapping(torch.zeros(len(c), 0, device=c.device), c).float()[:, :, None, None]
        scores = []
        for head, out, mixed in zip(self.heads, self.outs, self._mixed(x), strict=True):
            logits = out(head(mixed)).float()
            if projection is not None:
                logits = (logits * projection).sum(dim=1, keepdim=True) * _WIDTH**-0.5
            scores.append(logits.flatten(1))
        return torch.cat(scores, dim=1)

    def forward(self, x: Float[Tensor, "n c h w"], c: Float[Tensor, "n k"] | None = None) -> Float[Tensor, "n 1"]:
        """The mean over scales and places."""
        return self.scores(x, c).mean(dim=1, keepdim=True)

    def _mixed(self, x: Tensor) -> list[Tensor]:
        """The maps, mixed across channels, and from the deepest up across scales; the widest first."""
        if not self._eyes:
            self._eyes.append(projecting_eyes())
        maps = self._eyes[0].to(x.device)(x)
        out: list[Tensor] = []
        above: Tensor | None = None
        for map_, one, all_ in reversed(list(zip(maps, self.across_channels, self.across_scales, strict=True))):
            mixed = one(map_)
            if above is not None:
                above = F.interpolate(above, size=mixed.shape[-2:], mode="bilinear", align_corners=False)
                mixed = mixed + above
            above = all_(mixed)
            out.append(above)
        return out[::-1]


def projecting_eyes() -> EfficientNetMaps:
    """The pretrained network that it looks through.

    Raises:
        ConfigError: its packages are not installed.
    """
    return EfficientNetMaps(option("loss.discriminator", "projected"), option("loss.discriminator", "stylegan2"))


class _Mixing(nn.Module):
    """A convolution that is random and never trained: kept with the weights, since the heads are made for it."""

    weight: Tensor

    def __init__(self, inputs: int, kernel: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(_MIXED, inputs, kernel, kernel) / math.sqrt(inputs * kernel**2))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, padding=self.weight.shape[-1] // 2)


def _normed(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Module:
    return spectral_norm(nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=(kernel - 1) // 2))


def _head(halvings: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(max(halvings, 1)):
        inputs = _MIXED if i == 0 else _WIDTH
        layers += [_normed(inputs, _WIDTH, 4, 2) if halvings else _normed(inputs, _WIDTH, 3), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers)
