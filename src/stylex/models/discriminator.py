"""The residual trunk shared in shape by discriminator and encoder, and the discriminator.

Source: Karras et al., CVPR 2020; projection conditioning after Miyato & Koyama, ICLR 2018.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stylex.models.config import DiscriminatorConfig
from stylex.models.generator import Mapping
from stylex.models.ops import Conv, Linear, channels_last


class ResidualBlock(nn.Module):
    """Two convolutions to half the size, beside a linear skip."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = math.sqrt(0.5)
        self.conv0 = Conv(inputs, inputs, 3)
        self.conv1 = Conv(inputs, outputs, 3, down=True, gain=half)
        self.skip = Conv(inputs, outputs, 1, bias=False, activate=False, down=True, gain=half)

    def forward(self, x: Float[Tensor, "n ci h w"]) -> Float[Tensor, "n co h2 w2"]:
        """Apply the block."""
        return self.conv1(self.conv0(x)) + self.skip(x)


class ResidualTrunk(nn.Module):
    """Image -> features at 4 px."""

    def __init__(self, channels: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.fromrgb = Conv(channels, widths[-1], 1)
        down = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.blocks = nn.Sequential(*(ResidualBlock(inputs, outputs) for inputs, outputs in down))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f 4 4"]:
        """Extract the features."""
        features = self.fromrgb(x.contiguous(memory_format=torch.channels_last))
        out: Tensor = self.blocks(features)
        return out


def minibatch_std(x: Float[Tensor, "n c h w"], group_size: int) -> Float[Tensor, "n c1 h w"]:
    """Append one channel: the mean standard deviation over groups of images.

    A group holds every (n / group_size)-th image. When n has no such groups, the largest divisor is taken.
    """
    n, _, h, w = x.shape
    size = next(g for g in range(min(group_size, n), 0, -1) if n % g == 0)
    # float32: in bfloat16 the variance of similar images drowns. Tensor.var would be ten times as slow.
    groups = x.float().unflatten(0, (size, n // size))
    variance = (groups - groups.mean(dim=0)).square().mean(dim=0)
    std = (variance + 1e-8).sqrt().mean(dim=(1, 2, 3))
    return torch.cat([x, std.repeat(size).to(x.dtype)[:, None, None, None].expand(n, 1, h, w)], dim=1)


class Discriminator(nn.Module):
    """Image, with the classifier's output c when conditional -> logit of being real."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.widths[0]
        self.trunk = ResidualTrunk(config.channels, config.widths)
        self.conv = Conv(width + 1, width, 3)
        self.fc = Linear(width * 16, width, activate=True)
        self.out = Linear(width, width if config.c_dim else 1)
        self.mapping = (
            Mapping(0, config.c_dim, width, layers=config.mapping_layers, lr_multiplier=0.01) if config.c_dim else None
        )
        channels_last(self)

    def scores(self, x: Float[Tensor, "n c h w"], c: Float[Tensor, "n k"] | None = None) -> Float[Tensor, "n 1"]:
        """What the losses judge by: the one logit."""
        logits: Tensor = self(x, c)
        return logits

    def forward(self, x: Float[Tensor, "n c h w"], c: Float[Tensor, "n k"] | None = None) -> Float[Tensor, "n 1"]:
        """Judge images; ``c`` is ignored by an unconditional discriminator."""
        features = self.conv(minibatch_std(self.trunk(x), self.config.group_size))
        logits = self.out(self.fc(features.flatten(1))).float()
        if self.mapping is None:
            return logits
        assert c is not None, "a conditional discriminator needs c"
        projection = self.mapping(torch.zeros(len(c), 0, device=c.device), c)
        return (logits * projection.float()).sum(dim=1, keepdim=True) * projection.shape[1] ** -0.5
