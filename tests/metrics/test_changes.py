"""Changes of pictures: how local, matched between two trainings, and told apart by the machine observer."""

from __future__ import annotations

import numpy as np
import pytest

from stylex.metrics.locality import area, overlap
from stylex.metrics.observer import observe
from stylex.metrics.stability import stability

K, N, SIDE = 4, 40, 16


def pictures(seed: int = 0, channels: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.uniform(-0.8, 0.8, (N, channels, SIDE, SIDE)).astype(np.float32)


def distinct(before: np.ndarray, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Each attribute brightens its own quarter, on every image by another amount; with the effects it has."""
    amount = np.random.default_rng(seed).uniform(0.1, 0.5, (K, N))
    after = np.repeat(before[None], K, axis=0)
    for k in range(K):
        rows, columns = (slice(8 * (k // 2), 8 * (k // 2) + 8), slice(8 * (k % 2), 8 * (k % 2) + 8))
        after[k][..., rows, columns] += amount[k][:, None, None, None].astype(np.float32)
    effects = np.stack([3 * amount, -3 * amount], axis=2)
    return after, effects


def test_the_area_is_the_share_of_pixels_that_hold_the_change() -> None:
    before = np.zeros((3, 1, 10, 10), np.float32)
    after = before.copy()
    after[0, 0, 2, 3] = 1  # one pixel
    after[1] = 0.5  # all alike
    assert area(before, after)[:2] == pytest.approx([0.01, 0.9])
    assert np.isnan(area(before, after)[2])


def test_the_area_does_not_depend_on_the_size_of_the_change() -> None:
    before, change = pictures(), pictures(1)
    assert area(before, before + change) == pytest.approx(area(before * 0, 0.25 * change), abs=1 / SIDE**2)


def test_overlap_is_one_with_itself_and_zero_elsewhere() -> None:
    before = pictures()
    after, _ = distinct(before)
    assert overlap(before, after) == pytest.approx(np.eye(K), abs=1e-9)
    both = overlap(before, np.stack([after[0], (after[0] + after[1]) - before]))
    assert both[0, 1] == pytest.approx(both[1, 0])
    assert 0.2 < both[0, 1] < 0.8
    assert np.isnan(overlap(before, np.stack([before, after[0]]))[0, 1])


@pytest.mark.parametrize("sign", [1, -1])
def test_the_same_attributes_in_another_order_and_the_other_way_round_are_matched(sign: int) -> None:
    before = pictures()
    after, effects = distinct(before)
    changes = after - before
    order = np.array([2, 0, 3, 1])
    found = stability(effects, changes, sign * effects[order], sign * changes[order], shuffles=50)
    assert found.pairs == tuple((int(k), int(np.flatnonzero(order == k)[0])) for k in range(K))
    assert found.similarity == pytest.approx(np.ones(K), abs=1e-5)
    assert found.fraction == 1
    assert found.null.max() < 1
    assert found.p == pytest.approx(1 / 51)


def test_unrelated_attributes_are_not_matched_beyond_their_null() -> None:
    random = np.random.default_rng(3)
    sides = [(random.standard_normal((K, N, 2)), random.standard_normal((K, N, 30)).astype(np.float32)) for _ in "ab"]
    found = stability(*sides[0], *sides[1], shuffles=99)
    assert found.fraction == 0
    assert found.p > 0.02


def test_rankings_of_different_length_are_matched_as_far_as_they_go() -> None:
    before = pictures()
    after, effects = distinct(before)
    found = stability(effects[:2], (after - before)[:2], effects, after - before, shuffles=20)
    assert found.pairs == ((0, 0), (1, 1))


def test_the_observer_tells_distinct_changes_of_unseen_images_apart() -> None:
    before = pictures(channels=3)
    after, _ = distinct(before)
    found = observe(before, after, steps=80)
    assert found.accuracy.value == 1
    assert found.coherence.value == 1
    assert found.recognised.tolist() == [1] * K
    assert found.images == (20, 20)
    assert found.chance == 0.25


def test_the_observer_is_at_chance_where_there_is_nothing_to_tell() -> None:
    before = pictures()
    random = np.random.default_rng(5)
    after = before[None] + random.normal(0, 0.1, (K, *before.shape)).astype(np.float32)
    found = observe(before, after, steps=60)
    assert found.accuracy.low <= 0.25 <= found.accuracy.high
    assert found.coherence.low <= 0.5 <= found.coherence.high
    nothing = observe(before, np.repeat(before[None], K, axis=0), steps=5)
    assert nothing.accuracy.value == pytest.approx(0.25)
    assert nothing.coherence.value == pytest.approx(0.5, abs=0.35)


def test_the_observer_says_the_same_for_the_same_seed() -> None:
    before = pictures()
    random = np.random.default_rng(6)
    after = before[None] + random.normal(0, 0.1, (K, *before.shape)).astype(np.float32)
    assert observe(before, after, steps=10, seed=2).accuracy == observe(before, after, steps=10, seed=2).accuracy
