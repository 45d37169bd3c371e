"""What is asked: chance is one half, nothing gives the answer away, and the same seed asks the same."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tests.study.conftest import design, drawn

from stylex.core.errors import ConfigError
from stylex.core.explanation import Explanation
from stylex.core.study import Study
from stylex.store.folder import write_explanation
from stylex.study.making import EXAMPLES, consent_in, kinds_of, make_study, named_explanations


def make(explanation: Explanation | None = None, **given: object) -> Study:
    return make_study({"ours": explanation or drawn()}, design(**given), title="Corners", consent=None)[0]


def test_every_pair_of_a_ring_has_examples_and_other_pictures_to_sort() -> None:
    study = make()
    asked = [item for item in study.items if item.role == "question" and item.kind == "sort"]
    assert Counter(frozenset(item.subjects) for item in asked) == {
        frozenset(pair): 4 for pair in ((0, 1), (1, 2), (0, 2))
    }
    for item in asked:
        assert [len(row) for row in item.examples] == [EXAMPLES, EXAMPLES]
        shown = {study.flickers[place].image for row in item.examples for place in row}
        assert len(shown) == 2 * EXAMPLES
        assert study.flickers[item.picture].image not in shown
    assert study.notes == ()


def test_who_presses_one_button_or_knows_the_images_is_right_half_of_the_time() -> None:
    study = make(images=4, raters=400)
    asked = [item for item in study.items if item.role == "question" and item.kind == "sort"]
    assert Counter(item.truth for item in asked) == {0: 6, 1: 6}
    sides = [
        entry.right for order in study.orders for entry in order if study.items[entry.item].kind == "sort"
        and study.items[entry.item].role == "question"
    ]  # fmt: skip
    assert abs(sum(sides) / len(sides) - 0.5) < 0.03
    # Both attributes change each picture that is to be sorted: the picture by itself tells nothing.
    of = [{study.flickers[place].image for place in range(len(study.flickers)) if place in places} for places in
          ({i.picture for i in asked if s in i.subjects} for s in range(3))]  # fmt: skip
    assert of[0] & of[1] & of[2]


def test_the_same_attribute_on_both_sides_is_right_by_a_coin() -> None:
    study = make(raters=400)
    (same,) = [i for i, item in enumerate(study.items) if item.role == "same"]
    assert len(set(study.items[same].subjects)) == 1
    coins = [entry for order in study.orders for entry in order if entry.item == same]
    assert len(coins) == 400
    assert abs(sum(entry.right for entry in coins) / 400 - 0.5) < 0.1
    assert abs(sum(entry.right ^ entry.flipped for entry in coins) / 400 - 0.5) < 0.1


def test_checks_are_spread_over_the_tasks_and_cannot_be_missed() -> None:
    study = make(checks=4)
    checks = [item for item in study.items if item.role == "check"]
    assert [item.kind for item in checks] == ["sort", "describe", "sort", "describe"]
    for item in checks:
        if item.kind == "sort":
            assert item.picture in item.examples[item.truth]
        else:
            assert item.word
    everything = set(range(len(study.items)))
    assert all({entry.item for entry in order} == everything for order in study.orders)


def test_tasks_come_one_after_the_other_and_blocks_stay_together() -> None:
    for order in make(tasks=("sort", "describe", "clinical")).orders:
        study = make(tasks=("sort", "describe", "clinical"))
        items = [study.items[entry.item] for entry in order]
        kinds = [item.kind for item in items if item.role != "check"]
        assert kinds == sorted(kinds, key=("sort", "describe", "clinical").index)
        blocks = [item.block for item in items if item.kind == "sort"]
        assert len({*blocks}) == sum(a != b for a, b in zip(blocks, [None, *blocks], strict=False))


def test_the_same_seed_asks_the_same_and_another_does_not() -> None:
    assert make(seed=3) == make(seed=3)
    assert make(seed=3).orders != make(seed=4).orders
    assert make().orders[0] != make().orders[1]


def test_no_file_name_tells_a_method_or_an_attribute() -> None:
    study = make_study({"ours": drawn(), "base": drawn(seed=1)}, design(), title="x", consent=None)[0]
    numbers = [int(flicker.before[-9:-4]) for flicker in study.flickers]
    assert sorted(numbers) != numbers
    half = len(numbers) // 2
    assert min(numbers[half:]) < max(numbers[:half])


def test_hidden_attributes_are_not_asked_about() -> None:
    explanation = drawn(4)
    first, *others = explanation.ranking
    ranking = replace(explanation.ranking, attributes=(replace(first, hidden=True), *others))
    assert [s.position for s in make(replace(explanation, ranking=ranking)).subjects] == [1, 2, 3]


def test_images_that_one_attribute_alone_changes_are_told_of() -> None:
    explanation = drawn(2, 12, strips=False)
    own = [cf for cf in explanation.counterfactuals if (int(cf.image[6:]) < 6) == (cf.attributes == (0,))]
    study = make(replace(explanation, counterfactuals=tuple(own)))
    assert "4 of 4 pictures to be sorted are of images that only one of the two changes" in study.notes[0]


def test_a_change_that_nobody_can_see_is_no_picture() -> None:
    explanation = drawn(2, 8)
    still = [replace(cf, picture=explanation.image(cf.image).reconstruction) for cf in explanation.counterfactuals]
    study = make(replace(explanation, counterfactuals=tuple(still)), tasks=("describe",))
    assert all(flicker.image in {f"image-{i}" for i in range(4)} for flicker in study.flickers)


def test_too_little_to_ask_about_is_said() -> None:
    with pytest.raises(ConfigError, match="no explanation has two attributes"):
        make(drawn(1))
    assert len([i for i in make(drawn(1), tasks=("describe",)).items if i.role == "question"]) == 1
    with pytest.raises(ConfigError, match="'ours' has no attribute with 2 changed pictures"):
        make(replace(drawn(), counterfactuals=(), strips=()))
    with pytest.raises(ConfigError, match="needs an explanation to ask about"):
        named_explanations([])


@pytest.mark.parametrize(
    ("given", "said"),
    [({"raters": 0}, "raters must be from 1"), ({"images": 99}, "images must be"), ({"checks": -1}, "checks must be")],
)
def test_sizes_that_cannot_be(given: dict[str, int], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make(**given)


def test_tasks_are_named() -> None:
    assert kinds_of("describe, sort") == ("sort", "describe")
    for wrong in ("", ",", "sort,draw"):
        with pytest.raises(ConfigError, match="sort, describe, clinical"):
            kinds_of(wrong)


def test_folders_of_one_name_are_numbered(tmp_path: Path) -> None:
    for place in ("a/run", "b/run"):
        write_explanation(drawn(), tmp_path / place)
    assert list(named_explanations([tmp_path / "a/run", tmp_path / "b/run"])) == ["run", "run (2)"]


def test_consent_is_ones_own_text(tmp_path: Path) -> None:
    file = tmp_path / "consent.txt"
    file.write_text("It takes {minutes}.\n\nWrite to the committee of ethics.\n")
    study = make_study({"ours": drawn()}, design(), title="x", consent=consent_in(file))[0]
    assert study.consent.startswith("It takes 4 minutes.")
    assert "{" not in json.dumps(asdict(study)["consent"])
    for content, said in ((b"", "is empty"), (b"\xff\xfe", "cannot be read"), (b"x" * 20_000, "cannot be read")):
        file.write_bytes(content)
        with pytest.raises(ConfigError, match=said):
            consent_in(file)
