"""Attributes of a class chosen together."""

from __future__ import annotations

import pytest

from stylex.search.counterfactual import flip_rate
from stylex.search.effects import measure_effects
from stylex.search.task import Task
from stylex.search.together import together


def choose(world, **options):
    effects = measure_effects(world.subject, world.s, image_ids=world.ids)
    return together(Task.of(world.subject, world.s, effects, 1), **options)


def test_the_causes_and_only_they_are_chosen_and_turn_every_image(make_world) -> None:
    world = make_world(n=40, reads={1: (0.0, 2.0), 4: (0.0, -1.5), 6: (0.0, 1.0)}, bias=(5.0, 0.0))
    ranking = choose(world)
    assert {(str(a.coordinate), a.sign) for a in ranking} == {("b4.conv0:1", 1), ("b4.conv1:0", -1), ("b4.conv1:2", 1)}
    flips = flip_rate(world.subject, world.s, ranking.attributes, 1)
    assert ranking.explained == pytest.approx(flips.fraction, abs=0.1)
    assert f"{len(ranking)} attributes together turn" in ranking.finding


def test_what_takes_away_a_third_class_is_found_though_it_does_nothing_for_the_target(make_world) -> None:
    # Coordinate 1 brings dog, and bird even more; coordinate 4 takes bird away, and a little of dog with it.
    world = make_world(n=40, k=3, reads={1: (0.0, 4.0, 5.0), 4: (0.0, -0.2, -4.0)}, bias=(3.0, 0.0, 0.0))
    ranking = choose(world)
    assert {str(a.coordinate): a.sign for a in ranking} == {"b4.conv0:1": 1, "b4.conv1:0": 1}
    alone = flip_rate(world.subject, world.s, ranking.attributes[:1], 1)
    both = flip_rate(world.subject, world.s, ranking.attributes, 1)
    assert both.fraction > alone.fraction


def test_a_smaller_number_is_kept(make_world) -> None:
    world = make_world(n=40, reads={1: (0.0, 2.0), 4: (0.0, -1.5), 6: (0.0, 1.0)}, bias=(5.0, 0.0))
    assert len(choose(world, num=2)) == 2


def test_nothing_is_said_to_be_nothing(make_world) -> None:
    ranking = choose(make_world(n=12, reads={}, bias=(1.0, 0.0)))
    assert len(ranking) == 0
    assert "Nothing moves the classifier towards 'dog'" in ranking.finding
    everyone = choose(make_world(n=12, reads={}, bias=(0.0, 1.0)))
    assert len(everyone) == 0
    assert everyone.explained == 0
