"""AttFind: on worlds whose causes are known, they are what it finds."""

from __future__ import annotations

import numpy as np
import pytest

from stylex.core.errors import SearchError
from stylex.search.attfind import attfind, by_effect, by_flip, by_sum
from stylex.search.effects import measure_effects
from stylex.search.notebook import binary_combined, notebook_ranking
from stylex.search.task import Task

LABELS = ("cat", "dog")


RULES = {"flip": by_flip, "effect": by_effect, "cumulative": by_sum}


def three_groups(make_effects):
    # Coordinate 0 helps images 0-9 much, coordinate 1 helps them nearly as much, coordinate 2 helps 10-15 a little.
    values = np.zeros((16, 2, 3, 2))
    values[:10, 1, 0, 1] = 3.0
    values[:10, 1, 1, 1] = 2.5
    values[10:, 1, 2, 1] = 1.5
    return make_effects(values, np.tile([1.0, 0.0], (16, 1)))


@pytest.mark.parametrize("known", [0, 3, 6])
@pytest.mark.parametrize("weight", [2.0, -2.0])
def test_attfind_finds_the_known_coordinate_of_a_linear_generator(make_world, known, weight) -> None:
    world = make_world(n=40, reads={known: (0.0, weight)}, bias=(3.0, 0.0))
    effects = measure_effects(world.subject, world.s, image_ids=world.ids)
    ranking = attfind(Task(effects=effects, target=1, space=world.space, labels=LABELS))
    assert len(ranking) == 1
    (found,) = ranking
    assert found.coordinate == world.space.coordinate(known)
    assert found.sign == np.sign(weight)
    assert (found.target, found.target_label) == (1, "dog")
    assert found.significance < 0.01
    rows = effects.base_logits.argmax(axis=1) == 0
    assert found.effect == pytest.approx(effects.values[rows, int(weight > 0), known, 1].mean(), rel=1e-5)
    assert ranking.images == rows.sum()
    assert "1 attribute raises the logit of 'dog'" in ranking.finding


def test_only_images_not_predicted_the_target_are_searched(make_effects, flat_space) -> None:
    values = np.zeros((20, 2, 2, 2))
    values[:10, 1, 0, 1] = 0.5  # on the cats
    values[10:, 1, 1, 1] = 5.0  # on the dogs, which need nothing
    base = np.repeat([[3.0, 0.0], [0.0, 3.0]], 10, axis=0)
    ranking = attfind(Task(effects=make_effects(values, base), target=1, space=flat_space(2), labels=LABELS))
    assert [str(a.coordinate) for a in ranking] == ["b4.conv1:0"]
    assert ranking.images == 10


def test_a_coordinate_that_raises_both_ways_is_passed_over_and_none_is_taken_twice(make_effects, flat_space) -> None:
    values = np.zeros((12, 2, 3, 2))
    values[:, 0, 0, 1], values[:, 1, 0, 1] = 3.0, 0.1  # both ways
    values[:, 0, 1, 1], values[:, 1, 1, 1] = 2.0, -2.0
    values[:, 1, 2, 1], values[:, 0, 2, 1] = 1.0, -1.0
    effects = make_effects(values, np.tile([99.0, 0.0], (12, 1)))
    ranking = attfind(Task(effects=effects, target=1, space=flat_space(3), labels=LABELS))
    assert [(a.coordinate.channel, a.sign) for a in ranking] == [(1, -1), (2, 1)]


@pytest.mark.parametrize(
    ("rule", "order"), [("flip", [0, 2]), ("effect", [0, 2]), ("cumulative", [0, 2])], ids=lambda v: str(v)
)
def test_explained_images_are_dropped_and_the_search_stops_when_none_is_left(
    make_effects, flat_space, rule, order
) -> None:
    ranking = attfind(
        Task(effects=three_groups(make_effects), target=1, space=flat_space(3), labels=LABELS),
        alpha=1.0,
        explained=RULES[rule](),
    )
    assert [a.coordinate.channel for a in ranking] == order
    assert ranking.explained == 1.0
    again = attfind(
        Task(effects=three_groups(make_effects), target=1, space=flat_space(3), labels=LABELS),
        alpha=1.0,
        restart=True,
        explained=RULES[rule](),
    )
    assert [a.coordinate.channel for a in again] == [*order, 1]


