"""The pixel-space attack: what flips a classifier without explaining anything, as a yardstick for attributes.

A gradient attack of the same size flips nearly every image. But what it adds is no picture of anything: encoded and
drawn again, it is gone. A change that a generator can draw survives.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from stylex.core.errors import EvaluationError
from stylex.evaluation.subject import gradients
from stylex.models.snapshot import Snapshot

_STEPS = 10
_STRIDE = 2.5
"""The attack could walk so many times the allowed length, as in the source."""


def attack(
    margin: Callable[[Float[Tensor, "n c h w"]], Float[Tensor, " n"]],
    x: Float[Tensor, "n c h w"],
    length: Float[Tensor, " n"],
    *,
    steps: int = _STEPS,
) -> Float[Tensor, "n c h w"]:
    """Climb a margin by its gradient, within a ball of pixels.

    Args:
        margin: what to raise, a number for each image.
        x: where to start, in [-1, 1].
        length: Euclidean length allowed to each image's change.
        steps: of the climb.

    Raises:
        EvaluationError: the classifier gives no gradient.

    Source: Madry et al. 2018 (projected gradient ascent, L2 ball).
    """
    radius = length.view(-1, 1, 1, 1)
    with gradients():
        start = x.detach().clone()
        now = start.clone()
        for _ in range(steps):
            now = now.detach().requires_grad_()
            height = margin(now)
            if not height.requires_grad:
                raise EvaluationError("the classifier gives no gradient to the image, so it cannot be attacked")
            (slope,) = torch.autograd.grad(height.sum(), now)
            unit = slope / slope.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)
            change = now.detach() + _STRIDE * radius / steps * unit - start
            change = change * (radius / change.flatten(1).norm(dim=1).clamp(min=1e-12).view(-1, 1, 1, 1)).clamp(max=1)
            now = (start + change).clamp(-1, 1)
    return now.detach()


@torch.inference_mode()
def redrawn(snapshot: Snapshot, x: Float[Tensor, "n c h w"], c: Float[Tensor, "n k"]) -> Float[Tensor, "n c h w"]:
    """Images encoded and drawn again by networks that are told ``c``."""
    pieces = zip(x.split(64), c.split(64), strict=True)
    return torch.cat(
        [snapshot.generator.synthesis(snapshot.styles_of(part, told)).clamp(-1, 1) for part, told in pieces]
    )
