"""A share of yes among n answers, with the interval that stays inside 0 and 1."""

from __future__ import annotations

import math

from stylex.core.evaluation import Interval

Z = 1.959963984540054
"""Of the normal distribution, 97.5% lie below."""


def wilson(yes: int, n: int) -> Interval:
    """The share ``yes / n`` with its 95% interval; of no answers, nothing is measured.

    Source: Wilson 1927.
    """
    assert 0 <= yes <= n, (yes, n)
    if n == 0:
        return Interval.nothing()
    share, spread = yes / n, Z**2 / n
    middle = (share + spread / 2) / (1 + spread)
    reach = Z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return Interval(
        value=share,
        low=0.0 if yes == 0 else max(0.0, middle - reach),
        high=1.0 if yes == n else min(1.0, middle + reach),
    )
