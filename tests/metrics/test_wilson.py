"""Wilson's interval: by hand, at the ends, and how often it holds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stylex.metrics.wilson import wilson


def test_by_hand() -> None:
    # 8 of 10: (0.8 + 0.19207) / 1.38415 -+ 1.95996 / 1.38415 * sqrt(0.016 + 0.0096036)
    share = wilson(8, 10)
    assert (share.value, share.low, share.high) == pytest.approx((0.8, 0.490162, 0.943318), abs=1e-5)


def test_the_ends() -> None:
    assert (wilson(0, 20).low, wilson(20, 20).high) == (0, 1)
    assert wilson(20, 20).low == pytest.approx(1 - wilson(0, 20).high)
    assert math.isnan(wilson(0, 0).value)


def test_it_holds_in_19_of_20_cases() -> None:
    drawn = np.random.default_rng(0).binomial(40, 0.5, size=2000)
    held = [(share := wilson(int(yes), 40)).low <= 0.5 <= share.high for yes in drawn]
    assert 0.93 < np.mean(held) < 0.98
