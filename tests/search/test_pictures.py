"""Strips: where their frames stand, for any length of an attribute's shift."""

from __future__ import annotations

import pytest

from stylex.search.pictures import strip_fractions


@pytest.mark.parametrize("shift_range", [0.1, 0.5, 1.0, 1.4, 1.5, 2.0, 3.0])
def test_a_strip_goes_from_beyond_one_extreme_to_beyond_the_other(shift_range: float) -> None:
    shares = strip_fractions(shift_range)
    assert 9 <= len(shares) <= 11
    assert list(shares) == sorted(set(shares))
    assert {0.0, 1.0} <= set(shares)
    assert shares[0] == -shares[-1]
    seen = 1 / shift_range
    assert shares[-1] >= max(1.0, 1.5 * seen) - 1e-6
    assert any(share == pytest.approx(-seen, abs=1e-6) for share in shares), "the observed extreme itself"
