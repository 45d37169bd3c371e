"""Two coordinates that draw the same are one knob; what differs stays."""

from __future__ import annotations

import torch

from stylex.search.attfind import attfind
from stylex.search.duplicates import without_duplicates
from stylex.search.effects import measure_effects
from stylex.search.task import Task


def test_of_those_that_draw_the_same_the_strongest_stays(make_world) -> None:
    world = make_world(n=20, channels=(4, 3), reads={0: (-2.0, 2.0), 2: (-1.0, 1.0)}, bias=(3.0, -3.0))
    drawn = world.synthesis.directions
    drawn[5] = 0.8 * drawn[0] + 0.05 * drawn[1]  # nearly what coordinate 0 draws, but weaker
    effects = measure_effects(world.subject, world.s, image_ids=world.ids)
    task = Task.of(world.subject, world.s, effects, 1)
    ranking = attfind(task, num=4, restart=True)
    names = [attribute.coordinate for attribute in ranking]
    assert {world.space.index(c) for c in names} >= {0, 2, 5}
    merged = without_duplicates(task, ranking)
    left = [world.space.index(attribute.coordinate) for attribute in merged]
    assert {0, 2} <= set(left)
    assert 5 not in left
    assert [a for a in ranking if a.coordinate != world.space.coordinate(5)] == list(merged)
    assert "Left out, since they draw the same as a stronger one: b4.conv1:1" in merged.finding
    assert "as b4.conv0:0" in merged.finding


def test_what_differs_stays_as_it_is(make_world) -> None:
    world = make_world(n=20, channels=(4, 3), reads={0: (-2.0, 2.0), 2: (-1.0, 1.0)}, bias=(3.0, -3.0))
    task = Task.of(world.subject, world.s, measure_effects(world.subject, world.s, image_ids=world.ids), 1)
    ranking = attfind(task, num=4, restart=True)
    assert without_duplicates(task, ranking) is ranking
    nobody = Task.of(world.subject, torch.zeros_like(world.s), task.effects, 1)
    assert without_duplicates(nobody, ranking) is not None
