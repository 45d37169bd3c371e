"""Random moves of equal size, for comparison: what would move the classifier by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from numpy import ndarray
from torch import Tensor

from stylex.core.attribute import Attribute
from stylex.core.stylespace import StyleCoordinate, StyleSpace
from stylex.search.choosing import spread
from stylex.search.shifts import statistics_of
from stylex.search.subject import Subject

LENGTHS = (0.5, 1.0, 2.0, 3.0, 4.0, 6.0)
"""Lengths at which random moves are taken, in standard deviations of the coordinates."""
DRAWS = 8


@dataclass(frozen=True, eq=False, kw_only=True)
class RandomMoves:
    """Random moves of every image, at several lengths.

    Attributes:
        before: the pictures that were moved, in [-1, 1].
        change: mean absolute difference of the picture, ``[n, r, lengths]``.
        logits: change of the logits, ``[n, r, lengths, k]``.
    """

    before: Float32[ndarray, "n c h w"]
    change: Float32[ndarray, "n r lengths"]
    logits: Float32[ndarray, "n r lengths k"]


def random_direction(
    space: StyleSpace, indices: Int64[ndarray, " m"], random: np.random.Generator, rows: int = 1
) -> Float[ndarray, "rows s_dim"]:
    """Directions drawn at random among some coordinates, of length 1 in their standard deviations."""
    drawn = np.zeros((rows, space.s_dim))
    drawn[:, indices] = random.standard_normal((rows, len(indices))) * (statistics_of(space).std[indices] > 0)
    drawn /= np.maximum(np.linalg.norm(drawn, axis=1, keepdims=True), 1e-12)
    return drawn * statistics_of(space).std


def length_of(space: StyleSpace, step: Float[Tensor, "n s_dim"]) -> Float[Tensor, " n"]:
    """Euclidean length of steps, in standard deviations of the coordinates; those that never vary do not count."""
    std = statistics_of(space).std
    return (step / torch.tensor(np.where(std > 0, std, np.inf)).to(step)).norm(dim=1)


def random_moves(
    subject: Subject,
    s: Float[Tensor, "n s_dim"],
    indices: Int64[ndarray, " m"],
    *,
    draws: int = DRAWS,
    lengths: Sequence[float] = LENGTHS,
    seed: int = 0,
) -> RandomMoves:
    """Move every image along random directions of its own, among the coordinates that were searched.

    Args:
        subject: what draws and classifies.
        s: style vectors.
        indices: flat indices of the coordinates to mix: those of the search.
        draws: directions for each image.
        lengths: how far to go along each, ascending, in standard deviations.
        seed: of the directions.
    """
    random = np.random.default_rng([seed, 3])
    before, base = subject.show(s)
    change = np.zeros((len(s), draws, len(lengths)), dtype=np.float32)
    effect = np.zeros((*change.shape, base.shape[1]), dtype=np.float32)
    for draw in range(draws):
        steps = torch.from_numpy(random_direction(subject.space, indices, random, len(s))).to(s)
        for row, length in enumerate(lengths):
            pictures, logits = subject.show(s + length * steps)
            change[:, draw, row] = np.abs(pictures - before).mean(axis=(1, 2, 3))
            effect[:, draw, row] = logits - base
    return RandomMoves(before=before, change=change, logits=effect)


TESTED = 100
"""Images on which moves are compared with random ones, at most."""


_ChangeAndLength = tuple[Float[ndarray, " r"], Float[ndarray, " r"]]


class RandomBeside:
    """Random moves of some images, and how much other moves change the same: drawn when asked for, and only once.

    Args:
        subject: what draws and classifies.
        s: style vectors of all images searched.
        indices: flat indices of the coordinates to mix.
        rows: the images to move (default: evenly taken of all, so that the tasks of many classes can share them).
    """

    def __init__(
        self,
        subject: Subject,
        s: Float[Tensor, "n s_dim"],
        indices: Int64[ndarray, " m"],
        rows: Int64[ndarray, " r"] | None = None,
    ) -> None:
        self.rows = spread(len(s), min(TESTED, len(s))) if rows is None else rows
        self._subject, self._indices = subject, indices
        self._own = s[torch.from_numpy(self.rows).to(s.device)]
        self._moves: RandomMoves | None = None
        self._changes: dict[tuple[StyleCoordinate, int, float], _ChangeAndLength] = {}

    @property
    def moves(self) -> RandomMoves:
        """The random moves."""
        if self._moves is None:
            self._moves = random_moves(self._subject, self._own, self._indices)
        return self._moves

    def change_and_length(self, move: Attribute) -> _ChangeAndLength:
        """Mean absolute difference of each picture that a move makes, and how far it goes there."""
        key = (move.coordinate, move.sign, move.shift_range)
        if key not in self._changes:
            end = self._subject.moved(self._own, [move])
            change = np.abs(self._subject.draw(end).cpu().numpy() - self.moves.before).mean(axis=(1, 2, 3))
            self._changes[key] = change, length_of(self._subject.space, end - self._own).cpu().numpy()
        return self._changes[key]
