"""Attributes name themselves; a ranking is read like a sequence."""

from __future__ import annotations

import dataclasses

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.stylespace import StyleCoordinate

UP = Attribute(
    coordinate=StyleCoordinate("b8.conv0", 3), sign=1, shift_range=1.0, target=0, target_label="cat", effect=2.0
)


def test_an_attribute_is_called_what_a_person_calls_it() -> None:
    assert UP.name == "b8.conv0:3+"
    assert dataclasses.replace(UP, sign=-1).name == "b8.conv0:3-"
    assert dataclasses.replace(UP, label="Ears").name == "Ears"


def test_a_ranking_is_read_like_a_sequence() -> None:
    down = dataclasses.replace(UP, sign=-1)
    ranking = AttributeRanking(attributes=(UP, down), strategy="attfind", images=4, explained=0.5, finding="Two.")
    assert (len(ranking), list(ranking), ranking[1]) == (2, [UP, down], down)
