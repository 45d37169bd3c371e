"""Whether a classifier decides on two pictures for the same reason: do its evidence maps look alike."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

_BLUR = 1 / 16
"""Side of the square over which evidence is averaged, as a fraction of the image's."""


def evidence(gradients: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """Where a classifier looks: size of the margin's gradient in each pixel, averaged over a small square.

    Args:
        gradients: of the margin to the image; averaged over noisy copies of it where it is rough (SmoothGrad).

    Source: Simonyan et al. 2014; Smilkov et al. 2017.
    """
    size = gradients.abs().sum(dim=1, keepdim=True)
    half = max(1, round(gradients.shape[-1] * _BLUR / 2))
    return F.avg_pool2d(size, 2 * half + 1, stride=1, padding=half, count_include_pad=False)[:, 0]


def same_reason(a: Float[Tensor, "n h w"], b: Float[Tensor, "n h w"]) -> Float[Tensor, " n"]:
    """Correlation over the pixels of each image's evidence map with its other one: 1 for equal maps, about 0 by chance.

    Maps of one set of pictures look alike on the whole (the subject is in the middle), so that the figure says
    something only beside the same with another image's map.
    """
    a, b = (t.flatten(1) - t.flatten(1).mean(dim=1, keepdim=True) for t in (a, b))
    product = (a * b).sum(dim=1)
    lengths = a.norm(dim=1) * b.norm(dim=1)
    return torch.where(lengths > 0, product / lengths.clamp(min=1e-30), 0.0)
