"""The machine observer: it tells apart what differs, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from stylex.metrics.observer import observe

K, N, SIDE = 4, 40, 16


def test_the_observer_tells_distinct_changes_of_unseen_images_apart(pictures, distinct) -> None:
    before = pictures(channels=3)
    after, _ = distinct(before)
    found = observe(before, after, steps=80)
    assert found.accuracy.value == 1
    assert found.coherence.value == 1
    assert found.recognised.tolist() == [1] * K
    assert found.images == (20, 20)
    assert found.chance == 0.25


def test_the_observer_is_at_chance_where_there_is_nothing_to_tell(pictures) -> None:
    before = pictures()
    random = np.random.default_rng(5)
    after = before[None] + random.normal(0, 0.1, (K, *before.shape)).astype(np.float32)
    found = observe(before, after, steps=60)
    assert found.accuracy.low <= 0.25 <= found.accuracy.high
    assert found.coherence.low <= 0.5 <= found.coherence.high
    nothing = observe(before, np.repeat(before[None], K, axis=0), steps=5)
    assert nothing.accuracy.value == pytest.approx(0.25)
    assert nothing.coherence.value == pytest.approx(0.5, abs=0.35)


def test_the_observer_says_the_same_for_the_same_seed(pictures) -> None:
    before = pictures()
    random = np.random.default_rng(6)
    after = before[None] + random.normal(0, 0.1, (K, *before.shape)).astype(np.float32)
    assert observe(before, after, steps=10, seed=2).accuracy == observe(before, after, steps=10, seed=2).accuracy
