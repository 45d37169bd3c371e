"""Where things lie in an image: maps that take the place of the generator's noise inputs.

A vector w says what is to be seen, and cannot say where each vein or wrinkle lies. StyleGAN2 adds noise maps to the
features of its convolutions for just that; here an image's maps come from the image.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from stylex.models.config import EncoderConfig
from stylex.models.ops import Conv, channels_last


class MapEncoder(nn.Module):
    """Image -> one map for each convolution at the chosen resolutions, of zero mean and unit deviation.

    Few narrow convolutions, that look a few pixels around: a map is to say where, not what.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        finest, coarsest = config.map_resolutions[-1], config.map_resolutions[0]
        width = config.map_width
        self.shrink = config.resolution // finest
        self.fromrgb = Conv(config.channels * self.shrink**2, width, 3)
        self.blocks = nn.ModuleDict()
        self.out = nn.ModuleDict()
        side = finest
        while side >= coarsest:
            down = side < finest
            self.blocks[str(side)] = nn.Sequential(
                *([Conv(width, width, 3, down=True)] if down else []), Conv(width, width, 3)
            )
            if side in config.map_resolutions:
                # As many as the generator has convolutions there; a bias would be taken away again.
                self.out[str(side)] = Conv(width, 1 if side == 4 else 2, 3, bias=False, activate=False)
            side //= 2
        channels_last(self)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n m_dim"]:
        """The maps in synthesis order, each row by row."""
        h = F.pixel_unshuffle(x, self.shrink).contiguous(memory_format=torch.channels_last)
        h = self.fromrgb(h)
        maps = []
        for side, block in self.blocks.items():
            h = block(h)
            if side in self.out:
                maps.append(standardized(self.out[side](h).float()).flatten(1))
        return torch.cat(maps[::-1], dim=1)


def standardized(maps: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """Each map with zero mean and unit deviation."""
    centred = maps - maps.mean(dim=(2, 3), keepdim=True)
    return centred * (centred.square().mean(dim=(2, 3), keepdim=True) + 1e-6).rsqrt()
