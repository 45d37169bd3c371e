"""Effects on demand: the same numbers as those measured at once, and nothing drawn that is not asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stylex.core.errors import ClassifierError, SearchError
from stylex.search.effects import measure_effects
from stylex.search.moves import Evaluator
from stylex.search.on_demand import Cells, Drawn, EffectsOnDemand


def on_demand(world, indices) -> EffectsOnDemand:
    base = world.subject.logits(world.s)
    cells = Cells(Evaluator(world.subject), Drawn(world.subject, world.ids, shift_range=1.0), world.s, base, indices)
    return EffectsOnDemand(cells=cells, rows=np.arange(len(world.s)), columns=np.arange(len(indices)))


def test_they_are_the_effects(make_world) -> None:
    world = make_world(n=5, k=3)
    exact = measure_effects(world.subject, world.s, image_ids=world.ids)
    effects = on_demand(world, exact.indices)
    for target in range(3):
        np.testing.assert_allclose(effects.table(target), exact.table(target), atol=1e-6)
    np.testing.assert_allclose(effects.change(1, 2), exact.change(1, 2), atol=1e-6)
    np.testing.assert_allclose(effects.base_logits, exact.base_logits, atol=1e-6)
    assert (effects.image_ids, effects.shift_range, len(effects)) == (exact.image_ids, 1.0, 5)


def test_nothing_is_drawn_twice_or_unasked(make_world) -> None:
    world = make_world(n=5)
    effects = on_demand(world, np.arange(4))
    effects.of(np.array([1, 3])).change(0, 2)
    drawn = effects.cells.pictures
    assert effects.cells.known.sum() == 2
    assert drawn <= 2 * 2  # each image's own picture, and its move
    effects.of(np.array([3, 1])).change(0, 2)
    assert effects.cells.pictures == drawn
    effects.of(np.array([3])).table(0)
    assert effects.cells.known.sum() == 2 + 7


def test_a_part_knows_its_place(make_world) -> None:
    world = make_world(n=5)
    exact = measure_effects(world.subject, world.s, image_ids=world.ids)
    mask = np.array([True, False, True, True, False])
    part = on_demand(world, exact.indices).of(mask).among(exact.indices[[5, 2]])
    assert part.indices.tolist() == exact.indices[[5, 2]].tolist()
    assert part.position(int(exact.indices[2])) == 1
    np.testing.assert_allclose(part.table(1), exact.of(mask).table(1)[:, :, [5, 2]], atol=1e-6)
    with pytest.raises(SearchError, match="was not measured"):
        part.position(int(exact.indices[0]))


def test_a_classifier_that_gives_no_numbers_is_told(make_world) -> None:
    world = make_world(n=3)
    effects = on_demand(world, np.arange(4))
    world.classifier.weight[:] = float("nan")
    with pytest.raises(ClassifierError, match="image-2"):
        effects.of(np.array([2])).table(0)


def test_what_is_on_disk_is_read_and_what_is_damaged_or_of_others_is_drawn(make_world, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("stylex.search.effects._BLOCK_IMAGES", 2)
    world = make_world(n=5)
    subject = replace(world.subject, key="mine")
    indices, rows = world.space.indices(include_torgb=False), np.arange(5)
    wanted = np.random.default_rng(0).random((5, 2, len(indices))) < 0.5

    def draw(subject) -> tuple[np.ndarray, int]:
        drawn = Drawn(subject, world.ids, shift_range=1.0, folder=tmp_path)
        return drawn.effects(Evaluator(subject), rows, world.s, indices, wanted)

    first, pictures = draw(subject)
    assert pictures > 0
    again, none = draw(subject)
    np.testing.assert_array_equal(first, again)
    assert none == 0
    shards = sorted(tmp_path.rglob("*.npz"))
    assert len(shards) == 3
    shards[0].write_bytes(shards[0].read_bytes()[:-9])
    shards[1].write_bytes(shards[2].read_bytes())
    mended, some = draw(subject)
    np.testing.assert_array_equal(first, mended)
    assert 0 < some < pictures
    assert draw(replace(subject, key="another's"))[1] == pictures
