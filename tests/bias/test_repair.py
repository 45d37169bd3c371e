"""The repaired archive: photographs as they are, both turns with the same labels, test images untouched."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from stylex.bias.repair import RepairConfig, Repaired, write_repaired
from stylex.core.attribute import Attribute
from stylex.core.errors import ConfigError
from stylex.data.archive import ImageSet, open_images
from stylex.evaluation.extractors import random_extractor
from stylex.search.subject import TrainedSubject


def repaired(
    subject: TrainedSubject, archive: ImageSet, attribute: Attribute, out: Path, **given: object
) -> tuple[Repaired, ImageSet]:
    config = RepairConfig(**{"realism": None, **given})  # type: ignore[arg-type]
    done = write_repaired(subject, archive, attribute, random_extractor(), out, config)
    return done, open_images(out)


def test_each_training_image_is_there_three_times_with_one_label(
    subject: TrainedSubject, images: ImageSet, attribute: Attribute, tmp_path: Path
) -> None:
    done, archive = repaired(subject, images, attribute, tmp_path / "out.zip")
    training, test = images.split("train"), images.split("test")
    learned = archive.split("train")
    assert (done.photographs, done.turned) == (60, 60)
    assert archive.split("test").names == test.names
    assert np.array_equal(archive.split("test").pictures(range(len(test))), test.pictures(range(len(test))))
    assert archive.label_names == images.label_names
    label_of = dict(zip(learned.names, learned.labels, strict=True))  # type: ignore[arg-type]
    for name, label in zip(training.names, training.labels, strict=True):  # type: ignore[arg-type]
        assert [label_of[before + name] for before in ("", "turned-up/", "turned-down/")] == [label] * 3
    assert set(Counter(learned.split_keys).values()) == {3}  # a turned image is never divided from its photograph
    assert len(done.sheet) == 3


def test_photographs_stay_to_the_last_bit_and_both_ways_differ(
    subject: TrainedSubject, images: ImageSet, attribute: Attribute, tmp_path: Path
) -> None:
    done, archive = repaired(subject, images, attribute, tmp_path / "out.zip", images=10)
    training, n = images.split("train"), len(images.split("train"))
    assert done.turned == 10
    assert np.array_equal(archive.pictures(range(n)), training.pictures(range(n)))
    up, down = archive.pictures(range(n, n + 10)), archive.pictures(range(n + 10, n + 20))
    assert not np.array_equal(up, down)
    assert archive.names[n].startswith("turned-up/discs/")
    assert done.change > 0


def test_the_same_command_writes_the_same_bytes(
    subject: TrainedSubject, images: ImageSet, attribute: Attribute, tmp_path: Path
) -> None:
    for control in (False, True):
        for name in ("a.zip", "b.zip"):
            repaired(subject, images, attribute, tmp_path / name, images=8, control=control, to="ends")
        assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_pictures_that_are_like_no_real_one_are_left_out(
    subject: TrainedSubject, images: ImageSet, attribute: Attribute, tmp_path: Path
) -> None:
    all_of_them, _ = repaired(subject, images, attribute, tmp_path / "all.zip")
    strict, archive = repaired(subject, images, attribute, tmp_path / "strict.zip", realism=0.2)
    assert strict.limits is not None
    assert strict.limits.by == random_extractor().name
    assert strict.unreal > 0
    assert strict.turned + strict.unreal == all_of_them.turned
    assert len(archive.split("train")) == strict.photographs + 2 * strict.turned


def test_groups_are_of_label_and_place(
    subject: TrainedSubject, images: ImageSet, attribute: Attribute, tmp_path: Path
) -> None:
    done, archive = repaired(subject, images, attribute, tmp_path / "out.zip", images=4)
    assert set(done.groups) == set(archive.names)
    labels = dict(zip(archive.names, archive.label_texts(), strict=True))
    assert all(label == labels[name] for name, (label, _) in done.groups.items())
    assert {place for name, (_, place) in done.groups.items() if name.startswith("turned-up/")} == {"high"}
    assert {place for name, (_, place) in done.groups.items() if name.startswith("turned-down/")} == {"low"}
    assert sum(sum(places) for places in done.places.values()) == done.photographs


@pytest.mark.parametrize("wrong", [{"images": 0}, {"to": "afar"}, {"realism": 1.0}, {"realism": 0.0}])
def test_settings_that_cannot_be_meant_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        RepairConfig(**wrong)  # type: ignore[arg-type]
