"""Bfloat16: where the processor is fast in it."""

from __future__ import annotations

import torch


def has_fast_bf16(place: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 in hardware."""
    if place.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
