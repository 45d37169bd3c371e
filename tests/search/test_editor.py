"""The live editor: knobs at rest draw the reconstruction, knobs turned draw what the search measured."""

from __future__ import annotations

import numpy as np
import pytest

from stylex.core.errors import SearchError
from stylex.core.explanation import Editor
from stylex.search.attfind import attfind
from stylex.search.editor import StyleEditor
from stylex.search.effects import measure_effects
from stylex.search.task import Task


@pytest.fixture
def edited(make_world):
    world = make_world(n=40, reads={1: (0.0, 2.0), 4: (0.0, 2.0)}, bias=(3.0, 0.0))
    effects = measure_effects(world.subject, world.s, image_ids=world.ids)
    ranking = attfind(Task(effects=effects, target=1, space=world.space, labels=("cat", "dog")))
    editor = StyleEditor(world.subject, world.s, world.ids, ranking)
    return world, effects, editor


def test_knobs_do_what_the_effects_say(edited) -> None:
    world, effects, editor = edited
    live: Editor = editor
    picture, logits = live.render("image-3", {})
    assert (picture.shape, picture.dtype) == ((4, 4, 1), np.uint8)
    np.testing.assert_allclose(logits, effects.base_logits[3], atol=1e-5)
    for knob, attribute in enumerate(editor.attributes):
        column = effects.position(world.space.index(attribute.coordinate))
        sign = int(attribute.sign > 0)
        changed, moved = live.render("image-3", {knob: 1.0})
        np.testing.assert_allclose(moved - logits, effects.values[3, sign, column], atol=1e-4)
        _, half = live.render("image-3", {knob: 0.5})
        np.testing.assert_allclose(half - logits, effects.values[3, sign, column] / 2, atol=1e-4)
        _, back = live.render("image-3", {knob: -1.0})
        np.testing.assert_allclose(back - logits, effects.values[3, 1 - sign, column], atol=1e-4)
        assert (changed != picture).any()
    one, other = live.render("image-3", {0: 1.0, 1: 0.3}), live.render("image-3", {1: 0.3, 0: 1.0})
    np.testing.assert_array_equal(one[0], other[0])


def test_what_cannot_be_turned_is_named(edited) -> None:
    editor = edited[2]
    with pytest.raises(SearchError, match="no image 'x' to edit; there are 40: image-0, image-1, image-2"):
        editor.render("x", {})
    with pytest.raises(SearchError, match="no attribute 2 to turn; expected 0 to 1"):
        editor.render("image-0", {2: 1.0})
    with pytest.raises(SearchError, match="expected a finite number"):
        editor.render("image-0", {0: float("nan")})
