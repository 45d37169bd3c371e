"""Planted causes: an image is decided by its number; factors do what their names say, and nothing else changes."""

from pathlib import Path

import numpy as np
import pytest

from stylex.core.errors import DataError
from stylex.data.archive import open_images
from stylex.data.descriptors import read_descriptors
from stylex.planted.factors import KINDS, LESION
from stylex.planted.families import FAMILIES, planted_family
from stylex.planted.images import Planted, write_factors, write_planted

pytestmark = pytest.mark.integration

EACH = pytest.mark.parametrize("family", sorted(FAMILIES))
EACH_KIND = pytest.mark.parametrize("kind", KINDS)


@EACH
def test_an_image_depends_on_its_number_alone(family: str) -> None:
    all_of_them, some = Planted.sample(family, range(6), seed=3), Planted.sample(family, [4, 2], seed=3)
    np.testing.assert_array_equal(all_of_them.factors[[4, 2]], some.factors)
    np.testing.assert_array_equal(all_of_them.pictures(16)[[4, 2]], some.pictures(16))
    np.testing.assert_array_equal(all_of_them.labels[[4, 2]], some.labels)


@EACH
def test_factors_are_uniform_and_independent_without_bias(family: str) -> None:
    factors = Planted.sample(family, range(3000), seed=0, bias=0).factors
    assert len(planted_family(family).factors) >= 8
    np.testing.assert_allclose(factors.mean(axis=0), 0.5, atol=0.03)
    np.testing.assert_allclose(factors.std(axis=0), 12**-0.5, atol=0.02)
    correlations = np.corrcoef(factors.T) - np.eye(factors.shape[1])
    assert np.abs(correlations).max() < 0.08


@EACH
@EACH_KIND
def test_labels_follow_the_rule_and_the_spurious_factor_follows_the_labels(family: str, kind: str) -> None:
    drawn = planted_family(family, kind)
    planted = Planted.sample(family, range(800), seed=0, bias=0.8, kind=kind)
    assert 0.4 < planted.labels.mean() < 0.6
    score = (planted.factors - planted.factors.mean(axis=0)) @ [drawn.rule.get(name, 0.0) for name in drawn.factors]
    assert np.corrcoef(score, planted.labels)[0, 1] > 0.5
    spurious = planted.factors[:, drawn.factors.index(drawn.spurious)]
    unbiased = Planted.sample(family, range(800), seed=0, bias=0, kind=kind)
    before = unbiased.factors[:, drawn.factors.index(drawn.spurious)]
    assert np.corrcoef(spurious, planted.labels)[0, 1] > np.corrcoef(before, unbiased.labels)[0, 1] + 0.2


@EACH
def test_what_is_no_cause_does_not_go_with_the_labels(family: str) -> None:
    kind = planted_family(family)
    planted = Planted.sample(family, range(3000), seed=0, bias=0.8)
    assert abs(planted.labels.mean() - 0.5) < 0.05
    with_label = {name: np.corrcoef(planted.factors[:, i], planted.labels)[0, 1] for i, name in enumerate(kind.factors)}
    for name, weight in kind.rule.items():
        assert np.sign(weight) * with_label[name] > 0.1, name
    assert with_label[kind.spurious] > 0.4
    assert all(abs(with_label[name]) < 0.09 for name in set(kind.factors) - set(kind.causes))
    unbiased = Planted.sample(family, range(3000), seed=0, bias=0)
    assert abs(np.corrcoef(unbiased.factors[:, kind.factors.index(kind.spurious)], unbiased.labels)[0, 1]) < 0.06


@EACH
def test_shuffled_labels_go_with_nothing(family: str) -> None:
    planted = Planted.sample(family, range(3000), seed=0, bias=0.8, shuffled=True)
    straight = Planted.sample(family, range(3000), seed=0, bias=0.8)
    assert planted.labels.sum() == straight.labels.sum()
    for factor in planted.factors.T:
        assert abs(np.corrcoef(factor, planted.labels)[0, 1]) < 0.08


