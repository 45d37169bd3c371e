"""What logits decide: predicted or not, by how much, and as which probabilities."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from torch import Tensor

Output = Literal["softmax", "sigmoid", "regression"]
"""How logits become probabilities: one class of k, or k independent labels; or they are numbers, standardised."""


_MANY = 20
"""Of more classes than this, most are out of reach of an image: what turns it towards them does nothing to see."""
_FIRST, _PART = 3, 20
"""There a class is in reach of an image while it is among so many of its first answers, or one in so many if more."""


def first_answers(k: int, output: Output) -> int | None:
    """Among how many of its first answers a class is in reach of an image; None: always, as there are few."""
    return max(_FIRST, k // _PART) if output == "softmax" and k > _MANY else None


def in_reach(logits: Float[ndarray, "n k"], target: int, output: Output) -> Bool[ndarray, " n"]:
    """Mask of the images of which the target is in reach."""
    first = first_answers(logits.shape[1], output)
    if first is None:
        return np.ones(len(logits), dtype=np.bool_)
    return np.asarray((logits > logits[:, target, None]).sum(axis=1) < first)


def predicted(logits: Float[ndarray, "*n k"], target: int, output: Output) -> Bool[ndarray, "*n"]:
    """Whether the target is what the classifier says: the largest logit, or (sigmoid) a probability of 0.5 or more.

    Of numbers no image is at its target by itself, since each is compared with what it was: see ``turned``.
    """
    if output == "regression":
        return np.zeros(logits.shape[:-1], dtype=bool)
    decided = logits.argmax(axis=-1) == target if output == "softmax" else logits[..., target] >= 0
    return np.asarray(decided)


def turned(
    before: Float[ndarray, "*n k"], after: Float[ndarray, "*n k"], target: int, output: Output, by: float
) -> Bool[ndarray, "*n"]:
    """Whether a change made the target the answer: it is predicted now, or the number moved towards it by ``by``.

    Args:
        before, after: logits.
        target: the class.
        output: how logits become probabilities.
        by: in standard deviations of a number.
    """
    if output == "regression":
        return np.asarray(after[..., target] - before[..., target] >= by)
    return predicted(after, target, output)


def margin(logits: Float[ndarray, "*n k"], target: int, output: Output) -> Float[ndarray, "*n"]:
    """How far the target's logit stands above the decision boundary; negative while it is not predicted."""
    if output != "softmax":
        return np.asarray(logits[..., target])
    return np.asarray(logits[..., target] - np.delete(logits, target, axis=-1).max(axis=-1))


def reach(logits: Float[ndarray, "*n k"], target: int, output: Output) -> Float[ndarray, "*n"]:
    """The margin, at 0 or above exactly where the target is predicted: on the boundary itself it may not be."""
    above = margin(logits, target, output)
    return np.where(predicted(logits, target, output), np.maximum(above, 0), np.minimum(above, -1e-6))


def log_odds(logits: Float[ndarray, "*n k"], target: int, output: Output) -> Float[ndarray, "*n"]:
    """Logarithm of the target's probability over that of the opposite, however close to 0 or 1 that is."""
    if output != "softmax":
        return np.asarray(logits[..., target])
    return np.asarray(logits[..., target] - np.logaddexp.reduce(np.delete(logits, target, axis=-1), axis=-1))


def probabilities(logits: Float[ndarray, "*n k"], output: Output) -> Float[ndarray, "*n k"]:
    """Softmax or sigmoid of logits, without overflow; of standardised numbers their place between 0 and 1."""
    if output != "softmax":
        # Not by tanh, which is -1 below -40: small probabilities keep their order.
        return np.asarray(np.exp(-np.logaddexp(0, -logits)))
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True))


def margins(logits: Float[Tensor, "n k"], targets: Int64[Tensor, " n"], output: Output) -> Float[Tensor, " n"]:
    """``margin`` of every row towards a target of its own, with a gradient."""
    own = logits.gather(1, targets[:, None])[:, 0]
    if output != "softmax":
        return own
    return own - logits.scatter(1, targets[:, None], -torch.inf).amax(dim=1)
