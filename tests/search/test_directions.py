"""Independent directions: what varies independently is found, whatever way it was mixed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import as_file, files

import numpy as np
import pytest
import torch

from stylex.classifiers.load import load_classifier
from stylex.core.errors import SearchError
from stylex.data.archive import open_images
from stylex.models.snapshot import load_snapshot
from stylex.search import encoding
from stylex.search.class_search import explain_class
from stylex.search.config import SearchConfig
from stylex.search.directions import independent, independent_directions, random_directions
from stylex.search.encoding import Encoded, encode, encode_stream
from stylex.search.image_search import explain_image
from stylex.search.subject import TrainedSubject


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
    assert explained / w.var(axis=0).sum() >= 2 / 3


def test_too_few_latents_are_refused() -> None:
    with pytest.raises(SearchError, match=r"12 latents are too few .* expected 20 or more"):
        independent_directions(np.zeros((12, 7)))


@pytest.fixture(scope="module")
def shipped() -> Iterator[tuple[TrainedSubject, Encoded]]:
    """The package's own snapshot and some photographs."""
    with as_file(files("stylex") / "demo_data") as folder:
        snapshot = independent(load_snapshot(folder / "snapshot"))
        judge = load_classifier(folder / "classifier")
        images = open_images(folder / "shoes.zip")
        rows = np.concatenate([np.arange(12), np.arange(len(images) - 12, len(images))])
        x = images.batch(rows)
        subject = TrainedSubject.of(snapshot, judge)
        yield subject, encode(subject, x, [images.names[i] for i in rows])


def test_a_class_is_explained_along_directions(shipped: tuple[TrainedSubject, Encoded]) -> None:
    subject, encoded = shipped
    explanation = explain_class(subject, encoded, SearchConfig(), target=None, settings={})
    assert explanation is not None
    assert {attribute.coordinate.layer for attribute in explanation.ranking} <= {"independent"}
    assert len(explanation.ranking) > 0
    assert all(attribute.significance is not None for attribute in explanation.ranking)
    assert explanation.space is not None
    assert explanation.space.layers[-2].name == "independent"


def test_images_that_stay_in_their_archive_are_explained_alike(
    shipped: tuple[TrainedSubject, Encoded], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, encoded = shipped
    with as_file(files("stylex") / "demo_data") as folder:
        images = open_images(folder / "shoes.zip")
        images = images.subset(np.concatenate([np.arange(12), np.arange(len(images) - 12, len(images))]))
        held: list[int] = []
        monkeypatch.setattr(encoding, "AT_ONCE", 10)
        batch = type(images).batch
        monkeypatch.setattr(type(images), "batch", lambda self, rows: held.append(len(rows)) or batch(self, rows))
        streamed = encode_stream(subject, images, encoded.labels)
        assert held == [10, 10, 4]
        assert streamed.ids == encoded.ids
        for name in ("s", "logits", "logits_rec"):
            torch.testing.assert_close(getattr(streamed, name), getattr(encoded, name), atol=1e-4, rtol=1e-4)
        assert streamed.pixel_l1() == pytest.approx(encoded.pixel_l1(), abs=1e-6)
        for one, other in zip(streamed.pair(3), encoded.pair(3), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
        found = [explain_class(subject, e, SearchConfig(), target=None, settings={}) for e in (streamed, encoded)]
    assert found[0] is not None
    assert found[1] is not None
    assert [a.name for a in found[0].ranking] == [a.name for a in found[1].ranking]
    assert [image.id for image in found[0].images] == [image.id for image in found[1].images]


def test_an_image_is_explained_along_directions(shipped: tuple[TrainedSubject, Encoded]) -> None:
    subject, encoded = shipped
    one = Encoded(
        ids=encoded.ids[:1],
        labels=encoded.labels[:1],
        **{name: getattr(encoded, name)[:1] for name in ("x", "x_rec", "logits", "logits_rec", "s")},
    )
    explanation = explain_image(subject, one, SearchConfig(attributes=5), target=None, settings={})
    assert {attribute.coordinate.layer for attribute in explanation.ranking} == {"independent"}


def test_a_snapshot_without_latents_says_so(shipped: tuple[TrainedSubject, Encoded]) -> None:
    with pytest.raises(SearchError, match=r"keeps no latents .*--method attfind"):
        independent(replace(shipped[0].snapshot, latents=None))


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
