"""The comparison at its door: every method on the same images at one size of change, and chance beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import as_file, files

import numpy as np
import pytest

from stylex.classifiers import Classifier
from stylex.classifiers.load import load_classifier
from stylex.comparison.compare import Inputs, Options, Pictures, compare_methods
from stylex.comparison.contenders import CONTENDERS, CONTROLS, asked, with_own_size
from stylex.core.comparison import Comparison
from stylex.core.errors import ClassifierError, ConfigError, EvaluationError
from stylex.data.archive import ImageSet, open_images
from stylex.evaluation.extractors import random_extractor
from stylex.evaluation.subject import CountedClassifier, subject_of
from stylex.models.snapshot import load_snapshot
from stylex.search.subject import TrainedSubject

METHODS = ("stylespace", "ganalyze", "pixels", "grad-cam")


@pytest.fixture(scope="module")
def shoes() -> Iterator[tuple[TrainedSubject, ImageSet]]:
    with as_file(files("stylex") / "demo_data") as folder:
        snapshot = load_snapshot(folder / "snapshot")
        assert snapshot.latents is not None
        snapshot = replace(snapshot, latents=snapshot.latents[:400])  # quick, and enough to find directions in
        yield subject_of(snapshot, load_classifier(folder / "classifier")), open_images(folder / "shoes.zip")


def compared(shoes: tuple[TrainedSubject, ImageSet], **given: object) -> tuple[Comparison, Pictures]:
    subject, images = shoes
    options = Options(methods=METHODS, searched=12, measured=16, shown=3, observer_steps=5)
    latents = subject.snapshot.latents
    assert latents is not None
    inputs = Inputs(held_out=images, targets=(0, 1), extractor=random_extractor(), latents=lambda: latents)
    return compare_methods(subject, inputs, replace(options, **given), settings={"seed": 0})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def done(shoes: tuple[TrainedSubject, ImageSet]) -> tuple[Comparison, Pictures]:
    return compared(shoes)


@pytest.mark.integration
def test_all_are_changed_alike_by_the_size_of_the_first(done) -> None:
    comparison, _ = done
    assert [row.name for row in comparison.rows] == [*METHODS, *CONTROLS]
    assert comparison.reference == "stylespace"
    for name in ("stylespace", "ganalyze", "pixels", "random"):
        assert comparison[name].cells["change"].value == pytest.approx(comparison.change, rel=0.1), name
    assert comparison["unchanged"].cells["change"].value == 0
    assert comparison["unchanged"].cells["flips"].value == 0
    assert comparison["pixels"].cells["flips"].value > comparison["random"].cells["flips"].value


@pytest.mark.integration
def test_what_does_not_apply_is_blank_and_says_why(done) -> None:
    comparison, _ = done
    heat = comparison["grad-cam"].cells
    assert {key for key, cell in heat.items() if cell.blank is None} == {
        "area", "seconds_found", "calls_found", "seconds", "calls"
    }  # fmt: skip
    assert heat["flips"].blank == "a heat-map changes no picture"
    assert comparison["ganalyze"].cells["distinct"].blank is not None
    assert comparison["stylespace"].cells["distinct"].blank is None
    assert "recall" not in heat  # these images were not drawn: nobody knows their causes
    assert "other_logits" not in heat  # of two classes there is no other
    assert len({tuple(row.cells) for row in comparison.rows}) == 1


@pytest.mark.integration
def test_calls_are_those_of_the_method_and_of_no_measure(done) -> None:
    comparison, _ = done
    assert comparison["grad-cam"].cells["calls"].value == 1
    assert comparison["pixels"].cells["calls"].value == 10
    assert comparison["pixels"].cells["calls_found"].value == 0
    assert comparison["ganalyze"].cells["calls"].value == 1  # one attribute a class, tried on its cases
    assert comparison["stylespace"].cells["calls"].value == 8
    assert comparison["ganalyze"].cells["calls_found"].value > 1000


@pytest.mark.integration
def test_every_row_shows_the_same_images(done) -> None:
    comparison, pictures = done
    assert [row.name for row in pictures.rows] == [row.name for row in comparison.rows]
    assert len(pictures.names) == len(pictures.x) == 3
    for row in pictures.rows:
        shown = row.pictures if row.heat is None else row.heat
        assert shown is not None
        assert len(shown) == len(row.said) == len(row.turned) == 3
    (still,) = [row for row in pictures.rows if row.name == "unchanged"]
    np.testing.assert_array_equal(still.pictures, pictures.x_rec)


@pytest.mark.integration
def test_the_same_again_gives_the_same_numbers_and_a_size_can_be_asked_for(shoes, done) -> None:
    again, _ = compared(shoes)
    for row in again.rows:
        for key, cell in row.cells.items():
            if not key.startswith("seconds"):
                assert cell == done[0][row.name].cells[key], (row.name, key)
    asked_for, _ = compared(shoes, methods=("pixels",), change=0.02)
    assert (asked_for.change, asked_for.reference) == (0.02, None)
    assert asked_for["pixels"].cells["change"].value == pytest.approx(0.02, rel=0.05)


@pytest.mark.integration
def test_no_size_and_too_few_images_are_refused(shoes) -> None:
    with pytest.raises(EvaluationError, match="none of pixels has a size of its own"):
        compared(shoes, methods=("pixels",))
    subject, images = shoes
    with pytest.raises(EvaluationError, match="10 held-out images are too few"):
        compared((subject, images.subset(np.arange(10))))


@pytest.mark.integration
def test_what_a_classifier_does_not_allow_is_refused_by_name_and_left_out_of_all(shoes) -> None:
    subject, images = shoes
    assert isinstance(subject.classifier, CountedClassifier)
    whole = subject.classifier.counted
    flat = Classifier(lambda x: whole.model(x), whole.spec)  # a plain function shows no maps
    other = subject_of(subject.snapshot, flat)
    with pytest.raises(ClassifierError, match="Grad-CAM needs a classifier with convolutions"):
        compared((other, images), methods=("pixels", "grad-cam"), change=0.05, asked=True)
    rest, _ = compared((other, images), methods=("pixels", "grad-cam"), change=0.05)
    assert [row.name for row in rest.rows] == ["pixels", *CONTROLS]
    assert rest.notes[0].startswith("Grad-CAM is left out: Grad-CAM needs")


def test_methods_are_named_with_commas_and_none_means_all() -> None:
    assert asked("") == tuple(CONTENDERS)
    assert asked(" ganalyze, sefa ") == ("ganalyze", "sefa")
    for wrong in ("sefa,sefa", "magic"):
        with pytest.raises(ConfigError, match="methods names"):
            asked(wrong)
    assert with_own_size(("pixels", "sefa", "directions")) == ["sefa", "directions"]


@pytest.mark.parametrize("wrong", [{"measured": 2}, {"searched": 0}, {"change": 0.0}, {"change": 3.0}, {"shown": 0}])
def test_options_that_cannot_be_meant_are_refused(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(EvaluationError, match={"searched": "images"}.get(name, name)):
        Options(methods=("sefa",), **wrong)  # type: ignore[arg-type]
