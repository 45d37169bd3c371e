"""Choosing images: far from the extreme, visibly changed, different from each other, and honest when they are few."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stylex.core.errors import SearchError
from stylex.search.attfind import attfind
from stylex.search.effects import measure_effects
from stylex.search.select import choose_images
from stylex.search.task import Task

LABELS = ("cat", "dog")


def found(world):
    effects = measure_effects(world.subject, world.s, image_ids=world.ids)
    return effects, attfind(Task(effects=effects, target=1, space=world.space, labels=LABELS))[0]


def task_of(world, effects, s: np.ndarray) -> Task:
    s = torch.as_tensor(s)
    return Task(effects=effects, target=1, space=world.space, labels=LABELS, output="softmax", s=s)


@pytest.fixture
def easy(make_world):
    # Coordinate 2 alone decides; about half of the images are dogs.
    return make_world(n=40, reads={2: (0.0, 3.0)})


def test_shown_are_images_of_the_other_class_that_change_the_farthest_first(easy) -> None:
    effects, attribute = found(easy)
    shown = choose_images(
        task_of(easy, effects, easy.s.numpy()),
        attribute,
        images=5,
    )
    assert len(shown.rows) == 5
    assert (effects.base_logits[shown.rows].argmax(axis=1) == 0).all()
    assert (shown.change > 0.2).all()
    assert (shown.required, shown.note) == (0.2, "")
    distance = float(easy.space.statistics.maximum[2]) - easy.s[:, 2].numpy()[shown.rows]
    assert (np.diff(distance) <= 0).all()
    p = effects.base_logits[shown.rows]
    odds = np.exp(p + effects.values[shown.rows, 1, 2])
    before = np.exp(p[:, 1]) / np.exp(p).sum(axis=1)
    np.testing.assert_allclose(shown.change, odds[:, 1] / odds.sum(axis=1) - before, atol=1e-5)


def test_of_many_classes_images_that_have_it_in_reach_are_shown(easy) -> None:
    effects, attribute = found(easy)
    own, rest = easy.s.numpy(), 28
    far = np.arange(len(own)) % 2 == 0
    others = np.where(far[:, None], 2.0, -9.0).astype(np.float32) + effects.base_logits.max(axis=1, keepdims=True)
    many = replace(
        effects,
        base_logits=np.concatenate([effects.base_logits, np.repeat(others, rest, axis=1)], axis=1),
        values=np.pad(effects.values, ((0, 0), (0, 0), (0, 0), (0, rest))),
    )
    labels = [str(k) for k in range(rest + 2)]
    task = Task(effects=many, target=1, space=easy.space, labels=labels, output="softmax", s=torch.as_tensor(own))
    shown = choose_images(task, attribute, images=5)
    assert len(shown.rows)
    assert not far[shown.rows].any()


def test_turned_shows_images_of_the_target_that_lose_it(easy) -> None:
    effects, attribute = found(easy)
    shown = choose_images(
        task_of(easy, effects, easy.s.numpy()),
        attribute,
        images=5,
        turned=True,
    )
    assert shown.attribute.sign == -attribute.sign
    assert shown.attribute.effect < 0
    assert (effects.base_logits[shown.rows].argmax(axis=1) == 1).all()
    assert (shown.change < -0.2).all()


def test_images_that_resemble_one_shown_are_left_out(easy) -> None:
    effects, attribute = found(easy)
    twice = np.repeat(np.arange(40), 2)
    doubled, s = effects.of(twice), easy.s.numpy()[twice]
    shown = choose_images(
        task_of(easy, doubled, s),
        attribute,
        images=5,
    )
    alone = choose_images(
        task_of(easy, effects, easy.s.numpy()),
        attribute,
        images=5,
    )
    assert twice[shown.rows].tolist() == alone.rows.tolist()
    # Only near duplicates: enough of them to see a rule.
    same = np.full(6, alone.rows[0])
    shown = choose_images(
        task_of(easy, effects.of(same), s[2 * same]),
        attribute,
        images=5,
    )
    assert len(shown.rows) == 3


def test_where_few_change_less_is_asked_and_said(make_effects, flat_space) -> None:
    values = np.zeros((10, 2, 1, 2))
    values[:4, 1, 0, 1] = 0.6  # a change of about 0.13
    effects = make_effects(values)
    space = flat_space(1)
    s = np.linspace(-1, 1, 10, dtype=np.float32)[:, None]
    attribute = attfind(Task(effects=effects, target=1, space=space, labels=LABELS), alpha=1.0)[0]
    shown = choose_images(
        Task(
            effects=effects, target=attribute.target, space=space, labels=LABELS, output="softmax", s=torch.as_tensor(s)
        ),
        attribute,
        images=5,
        min_distance=0.0,
    )
    assert (shown.required, len(shown.rows)) == (0.1, 4)
    assert "changes at least 0.1 (usually 0.2)" in shown.note
    few = choose_images(
        Task(
            effects=effects.of(np.array([0, 9])),
            target=attribute.target,
            space=space,
            labels=LABELS,
            output="softmax",
            s=torch.as_tensor(s[[0, 9]]),
        ),
        attribute,
        min_distance=0.0,
    )
    assert few.rows.tolist() == [0]
    assert "only 1 of 2 images show it" in few.note
    none = choose_images(
        Task(
            effects=effects.of(np.array([9])),
            target=attribute.target,
            space=space,
            labels=LABELS,
            output="softmax",
            s=torch.as_tensor(s[[9]]),
        ),
        attribute,
        turned=True,
    )
    assert (len(none.rows), none.note) == (0, "only 0 of 1 images show it")


@pytest.mark.parametrize("output", ["softmax", "sigmoid"])
@pytest.mark.parametrize("turned", [False, True])
def test_images_of_a_saturated_classifier_are_not_lost(make_effects, flat_space, output, turned) -> None:
    values = np.zeros((6, 2, 1, 3))
    values[:, 1, 0, 1], values[:, 0, 0, 1] = 9.0, -9.0  # no probability changes by a digit
    base = np.tile([0.0, 90.0 if turned else -90.0, 0.0], (6, 1))
    effects = make_effects(values, base)
    s = np.linspace(-1, 1, 6, dtype=np.float32)[:, None]
    others = make_effects(values, np.tile([0.0, -90.0, 0.0], (6, 1)))
    attribute = attfind(
        Task(effects=others, target=1, space=flat_space(1), labels=["a", "b", "c"], output=output), alpha=1.0
    )[0]
    shown = choose_images(
        Task(
            effects=effects,
            target=attribute.target,
            space=flat_space(1),
            labels=("a", "b", "c"),
            output=output,
            s=torch.as_tensor(s),
        ),
        attribute,
        images=6,
        turned=turned,
        min_distance=0.0,
    )
    assert len(shown.rows) == 6
    assert "changes at all" in shown.note


def test_effects_of_another_shift_are_refused(easy) -> None:
    effects, attribute = found(easy)
    with pytest.raises(SearchError, match=r"moves by 0.5 of the range, but effects were measured at 1"):
        choose_images(
            Task(
                effects=effects,
                target=replace(attribute, shift_range=0.5).target,
                space=easy.space,
                labels=LABELS,
                output="softmax",
                s=torch.as_tensor(easy.s.numpy()),
            ),
            replace(attribute, shift_range=0.5),
        )
