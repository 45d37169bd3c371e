"""How much a picture costs, and bfloat16: where the processor is fast in it."""

from __future__ import annotations

import torch
from torch import nn

from stylex.models.generator import StyledConv


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def set_up_gpu(*, exact: bool) -> None:
    """For the whole process: the fastest convolutions for sizes that stay; TF32 unless it is to be ``exact``."""
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = not exact


def multiplications(synthesis: nn.Module) -> int:
    """Multiplications of the convolutions that draw one picture."""
    return sum(
        layer.weight.numel() * layer.noise_const.numel() // (4 if layer.up else 1)
        for layer in synthesis.modules()
        if isinstance(layer, StyledConv)
    )
