"""The files beside an explanation folder's manifest: pictures and statistics, checked before they are believed."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylex.core.errors import StoreError
from stylex.core.explanation import Picture
from stylex.core.files import is_inside
from stylex.core.stylespace import StyleKind, StyleSpace, StyleStatistics
from stylex.core.untrusted import read_arrays
from stylex.store.manifest import MANIFEST, schema

_STATISTICS = ("minimum", "maximum", "mean", "std")
_LARGEST_SIDE = 4096
_LARGEST_AREA = 2**26
_LARGEST_FILE = 2**28


def png(pixels: Picture) -> bytes:
    """The picture as a PNG file."""
    assert pixels.dtype == np.uint8, pixels.dtype
    assert pixels.ndim == 3, pixels.shape
    assert pixels.shape[2] in (1, 3), pixels.shape
    buffer = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(buffer, "PNG")
    return buffer.getvalue()


def check_ids(ids: list[str]) -> None:
    """Ids of images name files, on every file system.

    Raises:
        StoreError: one cannot, or two are one.
    """
    pattern = schema()["$defs"]["id"]["pattern"]
    for image_id in ids:
        if re.fullmatch(pattern, image_id) is None:
            raise StoreError(
                f"the image id {image_id!r} cannot name a file; use letters, digits, '.', '_' and '-', at most 120"
            )
    # Some file systems do not tell capitals from small letters.
    twice = [name for name, n in Counter(i.casefold() for i in ids).items() if n > 1]
    if twice:
        raise StoreError(f"the image id {twice[0]!r} is used twice (capitals do not count); give each image its own id")


def numbers(values: NDArray[np.float32] | None, image_id: str) -> list[float] | None:
    """The classifier's numbers for an image as JSON says them.

    Raises:
        StoreError: they are not finite.
    """
    if values is None:
        return None
    if not np.isfinite(values).all():
        raise StoreError(
            f"the classifier's output for image {image_id!r} is not finite; mend it or leave that image out"
        )
    # The shortest decimal that reads back as the same float32.
    return [float(str(v)) for v in np.asarray(values, dtype=np.float32)]


def statistics_file(statistics: StyleStatistics) -> bytes:
    """The statistics as an ``.npz`` file."""
    buffer = io.BytesIO()
    np.savez(buffer, **{name: getattr(statistics, name) for name in _STATISTICS})
    return buffer.getvalue()


def _inside(folder: Path, name: str) -> Path:
    """The file of that relative name; refuses every name that leads out of the folder."""
    pure = PurePosixPath(name)
    file = folder / pure
    plain = not pure.is_absolute() and ".." not in pure.parts and "\\" not in name and ":" not in name
    if not plain or not is_inside(file, folder):
        raise StoreError(f"{folder / MANIFEST} names {name!r}, which is not a file inside the folder; do not trust it")
    return file


def _load(file: Path, load: Callable[[Path], Any], expected: str) -> Any:
    """Load a file of the folder, with the user's words for everything that can be wrong with it."""
    try:
        if not file.is_file():
            raise StoreError(f"{file} is missing; write the explanation again")
        if file.stat().st_size > _LARGEST_FILE:
            raise ValueError("it is larger than anything here")
        return load(file)
    except StoreError:
        raise
    except Exception as error:  # Pillow raises nearly anything at bytes that are not what they should be
        reason = getattr(error, "strerror", None) or error
        raise StoreError(f"{file} is damaged ({reason}); expected {expected}; write the explanation again") from error


class Pictures:
    """The pictures of a folder, which are all of one size."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.size: tuple[int, int] | None = None

    def load(self, name: str) -> Picture:
        """One picture."""
        return self._alike(name, self._load(name, _LARGEST_SIDE))

    def frames(self, name: str, n: int) -> NDArray[np.uint8]:
        """Several, which lie in one file from left to right; ``[n, h, w, c]``."""
        sheet = self._load(name, n * _LARGEST_SIDE)
        if sheet.shape[1] % n:
            raise StoreError(
                f"{self.folder / name} is damaged ({sheet.shape[1]} pixels wide); expected {n} frames of one width; "
                "write the explanation again"
            )
        frames = np.stack(np.hsplit(sheet, n))
        self._alike(name, frames[0])
        return frames

    def _alike(self, name: str, picture: Picture) -> Picture:
        size = picture.shape[1], picture.shape[0]
        self.size = self.size or size
        if size != self.size:
            here, others = (f"{width} x {height} pixels" for width, height in (size, self.size))
            raise StoreError(f"{self.folder / name} is {here}, others are {others}; write the explanation again")
        return picture

    def _load(self, name: str, widest: int) -> Picture:
        def load(file: Path) -> Picture:
            with Image.open(file, formats=["PNG"]) as image:
                width, height = image.size
                if height > _LARGEST_SIDE or width > widest or height * width > _LARGEST_AREA:
                    raise ValueError(f"it is {width} by {height} pixels")
                if image.mode not in ("L", "RGB"):
                    raise ValueError(f"its mode is {image.mode}")
                pixels = np.asarray(image, dtype=np.uint8)
            return pixels[:, :, None] if pixels.ndim == 2 else pixels

        expected = f"an 8-bit grey or RGB PNG up to {widest} pixels wide"
        picture: Picture = _load(_inside(self.folder, name), load, expected)
        return picture


def load_statistics(folder: Path, name: str, s_dim: int) -> StyleStatistics:
    """Statistics of ``s_dim`` coordinates.

    Raises:
        StoreError: the file is missing, outside the folder or damaged.
    """

    def load(file: Path) -> StyleStatistics:
        arrays = read_arrays(file, largest=_LARGEST_FILE)
        for key in _STATISTICS:
            if arrays[key].shape != (s_dim,) or arrays[key].dtype.kind != "f":
                raise ValueError(f"its array {key} is not {s_dim} numbers")
        return StyleStatistics(**{key: arrays[key].astype(np.float32) for key in _STATISTICS})

    statistics: StyleStatistics = _load(_inside(folder, name), load, "arrays " + ", ".join(_STATISTICS))
    return statistics


def load_space(folder: Path, row: Mapping[str, Any]) -> StyleSpace:
    """The layout of StyleSpace that a manifest describes, with what was observed where that was kept.

    Raises:
        StoreError: its layers are in another order than they come in, or its statistics are damaged.
    """
    file = folder / MANIFEST
    kinds = [layer["kind"] for layer in row["layers"]]
    if kinds != sorted(kinds, key=get_args(StyleKind).index):
        raise StoreError(
            f"{file} contradicts itself: convolution layers come before ToRGB layers, and these before directions"
        )
    space = StyleSpace.from_json(
        [{k: layer[k] for k in ("name", "kind", "resolution", "channels")} for layer in row["layers"]]
    )
    if row["statistics"] is None:
        return space

    return space.observed(load_statistics(folder, row["statistics"], space.s_dim))
