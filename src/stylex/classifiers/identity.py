"""Which classifier this is: by its weights, or, where it has none that can be seen, by what it answers."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stylex.classifiers.classifier import Classifier

_TOLERANCE = 0.01
"""Of the largest answer: another device, or another number of threads, changes less."""

_LEAST = math.log(1e-7)
"""The smallest logarithm of a probability that is told apart from others."""

Answers = Sequence[Sequence[float]]
"""Logits on a few fixed images."""


@torch.no_grad()
def fingerprint(classifier: Classifier) -> str:
    """SHA-256 that tells one classifier from another: over the weights, or, where there are none, over answers.

    Answers of a plain callable are rounded to 3 digits, so that another thread count does not matter.
    """
    digest = hashlib.sha256()
    tensors = _weights(classifier)
    digest.update(json.dumps(classifier.spec.to_json(), sort_keys=True).encode())
    for name, tensor in tensors:
        value = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.flatten().view(torch.uint8).numpy().tobytes())
    if not tensors:
        digest.update(_rounded(classifier))
    return digest.hexdigest()


def behaviour(classifier: Classifier) -> str:
    """SHA-256 of weights and answers: what was measured with one is never taken for the other, whose code differs."""
    return hashlib.sha256(fingerprint(classifier).encode() + _rounded(classifier)).hexdigest()


def _rounded(classifier: Classifier) -> bytes:
    return json.dumps([[f"{v:.3g}" for v in row] for row in answers(classifier)]).encode()


def has_weights(classifier: Classifier) -> bool:
    """Whether it can be known by its weights; a function, or a service behind one, shows none."""
    return bool(_weights(classifier))


@torch.no_grad()
def answers(classifier: Classifier) -> list[list[float]]:
    """What it says of a few images of noise, always the same ones: logits, four rows of them."""
    size = classifier.spec.input_size
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(4, classifier.spec.channels, size, size, generator=rng) * 2 - 1
    said: list[list[float]] = classifier.logits(x.to(next(classifier.buffers()).device)).tolist()
    return said


def is_same(classifier: Classifier, *, fingerprint_then: str, answers_then: Answers | None) -> bool | None:
    """Whether this is the classifier that was recorded; None: that cannot be known.

    Args:
        classifier: the one at hand.
        fingerprint_then: of the recorded one.
        answers_then: of the recorded one, where they were kept: what has no weights is known by them, and what has the
            same weights may be other code.
    """
    same = fingerprint(classifier) == fingerprint_then
    if answers_then is None:
        return True if same else False if has_weights(classifier) else None
    if not same and has_weights(classifier):
        return False
    now, then = (torch.tensor(rows, dtype=torch.float64) for rows in (answers(classifier), answers_then))
    if classifier.spec.output == "probabilities" and now.shape == then.shape:
        # Of what answers with logits, a service may tell the probabilities.
        now, then = (rows.log_softmax(dim=1).clamp(min=_LEAST) for rows in (now, then))
    if now.shape != then.shape:
        return False
    return bool(((now - then).abs() <= _TOLERANCE * then.abs().max().clamp(min=1.0)).all())


def _weights(classifier: Classifier) -> list[tuple[str, Tensor]]:
    model = classifier.model
    known = sorted(model.state_dict().items()) if isinstance(model, nn.Module) else []
    return [(name, value) for name, value in known if isinstance(value, Tensor)]
