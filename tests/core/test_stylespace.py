"""StyleSpace: layout, coordinates, statistics."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stylex.core.stylespace import StyleCoordinate, StyleLayer, StyleSpace, StyleStatistics

LAYERS = (
    StyleLayer(name="b4.conv1", kind="conv", resolution=4, channels=5),
    StyleLayer(name="b8.conv0", kind="conv", resolution=8, channels=5),
    StyleLayer(name="b8.conv1", kind="conv", resolution=8, channels=3),
    StyleLayer(name="b4.torgb", kind="torgb", resolution=4, channels=5),
    StyleLayer(name="b8.torgb", kind="torgb", resolution=8, channels=3),
)


def test_every_index_is_one_coordinate_and_back() -> None:
    space = StyleSpace(LAYERS)
    assert (space.s_dim, space.conv_dim) == (21, 13)
    coordinates = [space.coordinate(i) for i in range(space.s_dim)]
    assert len(set(coordinates)) == space.s_dim
    assert [space.index(c) for c in coordinates] == list(range(space.s_dim))
    assert str(coordinates[5]) == "b8.conv0:0"
    assert str(coordinates[13]) == "b4.torgb:0"


def test_slices_tile_s_in_the_order_of_the_layers() -> None:
    space = StyleSpace(LAYERS)
    tiled = [i for layer in LAYERS for i in range(space.s_dim)[space.slice(layer.name)]]
    assert tiled == list(range(space.s_dim))
    assert [layer for layer in LAYERS if space.layer(layer.name) is not layer] == []


def test_torgb_is_searched_by_option_without_moving_an_index() -> None:
    space = StyleSpace(LAYERS)
    np.testing.assert_array_equal(space.indices(include_torgb=False), np.arange(13))
    np.testing.assert_array_equal(space.indices(include_torgb=True), np.arange(21))


MAPPED = (
    *LAYERS,
    StyleLayer(name="b8.conv0.map", kind="map", resolution=8, channels=64),
    StyleLayer(name="b8.conv1.map", kind="map", resolution=8, channels=64),
)


def test_maps_travel_behind_the_styles_and_are_never_searched() -> None:
    space = StyleSpace(MAPPED)
    assert (space.conv_dim, space.style_dim, space.maps, space.s_dim) == (13, 21, slice(21, 149), 149)
    assert space.slice("b8.conv1.map") == slice(85, 149)
    for torgb in (False, True):
        expected = StyleSpace(LAYERS).indices(include_torgb=torgb)
        np.testing.assert_array_equal(space.indices(include_torgb=torgb), expected)
        np.testing.assert_array_equal(space.control(include_torgb=torgb), space.indices(include_torgb=torgb))
    assert StyleCoordinate.parse(str(space.coordinate(22))) == StyleCoordinate("b8.conv0.map", 1)
    sets = [StyleLayer(name=name, kind="direction", resolution=0, channels=3) for name in ("some", "random")]
    steered = StyleSpace([*MAPPED, *sets])
    np.testing.assert_array_equal(steered.indices(include_torgb=True), np.arange(149, 152))
    np.testing.assert_array_equal(steered.control(include_torgb=True), np.arange(152, 155))
    with pytest.raises(AssertionError, match="then maps, then directions"):
        StyleSpace([*LAYERS, sets[0], *MAPPED[5:]])


def test_a_space_without_maps_has_an_empty_place_for_them() -> None:
    assert StyleSpace(LAYERS).maps == slice(21, 21)


def test_parts_of_s_are_observed_each_over_its_own_images() -> None:
    random = np.random.default_rng(0)
    styles, maps = random.normal(size=(50, 3)).astype(np.float32), random.normal(size=(4, 2)).astype(np.float32)
    seen = StyleStatistics.observe(styles, maps)
    np.testing.assert_array_equal(seen.maximum[:3], StyleStatistics.observe(styles).maximum)
    np.testing.assert_array_equal(seen.std[3:], StyleStatistics.observe(maps).std)


def test_what_lies_outside_is_refused() -> None:
    space = StyleSpace(LAYERS)
    for index in (-1, 21):
        with pytest.raises(IndexError):
            space.coordinate(index)
    for layer, channel in (("b8.conv1", 3), ("b8.conv1", -1), ("b16.conv0", 0)):
        with pytest.raises(KeyError):
            space.index(StyleCoordinate(layer, channel))
    for ask in (space.layer, space.slice):
        with pytest.raises(KeyError):
            ask("b16.conv0")
    with pytest.raises(AssertionError, match="before ToRGB"):
        StyleSpace(LAYERS[::-1])


def test_the_layout_travels_as_json() -> None:
    space = StyleSpace(LAYERS)
    assert StyleSpace.from_json(json.loads(json.dumps(space.to_json()))).layers == space.layers


def test_statistics_are_those_of_the_rows() -> None:
    s = np.random.default_rng(0).normal(1e3, 1e-2, (50, 21)).astype(np.float32)
    seen = StyleStatistics.observe(s)
    np.testing.assert_array_equal(seen.minimum, s.min(axis=0))
    np.testing.assert_array_equal(seen.maximum, s.max(axis=0))
    # Far from zero, where sums in float32 would lose the deviation.
    np.testing.assert_allclose(seen.mean, s.astype(np.float64).mean(axis=0), rtol=1e-7)
    np.testing.assert_allclose(seen.std, s.astype(np.float64).std(axis=0), rtol=1e-6)
    assert {getattr(seen, name).dtype for name in ("minimum", "maximum", "mean", "std")} == {np.dtype(np.float32)}


def test_observing_keeps_the_layout_and_checks_the_length() -> None:
    space = StyleSpace(LAYERS)
    seen = space.observed(StyleStatistics.observe(np.zeros((2, 21), np.float32)))
    assert seen.layers == space.layers
    assert seen.statistics is not None
    assert space.statistics is None
    with pytest.raises(AssertionError):
        space.observed(StyleStatistics.observe(np.zeros((2, 20), np.float32)))


@pytest.mark.parametrize("text", ["b16.conv0:7", "b4.torgb:0", "a_b:123"])
def test_a_coordinate_prints_as_it_parses(text: str) -> None:
    assert str(StyleCoordinate.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "b16.conv0", "b16.conv0:", ":7", "b16.conv0:-1", "b16.conv0:7 ", "a:b:1", "a:1\n"]
)
def test_other_text_is_no_coordinate(text: str) -> None:
    with pytest.raises(ValueError, match="expected a style coordinate"):
        StyleCoordinate.parse(text)


def test_coordinates_sort_by_layer_then_channel() -> None:
    texts = ["b8.conv0:2", "b4.conv1:9", "b8.conv0:10"]
    assert [str(c) for c in sorted(map(StyleCoordinate.parse, texts))] == ["b4.conv1:9", "b8.conv0:2", "b8.conv0:10"]
