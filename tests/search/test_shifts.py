"""Shifts: what an attribute does to s, at its zero, its extreme and beyond."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stylex.core.attribute import Attribute
from stylex.core.errors import SearchError
from stylex.core.stylespace import StyleCoordinate
from stylex.search.shifts import apply_attributes


def attribute(coordinate: str, sign: int = 1, shift_range: float = 1.0) -> Attribute:
    return Attribute(
        coordinate=StyleCoordinate.parse(coordinate),
        sign=sign,
        shift_range=shift_range,
        target=1,
        target_label="dog",
        effect=1.0,
    )


def test_a_whole_shift_is_the_extreme_itself_and_touches_nothing_else(make_world) -> None:
    world = make_world()
    before = world.s.clone()
    moved = apply_attributes(world.s, [attribute("b4.conv1:2", -1), attribute("b4.conv0:1")], world.space)
    assert (moved[:, 6] == float(world.space.statistics.minimum[6])).all()
    assert (moved[:, 1] == float(world.space.statistics.maximum[1])).all()
    others = [i for i in range(world.space.s_dim) if i not in (1, 6)]
    assert torch.equal(moved[:, others], world.s[:, others])
    assert torch.equal(world.s, before)


@pytest.mark.parametrize("sign", [-1, 1])
def test_fractions_scale_the_shift_and_turn_it_round(make_world, sign) -> None:
    world = make_world()
    up = attribute("b4.conv0:0", sign, 0.5)
    statistics = world.space.statistics
    for fraction in (0.0, 0.4, 1.0, 2.0, -1.0):
        moved = apply_attributes(world.s, [up], world.space, fractions=[fraction])[:, 0]
        towards = statistics.maximum if (sign > 0) == (fraction >= 0) else statistics.minimum
        expected = world.s[:, 0] + 0.5 * abs(fraction) * (float(towards[0]) - world.s[:, 0])
        torch.testing.assert_close(moved, expected)
    assert torch.equal(apply_attributes(world.s, [up], world.space, fractions=[0.0]), world.s)
    assert torch.equal(apply_attributes(world.s, [replace(up, shift_range=0.0)], world.space), world.s)
    assert torch.equal(apply_attributes(world.s, [], world.space), world.s)


def test_a_coordinate_of_another_network_is_named(make_world) -> None:
    world = make_world()
    with pytest.raises(SearchError, match=r"moves b8\.conv0:3, which this StyleSpace does not have"):
        apply_attributes(world.s, [attribute("b8.conv0:3")], world.space)
    assert np.isfinite(world.space.statistics.minimum).all()
