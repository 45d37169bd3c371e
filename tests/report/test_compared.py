"""The page of a comparison: the same images for every method, numbers with what chance gives, nothing from outside."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from stylex.cli.compared import tables_of
from stylex.core.comparison import COLUMNS, Cell, Compared, Comparison
from stylex.core.gallery import Gallery, GalleryRow
from stylex.report.compared import comparison_page, findings, heated, number


def row(name: str, kind: str, **cells: Cell) -> Compared:
    known = {
        "flips": Cell.without("none"),
        "flips_photograph": Cell.without("none"),
        "components": Cell.without("none"),
    }
    curve = () if kind == "map" else ((0.0, 0.0), (0.1, 0.4), (0.9, 1.0))
    return Compared(name=name, title=name.title(), about="<b>bold</b>", kind=kind, cells=known | cells, curve=curve)  # type: ignore[arg-type]


COMPARISON = Comparison(
    labels=("cat", "dog"), searched=4, measured=8, change=0.1, perceptual=0.2, reference="one", extractor="an eye",
    rows=(
        row("one", "moves", flips=Cell(0.8, 0.6, 0.9), flips_photograph=Cell(0.75, 0.6), components=Cell(1.2, 1.0, 2)),
        row("climb", "pixels", flips=Cell(1.0, 0.7, 1.0), flips_photograph=Cell(0.2, 0.1), components=Cell(4.5, 4, 5)),
        row("weak", "moves", flips=Cell(0.12, 0.05, 0.25), flips_photograph=Cell(0.1), components=Cell(2.0)),
        row("heat", "map"),
        row("random", "control", flips=Cell(0.1, 0.0, 0.2), flips_photograph=Cell(0.1), components=Cell(3.0)),
    ),
    settings={"seed": 0}, snapshot={"path": "run", "sha256": "0"}, notes=("few & far",),
)  # fmt: skip


def gallery() -> Gallery:
    random = np.random.default_rng(0)
    rebuilt, pictures = ([random.integers(0, 255, (8, 8, 1), dtype=np.uint8) for _ in range(2)] for _ in range(2))
    rows = tuple(
        GalleryRow(
            name=own.name,
            pictures=None if own.kind == "map" else tuple(pictures),
            heat=(np.eye(8),) * 2 if own.kind == "map" else None,
            p=(0.25, 0.75),
            turned=(False, True),
            said=("knob 3 up", ""),
        )
        for own in COMPARISON.rows
    )
    return Gallery(
        names=("i1", "i2"), targets=("dog", "cat"), originals=tuple(rebuilt), rebuilt=tuple(rebuilt),
        p_originals=(0.1, 0.2), p_rebuilt=(0.1, 0.2), rows=rows,
    )  # fmt: skip


def test_the_page_has_every_row_and_takes_nothing_from_outside() -> None:
    page = comparison_page(COMPARISON, gallery())
    assert page.startswith("<!doctype html>")
    assert page.count('<th scope="row"><b>') == 2 + len(COMPARISON.rows)
    # Two images: original and rebuilt; each method's with its difference; a heat-map has none.
    assert page.count("<img") == 2 * (2 + 2 * 4 + 1)
    assert set(re.findall(r'src="(\w+):', page)) == {"data"}
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page
    assert "<b>bold</b>" not in page
    assert "few &amp; far" in page
    assert "knob 3 up" in page


def test_what_random_directions_get_too_is_marked_and_blanks_say_why() -> None:
    page = comparison_page(COMPARISON, gallery())
    assert re.findall(r'class="accident"[^>]*>([^<]*)<', page) == ["12%"]
    assert 'title="none"' in page
    text = "\n".join(tables_of(COMPARISON))
    assert "~12%" in text
    assert "~80%" not in text
    assert "note: few & far" in text


def test_findings_say_what_was_measured() -> None:
    said = list(findings(COMPARISON))
    assert "Climb 100%, One 80%, Weak 12%; by Random 10%" in said[0]
    assert "by One is spread over fewest attributes (1.2; 1 is one alone), by Climb over most (4.5)" in said[1]
    assert said[2].endswith("hold for Climb.")
    assert said[3].startswith("Heat says where")


def test_another_image_that_turns_as_many_and_spreads_that_overlap_are_told() -> None:
    one, climb, *others = COMPARISON.rows
    near = replace(climb, cells={**climb.cells, "components": Cell(1.6, 1.4, 1.8)})
    other = row("other", "control", flips=Cell(0.7, 0.6, 0.8), flips_photograph=Cell(0.7), components=Cell(4.0))
    said = list(findings(replace(COMPARISON, rows=(one, near, *others, other))))
    assert said[1] == "Another image that has the target's answer turns 70%: no method turns surely more than that."
    assert any("does not tell these methods apart" in sentence for sentence in said)


@pytest.mark.parametrize(
    ("key", "value", "text"), [("flips", 0.123, "12%"), ("change", 0.0456, "0.0456"), ("calls", 1234.0, "1,234")]
)
def test_numbers_are_short(key: str, value: float, text: str) -> None:
    column = next(column for column in COLUMNS if column.key == key)
    assert number(Cell(value), column) == text
    assert number(Cell.without("why"), column) == "-"


def test_heat_reddens_and_the_rest_is_grey() -> None:
    drawn = heated(np.full((2, 2, 3), 128, dtype=np.uint8), np.array([[1.0, 0.0], [0.0, 0.0]]))
    assert drawn[0, 0, 0] > drawn[0, 0, 2] + 100
    assert len(set(drawn[1, 1].tolist())) == 1
