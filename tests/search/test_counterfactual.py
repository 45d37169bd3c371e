"""One image's own explanation, flips of attributes together, and the random control."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from stylex.core.errors import SearchError
from stylex.core.numbers import Numbers
from stylex.search.attfind import attfind, by_effect
from stylex.search.counterfactual import flip_rate, independent, random_control, subset
from stylex.search.effects import measure_effects
from stylex.search.select import choose_images
from stylex.search.shifts import apply_attributes
from stylex.search.task import Task
from stylex.search.together import together

LABELS = ("cat", "dog")


def measured(world):
    return measure_effects(world.subject, world.s, image_ids=world.ids)


@pytest.fixture
def three_causes(make_world):
    # Three coordinates raise the dog, the first one most; no single one suffices for most cats.
    return make_world(n=40, reads={1: (0.0, 2.0), 4: (0.0, -1.5), 6: (0.0, 1.0)}, bias=(5.0, 0.0))


def test_independent_takes_an_images_strongest_single_attributes(three_causes) -> None:
    effects = measured(three_causes)
    row = int(effects.base_logits[:, 1].argmin())
    ranking = independent(Task(effects=effects, target=1, space=three_causes.space, labels=LABELS), row, num=2)
    assert [a.effect for a in ranking] == pytest.approx(sorted(effects.values[row, :, :, 1].max(axis=0))[:-3:-1])
    assert ranking.strategy == "independent"
    assert f"on 'image-{row}'" in ranking.finding
    every = independent(Task(effects=effects, target=1, space=three_causes.space, labels=LABELS), row, num=99)
    assert {(a.coordinate.layer, a.coordinate.channel, a.sign) for a in every} == {
        ("b4.conv0", 1, 1),
        ("b4.conv1", 0, -1),
        ("b4.conv1", 2, 1),
    }


def test_independent_says_when_there_is_nothing_to_do(make_world) -> None:
    world = make_world(n=4, reads={}, bias=(1.0, 0.0))
    effects = measured(world)
    assert "Nothing moves the classifier towards 'dog' on image 'image-0'" in (
        independent(Task(effects=effects, target=1, space=world.space, labels=LABELS), 0).finding
    )
    assert (
        "predicted 'cat' already"
        in independent(Task(effects=effects, target=0, space=world.space, labels=LABELS), 0).finding
    )


def test_subset_adds_attributes_until_the_label_flips(three_causes) -> None:
    world, effects = three_causes, measured(three_causes)
    flipped = 0
    for row in range(12):
        result = subset(Task.of(world.subject, world.s, effects, 1), row)
        moved = apply_attributes(world.s[row : row + 1], result.ranking.attributes, world.space)
        logits = world.classifier.logits(world.synthesis(moved))[0].numpy()
        np.testing.assert_allclose(result.path[-1], logits, atol=1e-4)
        np.testing.assert_allclose(np.diff(result.path[:, 1]), [a.effect for a in result.ranking], atol=1e-5)
        assert result.flipped == (logits.argmax() == 1)
        assert (result.path[:-1].argmax(axis=1) == 0).all()  # and it stopped at once
        assert len(result.ranking) <= 3
        flipped += result.flipped
    assert flipped >= 6


def test_subset_scores_anew_what_does_not_add_up(make_world) -> None:
    world = make_world(n=10, reads={1: (0.0, 2.0), 4: (0.0, 1.9), 6: (0.0, 1.0)}, bias=(9.0, 0.0))

    class Redundant:
        # Coordinates 1 and 4 say the same: together no more than the larger.
        def logits(self, x):
            read = x.flatten(1) @ world.synthesis.directions.T / world.synthesis.scale
            dog = torch.maximum(2.0 * read[:, 1], 1.9 * read[:, 4]) + read[:, 6]
            return torch.stack([torch.full_like(dog, 9.0), dog], dim=1)

    world.classifier = Redundant()
    effects = measured(world)
    result = subset(Task.of(world.subject, world.s, effects, 1), 0)
    layers = [(a.coordinate.layer, a.coordinate.channel) for a in result.ranking]
    assert len(layers) == 2
    assert layers.count(("b4.conv1", 2)) == 1
    assert not result.flipped
    assert "nothing more raises it" in result.ranking.finding


def test_subset_keeps_its_budget_and_leaves_a_flipped_image_alone(three_causes) -> None:
    world, effects = three_causes, measured(three_causes)
    row = int(effects.base_logits[:, 1].argmin())
    result = subset(Task.of(world.subject, world.s, effects, 1), row, budget=1)
    assert len(result.ranking) == 1
    assert result.path.shape == (2, 2)
    assert "the budget ended" in result.ranking.finding
    already = subset(Task.of(world.subject, world.s, effects, 0), row)
    assert (len(already.ranking), already.flipped, already.path.shape) == (0, True, (1, 2))


def test_flip_rate_counts_images_that_were_not_the_target(three_causes) -> None:
    world, effects = three_causes, measured(three_causes)
    ranking = attfind(Task(effects=effects, target=1, space=world.space, labels=LABELS))
    flips = flip_rate(world.subject, world.s, ranking.attributes, 1)
    cats = effects.base_logits.argmax(axis=1) == 0
    moved = apply_attributes(world.s, ranking.attributes, world.space)
    after = world.classifier.logits(world.synthesis(moved)).numpy()
    assert flips.images == cats.sum()
    assert flips.fraction == pytest.approx((after[cats].argmax(axis=1) == 1).mean())
    assert flips.effect == pytest.approx((after - effects.base_logits)[cats, 1].mean(), rel=1e-4)
    nobody = flip_rate(world.subject, world.s, [], 1)
    assert (nobody.fraction, nobody.effect) == (0.0, 0.0)
    dogs = world.s[torch.from_numpy(~cats)]
    assert math.isnan(flip_rate(world.subject, dogs[:1], [], 1).fraction)


def test_random_directions_as_long_do_little_where_two_of_many_are_the_cause(make_world) -> None:
    world = make_world(n=30, channels=(8, 6), reads={1: (0.0, 4.0), 9: (0.0, 4.0)}, bias=(5.0, 0.0))
    ranking = attfind(Task(effects=measured(world), target=1, space=world.space, labels=LABELS))
    arguments = (world.subject, world.s, ranking.attributes, 1)
    assert flip_rate(*arguments).fraction > 0.9
    control = random_control(*arguments, draws=8)
    assert control.fractions.mean() < 0.5


def test_the_control_moves_every_image_as_far_along_one_direction_a_draw(make_world) -> None:
    world = make_world(n=8, channels=(3, 2), reads={1: (0.0, 1.0)}, bias=(9.0, 0.0))
    ranking = attfind(
        Task(effects=measured(world), target=1, space=world.space, labels=LABELS), explained=by_effect(99.0)
    )
    seen: list[torch.Tensor] = []
    draw = world.synthesis.__call__

    class Recording:
        space, steps, prefix = world.synthesis.space, world.synthesis.steps, world.synthesis.prefix
        between = world.synthesis.between

        def __call__(self, s, **options):
            seen.append(s)
            return draw(s, **options)

    random_control(replace(world.subject, synthesis=Recording()), world.s, ranking.attributes, 1, draws=3, seed=1)
    std = torch.tensor(world.space.statistics.std)
    own = apply_attributes(world.s, ranking.attributes, world.space)
    length = ((own - world.s) / std).norm(dim=1)
    assert len(seen) == 1 + 3
    for moved in seen[1:]:
        step = (moved - world.s) / std
        torch.testing.assert_close(step.norm(dim=1), length)
        step = step[length > 0]  # an image at the extreme stays where it is
        alike = torch.nn.functional.cosine_similarity(step, step[:1])
        torch.testing.assert_close(alike, torch.ones(len(step)))
        assert (step[:, world.space.conv_dim :] == 0).all()  # ToRGB was not searched


def test_nothing_can_be_flipped_without_images(make_world) -> None:
    world = make_world(n=30)
    ranking = attfind(Task(effects=measured(world), target=1, space=world.space, labels=LABELS))
    with pytest.raises(SearchError, match="no images were given"):
        flip_rate(world.subject, world.s[:0], ranking.attributes, 1)


def test_of_a_number_the_true_causes_are_found_both_ways(make_world) -> None:
    # The number is 2 s1 - 1.5 s4, standardised already: the columns are it and its negative, more and less.
    world = make_world(n=40, reads={1: (2.0, -2.0), 4: (-1.5, 1.5)})
    told = Numbers(names=("age", "age"), unit="years", center=(40.0, -40.0), scale=(10.0, 10.0), by=15.0)
    subject = replace(world.subject, labels=("more age", "less age"), output="regression", by=1.5, numbers=told)
    effects = measure_effects(subject, world.s, image_ids=world.ids)
    number = subject.logits(world.s)[:, 0]
    for target, way in ((0, 1), (1, -1)):
        task = Task.of(subject, world.s, effects, target)
        assert len(task.searched) == 40  # each image is compared with itself
        ranking = attfind(task, num=2)
        assert {(a.coordinate.layer, a.coordinate.channel, a.sign) for a in ranking} == {
            ("b4.conv0", 1, way),
            ("b4.conv1", 0, -way),
        }
        assert all(a.effect > 0 for a in ranking)
        verb = "raise" if target == 0 else "lower"
        assert f"2 attributes {verb} age on 40 images" in ranking.finding
        assert " years on average" in ranking.finding
        alone, most = independent(task, 0, num=2), subset(task, 0)
        effect = told.amount(told.effect(alone[0].effect, target))
        assert f"The strongest alone {verb}s age by {effect} on" in alone.finding
        assert most.flipped == bool(way * (most.path[-1, 0] - most.path[0, 0]) >= 1.5)
        assert f"{verb} age by" in most.ranking.finding or f"{verb}s age by" in most.ranking.finding
        assert independent(replace(task, by=9.0), 0, floor=99.0).finding.startswith(f"Nothing {verb}s age on image")
        after = subject.logits(subject.moved(world.s, ranking.attributes))[:, 0]
        moved = way * (after - number)
        flips = flip_rate(subject, world.s, ranking.attributes, target)
        assert flips.images == 40
        assert flips.fraction == pytest.approx((moved >= 1.5).mean())
        assert flips.effect == pytest.approx(moved.mean(), abs=1e-4)
        assert random_control(subject, world.s, ranking.attributes, target).fractions.mean() < flips.fraction
        row = int(moved.argmax())
        turning = subset(task, row)
        assert turning.flipped
        assert abs(turning.path[-1, 0] - turning.path[0, 0]) >= 1.5
        assert not subset(Task.of(replace(subject, by=1e3), world.s, effects, target), row).flipped
        chosen = together(task, num=2)
        assert {a.coordinate for a in chosen} == {a.coordinate for a in ranking}
        for turned in (False, True):
            assert len(choose_images(task, ranking[0], images=3, turned=turned).rows) > 0
