"""The encoder: image -> w, and maps of where things lie."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stylex.models.config import EncoderConfig
from stylex.models.discriminator import ResidualTrunk
from stylex.models.maps import MapEncoder
from stylex.models.ops import Conv, Linear, channels_last

_LEAST = 1e-4
"""Probabilities are kept apart down to this, and as near to 1."""
_ODDS = 4.0
"""Log odds are given in this unit, so that they vary by about 1."""


class Encoder(nn.Module):
    """A residual discriminator without minibatch statistics, with ``w_dim`` outputs.

    Where ``c_dim`` is given, it is also given what the classifier says of the image, and adds to w what follows from
    both. Otherwise it has to learn by heart how the classifier decides, which takes as long as training another
    classifier, or longer.

    Source: released weights of Lang et al. 2021, as read by later reproductions; the classifier's part is our own.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        width = config.widths[0]
        hidden = max(width, config.w_dim)
        self.trunk = ResidualTrunk(config.channels, config.widths)
        self.conv = Conv(width, width, 3)
        self.fc = Linear(width * 16, hidden, activate=True)
        self.out = Linear(hidden, config.w_dim)
        # Named as in the snapshots that hold its weights.
        self.told = _Conditioning(config, hidden) if config.c_dim else None
        self.where = MapEncoder(config) if config.map_resolutions else None
        channels_last(self)

    def forward(
        self, x: Float[Tensor, "n c h w"], c: Float[Tensor, "n c_dim"] | None = None
    ) -> Float[Tensor, "n w_dim"]:
        """Encode images; an unconditional encoder does not look at ``c``, probabilities."""
        assert c is not None or self.told is None, f"this encoder is conditioned on {self.config.c_dim} values of c"
        w, h = self._seen(x)
        return w if self.told is None else w + self.told(h, c).float()

    def unconditional(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n w_dim"]:
        """Encode by the images alone: what an encoder does before it is conditioned."""
        return self._seen(x)[0]

    def maps(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n m_dim"] | None:
        """The images' maps, all of them in a row as ``s`` ends in them; None of an encoder without."""
        return None if self.where is None else self.where(x)

    def _seen(self, x: Tensor) -> tuple[Tensor, Tensor]:
        h: Tensor = self.fc(self.conv(self.trunk(x)).flatten(1))
        w: Tensor = self.out(h)
        return w.float(), h


class _Conditioning(nn.Module):
    """What is added to w for the classifier's answer; nothing, in the beginning."""

    def __init__(self, config: EncoderConfig, hidden: int) -> None:
        super().__init__()
        self.fc = Linear(2 * config.c_dim, hidden, activate=True)
        self.both = Linear(2 * hidden, hidden, activate=True)
        self.out = Linear(hidden, config.w_dim)
        nn.init.zeros_(self.out.weight)

    def forward(self, h: Float[Tensor, "n hidden"], c: Float[Tensor, "n c_dim"]) -> Float[Tensor, "n w_dim"]:
        odds = c.float().logit(_LEAST) / _ODDS
        answer = self.fc(torch.cat([c, odds], dim=1))
        out: Tensor = self.out(self.both(torch.cat([h, answer], dim=1)))
        return out
