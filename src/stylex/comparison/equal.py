"""Changes of equal size: how strongly each image must be moved so that all are changed alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from stylex.comparison.arena import Moves

STRENGTHS = (0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
"""What every method is tried at, in its own size; beyond the last none is taken."""

Size = Callable[[Float[Tensor, "n c h w"]], Float[ndarray, " n"]]
"""How far pictures are from the cases' rebuilt ones."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Ladder:
    """What a method does at each of ``STRENGTHS``.

    Attributes:
        pixels, perceptual: sizes of change, ``[strengths, n]``.
        turned: 1 where the answer is the target, else 0.
    """

    pixels: Float[ndarray, "g n"]
    perceptual: Float[ndarray, "g n"]
    turned: Float[ndarray, "g n"]

    def curve(self) -> tuple[tuple[float, float], ...]:
        """Change of the pixels, the same for every image, and share of images turned, from nothing on.

        Between two steps an image counts in part. An image that cannot be changed so much counts as it is at its
        largest, and the mean change is smaller by that.
        """
        wanted = np.unique(self.pixels.mean(axis=1))
        return ((0.0, 0.0), *(self._at(float(size)) for size in wanted))

    def _at(self, wanted: float) -> tuple[float, float]:
        strengths = strengths_for(self.pixels, wanted)
        steps = np.array([0.0, *STRENGTHS])
        grounded = [np.concatenate([np.zeros((1, one.shape[1])), one]) for one in (self.pixels, self.turned)]
        change, flips = (
            [np.interp(strength, steps, column) for strength, column in zip(strengths, one.T, strict=True)]
            for one in grounded
        )
        return float(np.mean(change)), float(np.mean(flips))

    def change_that_turns(self, share: float) -> float | None:
        """The change of the pixels at which so many images are turned; None where that is never reached."""
        curve = self.curve()
        for (start, few), (end, many) in zip(curve, curve[1:], strict=False):
            if many >= share:
                return start + (end - start) * (share - few) / (many - few)
        return None


def strengths_for(sizes: Float[ndarray, "g n"], wanted: float) -> Float[ndarray, " n"]:
    """The strength at which each image is changed by ``wanted``, between the steps of the ladder; else the largest.

    Args:
        sizes: at each of ``STRENGTHS``; where a size falls again, its first rise counts.
        wanted: the size.
    """
    steps = np.concatenate([[0.0], STRENGTHS])
    rising = np.maximum.accumulate(np.concatenate([np.zeros((1, sizes.shape[1])), sizes]), axis=0)
    return np.array([_first(rising[:, i], steps, wanted) for i in range(sizes.shape[1])])


def _first(rising: Float[ndarray, " g"], steps: Float[ndarray, " g"], wanted: float) -> float:
    if rising[-1] <= wanted:
        return float(steps[int(np.argmax(rising == rising[-1]))])
    above = int(np.argmax(rising >= wanted))
    low, high = rising[above - 1], rising[above]
    return float(steps[above - 1] + (steps[above] - steps[above - 1]) * (wanted - low) / (high - low))


def drawn_at(
    moves: Moves, sizes: Float[ndarray, "g n"], size: Size, wanted: float
) -> tuple[Float[Tensor, " n"], Float[Tensor, "n c h w"]]:
    """Strengths and pictures at which every image is changed by ``wanted``, as near as the method comes.

    The strength between two steps is corrected once by what it was found to do.
    """
    guess = strengths_for(sizes, wanted)
    reached = size(moves.draw(torch.from_numpy(guess).float()))
    near = np.where(reached > 0, wanted / np.maximum(reached, 1e-12), 1.0).clip(0.8, 1.25)
    strength = torch.from_numpy((guess * near).clip(max=STRENGTHS[-1])).float()
    return strength, moves.draw(strength)
