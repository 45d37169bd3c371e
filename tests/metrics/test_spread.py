"""Over how many things a change is spread."""

from __future__ import annotations

import numpy as np

from stylex.metrics.spread import spread_over


def test_one_thing_alone_counts_one_and_all_alike_count_all() -> None:
    changes = np.array([[0, -3, 0, 0], [1, 1, -1, 1], [2, 2, 0, 0], [0, 0, 0, 0]], dtype=float)
    found = spread_over(changes)
    assert found[:3].tolist() == [1, 4, 2]
    assert np.isnan(found[3])


def test_the_size_of_the_change_does_not_count() -> None:
    changes = np.random.default_rng(0).normal(size=(5, 7))
    np.testing.assert_allclose(spread_over(changes), spread_over(100 * changes))
