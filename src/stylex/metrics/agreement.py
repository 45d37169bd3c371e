"""How well reconstructions keep what the classifier says: the figures a training is watched by."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Activation = Literal["softmax", "sigmoid"]
"""How logits become probabilities: one class of k, or k independent labels."""


def agreement(
    logits: Float[Tensor, "n k"], logits_rec: Float[Tensor, "n k"], activation: Activation
) -> dict[str, float]:
    """Compare the classifier on images and on their reconstructions.

    Returns:
        ``agreement``: fraction of images with the same decision (argmax; for several labels, the fraction of
        label decisions at 0.5). ``probability_error``: mean |p - p_rec| of the class that C names on the image
        (of all labels when there are several). ``kl``: mean KL(C(x) || C(x_rec)) in nats, summed over labels.
    """
    if activation == "softmax":
        decided = logits.argmax(dim=1)
        same = decided == logits_rec.argmax(dim=1)
        p, p_rec = (t.softmax(dim=1).gather(1, decided[:, None]) for t in (logits, logits_rec))
    else:
        same = (logits >= 0) == (logits_rec >= 0)
        p, p_rec = logits.sigmoid(), logits_rec.sigmoid()
    return {
        "agreement": same.float().mean().item(),
        "probability_error": (p - p_rec).abs().mean().item(),
        "kl": divergence(logits, logits_rec, activation).mean().item(),
    }


def divergence(
    logits: Float[Tensor, "n k"], logits_rec: Float[Tensor, "n k"], activation: Activation
) -> Float[Tensor, " n"]:
    """KL(C(x) || C(x_rec)) of each image in nats, summed over labels when there are several."""
    if activation == "softmax":
        log_p, log_p_rec = F.log_softmax(logits, dim=1), F.log_softmax(logits_rec, dim=1)
        return F.kl_div(log_p_rec, log_p, log_target=True, reduction="none").sum(dim=1)
    p = logits.sigmoid()
    yes = p * (F.logsigmoid(logits) - F.logsigmoid(logits_rec))
    no = (1 - p) * (F.logsigmoid(-logits) - F.logsigmoid(-logits_rec))
    return (yes + no).sum(dim=1)
