"""Independent directions: what varies independently is found, whatever way it was mixed."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import as_file, files

import numpy as np
import pytest

from stylex.core.errors import SearchError
from stylex.models.snapshot import load_snapshot
from stylex.search.directions import independent, independent_directions, random_directions


def mixed(n: int = 3000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Four uniform sources and faint noise, mixed into seven dimensions."""
    random = np.random.default_rng(seed)
    sources = random.uniform(-1, 1, size=(n, 4))
    mixture = random.normal(size=(4, 7)) * np.array([1, 0.6, 1.4, 0.8])[:, None]
    return sources, sources @ mixture + 0.01 * random.normal(size=(n, 7)) + 3


def test_independent_sources_are_found() -> None:
    sources, w = mixed()
    found = independent_directions(w.astype(np.float32))
    places = (w - found.centre) @ found.projection.T
    correlation = np.abs(np.corrcoef(places.T, sources.T)[: len(found), len(found) :])
    assert len(found) == 4
    np.testing.assert_allclose(correlation.max(axis=0), 1, atol=0.01)
    np.testing.assert_allclose(places.std(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(found.projection @ found.basis.T, np.eye(4), atol=1e-8)


def test_moving_along_one_leaves_the_others() -> None:
    sources, w = mixed()
    found = independent_directions(w)
    solve = np.linalg.lstsq(np.c_[w, np.ones(len(w))], sources, rcond=None)[0]
    for step in found.basis:
        change = np.abs(step @ solve[:-1])
        assert change.max() / change.sum() > 0.9


def test_the_same_latents_give_the_same_directions() -> None:
    _, w = mixed(1000)
    a, b = independent_directions(w), independent_directions(w)
    np.testing.assert_array_equal(a.projection, b.projection)
    np.testing.assert_array_equal(a.basis, b.basis)


def test_directions_do_not_depend_on_how_w_is_turned() -> None:
    _, w = mixed()
    turn, _ = np.linalg.qr(np.random.default_rng(9).normal(size=(7, 7)))
    a, b = independent_directions(w), independent_directions(w @ turn)
    same = np.abs(np.corrcoef(((w - a.centre) @ a.projection.T).T, ((w @ turn - b.centre) @ b.projection.T).T)[:4, 4:])
    np.testing.assert_allclose(same.max(axis=1), 1, atol=1e-3)


def test_random_directions_are_unit_mixtures_of_the_found_ones() -> None:
    _, w = mixed()
    found = independent_directions(w)
    random = random_directions(w, found)
    np.testing.assert_allclose(((w - random.centre) @ random.projection.T).std(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose((random.projection * random.basis).sum(axis=1), 1, atol=0.1)


def test_causes_that_go_together_are_told_apart() -> None:
    random = np.random.default_rng(2)
    label = random.integers(0, 2, 4000)
    sources = random.uniform(-1, 1, size=(4000, 3))
    # Both go with the label, so with each other; each is uniform by itself.
    for column, bias in ((0, 0.6), (1, 0.6)):
        biased = random.random(4000) < bias
        sources[biased, column] = (sources[biased, column] + 2 * label[biased] - 1) / 2
    assert float(np.corrcoef(sources[:, 0], sources[:, 1])[0][1]) > 0.2
    w = sources @ random.normal(size=(3, 6)) + 0.01 * random.normal(size=(4000, 6))
    found = independent_directions(w)
    solve = np.linalg.lstsq(np.c_[w, np.ones(len(w))], sources, rcond=None)[0][:-1]
    change = np.abs(found.basis @ solve)
    assert sorted(change.argmax(axis=1)) == [0, 1, 2]
    assert (change.max(axis=1) / change.sum(axis=1)).min() > 0.9


def test_most_of_what_varies_is_kept_however_little_is_found_again() -> None:
    # Of so few latents without a shape nothing comes out again but by chance.
    w = np.random.default_rng(0).normal(size=(200, 12))
    found = independent_directions(w)
    explained = ((w - w.mean(axis=0)) @ found.projection.T @ np.linalg.pinv(found.projection.T)).var(axis=0).sum()
    assert explained / w.var(axis=0).sum() >= 0.9


def test_too_few_latents_are_refused() -> None:
    with pytest.raises(SearchError, match=r"12 latents are too few .* expected 20 or more"):
        independent_directions(np.zeros((12, 7)))


def test_a_snapshot_without_latents_says_so() -> None:
    with as_file(files("stylex") / "demo_data") as folder:
        snapshot = replace(load_snapshot(folder / "snapshot"), latents=None)
    with pytest.raises(SearchError, match=r"keeps no latents .*method='attfind'"):
        independent(snapshot)


def test_what_has_no_shape_of_its_own_does_not_disturb() -> None:
    random = np.random.default_rng(5)
    clear, normal = random.uniform(-1, 1, size=(4000, 3)), random.normal(size=(4000, 2))
    mixture = random.normal(size=(5, 8))
    w = np.c_[clear, 0.5 * normal] @ mixture
    found = independent_directions(w)
    solve = np.linalg.pinv(mixture)
    changes = np.abs(found.basis @ solve)  # in units of the sources
    for source in range(3):
        one = changes[changes[:, source].argmax()]
        assert one[source] / one.sum() > 0.85
