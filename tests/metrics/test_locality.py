"""How much of a picture a change touches, and whether two changes touch the same."""

from __future__ import annotations

import numpy as np
import pytest

from stylex.metrics.locality import area, overlap

K, N, SIDE = 4, 40, 16


def test_the_area_is_the_share_of_pixels_that_hold_the_change() -> None:
    before = np.zeros((3, 1, 10, 10), np.float32)
    after = before.copy()
    after[0, 0, 2, 3] = 1  # one pixel
    after[1] = 0.5  # all alike
    assert area(before, after)[:2] == pytest.approx([0.01, 0.9])
    assert np.isnan(area(before, after)[2])


def test_the_area_does_not_depend_on_the_size_of_the_change(pictures) -> None:
    before, change = pictures(), pictures(1)
    assert area(before, before + change) == pytest.approx(area(before * 0, 0.25 * change), abs=1 / SIDE**2)


def test_overlap_is_one_with_itself_and_zero_elsewhere(pictures, distinct) -> None:
    before = pictures()
    after, _ = distinct(before)
    assert overlap(before, after) == pytest.approx(np.eye(K), abs=1e-9)
    both = overlap(before, np.stack([after[0], (after[0] + after[1]) - before]))
    assert both[0, 1] == pytest.approx(both[1, 0])
    assert 0.2 < both[0, 1] < 0.8
    assert np.isnan(overlap(before, np.stack([before, after[0]]))[0, 1])
