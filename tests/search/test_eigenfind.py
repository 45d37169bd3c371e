"""EigenFind: the directions are those of the affine layers, and what is told of them holds on drawn pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stylex.core.errors import SearchError
from stylex.core.stylespace import StyleStatistics
from stylex.models.config import DiscriminatorConfig, EncoderConfig, GeneratorConfig
from stylex.models.discriminator import Discriminator
from stylex.models.encoder import Encoder
from stylex.models.generator import Generator
from stylex.models.snapshot import Snapshot
from stylex.search.effects import measure_effects
from stylex.search.eigenfind import (
    affine_weights,
    along_eigenvectors,
    eigenfind,
    eigenvectors,
    explained_alone,
    random_directions,
)
from stylex.search.subject import Subject
from stylex.search.task import Task

N = 40


TOLD = torch.full((N, 2), 0.5)


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    torch.manual_seed(0)
    config = GeneratorConfig(resolution=8, channels=1, widths=(4, 3), z_dim=8, w_dim=6, c_dim=2, mapping_layers=2)
    generator = Generator(config).eval().requires_grad_(False)
    w = generator.mapping(torch.randn(N, 8))
    synthesis = generator.synthesis
    return Snapshot(
        generator=generator,
        encoder=Encoder(EncoderConfig(resolution=8, channels=1, widths=(4, 3), w_dim=6)),
        discriminator=Discriminator(DiscriminatorConfig(resolution=8, channels=1, widths=(4, 3), c_dim=2)),
        space=synthesis.space.observed(StyleStatistics.observe(synthesis.styles(w, TOLD).numpy())),
        latents=w.numpy(),
        maps=None,
        classifier={},
        classifier_reference=None,
        classifier_fingerprint="",
        classifier_answers=None,
        nimg=0,
        training={},
        figures={},
        path=Path(),
        sha256="",
    )


@pytest.mark.parametrize("rows", ["plain", "unit"])
def test_the_first_vector_changes_the_styles_most(snapshot, rows) -> None:
    synthesis, w = snapshot.generator.synthesis, torch.from_numpy(snapshot.latents)
    weights = affine_weights(synthesis, 6)
    some, told = torch.randn(3, 6), TOLD[:3]
    change = synthesis.styles(w[:3] + some, told) - synthesis.styles(w[:3], told)
    conv = synthesis.space.conv_dim
    np.testing.assert_allclose(some.numpy() @ weights.T, change[:, :conv].numpy(), atol=1e-5)
    if rows == "unit":
        weights = weights / np.linalg.norm(weights, axis=1, keepdims=True)
    found = eigenvectors(synthesis, w.numpy(), num=3, rows=rows)
    np.testing.assert_allclose(found.projection @ found.basis.T, np.eye(3), atol=1e-6)
    lengths = np.linalg.norm(found.basis @ weights.T, axis=1)
    assert (np.diff(lengths) < 0).all()
    random = np.random.default_rng(0).standard_normal((100, 6))
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    assert lengths[0] >= np.linalg.norm(random @ weights.T, axis=1).max()


def test_unit_rows_find_the_direction_that_most_styles_agree_on_however_small_their_weights() -> None:
    # A linear generator: twelve styles go along one direction of w by little, one along another by much.
    torch.manual_seed(0)
    synthesis = Generator(
        GeneratorConfig(resolution=8, channels=1, widths=(4, 3), z_dim=8, w_dim=6, c_dim=2, mapping_layers=2)
    ).synthesis
    known, loud = torch.linalg.qr(torch.randn(6, 2))[0].T
    weights = torch.outer(torch.full((synthesis.space.conv_dim,), 0.01), known)
    weights[0] = 5 * loud
    with torch.no_grad():
        for layer in synthesis.space.layers:
            if layer.kind == "conv":
                affine = synthesis._layer(layer.name).affine
                affine.weight.zero_()
                affine.weight[:, :6] = weights[synthesis.space.slice(layer.name)] / affine.weight_gain
    w = torch.randn(50, 6).numpy()
    sefa = eigenvectors(synthesis, w, num=1, rows="unit").basis[0]
    plain = eigenvectors(synthesis, w, num=1, rows="plain").basis[0]
    assert abs(sefa @ known.numpy()) > 0.999
    assert abs(plain @ loud.numpy()) > 0.999


def test_random_directions_are_orthogonal_and_follow_the_seed(snapshot) -> None:
    w = snapshot.latents
    first, again, other = (random_directions(w, 4, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_allclose(first.projection @ first.projection.T, np.eye(4), atol=1e-6)
    np.testing.assert_array_equal(first.projection, again.projection)
    assert (first.projection != other.projection).any()


@pytest.mark.parametrize("moves", ["w", "s"])
def test_moves_along_eigenvectors_are_moves_of_w_or_of_the_convolutions(snapshot, moves) -> None:
    steered = along_eigenvectors(snapshot, snapshot.latents, num=3, moves=moves)
    network = steered.generator.synthesis
    s = network.styles(torch.from_numpy(snapshot.latents)[:1], TOLD[:1])
    torch.testing.assert_close(
        network(s),
        snapshot.generator.synthesis(
            snapshot.generator.synthesis.styles(torch.from_numpy(snapshot.latents)[:1], TOLD[:1])
        ),
    )
    found = eigenvectors(snapshot.generator.synthesis, snapshot.latents, num=3)
    at = int(steered.space.indices(include_torgb=False)[1])
    moved = s.clone()
    moved[:, at] += 2
    w = torch.from_numpy(snapshot.latents)[:1] + 2 * torch.from_numpy(found.basis[1].astype(np.float32))
    expected = snapshot.generator.synthesis.styles(w, TOLD[:1])
    if moves == "s":
        before = snapshot.generator.synthesis.styles(torch.from_numpy(snapshot.latents)[:1], TOLD[:1])
        conv = snapshot.space.conv_dim
        expected[:, conv:] = before[:, conv:]
    torch.testing.assert_close(network(moved), snapshot.generator.synthesis(expected), atol=1e-4, rtol=1e-4)


def test_directions_are_ranked_and_cover_whom_they_turn(make_effects, flat_space) -> None:
    # image, sign, direction; effects on class 1, that is one logit behind
    values = np.zeros((6, 2, 3, 2))
    values[:, 1, 0, 1] = [2, 2, 0.5, 0, 0, 0]
    values[:, 0, 0, 1] = -1
    values[:, :, 1, 1] = 5  # both ways: inconsistent
    values[:, 0, 2, 1] = [0, 0, 0, 1.5, 0.5, 0.5]
    values[:, 1, 2, 1] = -0.1
    base = np.tile([1.0, 0.0], (6, 1))
    base[5] = [0.0, 1.0]  # predicted already: not searched on
    effects = make_effects(values, base)
    space = flat_space(3)
    ranking = eigenfind(Task(effects=effects, target=1, space=space, labels=["a", "b"]))
    assert [(a.coordinate.channel, a.sign) for a in ranking] == [(0, 1), (2, -1)]
    assert [round(a.effect, 3) for a in ranking] == [0.9, 0.4]
    assert (ranking.images, ranking.strategy) == (5, "eigenfind")
    assert ranking.explained == pytest.approx(3 / 5)
    assert explained_alone(
        Task(effects=effects, target=1, space=space, output="softmax", labels=["a", "b"]), ranking
    ) == pytest.approx(3 / 5)
    assert len(eigenfind(Task(effects=effects, target=1, space=space, labels=["a", "b"]), num=1)) == 1
    nothing = eigenfind(Task(effects=make_effects(np.zeros((6, 2, 3, 2))), target=1, space=space, labels=["a", "b"]))
    assert len(nothing) == 0
    assert "Nothing moves" in nothing.finding
    with pytest.raises(SearchError, match="class 2 does not exist"):
        eigenfind(Task(effects=effects, target=2, space=space, labels=["a", "b"]))


def test_effects_of_directions_are_measured_like_those_of_coordinates(snapshot) -> None:
    steered = along_eigenvectors(snapshot, snapshot.latents, num=3)
    network, space = steered.generator.synthesis, steered.space
    weight = torch.randn(64, 2, generator=torch.Generator().manual_seed(1))

    class Judge:
        def logits(self, x):
            return x.flatten(1) @ weight

    s = network.styles(torch.from_numpy(snapshot.latents)[:4], TOLD[:4])
    indices = space.indices(include_torgb=False)
    assert len(indices) == 3
    effects = measure_effects(
        Subject(synthesis=network, classifier=Judge(), space=space), s, image_ids=list("abcd"), indices=indices
    )
    moved = s.clone()
    moved[:, indices[0]] = float(space.statistics.maximum[indices[0]])
    expected = Judge().logits(network(moved).clamp(-1, 1)) - Judge().logits(network(s).clamp(-1, 1))
    np.testing.assert_allclose(effects.values[:, 1, 0], expected.numpy(), atol=1e-4)
