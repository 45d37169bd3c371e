"""Random moves of equal size, for comparison: what would move the classifier by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from numpy import ndarray
from torch import Tensor

from stylex.core.stylespace import StyleSpace
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
