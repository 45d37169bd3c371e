"""Agreement: recorded values, chance, and words in common."""

from __future__ import annotations

import math
import random

import pytest

from stylex.metrics.krippendorff import alpha, apart


def test_krippendorffs_own_example() -> None:
    # Krippendorff 2011, part C: four observers, twelve units, some answers missing; nominal alpha 0.743.
    observers = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")
    units = [[said[unit] for said in observers if said[unit] != "."] for unit in range(12)]
    assert alpha(units) == pytest.approx(0.743, abs=5e-4)


def test_agreement_is_one_and_chance_is_about_nothing() -> None:
    assert alpha([["a", "a", "a"], ["b", "b"]]) == 1
    rng = random.Random(0)
    assert abs(alpha([[rng.choice("ab") for _ in range(8)] for _ in range(500)])) < 0.03
    assert alpha([["a", "b"], ["b", "a"]]) < 0


def test_by_hand() -> None:
    # Two units of two: a a, a b. D_o = (0 + 2) / 4; D_e = 2 * 3 * 1 / (4 * 3) = 1/2.
    assert alpha([["a", "a"], ["a", "b"]]) == pytest.approx(0)


def test_what_cannot_be_told_is_nan() -> None:
    assert math.isnan(alpha([["a", "a"], ["a"]]))
    assert math.isnan(alpha([["a"], ["b"]]))
    assert math.isnan(alpha([]))


def test_words_in_common() -> None:
    one, two, other = frozenset({"heel", "taller"}), frozenset({"heel"}), frozenset({"colour"})
    assert apart(one, one) == 0
    assert apart(one, two) == 0.5
    assert apart(one, other) == 1
    assert apart(frozenset(), one) == 1
    assert alpha([[one, one], [other, other]], apart) == 1
    assert 0 < alpha([[one, two], [other, other]], apart) < 1
