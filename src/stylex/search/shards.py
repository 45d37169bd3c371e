"""Measured effects on disk: shards of some images each, written whole, mapped into memory and never held there."""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int64, Shaped
from numpy import ndarray

from stylex.core.errors import SearchError
from stylex.core.files import write_whole
from stylex.core.untrusted import map_array, read_arrays

FORMAT = "stylex effects 2"

DAMAGED = (OSError, ValueError, KeyError, TypeError)
"""What reading a damaged or foreign archive may raise."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Block:
    """Effects of a few images, in memory or mapped from a shard.

    Attributes:
        values: ``[kept n 2 m]``, float32 or float16: class, image, sign index, coordinate.
        classes: ``[n kept]``, the class of each value; those asked for come first and are the same for all images.
        base_logits: ``[n k]``.
    """

    values: Shaped[ndarray, "kept n 2 m"]
    classes: Int64[ndarray, "n kept"]
    base_logits: Float32[ndarray, "n k"]


class Shards:
    """A folder of shards, whose images are found by the hash of all that their effects depend on.

    Every shard is two files: ``NAME.npy`` with the values, and ``NAME.npz``, written after it, with all else and the
    values' checksum. A shard that is not whole is not there.
    """

    def __init__(self, folder: Path, settings: Sequence[Any], arrays: Sequence[ndarray]) -> None:
        """Open, or begin, the part of ``folder`` that is for such settings."""
        digest = hashlib.sha256(json.dumps([FORMAT, *settings]).encode())
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        self.settings = digest.hexdigest()
        self.folder = folder / self.settings[:16]
        self.slots: dict[str, tuple[Block, int]] = {}
        """Of each image, by its key: the block that holds it, and where."""
        self._read: set[str] = set()
        self.look()

    def key(self, vector: Float32[ndarray, " s_dim"]) -> str:
        """What an image is found by: its style vector, under these settings."""
        return hashlib.sha256(self.settings.encode() + np.ascontiguousarray(vector).tobytes()).hexdigest()

    def look(self) -> None:
        """Take in the shards that were written since."""
        for path in sorted(self.folder.glob("*.npz")):
            if path.name not in self._read:
                try:
                    keys, block = self._open(path)
                except DAMAGED:
                    continue
                self._read.add(path.name)
                for row, key in enumerate(keys):
                    self.slots.setdefault(key, (block, row))

    def write(self, keys: Sequence[str], block: Block) -> None:
        """Keep a block.

        Raises:
            StoreError: it cannot be written.
        """
        path = self.folder / hashlib.sha256("".join(keys).encode()).hexdigest()[:24]
        values, index = io.BytesIO(), io.BytesIO()
        np.save(values, block.values, allow_pickle=False)
        np.savez(
            index,
            settings=np.array(self.settings),
            keys=np.array(keys),
            classes=block.classes,
            base_logits=block.base_logits,
            crc=np.array(zlib.crc32(values.getbuffer())),
        )
        write_whole(path.with_suffix(".npy"), values.getbuffer())
        write_whole(path.with_suffix(".npz"), index.getbuffer())

    def _open(self, path: Path) -> tuple[list[str], Block]:
        index = read_arrays(path)
        if str(index["settings"]) != self.settings:
            raise ValueError(str(index["settings"]))
        keys = [str(key) for key in index["keys"]]
        classes, base, crc = index["classes"], index["base_logits"], int(index["crc"])
        values_path = path.with_suffix(".npy")
        if _checksum(values_path) != crc:
            raise ValueError("the values are not those that were written")
        values = map_array(values_path)
        n, kept = classes.shape
        if values.shape[:3] != (kept, n, 2) or values.ndim != 4 or len(base) != n or len(keys) != n:
            raise ValueError("its arrays are of different lengths")
        return keys, Block(values=values, classes=classes, base_logits=base)


def _checksum(path: Path) -> int:
    if not path.is_file():
        raise ValueError("the values are no regular file")
    crc = 0
    with open(path, "rb") as file:
        while data := file.read(2**22):
            crc = zlib.crc32(data, crc)
    return crc


@dataclass(frozen=True, eq=False, kw_only=True)
class ShardedEffects:
    """``Effects`` that stay on disk; what is asked of them is read then.

    Attributes:
        slots: of each image, its block and its row there.
        base_logits, indices, image_ids, shift_range: as in ``Effects``.
    """

    slots: tuple[tuple[Block, int], ...]
    base_logits: Float32[ndarray, "n k"]
    indices: Int64[ndarray, " m"]
    image_ids: tuple[str, ...]
    shift_range: float

    def __len__(self) -> int:
        return len(self.image_ids)

    def of(self, rows: Shaped[ndarray, " r"]) -> ShardedEffects:
        """The effects on some of the images (positions, or a mask)."""
        kept = np.arange(len(self))[rows].tolist()
        return ShardedEffects(
            slots=tuple(self.slots[i] for i in kept),
            base_logits=self.base_logits[kept],
            indices=self.indices,
            image_ids=tuple(self.image_ids[i] for i in kept),
            shift_range=self.shift_range,
        )

    def position(self, index: int) -> int:
        """Where a flat index of ``s`` stands in this table; as in ``Effects``."""
        return position_of(self.indices, index)

    def table(self, target: int) -> Float[ndarray, "n 2 m"]:
        """Every image's effects on the logit of one class, in the type that they are kept in.

        Raises:
            SearchError: that class was not among those kept.
        """
        dtype = self.slots[0][0].values.dtype if self.slots else np.float32
        out = np.empty((len(self), 2, len(self.indices)), dtype=dtype)
        for row, (block, slot) in enumerate(self.slots):
            out[row] = block.values[_kept(block, slot, target), slot]
        return out

    def change(self, sign: int, column: int) -> Float32[ndarray, "n k"]:
        """What one move does to all logits of every image; zero for classes that were not kept."""
        out = np.zeros(self.base_logits.shape, dtype=np.float32)
        for row, (block, slot) in enumerate(self.slots):
            out[row, block.classes[slot]] = block.values[:, slot, sign, column]
        return out


def _kept(block: Block, slot: int, target: int) -> int:
    found = np.flatnonzero(block.classes[slot] == target)
    if len(found) == 0:
        raise SearchError(
            f"effects on class {target} were not kept, only those on the classes asked for and each image's likeliest "
            "ones; search again with it as the target"
        )
    return int(found[0])


def position_of(indices: Int64[ndarray, " m"], index: int) -> int:
    """Where a flat index of ``s`` stands among those measured.

    Raises:
        SearchError: the coordinate was not measured.
    """
    found = np.flatnonzero(indices == index)
    if len(found) == 0:
        raise SearchError(
            f"style coordinate {index} was not measured ({len(indices)} others were); measure its effects"
        )
    return int(found[0])
