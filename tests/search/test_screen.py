"""The screen: what it keeps, what it states, and what that costs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stylex.core.errors import ClassifierError
from stylex.core.progress import Event, Found, Step, silent
from stylex.search.effects import measure_effects
from stylex.search.first_order import first_order
from stylex.search.screen import Screened, Screening, screen

pytestmark = pytest.mark.integration


class Bent:
    """A classifier whose logits saturate, so that gradients tell only a part."""

    def __init__(self, classifier, bend: float) -> None:
        self.classifier, self.bend, self.judged = classifier, bend, 0

    def logits(self, x):
        self.judged += len(x)
        return torch.tanh(self.bend * self.classifier.logits(x)) / self.bend


def strongest(effects, target: int, top: int) -> set[tuple[int, int]]:
    rows = effects.base_logits.argmax(axis=1) != target
    mean = effects.values[rows, ..., target].mean(axis=0)
    return {divmod(int(i), mean.shape[1]) for i in np.argsort(-mean.ravel())[:top]}


def run(world, *, listener=silent, **how) -> Screened:
    return screen(world.subject, world.s, (0, 1), how=Screening(**how), listener=listener)


def test_first_order_effects_of_a_linear_world_are_the_effects(make_world) -> None:
    world = make_world(n=20, k=3)
    effects = measure_effects(world.subject, world.s, image_ids=world.ids)
    for target in range(3):
        guess = first_order(world.subject, world.s, target, effects.indices)
        np.testing.assert_allclose(guess, effects.values[..., target], atol=1e-5)


def test_where_gradients_tell_all_little_is_drawn(make_world) -> None:
    world = make_world(n=100, channels=(8, 4), torgb=2)
    effects = measure_effects(world.subject, world.s, image_ids=world.ids)
    world.synthesis.rows_drawn = 0
    kept = run(world, top=3)
    wanted = {effects.indices[c] for target in (0, 1) for _, c in strongest(effects, target, 3)}
    assert wanted <= set(kept.indices.tolist())
    assert len(kept.indices) < len(effects.indices)
    assert kept.recall >= 0.99
    assert kept.pictures < 0.6 * 100 * 2 * len(effects.indices)


@pytest.mark.parametrize("bend", [0.3, 1.0])
def test_the_stated_recall_is_met_where_gradients_mislead(make_world, bend) -> None:
    found = []
    for seed in range(8):
        world = make_world(n=60, channels=(8, 4), torgb=2, seed=seed)
        world.classifier = Bent(world.classifier, bend)
        effects = measure_effects(world.subject, world.s, image_ids=world.ids)
        kept = run(world, top=4, recall=0.95)
        assert kept.recall >= 0.95
        for target in (0, 1):
            found += [effects.indices[c] in kept.indices for _, c in strongest(effects, target, 4)]
    assert np.mean(found) >= 0.95


def test_a_lower_recall_keeps_fewer_coordinates(make_world) -> None:
    world = make_world(n=60, channels=(8, 4), torgb=2)
    world.classifier = Bent(world.classifier, 1.0)
    many, few = run(world, top=3, recall=0.999), run(world, top=3, recall=0.5)
    assert len(few.indices) <= len(many.indices)
    assert few.pictures <= many.pictures
    assert few.recall <= many.recall


def test_all_is_kept_when_all_is_wanted_and_nothing_when_nobody_is_to_be_moved(make_world) -> None:
    world = make_world(n=8)
    everything = run(world, top=1000)
    assert everything.indices.tolist() == world.space.indices(include_torgb=False).tolist()
    assert everything.recall == 1
    world.classifier.bias = torch.tensor([100.0, 0.0])
    nobody = screen(world.subject, world.s, (0,))
    assert (len(nobody.indices), nobody.recall, nobody.pictures) == (0, 1.0, 0)


def test_a_screen_in_bfloat16_keeps_what_is_strong(make_world, monkeypatch) -> None:
    monkeypatch.setattr("stylex.search.moves.has_fast_bf16", lambda place: True)
    world = make_world(n=60, channels=(8, 4), torgb=2)
    effects = measure_effects(world.subject, world.s, image_ids=world.ids)
    heard: list[Event] = []
    kept = run(world, top=3, precision="bf16", listener=heard.append)
    assert any(isinstance(event, Found) and "bfloat16" in event.message for event in heard)
    found = [effects.indices[c] in kept.indices for target in (0, 1) for _, c in strongest(effects, target, 3)]
    assert np.mean(found) >= 0.8


def test_the_same_call_keeps_the_same_and_says_so(make_world) -> None:
    world = make_world(n=30)
    world.classifier = Bent(world.classifier, 1.0)
    heard: list[Event] = []
    first = run(world, top=2, listener=heard.append)
    again = run(world, top=2)
    np.testing.assert_array_equal(first.indices, again.indices)
    assert (first.recall, first.pictures) == (again.recall, again.pictures)
    assert f"{len(first.indices)} coordinates were kept" in first.note
    assert any(isinstance(event, Step) for event in heard)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_what_the_screen_measured_in_float32_is_not_measured_again(make_world, monkeypatch, precision) -> None:
    monkeypatch.setattr("stylex.search.moves.has_fast_bf16", lambda place: True)
    world = make_world(n=60, channels=(8, 4), torgb=2)
    world.classifier = Bent(world.classifier, 1.0)
    exact = measure_effects(world.subject, world.s, image_ids=world.ids)
    kept = run(world, top=3, precision=precision)
    assert kept.effects is not None
    known = kept.effects.cells.known
    assert known.any() or precision == "bf16"
    values = exact.values[:, :, np.isin(exact.indices, kept.indices)]
    np.testing.assert_allclose(kept.effects.cells.values[known], values[known], atol=1e-5)
    for target in (0, 1):
        own = kept.effects.among(kept.of[target])
        rows = exact.base_logits.argmax(axis=1) != target
        columns = [exact.position(int(index)) for index in own.indices]
        np.testing.assert_allclose(own.of(rows).table(target), exact.table(target)[rows][:, :, columns], atol=1e-5)
    assert kept.effects.cells.pictures < 60 * (1 + 2 * len(kept.indices))


def test_a_screen_that_was_broken_off_goes_on_and_ends_the_same(make_world, tmp_path) -> None:
    world = make_world(n=60, channels=(8, 4), torgb=2)
    world.classifier = Bent(world.classifier, 1.0)
    subject = replace(world.subject, key="whole")

    def kept(folder=None, listener=silent) -> tuple[Screened, int]:
        found = screen(subject, world.s, (0, 1), how=Screening(top=3, recall=0.99999, folder=folder), listener=listener)
        assert found.effects is not None
        for target in (0, 1):
            found.effects.among(found.of[target]).table(target)
        return found, found.effects.cells.pictures

    def killed(event: Event) -> None:
        if isinstance(event, Step) and event.done == len(alone.rounds) - 1:
            raise KeyboardInterrupt

    alone, asked = kept()
    assert len(alone.rounds) > 2
    with pytest.raises(KeyboardInterrupt):
        kept(tmp_path, killed)
    resumed, still_asked = kept(tmp_path)
    assert 0 < resumed.pictures < alone.pictures / 2
    assert still_asked == asked
    again, none = kept(tmp_path)
    assert (again.pictures, none) == (0, 0)
    for other in (resumed, again):
        assert other.effects is not None
        assert alone.effects is not None
        np.testing.assert_array_equal(other.indices, alone.indices)
        np.testing.assert_array_equal(other.effects.cells.values, alone.effects.cells.values)
        assert (other.recall, other.rounds) == (alone.recall, alone.rounds)


def test_no_more_is_stated_than_was_asked_and_answers_that_are_no_numbers_are_told(make_world) -> None:
    world = make_world(n=60, channels=(8, 4), torgb=2)
    world.classifier = Bent(world.classifier, 1.0)
    assert run(world, top=3, recall=0.9).recall == 0.9
    world.classifier.bend = float("nan")
    with pytest.raises(ClassifierError, match="not finite"):
        run(world, top=3)
