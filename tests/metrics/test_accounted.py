"""Accounted: what measured slopes foretell of the answers, without a fit."""

from __future__ import annotations

import numpy as np
import pytest

from stylex.metrics.accounted import accounted, accounted_at_random

PLACES = np.random.default_rng(0).standard_normal((500, 4))


def test_slopes_that_made_the_answers_account_for_all_of_them() -> None:
    slopes = np.array([2.0, 0.0, -1.0, 0.5])
    assert accounted(PLACES, slopes, PLACES @ slopes + 3) == pytest.approx(1)
    # A part of the causes accounts for its share of the variance; the unit of a place does not matter.
    part = accounted(PLACES[:, :1] * 10, slopes[:1] / 10, PLACES @ slopes)
    assert part == pytest.approx(4 / 5.25, abs=0.05)


def test_answers_of_something_else_and_slopes_the_wrong_way_account_for_nothing() -> None:
    other = np.random.default_rng(1).standard_normal(500)
    assert accounted(PLACES, np.ones(4), other) < 0.02
    assert accounted(PLACES, -np.ones(4), PLACES @ np.ones(4)) == 0
    assert accounted(PLACES, np.zeros(4), other) == 0
    assert accounted(PLACES, np.ones(4), np.ones(500)) == 0


def test_directions_at_random_account_for_less_unless_they_are_many() -> None:
    slopes = np.array([3.0, 0.0, 0.0, 0.0])
    answers = PLACES @ slopes
    one, many = (accounted_at_random(PLACES, slopes, answers, count=count).mean() for count in (1, 400))
    assert one == pytest.approx(1 / 4, abs=0.05)
    assert many > 0.95
    assert accounted_at_random(PLACES, slopes, answers, count=0).size == 0
