"""The numbers that papers on visual counterfactuals print, each by the formula and the source it has here.

They are taken of photographs and whatever picture a method makes of them, so that they hold what rebuilding costs too.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from stylex.metrics.features import Features
from stylex.metrics.frechet import frechet_distance

_MOVED = 0.8
_UNCHANGED = 0.02
"""A pixel that differs by less than this fraction of the full range, in every colour, counts as left as it was."""
_STEPS = 16
_SPLITS = 10


def valid(p: Float[ndarray, " n"], p_changed: Float[ndarray, " n"]) -> Bool[ndarray, " n"]:
    """Validity: whether the target's probability has changed by more than 0.8.

    Args:
        p, p_changed: of the originals and of the counterfactuals.

    Source: Singla et al., "Explaining the black-box smoothly", Medical Image Analysis 2023 (counterfactual validity
        with a threshold of 0.8). The flip rate, which many print, is whether the answer is the target.
    """
    return np.asarray(np.abs(p_changed - p) > _MOVED)


def proximity(x: Float[Tensor, "n c h w"], changed: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Proximity: mean absolute difference of original and counterfactual, as a fraction of the full range.

    Source: Mothilal, Sharma & Tan, FAT* 2020 (a mean distance of the features; theirs has a minus before it); pixels
        in 0..1 as in Khorram & Fuxin, CVPR 2022.
    """
    return (changed - x).abs().mean(dim=(1, 2, 3)) / 2


def sparsity(x: Float[Tensor, "n c h w"], changed: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Sparsity: fraction of the pixels that are left as they were, to 2% of the full range.

    Source: Mothilal, Sharma & Tan, FAT* 2020 (1 less the fraction of features changed). Theirs are equal or not;
        a drawn pixel is never equal, hence the 2%.
    """
    return ((changed - x).abs().amax(dim=1) < 2 * _UNCHANGED).float().mean(dim=(1, 2))


def cout(
    probability: Callable[[Float[Tensor, "n c h w"]], Float[ndarray, "n 2"]],
    x: Float[Tensor, "n c h w"],
    changed: Float[Tensor, "n c h w"],
    *,
    steps: int = _STEPS,
) -> Float[ndarray, " n"]:
    """COUT: how soon the answer goes over when the counterfactual's pixels are put in, the most changed ones first.

    Pixels are put into the original in ``steps`` equal parts, by how much they differ. The score is the area under the
    target's probability less that under the original answer's (trapezoids): 1 where the first part does it all, -1
    where nothing ever happens.

    Args:
        probability: of the target (column 0) and of the original answer (column 1), of pictures of all the images.
        x: originals.
        changed: counterfactuals.
        steps: parts.

    Source: Khorram & Fuxin, "Cycle-consistent counterfactuals by latent transformations", CVPR 2022.
    """
    n, pixels = len(x), x.shape[2] * x.shape[3]
    order = (changed - x).abs().sum(dim=1).flatten(1).argsort(dim=1, descending=True, stable=True)
    rank = torch.empty_like(order)
    rank.scatter_(1, order, torch.arange(pixels, device=x.device).expand(n, -1))
    heights = []
    for step in range(steps + 1):
        there = (rank < step * pixels / steps).view(n, 1, *x.shape[2:])
        heights.append(probability(torch.where(there, changed, x)))
    height = np.stack(heights).astype(np.float64)
    area = (height[:-1] + height[1:]).sum(axis=0) / (2 * steps)
    return np.asarray(area[:, 0] - area[:, 1])


def similarity(a: Features, b: Features) -> Float[ndarray, " n"]:
    """S3: cosine similarity of each original and its counterfactual, over an extractor's features.

    Source: Jeanneret, Simon & Jurie, "Adversarial Counterfactual Visual Explanations", CVPR 2023, over features of a
        SimSiam encoder (hence the three S): only numbers over one extractor compare.
    """
    x, y = a.values.astype(np.float64), b.values.astype(np.float64)
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    return np.asarray((x * y).sum(axis=1) / np.maximum(lengths, 1e-12))


def split_frechet(originals: Features, changed: Features, *, splits: int = _SPLITS, seed: int = 0) -> float:
    """sFID: Frechet distance of one half's counterfactuals from the other half's originals, both ways, averaged.

    No image meets its own original, which it resembles however bad it is.

    Args:
        originals, changed: of the same images, row by row.
        splits: how often they are halved at random.
        seed: of the halves.

    Source: Jeanneret, Simon & Jurie, "Adversarial Counterfactual Visual Explanations", CVPR 2023 (over Inception).
    """
    assert len(originals) == len(changed) >= 4, "two halves of two images each are the fewest"
    random, found = np.random.default_rng(seed), []
    for _ in range(splits):
        half = len(changed) // 2
        order = random.permutation(len(changed))
        a, b = order[:half], order[half : 2 * half]
        found += [frechet_distance(originals.at(p), changed.at(q)).value for p, q in ((a, b), (b, a))]
    return float(np.mean(found))
