"""Effects that are measured when they are first asked for: a screen's are there already, and few others are needed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64, Shaped
from numpy import ndarray
from torch import Tensor

from stylex.search.effects import expect_finite
from stylex.search.moves import Evaluator
from stylex.search.shards import position_of


class Cells:
    """Effects of moves on images, of which some are known."""

    def __init__(
        self,
        evaluator: Evaluator,
        s: Float[Tensor, "n s_dim"],
        base_logits: Float32[ndarray, "n k"],
        indices: Int64[ndarray, " m"],
        *,
        image_ids: tuple[str, ...],
        shift_range: float,
    ) -> None:
        """Nothing is known yet.

        Args:
            evaluator: what draws, in float32.
            s, image_ids: the images.
            base_logits: of their reconstructions.
            indices: the coordinates' flat indices.
            shift_range: how far they are moved.
        """
        self.evaluator, self.s, self.base_logits, self.indices = evaluator, s, base_logits, indices
        self.image_ids, self.shift_range = image_ids, shift_range
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
        own = self.s[torch.from_numpy(rows).to(self.s.device)].float()
        columns = missing.any(axis=(0, 1))
        measured, _, drawn = self.evaluator.effects(
            own, self.indices[columns], self.shift_range, missing[:, :, columns]
        )
        expect_finite(measured, [self.image_ids[row] for row in rows])
        values = np.zeros((*missing.shape, measured.shape[-1]), dtype=np.float32)
        values[:, :, columns] = measured
        image, sign, column = np.nonzero(missing)
        self.values[rows[image], sign, column] = values[image, sign, column]
        self.known[rows[image], sign, column] = True
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
        return tuple(self.cells.image_ids[row] for row in self.rows)

    @property
    def shift_range(self) -> float:
        """How far coordinates are moved, as a fraction of the way to the extreme."""
        return self.cells.shift_range

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
        wanted = np.zeros(self.cells.known.shape[1:], dtype=bool)
        wanted[:, self.columns] = True
        self.cells.ask(self.rows, wanted)
        return self.cells.values[self.rows][:, :, self.columns, target]

    def change(self, sign: int, column: int) -> Float32[ndarray, "r k"]:
        """What one move does to all logits of every image."""
        wanted = np.zeros(self.cells.known.shape[1:], dtype=bool)
        wanted[sign, self.columns[column]] = True
        self.cells.ask(self.rows, wanted)
        return self.cells.values[self.rows, sign, self.columns[column]]
