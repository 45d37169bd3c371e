"""Effects that are measured when they are first asked for: a screen's are there already, and few others are needed."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64, Shaped
from numpy import ndarray
from torch import Tensor

from stylex.core.files import write_whole
from stylex.core.untrusted import read_arrays
from stylex.search.effects import expect_finite, images_of_a_block
from stylex.search.moves import Evaluator
from stylex.search.shards import DAMAGED, position_of
from stylex.search.shifts import statistics_of
from stylex.search.subject import Subject

_FORMAT = "stylex moves 1"


class Drawn:
    """Draws moves of some images in blocks, and keeps each finished block on disk where there is a folder for it.

    The same calls again read what is there and draw the rest: the same blocks, and so the same numbers to the last bit.
    """

    def __init__(
        self, subject: Subject, image_ids: Sequence[str], *, shift_range: float, folder: Path | None = None
    ) -> None:
        """Begin, or go on with, what ``folder`` has of such moves.

        Args:
            subject: what is moved. Its key tells whose the blocks are; without one nothing is kept.
            image_ids: names of the images, for errors.
            shift_range: how far coordinates are moved.
            folder: where blocks are kept; None: nowhere.
        """
        self.image_ids, self.shift_range = image_ids, shift_range
        self.folder: Path | None = None
        if folder is not None and subject.key:
            statistics = statistics_of(subject.space)
            settings = json.dumps([_FORMAT, subject.key, subject.space.to_json(), shift_range]).encode()
            self._about = _digest(settings, statistics.minimum, statistics.maximum)
            self.folder = folder / f"moves-{self._about[:16]}"

    def effects(
        self,
        evaluator: Evaluator,
        rows: Int64[ndarray, " r"],
        s: Float[Tensor, "r s_dim"],
        indices: Int64[ndarray, " m"],
        wanted: Bool[ndarray, "*r 2 m"],
    ) -> tuple[Float32[ndarray, "r 2 m k"], int]:
        """Effects of the moves that are wanted (zero elsewhere), and how many pictures were drawn for them now.

        Args:
            evaluator: what draws.
            rows, s: the images, as positions among those named, and their style vectors.
            indices: the coordinates' flat indices.
            wanted: which moves, of every image or of each.

        Raises:
            ClassifierError: the classifier gives logits that are not finite.
            StoreError: the folder cannot be written.
        """
        each = np.broadcast_to(wanted, (len(rows), *wanted.shape[-2:])).copy()
        size = images_of_a_block(int(each.sum(axis=(1, 2)).max()))
        parts, pictures = [], 0
        for start in range(0, len(rows), size):
            block = slice(start, start + size)
            values, drawn = self._block(evaluator, rows[block], s[block], indices, each[block])
            parts.append(values)
            pictures += drawn
        return np.concatenate(parts), pictures

    def _block(
        self, evaluator: Evaluator, rows: ndarray, s: Tensor, indices: ndarray, wanted: ndarray
    ) -> tuple[ndarray, int]:
        path, about = None, ""
        if self.folder is not None:
            about = _digest(f"{self._about} {evaluator.precision}".encode(), s.float().cpu().numpy(), indices, wanted)
            path = self.folder / f"{about[:24]}.npz"
            with suppress(*DAMAGED):
                return self._read(path, about, wanted), 0
        values, _, drawn = evaluator.effects(s.float(), indices, self.shift_range, wanted)
        expect_finite(values, [self.image_ids[row] for row in rows])
        if path is not None:
            data = io.BytesIO()
            np.savez(data, about=np.array(about), values=values[wanted])
            write_whole(path, data.getbuffer())
        return values, drawn

    def _read(self, path: Path, about: str, wanted: ndarray) -> ndarray:
        held = read_arrays(path)
        if str(held["about"]) != about or held["values"].dtype != np.float32:
            raise ValueError(about)
        values = np.zeros((*wanted.shape, held["values"].shape[1]), dtype=np.float32)
        values[wanted] = held["values"]
        return values


def _digest(first: bytes, *arrays: ndarray) -> str:
    digest = hashlib.sha256(first)
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class Cells:
    """Effects of moves on images, of which some are known."""

    def __init__(
        self,
        evaluator: Evaluator,
        drawn: Drawn,
        s: Float[Tensor, "n s_dim"],
        base_logits: Float32[ndarray, "n k"],
        indices: Int64[ndarray, " m"],
    ) -> None:
        """Nothing is known yet.

        Args:
            evaluator: what draws, in float32.
            drawn: what it draws by, and keeps.
            s: the images.
            base_logits: of their reconstructions.
            indices: the coordinates' flat indices.
        """
        self.evaluator, self.drawn, self.s, self.base_logits, self.indices = evaluator, drawn, s, base_logits, indices
        self.values: Float32[ndarray, "n 2 m k"] = np.zeros(
            (len(s), 2, len(indices), base_logits.shape[1]), dtype=np.float32
        )
        self.known: Bool[ndarray, "n 2 m"] = np.zeros(self.values.shape[:3], dtype=bool)
        self.pictures = 0

    def put(
        self,
        rows: Int64[ndarray, " r"],
        signs: Int64[ndarray, " moves"],
        columns: Int64[ndarray, " moves"],
        values: Float32[ndarray, "r moves k"],
    ) -> None:
        """Take in what was measured of some moves on some images."""
        self.values[rows[:, None], signs, columns] = values
        self.known[rows[:, None], signs, columns] = True

    def ask(self, rows: Int64[ndarray, " r"], wanted: Bool[ndarray, "2 m"]) -> None:
        """See to it that these moves are known on these images: draw what is not."""
        missing = wanted & ~self.known[rows]
        some = missing.any(axis=(1, 2))
        rows, missing = rows[some], missing[some]
        if len(rows) == 0:
            return
        columns = np.flatnonzero(missing.any(axis=(0, 1)))
        own = self.s[torch.from_numpy(rows).to(self.s.device)]
        measured, drawn = self.drawn.effects(self.evaluator, rows, own, self.indices[columns], missing[:, :, columns])
        image, sign, column = np.nonzero(missing[:, :, columns])
        at = rows[image], sign, columns[column]
        self.values[at] = measured[image, sign, column]
        self.known[at] = True
        self.pictures += drawn


@dataclass(frozen=True, eq=False, kw_only=True)
class EffectsOnDemand:
    """An ``EffectTable`` over some of the images and coordinates of ``cells``; what it is asked for is drawn then.

    Attributes:
        cells: what is known, and draws the rest.
        rows, columns: the images and coordinates, as positions there.
    """

    cells: Cells
    rows: Int64[ndarray, " r"]
    columns: Int64[ndarray, " c"]

    @property
    def base_logits(self) -> Float32[ndarray, "r k"]:
        """Logits of the reconstructions."""
        return self.cells.base_logits[self.rows]

    @property
    def indices(self) -> Int64[ndarray, " c"]:
        """The coordinates' flat indices in ``s``."""
        return self.cells.indices[self.columns]

    @property
    def image_ids(self) -> tuple[str, ...]:
        """The images' names."""
        return tuple(self.cells.drawn.image_ids[row] for row in self.rows)

    @property
    def shift_range(self) -> float:
        """How far coordinates are moved, as a fraction of the way to the extreme."""
        return self.cells.drawn.shift_range

    def __len__(self) -> int:
        return len(self.rows)

    def of(self, rows: Shaped[ndarray, " r"]) -> EffectsOnDemand:
        """The effects on some of the images (positions, or a mask)."""
        return EffectsOnDemand(cells=self.cells, rows=self.rows[rows], columns=self.columns)

    def among(self, indices: Int64[ndarray, " c"]) -> EffectsOnDemand:
        """The effects of some of the coordinates, by their flat indices."""
        columns = np.array([position_of(self.cells.indices, int(index)) for index in indices], dtype=np.int64)
        return EffectsOnDemand(cells=self.cells, rows=self.rows, columns=columns)

    def position(self, index: int) -> int:
        """Where a flat index of ``s`` stands in this table; as in ``Effects``."""
        return position_of(self.indices, index)

    def table(self, target: int) -> Float32[ndarray, "r 2 c"]:
        """Every image's effects on the logit of one class."""
        self._ask(slice(None), self.columns)
        return self.cells.values[self.rows][:, :, self.columns, target]

    def change(self, sign: int, column: int) -> Float32[ndarray, "r k"]:
        """What one move does to all logits of every image."""
        self._ask(sign, self.columns[column])
        return self.cells.values[self.rows, sign, self.columns[column]]

    def _ask(self, sign: int | slice, columns: ndarray | np.int64) -> None:
        wanted = np.zeros(self.cells.known.shape[1:], dtype=bool)
        wanted[sign, columns] = True
        self.cells.ask(self.rows, wanted)
