"""Changes of equal size: every image reaches the size asked for, or the method's largest."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from stylex.comparison.arena import Moves
from stylex.comparison.equal import STRENGTHS, Ladder, drawn_at, strengths_for


def test_strengths_lie_between_the_steps_and_a_size_that_is_never_reached_gives_the_largest() -> None:
    steps = np.array(STRENGTHS)
    sizes = np.stack([0.1 * steps, 0.001 * steps, np.minimum(steps, 1.0), 0 * steps], axis=1)
    assert np.allclose(strengths_for(sizes, 0.2), [2.0, 6.0, 0.2, 0.0])
    falls = np.where(steps <= 1, steps, 0.1)[:, None]  # goes back: its first rise counts
    assert np.allclose(strengths_for(falls, 0.8), [0.8])


def test_pictures_of_a_bent_move_are_changed_by_what_was_asked_for() -> None:
    reach = torch.tensor([0.3, 1.0, 2.0])

    def draw(strength: Tensor) -> Tensor:
        return (1 - torch.exp(-strength * reach)).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)

    def size(x: Tensor) -> np.ndarray:
        return x.mean(dim=(1, 2, 3)).double().numpy()

    sizes = np.stack([size(draw(torch.full((3,), s))) for s in STRENGTHS])
    strength, pictures = drawn_at(Moves(draw=draw), sizes, size, 0.5)
    np.testing.assert_allclose(size(pictures), 0.5, rtol=0.02)
    assert strength[0] > strength[1] > strength[2]


def test_a_curve_begins_at_nothing() -> None:
    grid = np.tile(np.array(STRENGTHS)[:, None], (1, 4))
    curve = Ladder(pixels=grid / 10, perceptual=grid, turned=(grid > 1).astype(float)).curve()
    assert curve[0] == (0.0, 0.0)
    assert [flips for _, flips in curve] == [0.0] + [float(s > 1) for s in STRENGTHS]


def test_a_curve_changes_all_images_alike() -> None:
    """One image changes ten times as fast: at one strength it would be far ahead, and would carry the share alone."""
    steps = np.array(STRENGTHS)
    sizes = np.stack([steps / 10, steps / 100], axis=1)
    curve = Ladder(pixels=sizes, perceptual=sizes, turned=(sizes >= 0.04).astype(float)).curve()
    assert all(flips == 0 for change, flips in curve if change < 0.02)
    assert all(flips == 1 for change, flips in curve if change > 0.05)
    changes = [change for change, _ in curve]
    assert changes == sorted(changes)
    assert changes[-1] == pytest.approx((sizes.mean(axis=1)[-1] + sizes[-1, 1]) / 2)  # the other one goes no further


def test_the_size_that_turns_a_share_of_the_images_lies_between_two_steps() -> None:
    grid = np.tile(np.array(STRENGTHS)[:, None], (1, 4))
    turned = np.stack([np.array([s >= 1, s >= 2, s >= 2, s >= 9], dtype=float) for s in STRENGTHS])
    ladder = Ladder(pixels=grid / 10, perceptual=grid, turned=turned)
    assert ladder.change_that_turns(0.25) == pytest.approx(0.1)
    assert ladder.change_that_turns(0.5) == pytest.approx(0.175)  # from a quarter at 1.5 to three at 2
    assert ladder.change_that_turns(0.9) is None
