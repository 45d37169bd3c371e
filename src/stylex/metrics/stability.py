"""Do two trainings find the same attributes: matched by what they do to the same images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.optimize import linear_sum_assignment

THRESHOLD = 0.5
"""Two attributes at least so similar count as the same."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Stability:
    """How two rankings match.

    Attributes:
        pairs: positions in the first and in the second ranking, the best match of all; as many as the shorter one has.
        similarity: of each pair, 0 to 1.
        fraction: of the pairs, how many are at least as similar as ``threshold``.
        null: the same fraction for each shuffle of which attribute did what, image by image.
        p: how often a shuffle gives pairs as similar, on average, as the real ones.
        threshold: similarity that counts as the same.
    """

    pairs: tuple[tuple[int, int], ...]
    similarity: Float[ndarray, " pairs"]
    fraction: float
    null: Float[ndarray, " shuffles"]
    p: float
    threshold: float


def stability(
    effects_a: Float[ndarray, "k n classes"],
    changes_a: Float[ndarray, "k n *pixels"],
    effects_b: Float[ndarray, "l n classes"],
    changes_b: Float[ndarray, "l n *pixels"],
    *,
    threshold: float = THRESHOLD,
    shuffles: int = 200,
    seed: int = 0,
) -> Stability:
    """Match the attributes of two rankings by what they do to the same n images.

    Two attributes are alike when they change the pictures alike (cosine over all images and pixels) and the
    classifier's logits alike from image to image (correlation of the effects); the similarity is the mean of the two,
    and a knob turned the opposite way is the same knob. The matching is the best one overall (Hungarian).

    The null shuffles, on each image by itself, which attribute of the second ranking did what: the changes stay, only
    that they are an attribute's, the same on every image, is lost.

    Args:
        effects_a, effects_b: change of each logit on each image.
        changes_a, changes_b: difference of the pictures, after less before.
        threshold: similarity that counts as the same.
        shuffles, seed: of the null.

    Source: Kuhn 1955 (assignment).
    """
    k, n, _ = effects_a.shape
    other = len(effects_b)
    flat_a, flat_b = (c.reshape(*c.shape[:2], -1).astype(np.float32) for c in (changes_a, changes_b))
    together = np.einsum("knp,lnp->kln", flat_a, flat_b).astype(np.float64)
    square_a, square_b = (np.einsum("knp,knp->kn", c, c).astype(np.float64) for c in (flat_a, flat_b))
    real = _similarity(effects_a, square_a, effects_b, square_b, together)
    first, second = linear_sum_assignment(-real)
    random = np.random.default_rng(seed)
    fractions, means = [], []
    images = np.arange(n)
    for _ in range(shuffles):
        who = random.permuted(np.tile(np.arange(other)[:, None], (1, n)), axis=0)
        shuffled = _similarity(
            effects_a, square_a, effects_b[who, images], square_b[who, images], together[:, who, images]
        )
        one, two = linear_sum_assignment(-shuffled)
        fractions.append(float((shuffled[one, two] >= threshold).mean()))
        means.append(float(shuffled[one, two].mean()))
    matched = real[first, second]
    better = sum(mean >= matched.mean() - 1e-12 for mean in means)
    return Stability(
        pairs=tuple((int(i), int(j)) for i, j in zip(first, second, strict=True)),
        similarity=matched,
        fraction=float((matched >= threshold).mean()) if k and other else float("nan"),
        null=np.array(fractions),
        p=(better + 1) / (shuffles + 1),
        threshold=threshold,
    )


def _similarity(
    effects_a: ndarray, square_a: ndarray, effects_b: ndarray, square_b: ndarray, together: ndarray
) -> Float[ndarray, "k l"]:
    length = np.sqrt(square_a.sum(axis=1))[:, None] * np.sqrt(square_b.sum(axis=1))
    cosine = together.sum(axis=2) / np.where(length > 0, length, np.inf)
    same_way = np.where(cosine >= 0, 1.0, -1.0)
    a, b = (_centred(effects) for effects in (effects_a, effects_b))
    scale = np.linalg.norm(a, axis=1)[:, None] * np.linalg.norm(b, axis=1)
    correlation = a @ b.T / np.where(scale > 0, scale, np.inf)
    return np.asarray((np.abs(cosine) + np.clip(same_way * correlation, 0, 1)) / 2)


def _centred(effects: ndarray) -> Float[ndarray, "k all"]:
    centred = effects.astype(np.float64) - effects.mean(axis=1, keepdims=True, dtype=np.float64)
    return np.asarray(centred.reshape(len(effects), -1))
