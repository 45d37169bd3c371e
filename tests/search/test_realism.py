"""The artefact filter: what the discriminator is shown and told, and what is rejected."""

from __future__ import annotations

import torch

from stylex.search.attfind import attfind
from stylex.search.effects import measure_effects
from stylex.search.realism import keep_realistic
from stylex.search.task import Task

LABELS = ("cat", "dog")


def test_attributes_that_look_unreal_are_rejected_and_named(make_world) -> None:
    world = make_world(n=40, reads={1: (0.0, 2.0), 4: (0.0, 2.0)}, bias=(3.0, 0.0))
    effects = measure_effects(world.subject, world.s, image_ids=world.ids)
    ranking = attfind(Task(effects=effects, target=1, space=world.space, labels=LABELS))
    assert len(ranking) == 2
    told: list[torch.Tensor] = []

    def discriminator(x, c):
        told.append(c)
        assert len(x) <= 10
        assert torch.equal(c, world.classifier.logits(x).softmax(dim=1))  # of the very picture
        return (x.flatten(1) @ world.synthesis.directions[4] / world.synthesis.scale)[:, None]

    arguments = (Task.of(world.subject, world.s, effects, 1), ranking, discriminator)
    check = keep_realistic(*arguments)
    assert [str(a.coordinate) for a in check.ranking] == ["b4.conv0:1"]
    assert [str(a.coordinate) for a in check.rejected] == ["b4.conv1:0"]
    assert check.ranking.finding.endswith("Rejected as artefacts: b4.conv1:0+.")
    by_name = dict(zip([str(a.coordinate) for a in ranking], check.changes, strict=True))
    assert by_name["b4.conv0:1"] < 1e-4
    rows = (effects.values[:, 1, 4, 1] > 0.2).nonzero()[0][:10]
    move = float(world.space.statistics.maximum[4]) - world.s[rows, 4]
    assert abs(by_name["b4.conv1:0"] - float(move.max())) < 1e-4
    assert len(told) == 4
    lenient = keep_realistic(*arguments, threshold=100.0)
    assert (lenient.ranking, lenient.rejected) == (ranking, ())


def test_an_attribute_that_moves_no_image_enough_is_kept(make_world) -> None:
    world = make_world(n=40, reads={1: (0.0, 2.0)}, bias=(3.0, 0.0))
    effects = measure_effects(world.subject, world.s, image_ids=world.ids)
    ranking = attfind(Task(effects=effects, target=1, space=world.space, labels=LABELS))
    task = Task.of(world.subject, world.s, effects, 1)
    check = keep_realistic(task, ranking, lambda x, c: x.flatten(1)[:, :1] * 1e6, min_effect=1e3)
    assert check.changes == (0.0,)
    assert check.ranking == ranking
