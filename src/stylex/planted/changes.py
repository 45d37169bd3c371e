"""What attributes do to known factors: pictures before and after a move, read by a factor reader."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from stylex.core.attribute import Attribute
from stylex.data.images import to_tensor
from stylex.planted.images import Planted
from stylex.planted.readers import FactorReader
from stylex.planted.truth import FactorChanges
from stylex.search.shifts import apply_attributes
from stylex.search.subject import Subject


def factor_changes(
    subject: Subject,
    reader: FactorReader,
    s: Float[Tensor, "n s_dim"],
    attributes: Sequence[Attribute],
    *,
    noise: Float[ndarray, " f"],
    claimed: Bool[ndarray, " k"] | None = None,
) -> FactorChanges:
    """Move every image by each attribute alone, and read its factors before and after.

    Args:
        subject: the networks.
        reader: of the factors; every change is read off reconstructions, so its errors on them cancel in part.
        s: the images' style vectors: images that the attributes were not found on.
        attributes: best first.
        noise: of the reader, see ``reader_noise``.
        claimed: which of them are said to drive the classifier (default: all).
    """
    pictures, base = subject.show(s)
    before = reader.read(torch.from_numpy(pictures))
    changes, effects = [np.zeros((0, *before.shape))], [np.zeros((0, len(s)))]
    for attribute in attributes:
        moved, logits = subject.show(apply_attributes(s, [attribute], subject.space))
        changes.append((reader.read(torch.from_numpy(moved)) - before)[None])
        effects.append((logits - base)[None, :, attribute.target].astype(np.float64))
    return FactorChanges(
        changes=np.concatenate(changes),
        effects=np.concatenate(effects),
        claimed=np.ones(len(attributes), dtype=np.bool_) if claimed is None else claimed,
        noise=noise,
    )


def reader_noise(reader: FactorReader, planted: Planted, resolution: int) -> Float[ndarray, " f"]:
    """Mean absolute change that the reader sees of each factor while another one alone is changed, in its own unit.

    The images are drawn again with each factor in turn exchanged for another image's: what a pure move of that factor
    would still seem to do to the others.

    Args:
        reader: of the planted images' factors.
        planted: images that it was not fitted to.
        resolution: side in pixels.
    """

    def read(factors: Float[ndarray, "n f"]) -> Float[ndarray, "n f"]:
        return reader.read(to_tensor(planted.pictures(resolution, factors=factors)))

    before = read(planted.factors)
    f = before.shape[1]
    seen = np.zeros((f, f))
    for i in range(f):
        changed = planted.factors.copy()
        changed[:, i] = np.roll(changed[:, i], 1)
        seen[i] = np.abs(read(changed) - before).mean(axis=0)
    noise: Float[ndarray, " f"] = (seen.sum(axis=0) - np.diag(seen)) / (f - 1)
    return noise
