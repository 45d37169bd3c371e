"""Claims: a real effect is claimed, an accident, a trifle and a two-way effect are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from stylex.core.errors import SearchError
from stylex.core.stylespace import StyleLayer, StyleSpace
from stylex.search.claims import claim
from stylex.search.effects import Effects
from stylex.search.task import Task

SPACE = StyleSpace([StyleLayer(name="independent", kind="direction", resolution=0, channels=20)])
MakeEffects = Callable[..., Effects]


def table(n: int = 60, noise: float = 0.0, seed: int = 0) -> np.ndarray:
    """Effects [n, 2, 20, 2], none but noise."""
    return np.random.default_rng(seed).normal(size=(n, 2, 20, 2)) * noise


def base(n: int = 60) -> np.ndarray:
    """Log odds of standard deviation 2, class 0 predicted."""
    odds = -3 + 2 * np.random.default_rng(1).normal(size=n).clip(-1.4, 1.4)
    return np.stack([-odds / 2, odds / 2], axis=1)


def test_a_direction_that_drives_is_claimed_the_way_it_does(make_effects: MakeEffects) -> None:
    values = table(noise=0.1)
    values[:, 1, 4, 1] += 2
    values[:, 0, 4, 1] -= 2
    values[:, 0, 7, 1] += 1
    values[:, 1, 7, 1] -= 1
    ranking = claim(Task(effects=make_effects(values, base()), target=1, space=SPACE, labels=("a", "b")))
    assert [attribute.name for attribute in ranking] == ["independent:4+", "independent:7-"]
    assert ranking[0].effect == pytest.approx(2, abs=0.1)
    assert ranking[0].significance is not None
    assert ranking[0].significance < 0.01
    assert "2 of 20 directions" in ranking.finding


def test_accidents_and_trifles_are_not_claimed(make_effects: MakeEffects) -> None:
    values = table(noise=2.0)  # large on each image, nothing on average
    values[:, 1, 3, 1] = 0.1  # the same on all images, but small
    values[:, 0, 3, 1] = -0.1
    assert len(claim(Task(effects=make_effects(values, base()), target=1, space=SPACE, labels=("a", "b")))) == 0


def test_an_attribute_doubles_the_odds_at_least(make_effects: MakeEffects) -> None:
    values = table()
    for column, logits in ((3, 0.65), (6, 0.75)):  # times 1.9, times 2.1
        values[:, 1, column, 1], values[:, 0, column, 1] = logits, -logits
    ranking = claim(Task(effects=make_effects(values, base()), target=1, space=SPACE, labels=("a", "b")))
    assert [attribute.name for attribute in ranking] == ["independent:6+"]


def test_what_raises_the_target_both_ways_is_not_claimed(make_effects: MakeEffects) -> None:
    values = table()
    values[:, :, 5, 1] = 2
    assert len(claim(Task(effects=make_effects(values, base()), target=1, space=SPACE, labels=("a", "b")))) == 0


def test_a_classifier_that_tells_nothing_apart_is_driven_by_nothing(make_effects: MakeEffects) -> None:
    values = table()
    values[:, 1, 2, 1], values[:, 0, 2, 1] = 0.04, -0.04  # twice its deviation over the images
    ranking = claim(Task(effects=make_effects(values, 0.01 * base()), target=1, space=SPACE, labels=("a", "b")))
    assert len(ranking) == 0
    assert ranking.finding.startswith("Nothing found: none of 20 directions drives the classifier towards 'b'")


def test_false_discoveries_are_few(make_effects: MakeEffects) -> None:
    claimed = [
        len(
            claim(
                Task(
                    effects=make_effects(table(n=12, noise=1.0, seed=i), base(12)),
                    target=1,
                    space=SPACE,
                    labels=("a", "b"),
                )
            )
        )
        for i in range(20)
    ]
    assert sum(count > 0 for count in claimed) <= 3


def test_a_sure_classifier_is_measured_in_log_odds(make_effects: MakeEffects) -> None:
    values = table()
    values[:, 1, 0, 1], values[:, 0, 0, 1] = 30, -30
    assert len(claim(Task(effects=make_effects(values, 30 * base()), target=1, space=SPACE, labels=("a", "b")))) == 1


def test_mistakes_are_told(make_effects: MakeEffects) -> None:
    with pytest.raises(SearchError, match="class 2 does not exist"):
        claim(Task(effects=make_effects(table(), base()), target=2, space=SPACE, labels=("a", "b")))


def test_no_images_no_claims(make_effects: MakeEffects) -> None:
    assert len(claim(Task(effects=make_effects(table(), base()), target=0, space=SPACE, labels=("a", "b")))) == 0
