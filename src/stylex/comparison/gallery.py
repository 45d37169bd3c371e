"""From what methods drew to pictures that a page can show."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray

from stylex.comparison.compare import Pictures
from stylex.core.gallery import Gallery, GalleryRow
from stylex.data.images import to_pictures

_HOTTEST = 0.99


def gallery_of(pictures: Pictures) -> Gallery:
    """The pictures in 8 bits; each heat-map as a fraction of its own hottest places."""
    return Gallery(
        names=pictures.names,
        targets=pictures.targets,
        originals=_eight(pictures.x),
        rebuilt=_eight(pictures.x_rec),
        p_originals=tuple(pictures.probabilities.tolist()),
        p_rebuilt=tuple(pictures.probabilities_rec.tolist()),
        rows=tuple(
            GalleryRow(
                name=row.name,
                pictures=None if row.pictures is None else _eight(row.pictures),
                heat=None if row.heat is None else _scaled(row.heat),
                p=tuple(row.probabilities.tolist()),
                turned=tuple(bool(t) for t in row.turned),
                said=row.said,
            )
            for row in pictures.rows
        ),
    )


def _eight(x: Float[ndarray, "n c h w"]) -> tuple[UInt8[ndarray, "h w c"], ...]:
    return tuple(to_pictures(torch.from_numpy(x)))


def _scaled(heat: Float[ndarray, "n h w"]) -> tuple[Float[ndarray, "h w"], ...]:
    hottest = np.quantile(heat, _HOTTEST, axis=(1, 2), keepdims=True)
    return tuple((heat / np.where(hottest > 0, hottest, 1)).clip(0, 1))
