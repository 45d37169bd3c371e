"""How well reconstructions keep what the classifier says: the figures a training is watched by."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

Activation = Literal["softmax", "sigmoid", "regression"]
"""How logits become probabilities: one class of k, or k independent labels; or they are numbers, standardised."""

NEAR = 0.5
"""Two numbers are the same answer if they differ by no more than so many of their standard deviations."""


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
        Of a regression ``agreement`` is the fraction of numbers that differ by half a standard deviation at most, and
        there are ``correlation`` (Pearson's, the mean over its numbers), ``answer_error`` (mean difference in standard
        deviations) and ``answer_error_other`` (with other images' reconstructions) in place of ``probability_error``.
    """
    if activation == "regression":
        return _of_numbers(logits, logits_rec)
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


def _of_numbers(z: Float[Tensor, "n k"], z_rec: Float[Tensor, "n k"]) -> dict[str, float]:
    """``agreement`` of standardised numbers."""
    apart = (z - z_rec).abs()
    own, rec = (t.double() - t.double().mean(dim=0) for t in (z, z_rec))
    length = (own.square().sum(dim=0) * rec.square().sum(dim=0)).sqrt()
    figures = {
        "agreement": (apart <= NEAR).float().mean().item(),
        "correlation": ((own * rec).sum(dim=0) / length.clamp(min=1e-12)).mean().item(),
        "answer_error": apart.mean().item(),
        "kl": divergence(z, z_rec, "regression").mean().item(),
    }
    if len(z) > 1:
        figures["agreement_other"] = with_others(z, z_rec, "regression").mean().item()
        others = [(z - z_rec.roll(shift, dims=0)).abs().mean().item() for shift in range(1, min(len(z), 9))]
        figures["answer_error_other"] = sum(others) / len(others)
    return figures


def with_others(
    logits: Float[Tensor, "n k"], logits_rec: Float[Tensor, "n k"], activation: Activation
) -> Float[Tensor, " n"]:
    """For each image the fraction of all other images' reconstructions that get its answer; of two images or more."""
    if activation == "softmax":
        decided, decided_rec = (F.one_hot(t.argmax(dim=1), t.shape[1]).float() for t in (logits, logits_rec))
        same = (decided * decided_rec).sum(dim=1)
        like = decided @ decided_rec.sum(dim=0)
    elif activation == "regression":
        same = ((logits - logits_rec).abs() <= NEAR).float().mean(dim=1)
        like = torch.stack([((row - logits_rec).abs() <= NEAR).float().mean(dim=1).sum() for row in logits])
    else:
        decided, decided_rec = (logits >= 0).float(), (logits_rec >= 0).float()
        same = (decided == decided_rec).float().mean(dim=1)
        yes = decided_rec.sum(dim=0)
        like = (decided * yes + (1 - decided) * (len(logits) - yes)).mean(dim=1)
    return (like - same) / (len(logits) - 1)


def divergence(
    logits: Float[Tensor, "n k"], logits_rec: Float[Tensor, "n k"], activation: Activation
) -> Float[Tensor, " n"]:
    """KL(C(x) || C(x_rec)) of each image in nats, summed over labels when there are several.

    Of standardised numbers the squared difference: the squared error over their variance.
    """
    if activation == "regression":
        return (logits - logits_rec).square().sum(dim=1)
    if activation == "softmax":
        log_p, log_p_rec = F.log_softmax(logits, dim=1), F.log_softmax(logits_rec, dim=1)
        return F.kl_div(log_p_rec, log_p, log_target=True, reduction="none").sum(dim=1)
    p = logits.sigmoid()
    yes = p * (F.logsigmoid(logits) - F.logsigmoid(logits_rec))
    no = (1 - p) * (F.logsigmoid(-logits) - F.logsigmoid(-logits_rec))
    return (yes + no).sum(dim=1)
