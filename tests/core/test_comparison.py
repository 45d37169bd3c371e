"""A comparison survives its file; what is damaged or unknown in it is refused; chance is told from more than chance."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from stylex.core.comparison import COLUMNS, GROUPS, Cell, Compared, Comparison
from stylex.core.evaluation import Interval


def made(**flips: tuple[float, float, float]) -> Comparison:
    rows = [
        Compared(
            name=name,
            title=name.title(),
            about="does something",
            kind="control" if name == "random" else "moves",
            cells={"flips": Cell(*ends), "distinct": Cell.without("it has no attributes")},
            curve=((0.0, 0.0), (0.1, 0.5)),
        )
        for name, ends in flips.items()
    ]
    return Comparison(
        labels=("a", "b"), searched=4, measured=8, change=0.1, perceptual=0.2, reference="one", extractor="e",
        rows=tuple(rows), settings={"seed": 0}, snapshot={"path": "run", "sha256": "0"}, notes=("few",),
    )  # fmt: skip


def test_what_is_written_is_what_is_read() -> None:
    before = made(one=(0.8, 0.6, 0.9), random=(0.1, 0.0, 0.2))
    after = Comparison.from_json(json.loads(json.dumps(before.to_json(), allow_nan=False)))
    assert after.to_json() == before.to_json()
    assert after["one"].cells["flips"] == before["one"].cells["flips"]
    assert after["one"].cells["distinct"].blank == "it has no attributes"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda row: row.update(schema="other"), "schema"),
        (lambda row: row.update(version=2), "version 2"),
        (lambda row: row["rows"][0].update(kind="magic"), "kind 'magic'"),
        (lambda row: row["rows"][0]["cells"].update(luck={"value": 1}), "column 'luck'"),
        (lambda row: row["rows"][0]["cells"].update(flips={"value": float("inf")}), "not finite"),
        (lambda row: row.pop("labels"), "damaged"),
    ],
)
def test_what_is_damaged_is_refused(damage: Any, said: str) -> None:
    row = copy.deepcopy(made(one=(0.8, 0.6, 0.9)).to_json())
    damage(row)
    with pytest.raises(ValueError, match=said):
        Comparison.from_json(row)


def test_what_random_directions_get_too_is_by_accident() -> None:
    flips = next(column for column in COLUMNS if column.key == "flips")
    area = next(column for column in COLUMNS if column.key == "area")
    compared = made(sure=(0.8, 0.6, 0.9), unsure=(0.25, 0.15, 0.4), random=(0.1, 0.0, 0.2))
    assert not compared.by_accident("sure", flips)
    assert compared.by_accident("unsure", flips)
    assert not compared.by_accident("sure", area)  # which was not measured


def test_a_number_that_is_none_is_blank_with_a_reason() -> None:
    assert Cell.of(Interval.nothing()).blank is not None
    assert Cell.of(float("nan")).blank is not None
    assert Cell.of(Interval(value=1.0, low=0.5, high=2.0)) == Cell(1.0, 0.5, 2.0)


def test_every_column_belongs_to_a_question_and_has_a_name_of_its_own() -> None:
    assert {column.group for column in COLUMNS} == set(GROUPS)
    assert len({column.key for column in COLUMNS}) == len(COLUMNS)
    assert len({column.title for column in COLUMNS}) == len(COLUMNS)
