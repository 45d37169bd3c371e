"""A direction between marked groups: what it reads, what it turns, and what it says of too few marks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stylex.bias.ends import is_high, places_of
from stylex.bias.marked import MARKED, Marked, column_of, marked_direction
from stylex.bias.repair import RepairConfig, write_repaired
from stylex.core.errors import DataError, SearchError
from stylex.data.archive import ImageSet
from stylex.data.descriptors import Descriptors
from stylex.evaluation.extractors import random_extractor
from stylex.search.encoding import encode_set
from stylex.search.subject import TrainedSubject


def table(names: tuple[str, ...], *columns: np.ndarray, binary: bool = True) -> Descriptors:
    return Descriptors(
        names=("place", "other=b")[: len(columns)],
        binary=(binary,) * len(columns),
        images=names,
        values=np.stack(columns, axis=1).astype(np.float64),
    )


@pytest.fixture(scope="module")
def sizes(subject: TrainedSubject, images: ImageSet) -> np.ndarray:
    """What an untrained encoder tells apart best within a label: brightness."""
    training = images.split("train")
    assert training.labels is not None
    bright = training.batch(range(len(training))).mean(dim=(1, 2, 3)).numpy()
    middle = np.array([np.median(bright[training.labels == label]) for label in training.labels])
    return (bright > middle).astype(np.float64)


@pytest.fixture(scope="module")
def marked(subject: TrainedSubject, images: ImageSet, sizes: np.ndarray) -> Marked:
    names = images.split("train").names
    return marked_direction(subject, images, table(names[:48], sizes[:48]))


def test_the_sides_of_images_that_were_not_marked_are_read(marked: Marked, images: ImageSet, sizes: np.ndarray) -> None:
    training = images.split("train")
    s = encode_set(marked.subject, training).s.numpy()
    high = is_high(s, marked.attribute, marked.subject.space, s)
    assert (high[48:] == sizes[48:]).mean() > 0.8
    assert marked.right > 0.7 > marked.by_chance
    assert marked.high == dict(zip(training.names[:48], (sizes[:48] > 0).tolist(), strict=True))
    assert sum(map(sum, marked.counts.values())) == 48


def test_the_direction_is_a_knob_beside_the_style_values_that_changes_no_picture_by_itself(
    marked: Marked, subject: TrainedSubject, images: ImageSet
) -> None:
    few = images.subset(range(6))
    plain, steered = encode_set(subject, few), encode_set(marked.subject, few)
    assert torch.allclose(plain.x_rec, steered.x_rec, atol=1e-5)
    assert marked.attribute.coordinate.layer == MARKED
    assert marked.attribute.name == "place"
    assert marked.attribute.effect >= 0


def test_images_are_turned_to_where_the_other_side_lies(marked: Marked, images: ImageSet) -> None:
    space = marked.subject.space
    s = encode_set(marked.subject, images.split("train")).s
    turned = places_of(s[:6], marked.attribute, space, s.numpy(), np.random.default_rng(0))
    assert is_high(turned.up.numpy(), marked.attribute, space, s.numpy()).all()
    assert not is_high(turned.down.numpy(), marked.attribute, space, s.numpy()).any()
    # one step leads from one side's mean to the other's
    place = s[:, space.index(marked.attribute.coordinate)].numpy()
    assert 0.5 < place[place > 0].mean() - place[place <= 0].mean() < 2


def test_what_goes_with_the_label_alone_is_no_direction(
    subject: TrainedSubject, images: ImageSet, sizes: np.ndarray
) -> None:
    training = images.split("train")
    assert training.labels is not None
    with pytest.raises(SearchError, match="mark more images of the rarer kind") as caught:
        marked_direction(subject, images, table(training.names, training.labels.astype(np.float64)))
    assert "bright 30 and 0" in str(caught.value)
    with pytest.raises(SearchError, match="mark more images"):
        marked_direction(subject, images, table(training.names[:4], sizes[:4]))


def test_numbers_are_high_above_their_median(subject: TrainedSubject, images: ImageSet, sizes: np.ndarray) -> None:
    names = images.split("train").names
    numbers = 10 * sizes + np.random.default_rng(0).random(len(sizes))
    found = marked_direction(subject, images, table(names, numbers, binary=False))
    middle = np.median(numbers)
    assert found.high == {name: bool(value > middle) for name, value in zip(names, numbers, strict=True)}


def test_a_column_is_chosen_by_its_name_or_alone() -> None:
    two = table(("a", "b"), np.arange(2), np.arange(2))
    assert column_of(two, "other") == column_of(two, "other=b") == 1
    assert column_of(table(("a", "b"), np.arange(2)), None) == 0
    for wrong, said in ((None, "no descriptor was chosen"), ("size", "no descriptor 'size'")):
        with pytest.raises(DataError, match=said):
            column_of(two, wrong)


def test_groups_of_marked_images_are_the_marks(marked: Marked, images: ImageSet, tmp_path: Path) -> None:
    config = RepairConfig(realism=None, images=4)
    other_way = {name: not high for name, high in marked.high.items()}
    done = write_repaired(
        marked.subject, images, marked.attribute, random_extractor(), tmp_path / "a.zip", config, marks=other_way
    )
    assert all((done.groups[name][1] == "high") is high for name, high in other_way.items())
    assert done.attribute == "place"
