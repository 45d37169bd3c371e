"""The table of methods: what it offers is what the command line offers, and every row searches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import as_file, files
from typing import Any, get_args

import numpy as np
import pytest

from stylex.classifiers.load import load_classifier
from stylex.core.errors import ConfigError, SearchError
from stylex.data.archive import open_images
from stylex.models.config import GeneratorConfig
from stylex.models.generator import Generator
from stylex.models.snapshot import Snapshot, load_snapshot
from stylex.search.classes import search_classes
from stylex.search.config import MethodName, SearchConfig, Selection
from stylex.search.encoding import encode_set, latents_of
from stylex.search.methods import METHODS, method, method_for, method_of, prepared_as, suited
from stylex.search.subject import TrainedSubject

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def shoes() -> Iterator[tuple[Snapshot, TrainedSubject]]:
    with as_file(files("stylex") / "demo_data") as folder:
        snapshot = load_snapshot(folder / "snapshot")
        assert snapshot.latents is not None
        snapshot = replace(snapshot, latents=snapshot.latents[:600])  # quick, and enough to find directions in
        yield snapshot, TrainedSubject.of(snapshot, load_classifier(folder / "classifier"))


def test_the_table_holds_what_can_be_asked_for() -> None:
    assert tuple(METHODS) == get_args(MethodName)
    for row in METHODS.values():
        assert "attfind" in row.rankings
        assert set(row.rankings) <= set(get_args(Selection))
    with pytest.raises(SearchError, match="no method 'gradients'; the methods are directions, attfind"):
        method("gradients")


def test_a_generator_that_is_given_the_answer_is_searched_as_published(shoes) -> None:
    plain, _ = shoes
    told = GeneratorConfig(resolution=8, channels=1, widths=(4, 4), z_dim=4, w_dim=4, c_dim=2, mapping_layers=2)
    assert suited("auto", plain) == "directions"
    assert suited("auto", replace(plain, generator=Generator(told))) == "attfind"
    assert suited("eigenfind", replace(plain, generator=Generator(told))) == "eigenfind"


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"selection": "notebook"}, "selection='notebook' is not for method='directions': .* method='attfind'"),
        (
            {"torgb": True, "method": "eigenfind"},
            "torgb=True is not for method='eigenfind': .*'stylespace'",
        ),
        ({"method": "stylespace", "selection": "together"}, "selection='together' is not for method='stylespace'"),
    ],
)
def test_a_method_says_what_it_does_not_take(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        method_for(SearchConfig(**wrong))


@pytest.mark.parametrize("name", [name for name in METHODS if METHODS[name].layer])
def test_every_family_of_directions_is_searched_and_found_again(shoes, name) -> None:
    plain, subject = shoes
    with as_file(files("stylex") / "demo_data") as folder:
        images = open_images(folder / "shoes.zip")
        images = images.subset(np.linspace(0, len(images) - 1, 10).astype(int))
    snapshot = METHODS[name].prepare(plain, lambda: latents_of(subject, images), subject.classifier)
    assert method_of(snapshot.space) == name
    prepared = TrainedSubject.of(snapshot, subject.classifier)
    assert {snapshot.space.coordinate(int(i)).layer for i in prepared.indices} == {METHODS[name].layer}
    found = search_classes(prepared, encode_set(prepared, images), SearchConfig(method=name), (0, 1))
    assert found is not None
    assert [task.target for task in found.tasks] == [0, 1]
    assert prepared_as(snapshot.space, plain, subject.classifier).space.to_json() == snapshot.space.to_json()


def test_single_coordinates_are_those_of_a_plain_snapshot(shoes) -> None:
    plain, subject = shoes
    assert method_of(plain.space) == "attfind"
    assert prepared_as(plain.space, plain, subject.classifier) is plain
