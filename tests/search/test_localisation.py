"""Where a coordinate acts: its gradient map is the generator's own, and a part is named where most images agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from stylex.core.attribute import Attribute
from stylex.search.localisation import gradient_maps, localised, with_its_place


def attribute(world: Any, index: int) -> Attribute:
    coordinate = world.space.coordinate(index)
    return Attribute(coordinate=coordinate, sign=1, shift_range=1.0, target=1, target_label="dog", effect=1.0)


def test_the_map_of_a_linear_generator_is_the_coordinates_own_direction(make_world: Callable[..., Any]) -> None:
    world = make_world(n=5)
    maps = gradient_maps(world.subject, world.s, 2)
    own = (world.synthesis.scale * world.synthesis.directions[2]).abs() * world.space.statistics.std[2]
    torch.testing.assert_close(maps, own.view(1, 1, 4, 4).expand(5, 1, 4, 4), rtol=1e-3, atol=1e-5)


def test_a_part_needs_half_of_the_images_and_a_lead() -> None:
    assert localised(torch.tensor([4] * 6 + [1, 2, 3, 0]), 9) == 4
    assert localised(torch.tensor([4] * 5 + [1, 2, 3, 0, 5]), 9) is None  # half is not more than half
    assert localised(torch.tensor([4] * 6 + [2] * 4), 9) is None  # no lead of a quarter
    assert localised(torch.zeros(0, dtype=torch.int64), 9) is None


def test_an_attribute_that_acts_in_one_corner_says_so(make_world: Callable[..., Any]) -> None:
    world = make_world(n=5)
    corner = torch.zeros(4, 4)
    corner[0, 0] = 1
    world.synthesis.directions[1] = corner.flatten()
    world.synthesis.directions[3] = 0
    assert with_its_place(attribute(world, 1), world.subject, world.s).note == (
        "It acts in one part of the picture: upper left."
    )
    assert with_its_place(attribute(world, 3), world.subject, world.s).note is None
