"""Directions as knobs: moving a place along one is moving w, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stylex.core.stylespace import StyleSpace, StyleStatistics
from stylex.models.generator import Generator
from stylex.models.steered import Directions, SteeredSynthesis


@pytest.fixture
def w() -> Tensor:
    return torch.randn(4, 7, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def directions() -> Directions:
    random = np.random.default_rng(0)
    basis = random.normal(size=(3, 7))
    return Directions.observed(
        "independent", random.normal(size=(500, 7)), projection=np.linalg.pinv(basis).T, basis=basis
    )


@pytest.fixture
def steered(generator: Generator, directions: Directions) -> SteeredSynthesis:
    s = np.random.default_rng(1).normal(size=(9, generator.synthesis.space.s_dim)).astype(np.float32)
    space: StyleSpace = generator.synthesis.space.observed(StyleStatistics.observe(s))
    return SteeredSynthesis(generator.synthesis, space, [directions])


C = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.0, 1.0]])


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-5)


def test_an_unmoved_image_is_what_it_was(generator: Generator, steered: SteeredSynthesis, w: Tensor) -> None:
    close(steered(steered.styles(w, C)), generator.synthesis(generator.synthesis.styles(w, C)))


def test_moving_a_place_is_moving_w(steered: SteeredSynthesis, directions: Directions, w: Tensor) -> None:
    s = steered.styles(w, C)
    s[:, steered.space.offsets["independent"] + 1] += 0.7
    there = w + 0.7 * torch.from_numpy(directions.basis[1]).float()
    close(steered(s), steered(steered.styles(there, C)))
    close(s, steered.styles(there, C))


def test_the_space_is_searched_along_the_directions(steered: SteeredSynthesis, directions: Directions) -> None:
    indices = steered.space.indices(include_torgb=True)
    assert [str(steered.space.coordinate(int(i))) for i in indices] == [f"independent:{i}" for i in range(3)]
    assert steered.space.statistics is not None
    np.testing.assert_array_equal(steered.space.statistics.maximum[indices], directions.statistics.maximum)
    assert StyleSpace.from_json(steered.space.to_json()).to_json() == steered.space.to_json()


def test_drawing_may_start_at_any_step(steered: SteeredSynthesis, w: Tensor) -> None:
    s = steered.styles(w, C)
    whole, states = steered(s), steered.prefix(s)
    assert len(states) == len(steered.steps)
    for start, state in enumerate(states):
        close(steered(s, start=start, state=state), whole)
        close(steered(s, start=start, state=steered.between(s, 0, start)), whole)
        last = len(states) - 1
        close(steered(s, start=last, state=steered.between(s, start, last, state=state)), whole)


def test_replacing_one_value_is_drawing_with_it(steered: SteeredSynthesis, w: Tensor) -> None:
    s = steered.styles(w, C)
    states, drawn = steered.prefix(s), steered(s)
    for step, name in enumerate(steered.steps):
        index = torch.tensor([steered.space.offsets[name] + 1] * 2)
        image, value = torch.tensor([2, 0]), torch.tensor([1.5, -0.5])
        rows = s[image]
        rows[torch.arange(2), index] = value
        close(steered.moved(steered.basis(s, step, states[step], drawn), image, index, value), steered(rows))


def test_a_place_is_observed_where_nearly_all_images_are() -> None:
    w = np.zeros((1000, 2))
    w[:, 0] = np.linspace(-1, 1, 1000)
    w[0, 0] = -50  # an outlier does not stretch the range
    seen = Directions.observed("independent", w, projection=np.eye(2)[:1], basis=np.eye(2)[:1]).statistics
    centre = w[:, 0].mean()
    assert seen.minimum[0] + centre == pytest.approx(-0.99, abs=0.01)
    assert seen.maximum[0] + centre == pytest.approx(0.99, abs=0.01)


def test_the_generator_itself_stays_as_it_is(generator: Generator, steered: SteeredSynthesis, tmp_path: Path) -> None:
    other = generator.with_synthesis(steered)
    assert other.synthesis is steered
    assert generator.synthesis is not steered
    assert other.mapping is generator.mapping


def test_maps_stay_where_they_are_while_places_move(mapped: Generator, directions: Directions, w: Tensor) -> None:
    own = mapped.synthesis.space
    s = np.random.default_rng(1).normal(size=(9, own.s_dim)).astype(np.float32)
    steered = SteeredSynthesis(mapped.synthesis, own.observed(StyleStatistics.observe(s)), [directions])
    assert [layer.kind for layer in steered.space.layers][-5:] == ["map"] * 4 + ["direction"]
    maps = torch.randn(4, own.s_dim - own.style_dim)
    s = steered.styles(w, C, maps)
    assert torch.equal(s[:, steered.space.maps], maps)
    close(steered(s), mapped(w, C, maps))
    moved = s.clone()
    moved[:, steered.space.offsets["independent"] + 1] += 0.7
    there = w + 0.7 * torch.from_numpy(directions.basis[1]).float()
    close(steered(moved), mapped(there, C, maps))
    states, drawn = steered.prefix(s), steered(s)
    for step, name in enumerate(steered.steps):
        index = torch.tensor([steered.space.offsets[name] + 1] * 2)
        image, value = torch.tensor([2, 0]), torch.tensor([1.5, -0.5])
        rows = s[image]
        rows[torch.arange(2), index] = value
        close(steered.moved(steered.basis(s, step, states[step], drawn), image, index, value), steered(rows))
        close(steered(s, start=step, state=states[step]), drawn)
