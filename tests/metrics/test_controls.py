"""Random moves beside a move: what passes by accident, and what does not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stylex.metrics.controls import at_equal_change, beside_controls, both_ways


def test_where_every_move_raises_the_target_none_is_special() -> None:
    """Images at the far end of a random classifier's scale can only come nearer: signs would call all moves real."""
    random = np.random.default_rng(0)
    p = []
    for i in range(200):
        start = -np.abs(random.standard_normal(60)) * 4  # not predicted the target
        moved = random.standard_normal((60, 5)) * 4  # a hash of the changed picture
        effects = moved - start[:, None]
        p.append(beside_controls(effects[:, 0], effects[:, 1:], permutations=199, seed=i))
    for level in (0.05, 0.2, 0.5):
        assert abs(np.mean(np.array(p) <= level) - level) < 3 * math.sqrt(level * (1 - level) / 200) + 0.01


def test_a_move_that_does_more_than_random_ones_has_a_small_p() -> None:
    random = np.random.default_rng(1)
    controls = random.standard_normal((50, 8))
    assert beside_controls(controls.max(axis=1) + 0.1, controls, permutations=999) == 1 / 1000
    assert beside_controls(controls.min(axis=1) - 0.1, controls, permutations=999) == 1
    assert beside_controls(np.zeros(0), np.zeros((0, 4))) == 1
    assert beside_controls(np.ones(5), np.zeros((5, 0))) == 1


def test_effects_are_read_where_the_pictures_change_as_much() -> None:
    change = np.array([[[1.0, 2.0, 4.0], [0.5, 0.5, 0.5]]])
    effect = np.array([[[10.0, 20.0, 0.0], [7.0, 8.0, 9.0]]])

    def read(by: float, length: float = 9.0) -> list[float]:
        return at_equal_change(np.array([by]), np.array([length]), change, effect, (1.0, 2.0, 3.0))[0].tolist()

    assert read(0.5)[0] == pytest.approx(5)
    assert read(3.0)[0] == pytest.approx(10)
    assert read(9.0) == [0.0, 9.0]
    assert read(0.0) == [0.0, 0.0]
    # No further than the move itself goes, whatever it changes.
    assert read(9.0, length=1.5) == [15.0, 7.5]


def test_what_has_nothing_to_do_with_it_works_both_ways_on_a_quarter() -> None:
    random = np.random.default_rng(2)
    up, down = random.standard_normal((2, 4000))
    assert both_ways(up, down) > 0.99
    assert both_ways(np.abs(up[:20]), -np.abs(down[:20])) < 1e-3
    # Rising both ways is not working both ways.
    assert both_ways(np.abs(up), np.abs(down)) == 1
    assert both_ways(np.zeros(0), np.zeros(0)) == 1


def test_images_that_lie_at_an_end_already_speak_by_the_other_end() -> None:
    # Half of the images lie at each end: a move there does nothing to them, and raises or lowers the others.
    there = np.arange(100) % 2 == 0
    trifle = 0.01 * np.random.default_rng(4).standard_normal(100)
    up, down = np.where(there, trifle, 2.0), np.where(there, -2.0, trifle)
    assert both_ways(up, down) < 1e-3
    # On seven of ten images, as a classifier of coin flips may, is not enough.
    assert both_ways(np.where(np.arange(100) < 70, up, -2.0), np.where(np.arange(100) < 70, down, 2.0)) > 0.2
