"""What a knob does to the photograph itself: its change of the rebuilt picture, laid on the photograph."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def on_photograph(
    x: Float[Tensor, "n c h w"], x_rec: Float[Tensor, "n c h w"], moved: Float[Tensor, "n c h w"]
) -> Float[Tensor, "n c h w"]:
    """The photograph plus what the move changed in the rebuilt picture, clipped to [-1, 1].

    Args:
        x: photographs.
        x_rec: rebuilt pictures of them.
        moved: those after the move.
    """
    return (x + moved - x_rec).clamp(-1, 1)


def mean_change(x_rec: Float[Tensor, "n c h w"], moved: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Mean absolute difference of the pixels of each image, in the unit of [-1, 1]."""
    return (moved - x_rec).abs().mean(dim=(1, 2, 3))