def test_what_explains_an_image_differs_between_the_rules(make_effects, flat_space) -> None:
    options = {"space": flat_space(3), "labels": LABELS}
    effects = three_groups(make_effects)
    # No single attribute gives 4 logits; two together give 5.5.
    assert attfind(Task(effects=effects, target=1, **options), explained=by_effect(4.0), alpha=1.0).explained == 0.0
    for threshold, share in ((4.0, 0.0), (2.0, 10 / 16), (1.0, 1.0)):
        task = Task(effects=effects, target=1, threshold=threshold, **options)
        assert attfind(task, alpha=1.0).explained == share
    assert attfind(Task(effects=effects, target=1, **options), explained=by_sum(4.0), alpha=1.0).explained == 10 / 16
    # A flip also counts what happens to the other classes: here the margin must reach 4, from -1.
    assert attfind(Task(effects=effects, target=1, **options), explained=by_flip(4.0), alpha=1.0).explained == 10 / 16
    assert attfind(Task(effects=effects, target=1, **options), explained=by_flip(5.0), alpha=1.0).explained == 0.0


def test_the_number_of_attributes_is_kept(make_effects, flat_space) -> None:
    effects = three_groups(make_effects)
    assert len(attfind(Task(effects=effects, target=1, space=flat_space(3), labels=LABELS), num=1)) == 1


def test_one_vs_one_starts_from_the_source_class(make_effects, flat_space) -> None:
    values = np.zeros((20, 2, 2, 3))
    values[:10, 1, 0, 2] = 0.5
    values[10:, 1, 1, 2] = 5.0
    base = np.repeat([[3.0, 0.0, 0.0], [0.0, 3.0, 0.0]], 10, axis=0)
    options = {"space": flat_space(2), "labels": ("a", "b", "c")}
    ranking = attfind(Task(effects=make_effects(values, base), target=2, source=0, **options))
    assert [a.coordinate.channel for a in ranking] == [0]
    assert ranking[0].source_label == "a"
    notebook = notebook_ranking(Task(effects=make_effects(values, base), target=2, source=0, **options))
    assert [a.coordinate.channel for a in notebook] == [0]
    against_all = notebook_ranking(Task(effects=make_effects(values, base), target=2, **options))
    assert [a.coordinate.channel for a in against_all] == [1, 0]


def test_of_several_labels_the_target_is_searched_where_its_probability_is_below_a_half(
    make_effects, flat_space
) -> None:
    values = np.zeros((12, 2, 1, 2))
    values[:, 1, 0, 1] = 2.0
    base = np.tile([5.0, -1.0], (12, 1))
    base[6:, 1] = 0.5
    ranking = attfind(
        Task(effects=make_effects(values, base), target=1, space=flat_space(1), labels=LABELS, output="sigmoid")
    )
    assert (ranking.images, ranking.explained) == (6, 1.0)


def test_when_nothing_moves_the_classifier_it_says_so(make_world, make_effects, flat_space) -> None:
    world = make_world(n=20, reads={}, bias=(1.0, 0.0))
    effects = measure_effects(world.subject, world.s, image_ids=world.ids)
    ranking = attfind(Task(effects=effects, target=1, space=world.space, labels=LABELS))
    assert len(ranking) == 0
    assert ranking.finding == (
        "Nothing moves the classifier towards 'dog': the largest mean effect over 20 images is 0.000 logit, "
        "not above the floor of 0.05."
    )
    noise = make_effects(np.random.default_rng(0).normal(size=(20, 2, 50, 2)))
    ranking = attfind(Task(effects=noise, target=1, space=flat_space(50), labels=LABELS))
    assert len(ranking) == 0
    assert "which chance alone explains" in ranking.finding
    both = np.full((20, 2, 3, 2), 1.0)
    assert (
        "one way only"
        in attfind(Task(effects=make_effects(both), target=1, space=flat_space(3), labels=LABELS)).finding
    )
    assert "predicted so already" in attfind(Task(effects=noise, target=0, space=flat_space(50), labels=LABELS)).finding


def test_too_few_images_are_not_tested(make_effects, flat_space) -> None:
    values = np.zeros((3, 2, 1, 2))
    values[:, 1, 0, 1] = 2.0
    ranking = attfind(Task(effects=make_effects(values), target=1, space=flat_space(1), labels=LABELS))
    assert ranking[0].significance is None


def test_classes_that_do_not_exist_are_named(make_effects, flat_space) -> None:
    effects = make_effects(np.zeros((2, 2, 1, 2)))
    with pytest.raises(SearchError, match=r"target class 2 does not exist; expected 0 to 1 \(cat, dog\)"):
        attfind(Task(effects=effects, target=2, space=flat_space(1), labels=LABELS))
    with pytest.raises(SearchError, match="source and target are both 'dog'"):
        attfind(Task(effects=effects, target=1, space=flat_space(1), labels=LABELS, source=1))
    with pytest.raises(SearchError, match="3 labels were given for effects on 2 classes"):
        attfind(Task(effects=effects, target=1, space=flat_space(1), labels=("a", "b", "c")))
    with pytest.raises(SearchError, match="for 2 classes, but there are 3"):
        binary_combined(
            Task(effects=make_effects(np.zeros((2, 2, 1, 3))), target=1, space=flat_space(1), labels=("a", "b", "c"))
        )
