"""The notebook's own selection: its recorded picks come out again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stylex.search.notebook import binary_combined, filter_unstable, notebook_selection
from stylex.search.task import Task

RECORDED = Path(__file__).parents[1] / "data_files" / "attfind_notebook.npz"


LABELS = ("cat", "dog")


@pytest.mark.parametrize("case", ["case0", "case1", "case2"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_notebooks_recorded_picks_are_reproduced(case, dtype) -> None:
    with np.load(RECORDED, allow_pickle=False) as file:
        recorded = {name: file[f"{case}.{name}"] for name in ("effects", "target_class", "num", "max_image_effect")}
        unstable, expected = int(file[f"{case}.unstable_count"]), file[f"{case}.sign_coordinate"]
    picks = notebook_selection(
        recorded["effects"].astype(dtype),
        int(recorded["target_class"]),
        int(recorded["num"]),
        float(recorded["max_image_effect"]),
        unstable,
    )
    np.testing.assert_array_equal(picks, expected)
    assert picks.dtype == np.int64


def test_the_notebooks_selection_leaves_its_input_alone_and_stops_when_all_is_explained() -> None:
    values = np.zeros((3, 2, 4, 2))
    values[:, 1, 2, 0] = 5.0
    values[:, 0, 1, 0] = 1.0
    before = values.copy()
    assert notebook_selection(values, 0, 8, 1.0).tolist() == [[1, 2]]
    np.testing.assert_array_equal(values, before)
    # With no image explained, it stops where no positive effect is left.
    assert notebook_selection(values, 0, 8, 100.0).tolist() == [[1, 2], [0, 1]]
    assert notebook_selection(values[:0], 0, 8, 1.0).shape == (0, 2)


def test_an_unstable_image_has_no_effects_but_counts_in_means() -> None:
    values = np.zeros((2, 2, 3, 2))
    values[0] = 9.0
    values[1, 0, 1, 0] = 0.4
    stable = filter_unstable(values, count=11)
    assert (stable[0] == 0).all()
    np.testing.assert_array_equal(stable[1], values[1])
    np.testing.assert_array_equal(filter_unstable(values, count=12), values)


def test_the_combined_ranking_serves_both_classes_with_one_list(make_effects, flat_space) -> None:
    # Coordinate 0: up makes a cat of dogs. Coordinate 1: down makes a dog of cats. Coordinate 2: both, a little.
    values = np.zeros((20, 2, 3, 2))
    values[10:, 1, 0, 0], values[10:, 0, 0, 1] = 0.9, 0.2
    values[:10, 0, 1, 1], values[:10, 1, 1, 0] = 0.8, 0.6
    values[:, 1, 2, 0], values[:, 0, 2, 1] = 0.5, 0.5
    base = np.repeat([[3.0, 0.0], [0.0, 3.0]], 10, axis=0)
    options = {"space": flat_space(3), "labels": LABELS}
    cats = binary_combined(Task(effects=make_effects(values, base), target=0, **options))
    # Scores over all images: 0.55, 0.7, 1.0.
    assert [(a.coordinate.channel, a.sign) for a in cats] == [(2, 1), (1, 1), (0, 1)]
    assert [a.effect for a in cats] == pytest.approx([0.5, 0.0, 0.9])
    dogs = binary_combined(Task(effects=make_effects(values, base), target=1, **options))
    assert [(a.coordinate.channel, a.sign) for a in dogs] == [(2, -1), (1, -1), (0, -1)]
    assert len(binary_combined(Task(effects=make_effects(values, base), target=1, **options), num=2)) == 2
    nothing = binary_combined(Task(effects=make_effects(0 * values, base), target=1, **options))
    assert "no coordinate raises its logit on any of 10 images" in nothing.finding
