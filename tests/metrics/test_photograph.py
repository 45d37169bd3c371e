"""A move laid on the photograph."""

from __future__ import annotations

import torch

from stylex.metrics.photograph import mean_change, on_photograph


def test_a_photograph_takes_what_the_move_changed_and_nothing_else() -> None:
    x, x_rec = torch.rand(3, 3, 8, 8) - 0.5, torch.rand(3, 3, 8, 8) - 0.5
    torch.testing.assert_close(on_photograph(x, x_rec, x_rec), x)
    moved = x_rec.clone()
    moved[:, :, :2] += 0.25
    expected = x.clone()
    expected[:, :, :2] += 0.25
    torch.testing.assert_close(on_photograph(x, x_rec, moved), expected)
    torch.testing.assert_close(mean_change(x_rec, moved), torch.full((3,), 0.25 / 4))
    assert on_photograph(x, x_rec, moved + 9).max() == 1
