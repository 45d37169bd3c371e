"""Changes of known factors: read before and after a move, attribute by attribute."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stylex.data.archive import ImageSet
from stylex.evaluation.evaluate import Options, find
from stylex.planted.changes import factor_changes
from stylex.planted.readers import FactorReader
from stylex.search.config import SearchConfig
from stylex.search.encoding import encode_set
from stylex.search.subject import TrainedSubject


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
    measured = factor_changes(subject, Reads(), s, [*ranking, nothing])
    assert measured.changes.shape == (len(ranking) + 1, 6, 2)
    assert np.abs(measured.changes[-1]).max() == 0
    assert np.abs(measured.effects[-1]).max() == pytest.approx(0, abs=1e-6)
    # The classifier compares the halves: its logit moves with their difference.
    difference = measured.changes[..., 0] - measured.changes[..., 1]
    assert np.corrcoef(difference.ravel(), measured.effects.ravel())[0, 1] > 0.9
    assert measured.claimed.all()
    assert factor_changes(subject, Reads(), s, []).changes.shape == (0, 6, 2)
