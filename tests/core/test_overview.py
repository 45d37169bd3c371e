"""All classes in rows: what the whole says of them."""

from __future__ import annotations

import json
import math

from stylex.core.overview import Overview, OverviewRow, Standing


def row(label: str, *, turned: int = 0, moved: float = 1.0, found: int = 1) -> OverviewRow:
    standing = Standing(images=20, turned=turned, place=9.0, moved=moved, random_turned=0.01, random_place=8.0)
    return OverviewRow(
        label=label,
        folder=f"classes/{label}",
        attributes=found,
        finding="found",
        sentence="Turning this up does something." if found else None,
        standing=standing if found else None,
    )


def overview(*rows: OverviewRow) -> Overview:
    return Overview(rows=rows, images=21, figures={"agreement": 0.9, "missing": math.nan}, settings={"verb": "classes"})


def test_the_finding_counts_classes_and_says_what_chance_does() -> None:
    whole = overview(row("a", turned=4, moved=2.0), row("b", turned=2, moved=4.0), row("c", found=0))
    assert whole.found == 2
    said = whole.finding
    assert "towards 2 of 3 classes" in said
    assert "from place 9 of the answers to place 3 (random moves as large: 8)" in said
    assert "turns 15.0% of the other classes' images (random: 1.0%)" in said


def test_where_nothing_is_found_that_is_all_that_is_said() -> None:
    assert overview(row("a", found=0)).finding.endswith("0 of 1 classes, searched on 21 images.")


def test_it_is_plain_json() -> None:
    plain = json.loads(json.dumps(overview(row("a"), row("b", found=0)).to_json(), allow_nan=False))
    assert plain["figures"] == {"agreement": 0.9, "missing": None}
    assert [each["standing"] is None for each in plain["classes"]] == [False, True]