@EACH
@pytest.mark.parametrize("kind", ["uniform", "local"])
def test_every_factor_changes_the_picture_step_by_step(family: str, kind: str) -> None:
    planted = Planted.sample(family, range(4), seed=1, kind=kind)
    for name in planted.family.factors:
        low, middle, high = (
            planted.pictures(32, factors=planted.intervened(name, value)).astype(float) for value in (0.0, 0.5, 1.0)
        )
        assert np.abs(high - low).mean() > 1, name
        assert np.abs(high - low).mean() > np.abs(middle - low).mean(), name
    np.testing.assert_array_equal(planted.pictures(32, factors=planted.factors), planted.pictures(32))


@EACH
@pytest.mark.parametrize("kind", ["uniform", "local"])
def test_the_same_drawing_at_another_size(family: str, kind: str) -> None:
    planted = Planted.sample(family, range(4), seed=1, kind=kind)
    small, large = planted.pictures(32).astype(float), planted.pictures(128).astype(float)
    shrunk = large.reshape(4, 32, 4, 32, 4, 3).mean(axis=(2, 4))
    assert np.abs(shrunk - small).mean() < 6


@EACH
def test_a_lesion_is_small_and_anywhere(family: str) -> None:
    planted = Planted.sample(family, range(60), seed=2, bias=0, kind="local")
    without, most = (planted.pictures(64, factors=planted.intervened(LESION, value)).astype(float) for value in (0, 1))
    changed = np.abs(most - without).max(axis=3) > 20
    assert changed.mean(axis=(1, 2)).min() > 0.005
    assert changed.mean(axis=(1, 2)).max() < 0.06
    rows, columns = (np.array([part.mean() for part in parts]) for parts in zip(*map(np.nonzero, changed), strict=True))
    assert rows.std() > 6
    assert columns.std() > 5
    place = np.corrcoef(np.stack([rows, columns, planted.labels]))[2, :2]
    assert np.abs(place).max() < 0.35  # three standard errors of 60 images: its place is not a cause


@EACH_KIND
def test_an_archive_says_by_its_names_what_is_in_it(tmp_path: Path, kind: str) -> None:
    written = write_planted(
        tmp_path / "cells.zip", family="cells", images=20, resolution=16, seed=5, bias=0.25, kind=kind
    )
    images = open_images(tmp_path / "cells.zip")
    assert images.label_names == ("resting", "active")
    np.testing.assert_array_equal(images.labels, written.labels)
    again = Planted.named(images.names)
    assert again.kind == kind
    np.testing.assert_array_equal(again.factors, written.factors)
    np.testing.assert_array_equal(images.pictures([7, 3]), again.pictures(16)[[7, 3]])


def test_mistakes_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no planted family 'trees'; there are leaves, cells"):
        write_planted(tmp_path / "x.zip", family="trees", images=3, resolution=16)
    with pytest.raises(DataError, match="no kind of planted factors 'odd'; there are uniform, skewed, discrete"):
        Planted.sample("leaves", [0], seed=0, kind="odd")
    with pytest.raises(DataError, match="bias 2"):
        Planted.sample("leaves", [0], seed=0, bias=2)
    with pytest.raises(DataError, match="0 images"):
        write_planted(tmp_path / "x.zip", family="leaves", images=0, resolution=16)
    with pytest.raises(DataError, match=r"called photo\.png"):
        Planted.named(["photo.png"])


def test_the_factors_are_written_as_a_table_that_knows_the_archives_images(tmp_path: Path) -> None:
    planted = write_planted(tmp_path / "a.zip", family="leaves", images=20, resolution=16, seed=1, kind="local")
    table = read_descriptors(write_factors(tmp_path / "factors.csv", planted))
    images = open_images(tmp_path / "a.zip")
    rows, values = table.of(images.names)
    assert table.names == planted.family.factors
    np.testing.assert_array_equal(rows, np.arange(20))
    np.testing.assert_allclose(values, Planted.named(images.names).factors, atol=1e-5)
