"""The encoder: image -> w."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from stylex.models.config import EncoderConfig
from stylex.models.discriminator import ResidualTrunk
from stylex.models.ops import Conv, Linear, channels_last


class Encoder(nn.Module):
    """A residual discriminator without minibatch statistics, with ``w_dim`` outputs.

    Source: released weights of Lang et al. 2021, as read by later reproductions.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        width = config.widths[0]
        self.trunk = ResidualTrunk(config.channels, config.widths)
        self.conv = Conv(width, width, 3)
        self.fc = Linear(width * 16, max(width, config.w_dim), activate=True)
        self.out = Linear(max(width, config.w_dim), config.w_dim)
        channels_last(self)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n w_dim"]:
        """Encode images."""
        out: Tensor = self.out(self.fc(self.conv(self.trunk(x)).flatten(1)))
        return out.float()
