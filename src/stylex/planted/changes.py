"""What attributes do to known factors: pictures before and after a move, read by a factor reader."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from stylex.core.attribute import Attribute
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
    claimed: Bool[ndarray, " k"] | None = None,
) -> FactorChanges:
    """Move every image by each attribute alone, and read its factors before and after.

    Args:
        subject: the networks.
        reader: of the factors; every change is read off reconstructions, so its errors on them cancel in part.
        s: the images' style vectors: images that the attributes were not found on.
        attributes: best first.
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
    )
