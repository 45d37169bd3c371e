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
        ``agreement_other``, of two images or more: ``agreement`` with other images' reconstructions, which a
        classifier that gives nearly all images one answer has, too.
    """
    if activation == "softmax":
        decided = logits.argmax(dim=1)
        same = decided == logits_rec.argmax(dim=1)
        p, p_rec = (t.softmax(dim=1).gather(1, decided[:, None]) for t in (logits, logits_rec))
    else:
        same = (logits >= 0) == (logits_rec >= 0)
        p, p_rec = logits.sigmoid(), logits_rec.sigmoid()
    figures = {
        "agreement": same.float().mean().item(),
        "probability_error": (p - p_rec).abs().mean().item(),
        "kl": divergence(logits, logits_rec, activation).mean().item(),
    }
    if len(logits) > 1:
        figures["agreement_other"] = with_others(logits, logits_rec, activation).mean().item()
    return figures


def with_others(
    logits: Float[Tensor, "n k"], logits_rec: Float[Tensor, "n k"], activation: Activation
) -> Float[Tensor, " n"]:
    """For each image the fraction of all other images' reconstructions that get its answer; of two images or more."""
    if activation == "softmax":
        decided, decided_rec = (F.one_hot(t.argmax(dim=1), t.shape[1]).float() for t in (logits, logits_rec))
        same = (decided * decided_rec).sum(dim=1)
        like = decided @ decided_rec.sum(dim=0)
    else:
        decided, decided_rec = (logits >= 0).float(), (logits_rec >= 0).float()
        same = (decided == decided_rec).float().mean(dim=1)
        yes = decided_rec.sum(dim=0)
        like = (decided * yes + (1 - decided) * (len(logits) - yes)).mean(dim=1)
    return (like - same) / (len(logits) - 1)


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
