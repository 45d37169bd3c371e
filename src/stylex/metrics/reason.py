"""Whether a classifier decides on two pictures for the same reason: do its evidence maps look alike."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

_COPIES, _ROUGHNESS = 8, 0.1
_BLUR = 1 / 16
"""Side of the square over which evidence is averaged, as a fraction of the image's."""


def smooth_gradients(
    height: Callable[[Float[Tensor, "n c h w"]], Float[Tensor, " n"]], x: Float[Tensor, "n c h w"], *, seed: int = 0
) -> Float[Tensor, "n c h w"] | None:
    """Gradient of each image's height, averaged over copies with noise (SmoothGrad); None where there is no gradient.

    Args:
        height: a number for each image, such as the decision's margin.
        x: images in [-1, 1].
        seed: of the noise.

    Source: Smilkov et al. 2017 (eight copies, noise of 5% of the range).
    """
    random = torch.Generator().manual_seed(seed)
    with torch.inference_mode(False), torch.enable_grad():
        start = x.detach().clone()
        total = torch.zeros_like(start)
        for _ in range(_COPIES):
            noise = torch.randn(start.shape, generator=random).to(start)
            rough = (start + _ROUGHNESS * noise).requires_grad_()
            try:
                heights = height(rough)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError:  # such as of a classifier that goes through numpy
                return None
            if not heights.requires_grad:
                return None
            (gradient,) = torch.autograd.grad(heights.sum(), rough, materialize_grads=True)
            total += gradient / _COPIES
    return total


def decisiveness(logits: Float[Tensor, "n k"], decided: Float[Tensor, "n k"]) -> Float[Tensor, " n"]:
    """How far the class that others decided for stands above the next best one; negative where it is not the best.

    Args:
        logits: of the images.
        decided: logits that made the decision, such as those of the photographs.
    """
    own = decided.argmax(dim=1, keepdim=True)
    return logits.gather(1, own)[:, 0] - logits.scatter(1, own, -torch.inf).amax(dim=1)


def evidence(gradients: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """Where a classifier looks: size of the margin's gradient in each pixel, averaged over a small square.

    Args:
        gradients: of the margin to the image; averaged over noisy copies of it where it is rough (SmoothGrad).

    Source: Simonyan et al. 2014; Smilkov et al. 2017.
    """
    return averaged(gradients.abs().sum(dim=1))


def averaged(maps: Float[Tensor, "n h w"]) -> Float[Tensor, "n h w"]:
    """Mean over a small square around each pixel."""
    half = max(1, round(maps.shape[-1] * _BLUR / 2))
    return F.avg_pool2d(maps[:, None], 2 * half + 1, stride=1, padding=half, count_include_pad=False)[:, 0]


def same_reason(a: Float[Tensor, "n h w"], b: Float[Tensor, "n h w"]) -> Float[Tensor, " n"]:
    """Correlation over the pixels of each image's evidence map with its other one: 1 for equal maps, about 0 by chance.

    Maps of one set of pictures look alike on the whole (the subject is in the middle), so that the figure says
    something only beside the same with another image's map.
    """
    a, b = (t.flatten(1) - t.flatten(1).mean(dim=1, keepdim=True) for t in (a, b))
    product = (a * b).sum(dim=1)
    lengths = a.norm(dim=1) * b.norm(dim=1)
    return torch.where(lengths > 0, product / lengths.clamp(min=1e-30), 0.0)
