"""Gallery: the same images as several methods change them, or map them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylex.core.explanation import Picture


@dataclass(frozen=True, eq=False, kw_only=True)
class GalleryRow:
    """One method's pictures.

    Attributes:
        name: of the method, or control.
        pictures: of every image; None of heat-maps.
        heat: of every image, ``h w`` in 0..1; None of changed pictures.
        p: the target's probability of each.
        turned: whether the answer is the target.
        said: what was moved, in a word or two.
    """

    name: str
    pictures: tuple[Picture, ...] | None
    heat: tuple[NDArray[np.floating[Any]], ...] | None
    p: tuple[float, ...]
    turned: tuple[bool, ...]
    said: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Gallery:
    """The same images, a row for every method.

    Attributes:
        names, targets: of the images, and of the classes that they are driven to.
        originals, rebuilt: photographs, and the pictures that all methods begin at.
        p_originals, p_rebuilt: the target's probability of each.
        rows: of the methods, in order, then of the controls.
    """

    names: tuple[str, ...]
    targets: tuple[str, ...]
    originals: tuple[Picture, ...]
    rebuilt: tuple[Picture, ...]
    p_originals: tuple[float, ...]
    p_rebuilt: tuple[float, ...]
    rows: tuple[GalleryRow, ...]
