"""Images that a program has already: a map-style data set of torch's kind, or arrays with labels."""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from stylex.core.errors import DataError
from stylex.core.reference import reason
from stylex.core.wording import option
from stylex.data.images import PictureError
from stylex.data.index import Label
from stylex.data.source import Listing, Photo, number_labels

_IMAGE, _LABEL = ("image", "img"), ("label", "target")
"""What items that are dictionaries call their image and their label."""
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
_EXPECTED = (
    "expected a folder, a zip, shards (.tar), a data set with a length whose items are (image, label) or dictionaries, "
    "arrays [n, h, w, c] of uint8, or (arrays, labels)"
)


class Items:
    """The pictures of a data set in memory, by number; each is asked for under a lock, its label and its image apart.

    Raises:
        DataError: it is nothing that images can be taken from.
    """

    def __init__(self, given: Any) -> None:
        if isinstance(given, np.ndarray | Tensor):
            given = (given,)
        if isinstance(given, tuple | list) and given and isinstance(given[0], np.ndarray | Tensor):
            given = _Arrays(*given)
        if isinstance(given, str | bytes | Path | Mapping) or not hasattr(given, "__getitem__"):
            raise DataError(f"cannot take images from {type(given).__name__}: {_EXPECTED}")
        try:
            self._n = len(given)
        except TypeError:
            raise DataError(f"{type(given).__name__} has no length: {_EXPECTED}") from None
        self._given = given
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._n

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes, where the data set, or what it is a part of, has them as ``classes``."""
        given: Any = self._given
        while given is not None:
            found = getattr(given, "classes", None)
            if isinstance(found, list | tuple) and all(isinstance(name, str) for name in found):
                return tuple(found)
            given = getattr(given, "dataset", None)
        return None

    def item(self, i: int, name: str) -> Any:
        """One item as the data set gives it; PictureError where it cannot."""
        try:
            with self._lock:
                return self._given[i]
        except Exception as error:  # the data set's own code
            raise PictureError(name, f"the data set gives no item here ({reason(error)})") from None

    def read(self, name: str) -> bytes:
        """A picture as a PNG."""
        item = self.item(int(name), name)
        image = _among(item, _IMAGE, name) if isinstance(item, Mapping) else item
        if isinstance(image, tuple | list):
            if not image:
                raise PictureError(
                    name, "the data set gives an empty item here; expected a picture, or one with its label"
                )
            image = image[0]
        return _png(image, name)


class _Arrays:
    """Pictures ``[n, h, w]`` or ``[n, h, w, c]`` (tensors ``[n, c, h, w]``), and perhaps a label each."""

    def __init__(self, images: Any, labels: Any = None, *more: Any) -> None:
        if more or images.ndim not in (3, 4):
            what = "more than images and labels" if more else f"images of the shape {list(images.shape)}"
            raise DataError(f"arrays: got {what}: {_EXPECTED}")
        if labels is not None and len(labels) != len(images):
            raise DataError(f"arrays: {len(images)} images and {len(labels)} labels; give one label an image")
        self._images, self._labels = images, labels

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, i: int) -> Any:
        return self._images[i] if self._labels is None else (self._images[i], self._labels[i])


def open_memory(given: Any, *, label_column: str | None, group_column: str | None) -> tuple[Items, Listing]:
    """The items of a data set and their labels.

    Labels are class numbers, names, or a 0/1 vector each. Class names are the data set's ``classes``. Of items that are
    dictionaries the columns are keys.

    Raises:
        DataError: nothing that images can be taken from, or labels of several kinds.
    """
    items = Items(given)
    said: list[tuple[str, Any, str | None]] = []
    skipped: list[tuple[str, str]] = []
    for i in range(len(items)):
        name = f"{i:08d}"
        try:
            item = items.item(i, name)
            if (label_column or group_column) and not isinstance(item, Mapping):
                which = "label_column" if label_column else "group_column"
                raise DataError(f"{option(which)} was given, but the items are no dictionaries with columns")
            group = None if group_column is None else str(_among(item, (group_column,), name))
            said.append((name, _plain(_said(item, label_column, name), name), group))
        except PictureError as error:
            skipped.append((name, error.reason))
    kinds = {type(label) for _, label, _ in said} - {type(None)}
    if len(kinds) > 1:
        raise DataError(f"the labels are of several kinds ({', '.join(sorted(k.__name__ for k in kinds))}): give one")
    labelled = bool(kinds)
    skipped += [(name, "no label") for name, label, _ in said if labelled and label is None]
    kept = [each for each in said if not labelled or each[1] is not None]
    names, number = _names(items, [label for _, label, _ in kept], kinds)
    photos = [
        Photo(file=name, name=name, label=number.get(label, label) if labelled else None, group=group)
        for name, label, group in kept
    ]
    return items, Listing(
        photos=tuple(photos),
        label_names=names,
        labels_from="the data set's items" if labelled else "none (the items have no labels)",
        skipped=skipped,
    )


def _names(items: Items, labels: list[Any], kinds: set[type]) -> tuple[tuple[str, ...] | None, Mapping[Any, int]]:
    if str in kinds:
        return number_labels(labels)
    own = items.classes
    sizes = {len(x) if isinstance(x, tuple) else None for x in labels}
    if len(sizes) > 1:
        raise DataError("the labels are vectors of different lengths: give 0 or 1 for every label")
    need = max((len(x) if isinstance(x, tuple) else x + 1 for x in labels if x is not None), default=0)
    return (own if own is not None and len(own) >= need > 0 else None), {}


def _said(item: Any, column: str | None, name: str) -> Any:
    if isinstance(item, Mapping):
        key = next((key for key in ([column] if column else _LABEL) if key in item), None)
        if column and key is None:
            raise PictureError(name, f"no {column} among {', '.join(map(str, item))}")
        return None if key is None else item[key]
    return item[1] if isinstance(item, tuple | list) and len(item) > 1 else None


def _among(item: Any, keys: tuple[str, ...], name: str) -> Any:
    for key in keys:
        if key in item:
            return item[key]
    raise PictureError(name, f"no {' or '.join(keys)} among {', '.join(map(str, item))}"[:200])


def _plain(label: Any, name: str) -> Label | str | None:
    """A label as a class number, a 0/1 vector or a name."""
    if label is None or isinstance(label, str):
        return label
    values = np.asarray(label.detach().cpu() if isinstance(label, Tensor) else label)
    if values.size == 1 and values.ndim == 0 and values == np.floor(values) and values >= 0:
        return int(values)
    if values.ndim == 1 and values.size and np.isin(values, (0, 1)).all():
        return tuple(int(value) for value in values)
    raise PictureError(name, f"its label is {str(label)[:60]}, expected a class number, a name or a vector of 0 and 1")


def _png(image: Any, name: str) -> bytes:
    picture = image if isinstance(image, Image.Image) else Image.fromarray(_pixels(image, name))
    picture = ImageOps.exif_transpose(picture)
    file = io.BytesIO()
    (picture if picture.mode in _PNG_MODES else picture.convert("RGB")).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _pixels(image: Any, name: str) -> NDArray[np.uint8]:
    """``[h, w]`` or ``[h, w, c]`` of a tensor ``[c, h, w]`` or an array ``[h, w, c]``; floats are 0 to 1."""
    tensor = isinstance(image, Tensor)
    values = np.asarray(image.detach().cpu() if tensor else image)
    if tensor and values.ndim == 3:
        values = values.transpose(1, 2, 0)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if not (values.ndim == 2 or (values.ndim == 3 and values.shape[2] in (3, 4))) or not values.size:
        where = "[c, h, w] of 1, 3 or 4 channels" if tensor else "[h, w] or [h, w, c] of 1, 3 or 4 channels"
        raise PictureError(name, f"an image of the shape {list(np.shape(image))}, expected {where}")
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    if values.dtype.kind != "f" or not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
        ends = f" from {values.min():g} to {values.max():g}" if values.dtype.kind in "iuf" else ""
        raise PictureError(
            name, f"pixels of {values.dtype}{ends}, expected uint8, or floats from 0 to 1 (before any normalisation)"
        )
    return np.round(values * 255).astype(np.uint8)
