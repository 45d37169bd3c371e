"""Claims: a real effect is claimed; chance, a trifle, a two-way effect and what any move would do are not."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from stylex.search import controls
from stylex.search.claims import claim
from stylex.search.effects import measure_effects
from stylex.search.every_class import standing
from stylex.search.task import Task


def task_of(world, classifier=None, target: int = 1) -> Task:
    subject = world.subject if classifier is None else replace(world.subject, classifier=classifier)
    return Task.of(subject, world.s, measure_effects(subject, world.s, image_ids=world.ids), target)


class Reads:
    """A classifier of the style values themselves: log odds of class 1 as a function of them."""

    def __init__(self, world, odds) -> None:
        self.world, self.odds = world, odds

    def logits(self, x):
        s = x.flatten(1) @ self.world.synthesis.directions.T / self.world.synthesis.scale
        odds = self.odds(s)
        return torch.stack([-odds / 2, odds / 2], dim=1)


def test_a_direction_that_drives_is_claimed_the_way_it_does(make_world) -> None:
    world = make_world(n=80, channels=(6, 4))
    ranking = claim(task_of(world, Reads(world, lambda s: 2 * s[:, 4] - s[:, 7] - 1)))
    assert [attribute.name for attribute in ranking] == ["b4.conv0:4+", "b4.conv1:1-"]
    assert ranking[0].effect > ranking[1].effect > 0
    assert all(attribute.significance < 0.01 and attribute.tested == "q" for attribute in ranking)
    assert "2 of 10 directions" in ranking.finding
    assert len(claim(task_of(world, Reads(world, lambda s: 2 * s[:, 4] - s[:, 7] - 1)), num=1)) == 1


def test_a_trifle_is_not_claimed(make_world) -> None:
    world = make_world(n=80, channels=(6, 4))
    ranking = claim(task_of(world, Reads(world, lambda s: 3 * s[:, 2] + 0.05 * s[:, 5])))
    assert [attribute.name for attribute in ranking] == ["b4.conv0:2+"]
    # Sure of nothing: the odds of no image are doubled.
    assert len(claim(task_of(world, Reads(world, lambda s: 0.01 * s[:, 2])))) == 0


def test_what_raises_the_target_both_ways_is_not_claimed(make_world) -> None:
    world = make_world(n=80, channels=(6, 4))
    assert len(claim(task_of(world, Reads(world, lambda s: 3 * s[:, 3].abs() - 4)))) == 0


def test_what_moves_rebuilt_pictures_but_tells_no_photographs_apart_is_not_claimed(make_world) -> None:
    world = make_world(n=80, channels=(6, 4))
    task = replace(task_of(world, Reads(world, lambda s: 2 * s[:, 4] - 1)), accounted=0.1)
    rebuilt = task.effects.base_logits
    kept = claim(replace(task, photographs=rebuilt))
    assert [attribute.name for attribute in kept] == ["b4.conv0:4+"]
    assert "It accounts for 100% of how its answers on the photographs differ (one at random:" in kept.finding
    shuffled = rebuilt[np.random.default_rng(0).permutation(len(rebuilt))]
    finding = claim(replace(task, photographs=shuffled)).finding
    assert finding.startswith("Nothing found: 1 of 10 directions drives the classifier towards 'dog' where turned, but")
    assert "(100% on the rebuilt pictures); 10% is asked (accounted=0 asks for nothing)" in finding
    assert len(claim(replace(task, photographs=shuffled, accounted=0.0))) == 1
    # Photographs that are answered the other way do not speak for it either, nor do those that are answered alike.
    assert len(claim(replace(task, photographs=-rebuilt))) == 0
    assert "all photographs searched are answered alike" in claim(replace(task, photographs=0 * rebuilt)).finding


@pytest.mark.parametrize(("true", "false"), [(3.0, 1.5), (1.0, 3.0)])
def test_a_direction_that_photographs_are_not_answered_by_is_left_out_and_spoils_no_other(
    make_world, true, false
) -> None:
    world = make_world(n=200, channels=(6, 4))
    task = task_of(world, Reads(world, lambda s: true * s[:, 0] + false * s[:, 2]))
    places = world.s[:, 0].numpy()
    photographs = np.stack([-places / 2, places / 2], axis=1).astype(np.float32)
    assert len(claim(replace(task, photographs=photographs))) == 2
    ranking = claim(replace(task, photographs=photographs, accounted=0.1))
    assert [attribute.name for attribute in ranking] == ["b4.conv0:0+"]
    assert "It accounts for 100%" in ranking.finding
    assert "1 more moves rebuilt pictures but not what photographs are answered by" in ranking.finding


def test_all_that_is_claimed_accounts_also_where_fewer_are_wanted(make_world) -> None:
    world = make_world(n=80, channels=(6, 4))
    task = task_of(world, Reads(world, lambda s: 2 * s[:, 4] - s[:, 7] - 1))
    finding = claim(replace(task, accounted=0.1), num=1).finding
    assert "the strongest 1 alone" in finding
    assert "All 2 together account for 100% of how its answers on the rebuilt pictures differ" in finding


def test_of_many_classes_all_images_tell_what_is_accounted_for(make_world) -> None:
    # The images in reach of a class are those with a high answer: among them nothing would be left to account for.
    world = make_world(n=200, channels=(6, 4))
    mixed = 2 * torch.randn(10, 40, generator=torch.Generator().manual_seed(0))

    class Linear:
        def logits(self, x):
            return (x.flatten(1) @ world.synthesis.directions.T / world.synthesis.scale)[:, :10] @ mixed

    subject = replace(world.subject, classifier=Linear(), labels=[str(k) for k in range(40)])
    effects = measure_effects(subject, world.s, image_ids=world.ids)
    tasks = [Task.of(subject, world.s, effects, target) for target in range(40)]
    claimed = [task for task in tasks if claim(task)]
    assert len(claimed) >= 10
    for task in claimed:
        assert claim(replace(task, accounted=0.1, photographs=effects.base_logits))


def test_nothing_found_names_the_condition_that_failed(make_world) -> None:
    world = make_world(n=80, channels=(6, 4))
    assert (
        "The strongest raises its log odds by" in claim(task_of(world, Reads(world, lambda s: 0.01 * s[:, 2]))).finding
    )
    both = claim(task_of(world, Reads(world, lambda s: 3 * s[:, 3].abs() - 4))).finding
    assert "of 80 images only" in both
    assert "More images" not in both
    # Real, but on too few images to tell.
    few = make_world(n=6, channels=(6, 4))
    finding = claim(task_of(few, Reads(few, lambda s: 2 * s[:, 4] - 1))).finding
    assert "works both ways on 6 of 6 images only: more than two thirds are asked (p 0.088, at most" in finding
    assert "More images may settle it (images)." in finding
    few = make_world(n=12, channels=(6, 4))
    finding = claim(task_of(few, Reads(few, lambda s: 2 * s[:, 4] - 1))).finding
    assert "of 20 moves tried one or another is as good by chance (p 0.0077 is q 0.15" in finding


def test_tasks_of_both_classes_share_random_moves_that_are_drawn_once(make_world, monkeypatch) -> None:
    world = make_world(n=80, channels=(6, 4))
    judge = Reads(world, lambda s: 2 * s[:, 4] - s[:, 7] - 1)
    tasks = [task_of(world, judge, target) for target in (0, 1)]
    drawn = []
    moves = controls.random_moves
    monkeypatch.setattr(controls, "random_moves", lambda *given: drawn.append(1) or moves(*given))
    subject, s = tasks[0].drawn
    beside = controls.RandomBeside(subject, s, tasks[0].effects.indices)
    shared = [claim(replace(task, beside=beside)) for task in tasks]
    assert drawn == [1]
    for task, ranking in zip(tasks, shared, strict=True):
        assert [a.name for a in ranking] == [a.name for a in claim(task)]
        where = standing(task, ranking[0], beside)
        assert where.images == task.not_target.sum()
        assert where.turned == task.turned(*column_of(task, ranking[0])).sum()
        assert (where.place, where.moved) == (2.0, 1.0 if where.turned > where.images / 2 else 2.0)
        assert where.random_turned < where.turned / where.images


def column_of(task: Task, attribute) -> tuple[int, int]:
    return int(attribute.sign > 0), task.effects.position(task.space.index(attribute.coordinate))


class Hash:
    """Answers a hash of the picture, at a spread of log odds that a real classifier has."""

    def logits(self, x):
        digests = [hashlib.sha256(picture.numpy().tobytes()).digest()[:4] for picture in x]
        odds = torch.tensor([int.from_bytes(digest, "big") / 2**32 * 12 - 6 for digest in digests])
        return torch.stack([-odds / 2, odds / 2], dim=1)


@pytest.mark.parametrize("target", [0, 1])
def test_a_hash_of_the_picture_is_driven_by_nothing(make_world, target) -> None:
    for seed in range(5):
        world = make_world(n=80, channels=(6, 4), seed=seed)
        task = task_of(world, Hash(), target)
        # Images that are not the target can hardly move anywhere but towards it: signs alone would claim all moves.
        assert (task.searched.table(target).mean(axis=0) > 0.5).mean() > 0.9
        assert len(claim(task)) == 0


def test_a_confident_classifier_without_a_reason_is_driven_by_nothing(make_world) -> None:
    claimed = 0
    for seed in range(6):
        world = make_world(n=80, channels=(6, 4), seed=seed)
        random = torch.Generator().manual_seed(seed)
        waves, phase = 2 * torch.randn(10, 60, generator=random), 6.3 * torch.rand(60, generator=random)
        weight = torch.randn(60, generator=random)

        def odds(s, waves=waves, phase=phase, weight=weight):
            return torch.sin(s[:, :10] @ waves + phase) @ weight

        claimed += len(claim(task_of(world, Reads(world, odds))))
    assert claimed == 0


def test_nobody_to_move_is_nothing_found(make_world) -> None:
    world = make_world(n=12, channels=(6, 4))
    task = task_of(world, Reads(world, lambda s: s[:, 0] * 0 - 5), target=0)
    ranking = claim(task)
    assert (len(ranking), ranking.images) == (0, 0)
    assert ranking.finding == (
        "Nothing moves the classifier towards 'cat': all images are predicted so already; give images of other classes."
    )
    assert np.isfinite(ranking.explained)


def of_thirty(world, classifier, *targets: int) -> list[Task]:
    subject = replace(world.subject, classifier=classifier, labels=[str(k) for k in range(30)])
    effects = measure_effects(subject, world.s, image_ids=world.ids)
    return [Task.of(subject, world.s, effects, target) for target in targets]


class Combines:
    """Thirty classes: one of six values of a colour with one of five of a shape, each read off a style value."""

    centres = torch.linspace(-1.5, 1.5, 6), torch.linspace(-1.5, 1.5, 5)

    def __init__(self, world) -> None:
        self.world = world

    def logits(self, x):
        s = x.flatten(1) @ self.world.synthesis.directions.T / self.world.synthesis.scale
        # Far from a class all answers are alike: of a class without anything of it, less cannot be seen.
        colour, shape = (-(s[:, [i]].clamp(-1.5, 1.5) - c).abs() for i, c in zip((3, 7), self.centres, strict=True))
        joint = (colour[:, :, None] + shape[:, None]).flatten(1).clamp(min=-3)
        return 3 * joint + 0.3 * torch.sin(300 * s[:, :1] + torch.arange(30))


def test_of_many_classes_those_in_reach_decide(make_world) -> None:
    world = make_world(n=400, channels=(6, 4))
    tasks = of_thirty(world, Combines(world), 29, 0)
    ranking = claim(tasks[0])
    assert {attribute.name for attribute in ranking} == {"b4.conv0:3+", "b4.conv1:1+"}
    ranking = claim(tasks[1])
    assert {attribute.name for attribute in ranking} == {"b4.conv0:3-", "b4.conv1:1-"}


def test_many_classes_that_hash_the_picture_have_no_reason(make_world) -> None:
    world = make_world(n=400, channels=(6, 4))

    class Hashes:
        def logits(self, x):
            return 3 * torch.sin(1e4 * x.flatten(1).sum(dim=1, keepdim=True) * (1 + torch.arange(30)))

    for task in of_thirty(world, Hashes(), 0, 7, 29):
        assert claim(task).finding.startswith("Nothing found")


def test_many_classes_that_wiggle_along_every_style_value_have_no_reason(make_world) -> None:
    world = make_world(n=400, channels=(6, 4))
    random = torch.Generator().manual_seed(0)
    waves, phases = torch.randn(world.space.s_dim, 200, generator=random), 6.3 * torch.rand(200, generator=random)
    mixed = torch.randn(200, 30, generator=random) * 0.26

    class Wiggles:
        def logits(self, x):
            s = x.flatten(1) @ world.synthesis.directions.T / world.synthesis.scale
            return (s @ waves + phases).cos() @ mixed

    assert not any(claim(task) for task in of_thirty(world, Wiggles(), *range(0, 30, 3)))


def test_many_classes_say_when_one_is_in_reach_of_no_image(make_world) -> None:
    world = make_world(n=30, channels=(6, 4))

    class Never:
        def logits(self, x):
            return -torch.arange(30.0).expand(len(x), 30)

    finding = claim(of_thirty(world, Never(), 29)[0]).finding
    assert "among the first 3 answers" in finding
    assert "More images may settle it" in finding
