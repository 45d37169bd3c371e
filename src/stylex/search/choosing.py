"""Which images are searched: held-out ones, spread over what the classifier says of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray

from stylex.classifiers.classifier import Classifier
from stylex.core.errors import SearchError
from stylex.data.archive import ImageSet
from stylex.search.decision import Output, predicted

_FEWEST, _EVERY = 32, 8
"""A quick ranking looks at one in so many images, but at this many at least."""

AT_ONCE = 64
"""Images read, encoded and drawn at once."""


_PARTS = 5
"""Of a regression, images are spread over so many equal parts of what it says."""

LOOKED_AT = 10
"""Images among which one to search is chosen."""

KEPT_BACK = 8
"""Held-out images that a search leaves for measuring what it found."""


@torch.inference_mode()
def choose_to_search(
    classifier: Classifier, images: ImageSet, num: int, *, target: int | None, source: int | None = None
) -> ImageSet:
    """Images to search on: spread over what the classifier predicts, a third of them predicted the target.

    With a source they are only images predicted that or the target, if there are any; as many of each.

    Raises:
        SearchError: there are no images.
    """
    if len(images) == 0 or num < 1:
        raise SearchError(f"{num} of {len(images)} images were to be searched; give at least one test image")
    looked_at = spread(len(images), min(len(images), LOOKED_AT * num))
    device = next(classifier.buffers()).device
    parts = np.array_split(looked_at, -(-len(looked_at) // AT_ONCE))
    logits = torch.cat([classifier.logits(images.batch(part).to(device)) for part in parts])
    if classifier.activation == "regression":
        own = logits[:, target or 0].contiguous()
        cuts = torch.linspace(0, 1, _PARTS + 1, device=own.device, dtype=own.dtype)[1:-1]
        named = torch.bucketize(own, torch.quantile(own, cuts))
    elif classifier.activation == "softmax":
        named = logits.argmax(dim=1)
    else:
        named = (logits[:, target or 0] > 0).long()
    if source is not None:
        starts = named == source if classifier.activation == "softmax" else logits[:, source] > 0
        fits = starts | (named == (target if classifier.activation == "softmax" else 1))
        if starts.any():
            looked_at, named = looked_at[fits.cpu().numpy()], named[fits]
    classes = named.cpu().numpy()
    weight = np.ones(max(classifier.k if classifier.activation == "softmax" else 2, _PARTS))
    if target is not None and source is None and classifier.activation == "softmax" and classifier.k > 2:
        weight[target] = max(1.0, (classifier.k - 1) / 2)
    # The k-th image of a class comes after k / weight rounds: classes alternate until their images run out.
    groups = [np.flatnonzero(classes == value) for value in np.unique(classes)]
    turn = np.concatenate([np.arange(len(members)) / weight[classes[members[0]]] for members in groups])
    owner = np.repeat(np.arange(len(groups)), [len(members) for members in groups])[np.argsort(turn, kind="stable")]
    quotas = np.bincount(owner[:num], minlength=len(groups)).tolist()
    chosen = [members[spread(len(members), quota)] for members, quota in zip(groups, quotas, strict=True)]
    return images.subset(np.sort(looked_at[np.concatenate(chosen)]))


def keeping_back(wanted: int, available: int) -> int:
    """How many images to search on, so that enough are left to evaluate on, where a search can do without them."""
    return min(wanted, available - KEPT_BACK) if available >= 2 * KEPT_BACK else wanted


def spread(n: int, wanted: int) -> Int64[ndarray, " wanted"]:
    """``wanted`` of ``n`` positions, evenly apart."""
    return np.floor((np.arange(wanted) + 0.5) * n / max(wanted, 1)).astype(np.int64)


def few(
    base_logits: Float[ndarray, "n k"], targets: Sequence[int], output: Output, *, source: int | None = None
) -> Int64[ndarray, " few"]:
    """Images enough to rank some forty moves by their mean effect: of those not predicted a target one in eight.

    At least 32 of each target's (all, where there are fewer), evenly taken; positions, ascending.

    Args:
        base_logits: of the reconstructions.
        targets: classes to drive to.
        output, source: which images are to be moved, as in ``Task``.
    """
    chosen: set[int] = set()
    for target in targets:
        rows = ~predicted(base_logits, target, output)
        if source is not None:
            rows &= predicted(base_logits, source, output)
        movable = np.flatnonzero(rows)
        wanted = min(len(movable), max(_FEWEST, len(movable) // _EVERY))
        chosen |= set(movable[spread(len(movable), wanted)].tolist())
    # Where nobody is to be moved, one image tells that as well as all.
    return np.array(sorted(chosen or {0}), dtype=np.int64)
