"""StyleSpace ranking: what a class stands out in comes first, and the classifier is asked for names alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from stylex.core.errors import SearchError
from stylex.core.stylespace import StyleLayer, StyleSpace, StyleStatistics
from stylex.search.effects import Effects
from stylex.search.stylespace_ranking import most_standing_out, standing_out, stylespace_ranking
from stylex.search.task import Task

MakeEffects = Callable[..., Effects]
N, M = 40, 6


def drawn() -> tuple[np.ndarray, np.ndarray, StyleSpace]:
    """Style vectors, logits and the space: class 1 stands out upwards in 2, downwards and less in 4; 5 never varies."""
    s = np.random.default_rng(0).normal(size=(N, M)).astype(np.float32)
    second = np.arange(N) % 2 == 1
    s[:, 2] = np.where(second, 3, -3) + 0.1 * s[:, 2]
    s[:, 4] = np.where(second, -1, 1) + 0.3 * s[:, 4]
    s[:, 5] = 7
    odds = np.where(second, 1, -1) * np.linspace(1, 2, N)
    layers = [StyleLayer(name="b4.conv0", kind="conv", resolution=4, channels=M)]
    return s, np.stack([-odds, odds], axis=1) / 2, StyleSpace(layers, StyleStatistics.observe(s))


def test_a_class_stands_out_where_its_images_agree_far_from_the_mean() -> None:
    s, logits, space = drawn()
    scores = standing_out(s, logits, 1, space=space, exemplars=N)
    assert most_standing_out(scores, np.arange(M), 2).tolist() == [2, 4]
    assert scores[2] > 0 > scores[4]
    assert scores[5] == 0
    rows = np.arange(1, N, 2)
    z = (s[rows, 4] - s[:, 4].mean()) / s[:, 4].std()
    assert scores[4] == pytest.approx(z.mean() / z.std(), rel=1e-4)
    other = standing_out(s, logits, 0, space=space, exemplars=N)
    assert other[2] < 0 < other[4]


def test_scale_and_place_of_a_style_value_do_not_count() -> None:
    s, logits, space = drawn()
    moved = (s * np.array([1, 10, 0.01, 1, 5, 1]) + 3).astype(np.float32)
    again = StyleSpace(space.layers, StyleStatistics.observe(moved))
    before, after = (standing_out(x, logits, 1, space=y) for x, y in ((s, space), (moved, again)))
    assert after == pytest.approx(before, rel=1e-3)


def test_only_the_surest_are_looked_at() -> None:
    s, logits, space = drawn()
    rows = np.array([N - 1, N - 3])  # the surest of class 1
    scores = standing_out(s, logits, 1, space=space, exemplars=2)
    z = (s[rows, :5].astype(np.float64) - s[:, :5].mean(axis=0)) / s[:, :5].std(axis=0)
    assert scores[:5] == pytest.approx(z.mean(axis=0) / z.std(axis=0), rel=1e-3)


def test_the_known_coordinate_of_a_linear_generator_is_recovered(make_world: Callable[..., Any]) -> None:
    # The classifier reads coordinate 3 of the picture upwards for class 1, and nothing else.
    world = make_world(n=400, channels=(4, 3), reads={3: (-1.0, 1.0)})
    logits = world.subject.logits(world.s)
    scores = standing_out(world.s.numpy(), logits, 1, space=world.space)
    assert most_standing_out(scores, np.arange(world.space.s_dim), 1).tolist() == [3]
    assert scores[3] > 0 > standing_out(world.s.numpy(), logits, 0, space=world.space)[3]


def test_a_class_of_nobody_is_refused() -> None:
    s, logits, space = drawn()
    with pytest.raises(SearchError, match="1 of 2 images are predicted class 1; expected 2 or more"):
        standing_out(s[:2], logits[:2], 1, space=space)


def test_the_ranking_goes_by_scores_and_tells_effects(make_effects: MakeEffects) -> None:
    s, logits, space = drawn()
    scores = standing_out(s, logits, 1, space=space)
    values = np.zeros((N, 2, M, 2))
    values[:, 1, 2, 1] = 0.2
    values[:, 0, 4, 1] = 9.0  # far stronger, but stands out less
    values[:, 1, 0, 1] = 50.0
    ranking = stylespace_ranking(
        Task(effects=make_effects(values, logits), target=1, space=space, labels=("a", "b")), scores, num=2
    )
    assert [attribute.name for attribute in ranking] == ["b4.conv0:2+", "b4.conv0:4-"]
    assert [attribute.effect for attribute in ranking] == pytest.approx([0.2, 9.0])
    assert ranking.explained == 1
    assert "alone turns 100% of 20 images" in ranking.finding


def test_nothing_stands_out_of_what_never_varies(make_effects: MakeEffects) -> None:
    _, logits, space = drawn()
    effects = make_effects(np.zeros((N, 2, M, 2)), logits)
    ranking = stylespace_ranking(Task(effects=effects, target=1, space=space, labels=("a", "b")), np.zeros(M))
    assert len(ranking) == 0
    assert ranking.finding == "Images of 'b' stand out in nothing."
