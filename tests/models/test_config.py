"""Shapes of networks: what cannot be is one line."""

from __future__ import annotations

import pytest

from stylex.core.errors import ConfigError
from stylex.models.config import GeneratorConfig


@pytest.mark.parametrize(
    ("resolution", "widths", "says"),
    [
        (24, (4, 4, 4), "power of two"),
        (4, (4,), "power of two"),
        (0, (), "power of two"),
        (16, (4, 4), "give 3 positive numbers"),
        (16, (4, 4, 0), "give 3 positive numbers"),
        (16, (), "give 3 positive numbers"),
    ],
)
def test_impossible_shapes_are_one_line(resolution: int, widths: tuple[int, ...], says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        GeneratorConfig(resolution=resolution, channels=3, widths=widths, z_dim=4, w_dim=4, c_dim=0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("resolutions", [(32,), (8, 4), (8, 8), (6,)])
def test_maps_are_at_some_of_the_resolutions_in_order(resolutions: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"map_resolutions is .*, but must be some of 4, 8, 16, in order"):
        GeneratorConfig(
            resolution=16, channels=3, widths=(4, 4, 4), z_dim=4, w_dim=4, c_dim=0, map_resolutions=resolutions
        )


@pytest.mark.parametrize(
    ("name", "value"), [("z_dim", 0), ("w_dim", -1), ("mapping_layers", 0), ("mapping_layers", 65), ("channels", 2)]
)
def test_impossible_lengths_are_named(name: str, value: int) -> None:
    shape = {"resolution": 8, "channels": 3, "widths": (4, 4), "z_dim": 4, "w_dim": 4, "c_dim": 0} | {name: value}
    with pytest.raises(ConfigError, match=f"{name} is {value}, but must (be|lie in)"):
        GeneratorConfig(**shape)
