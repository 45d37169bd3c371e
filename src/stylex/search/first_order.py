"""What one backward pass through generator and classifier tells of every move."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from stylex.search.moves import feature_bytes, moves_to_extremes
from stylex.search.subject import Subject

_GRADIENT_ROWS, _GRADIENT_BYTES = 16, 2**28
"""Images of one backward pass, at most, and the bytes of their features (some times as much is needed)."""


def first_order(
    subject: Subject,
    s: Float[Tensor, "n s_dim"],
    target: int,
    indices: Int64[ndarray, " m"],
    shift_range: float = 1.0,
) -> Float[ndarray, "n 2 m"]:
    """The gradient's guess of every effect on the target's logit: slope times the way to the extreme.

    Args:
        subject, s, indices, shift_range: as in ``screen``.
        target: the class.
    """
    parts = []
    at = torch.from_numpy(indices).to(s.device)
    with torch.inference_mode():
        room = _GRADIENT_BYTES // feature_bytes(subject.synthesis, s[:1])[0]
    for rows in torch.split(s.detach(), max(1, min(_GRADIENT_ROWS, room))):
        leaf = rows.clone().requires_grad_(True)
        with torch.enable_grad():
            total = subject.classifier.logits(subject.synthesis(leaf, noise="const").clamp(-1, 1))[:, target].sum()
            (slope,) = torch.autograd.grad(total, leaf)
        way = moves_to_extremes(subject.space, rows, indices, shift_range) - rows[:, None, at]
        parts.append((way * slope[:, None, at]).cpu().numpy())
    return np.concatenate(parts)
