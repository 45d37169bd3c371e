"""What of a photograph speaks for the classifier's decision and is not drawn: where it lies, and what it is worth."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from stylex.metrics.reason import averaged

SHARE = 0.1
"""The fraction of a picture's pixels that is drawn anew to see whether the decision hangs on them."""


def contributions(
    x: Float[Tensor, "n c h w"],
    x_rec: Float[Tensor, "n c h w"],
    gradients: Float[Tensor, "n c h w"],
    gradients_rec: Float[Tensor, "n c h w"],
) -> Float[Tensor, "n h w"]:
    """What each pixel of the photograph adds to the decision's margin beyond the rebuilt picture's, to first order.

    The sum over an image is about the difference of the two margins.

    Args:
        x: photographs.
        x_rec: rebuilt pictures of them.
        gradients: of the margin to the photograph.
        gradients_rec: of the same margin to the rebuilt picture; the mean of both is taken.
    """
    return ((gradients + gradients_rec) / 2 * (x - x_rec)).sum(dim=1)


def most_decisive(contributed: Float[Tensor, "n h w"]) -> Float[Tensor, "n 1 h w"]:
    """A mask over the tenth of each picture that adds most to the decision, with soft edges; 1 inside, 0 outside."""
    smooth = averaged(contributed).flatten(1)
    chosen = smooth.topk(max(1, round(SHARE * smooth.shape[1])), dim=1).indices
    mask = torch.zeros_like(smooth).scatter_(1, chosen, 1.0)
    return averaged(mask.view_as(contributed))[:, None]


def laid_over(
    x: Float[Tensor, "n c h w"], over: Float[Tensor, "n c h w"], mask: Float[Tensor, "n 1 h w"]
) -> Float[Tensor, "n c h w"]:
    """One picture with another one's pixels where the mask is 1."""
    return x + mask * (over - x)
