"""The encoder: image -> w."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stylex.models.config import EncoderConfig
from stylex.models.discriminator import ResidualTrunk
from stylex.models.ops import Conv, Linear, channels_last

_LEAST = 1e-4
"""Probabilities are told apart down to this, and as near to 1."""
_ODDS = 4.0
"""Log odds are told in this unit, so that what is told varies by about 1."""


class Encoder(nn.Module):
    """A residual discriminator without minibatch statistics, with ``w_dim`` outputs.

    Where ``c_dim`` is given, it is told what the classifier says of the image. Otherwise it has to learn by heart how
    the classifier decides, which takes as long as training another classifier, or longer.

    Source: released weights of Lang et al. 2021, as read by later reproductions; what is told is our own.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        width = config.widths[0]
        hidden = max(width, config.w_dim)
        self.trunk = ResidualTrunk(config.channels, config.widths)
        self.conv = Conv(width, width, 3)
        self.fc = Linear(width * 16, hidden, activate=True)
        self.told = Linear(2 * config.c_dim, hidden, activate=True) if config.c_dim else None
        self.both = Linear(2 * hidden, hidden, activate=True) if config.c_dim else None
        self.out = Linear(hidden, config.w_dim)
        channels_last(self)

    def forward(
        self, x: Float[Tensor, "n c h w"], c: Float[Tensor, "n c_dim"] | None = None
    ) -> Float[Tensor, "n w_dim"]:
        """Encode images; ``c``, probabilities, is not looked at by an encoder that is not told."""
        h: Tensor = self.fc(self.conv(self.trunk(x)).flatten(1))
        if self.told is not None and self.both is not None:
            assert c is not None, f"this encoder is told {self.config.c_dim} values of c"
            odds = c.float().logit(_LEAST) / _ODDS
            h = self.both(torch.cat([h, self.told(torch.cat([c, odds], dim=1))], dim=1))
        out: Tensor = self.out(h)
        return out.float()
