"""Changes of known factors: read before and after a move, attribute by attribute."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stylex.data.archive import ImageSet
from stylex.evaluation.found import find
from stylex.evaluation.options import Options
from stylex.planted.changes import factor_changes, reader_noise
from stylex.planted.images import Planted
from stylex.planted.readers import FactorReader
from stylex.search.config import SearchConfig
from stylex.search.encoding import encode_set
from stylex.search.subject import TrainedSubject

NOISE = np.zeros(2)


class Reads(FactorReader):
    """Reads the brightness of the left and of the right half, exactly."""

    def __init__(self) -> None:
        super().__init__(names=("left", "right"), channels=1, resolution=16, width=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([x[..., :8].mean(dim=(1, 2, 3)), x[..., 8:].mean(dim=(1, 2, 3))], dim=1)


def test_factors_are_read_before_and_after(subject: TrainedSubject, images: ImageSet) -> None:
    held_out = images.split("test")
    found = find(
        subject,
        held_out,
        [1],
        Options(searched=8, attributes=3, search=SearchConfig(method="attfind", shift_range=2.0)),
    )
    s = encode_set(subject, held_out).s[:6]
    ranking = found.rankings[1]
    nothing = replace(ranking[0], shift_range=0.0)
    measured = factor_changes(subject, Reads(), s, [*ranking, nothing], noise=NOISE)
    assert measured.changes.shape == (len(ranking) + 1, 6, 2)
    assert np.abs(measured.changes[-1]).max() == 0
    assert np.abs(measured.effects[-1]).max() == pytest.approx(0, abs=1e-6)
    # The classifier compares the halves: its logit moves with their difference.
    difference = measured.changes[..., 0] - measured.changes[..., 1]
    assert np.corrcoef(difference.ravel(), measured.effects.ravel())[0, 1] > 0.9
    assert measured.claimed.all()
    assert factor_changes(subject, Reads(), s, [], noise=NOISE).changes.shape == (0, 6, 2)


class ReadsWithErrors(FactorReader):
    """Reads the drawing's factors exactly, but for the last, into which it mixes half of the first."""

    def __init__(self, planted: Planted) -> None:
        super().__init__(names=planted.family.factors, channels=3, resolution=16, width=1)
        self.planted = planted
        self.asked = 0

    def read(self, x: torch.Tensor) -> np.ndarray:
        factors = self.planted.factors.copy()
        if self.asked:  # the n-th redrawing has the n-th factor exchanged
            factors[:, self.asked - 1] = np.roll(factors[:, self.asked - 1], 1)
        self.asked += 1
        factors[:, -1] += 0.5 * factors[:, 0]
        return factors


def test_the_readers_noise_is_what_it_sees_where_nothing_changes() -> None:
    planted = Planted.sample("leaves", range(20), seed=0)
    noise = reader_noise(ReadsWithErrors(planted), planted, 16)
    first = planted.factors[:, 0]
    assert noise[-1] == pytest.approx(0.5 * np.abs(np.roll(first, 1) - first).mean() / (len(noise) - 1))
    assert np.abs(noise[:-1]).max() < 1e-12
