"""A comparison as one HTML page: the same images in a row for every method, every number beside what chance gives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylex.core.comparison import COLUMNS, Cell, Column, Compared, Comparison
from stylex.core.explanation import Picture
from stylex.core.gallery import Gallery, GalleryRow
from stylex.report.figures import difference_map, difference_scale, enlarge
from stylex.report.filled import asset, filled, picture_uri
from stylex.report.words import percent

_LARGE, _SMALL = 132, 132
_WIDE, _HIGH = 560, 260
"""Of the chart, in its own units."""
_COLOURS = (
    "#0b6a8f",
    "#c2571a",
    "#1c6b45",
    "#7e30a0",
    "#b08600",
    "#9b1c2e",
    "#d1478a",
    "#2aa198",
    "#5b6ee1",
)
_CONTROL_COLOURS = ("#111827", "#4b5563", "#9ca3af", "#c4b5a5")
"""Of what passes by accident: greys, which no method has."""


@dataclass(frozen=True)
class Figure:
    """One picture of a row, and what it says below."""

    src: str
    alt: str
    p: str
    turned: bool
    below: str | None
    said: str


@dataclass(frozen=True)
class Strip:
    """A method's row of pictures."""

    row: Compared
    facts: str
    figures: list[Figure]


@dataclass(frozen=True)
class Number:
    """One cell of a table."""

    text: str
    reach: str
    reason: str | None
    accident: bool


@dataclass(frozen=True)
class Line:
    """A method's curve in the chart."""

    title: str
    points: str
    colour: str
    dashed: bool
    end: tuple[float, float]


@dataclass(frozen=True)
class Board:
    """A table of numbers."""

    question: str
    columns: tuple[Column, ...]
    rows: list[tuple[Compared, list[Number]]]
    reasons: tuple[tuple[str, str], ...]


def comparison_page(comparison: Comparison, gallery: Gallery) -> str:
    """The page's HTML: one file with everything in it, which opens anywhere without a network."""
    return filled(
        "compared.html.j2",
        asset("page.css") + asset("compared.css"),
        "",
        c=comparison,
        title=" and ".join(comparison.labels[:2])
        if len(comparison.labels) == 2
        else f"{len(comparison.labels)} classes",
        findings=list(findings(comparison)),
        gallery=gallery,
        subjects=_subjects(gallery),
        strips=list(_strips(comparison, gallery)),
        boards=list(_boards(comparison)),
        lines=list(_lines(comparison)),
        reach=_reach(comparison),
        wide=_WIDE,
        high=_HIGH,
        change=f"{comparison.change:.3f}",
        settings=_settings(comparison),
    )


def findings(comparison: Comparison) -> Iterator[str]:
    """What the numbers say of what each family of methods claims, in sentences; only what was measured is said."""
    movers = [row for row in comparison.rows if row.kind in ("moves", "pixels")]
    chance = next((row for row in comparison.rows if row.name == "random"), None)
    known = [(row, row.cells["flips"]) for row in movers if row.cells["flips"].blank is None]
    if known and chance is not None:
        best = sorted(known, key=lambda pair: -pair[1].value)
        said = ", ".join(f"{row.title} {percent(cell.value)}" for row, cell in best)
        controls = " and ".join(
            f"{row.title} {percent(row.cells['flips'].value)}"
            for row in comparison.rows
            if row.name in ("random", "random-best", "other") and row.cells["flips"].blank is None
        )
        yield (f"Changed by the same amount, images turn so often: {said}; by {controls}.")
        other = next((row.cells["flips"] for row in comparison.rows if row.name == "other"), None)
        if other is not None and other.high is not None:
            far = [row.title for row, cell in best if cell.low is not None and cell.low > other.high]
            beyond = f"only {' and '.join(far)} turns surely more" if far else "no method turns surely more"
            yield f"Another image that has the target's answer turns {percent(other.value)}: {beyond} than that."
        own = [
            f"{row.title} {percent(row.cells['flip_rate'].value)}"
            for row in movers
            if row.kind == "moves" and _is_there(row, "flip_rate")
        ]
        if comparison.reference and own:
            yield (
                f"The common size is one that {comparison[comparison.reference].title} needs: what needs less is made "
                f"larger than it asks for, and may turn fewer. Each at its own size: {', '.join(own)}."
            )
    if short := comparison.falling_short():
        yield short
    yield from _spread(comparison, movers)
    carried = [(row, row.cells["flips_photograph"].value, row.cells["flips"].value) for row, _ in known]
    lost = [row.title for row, laid, rebuilt in carried if rebuilt > 0 and laid < rebuilt / 2]
    if lost:
        yield f"Laid on the photograph itself, less than half of the turns hold for {', '.join(lost)}."
    maps = [row.title for row in comparison.rows if row.kind == "map"]
    if maps:
        say, they = ("say", "they change") if len(maps) > 1 else ("says", "it changes")
        yield (f"{' and '.join(maps)} {say} where the classifier looks and not what it looks at: {they} no picture.")


def _spread(comparison: Comparison, movers: Sequence[Compared]) -> Iterator[str]:
    """Over how many things changes are spread: known factors where there are some, else attributes."""
    for key, things in (("factors", "factors"), ("components", "attributes")):
        counted = [(row, row.cells[key]) for row in movers if _is_there(row, key)]
        if len(counted) < 2:
            continue
        column = next(column for column in COLUMNS if column.key == key)
        sure = [pair for pair in counted if not comparison.by_accident(pair[0].name, column)]
        if not sure:
            chance = "random directions of the same size (within the intervals)"
            yield f"No method's change is spread over fewer {things} than {chance}."
            return
        least, most = min(sure, key=lambda pair: pair[1].value), max(counted, key=lambda pair: pair[1].value)
        if least[1].high is None or most[1].low is None or least[1].high >= most[1].low:
            yield f"Over how many {things} a change is spread does not tell these methods apart, within the intervals."
            return
        yield (
            f"A change by {least[0].title} is spread over fewest {things} ({least[1].value:.1f}; 1 is one alone), by "
            f"{most[0].title} over most ({most[1].value:.1f})."
        )
        return


def number(cell: Cell, column: Column) -> str:
    """A cell in few digits; a dash where it is blank."""
    if cell.blank is not None or not math.isfinite(cell.value):
        return "-"
    if column.unit == "fraction":
        return f"{100 * cell.value:.0f}%"
    if column.unit == "count":
        return f"{cell.value:,.0f}"
    if column.unit == "seconds" and cell.value < 0.001:
        return "<0.001"
    return f"{cell.value:.3g}" if abs(cell.value) < 100 else f"{cell.value:,.0f}"


def _is_there(row: Compared, key: str) -> bool:
    return key in row.cells and row.cells[key].blank is None


def _subjects(gallery: Gallery) -> list[tuple[str, list[Figure]]]:
    rows = (
        ("photograph", gallery.originals, gallery.p_originals),
        ("rebuilt: where every method begins", gallery.rebuilt, gallery.p_rebuilt),
    )
    return [
        (
            word,
            [
                Figure(_source(picture, _LARGE), f"{name}, {word}", f"{p:.2f}", False, None, "")
                for name, picture, p in zip(gallery.names, pictures, probabilities, strict=True)
            ],
        )
        for word, pictures, probabilities in rows
    ]


def _strips(comparison: Comparison, gallery: Gallery) -> Iterator[Strip]:
    pairs = [
        (before, after)
        for row in gallery.rows
        for before, after in zip(gallery.rebuilt, row.pictures or (), strict=False)
    ]
    scale = difference_scale(pairs)
    for own in gallery.rows:
        row = comparison[own.name]
        yield Strip(row=row, facts=" · ".join(_facts(row)), figures=list(_figures(own, gallery, scale)))


def _facts(row: Compared) -> Iterator[str]:
    if row.kind != "map" and not _is_there(row, "flips"):
        yield row.cells["flips"].blank or ""
    if _is_there(row, "flips"):
        yield f"turns {percent(round(row.cells['flips'].value, 2))}"
    if _is_there(row, "components"):
        yield f"spread over {row.cells['components'].value:.1f} attributes"
    if _is_there(row, "area"):
        yield f"on {percent(round(row.cells['area'].value, 2))} of the pixels"


def _figures(row: GalleryRow, gallery: Gallery, scale: float) -> Iterator[Figure]:
    for i, name in enumerate(gallery.names):
        if row.heat is not None:
            picture, below = heated(gallery.originals[i], row.heat[i]), None
        else:
            assert row.pictures is not None
            picture = row.pictures[i]
            before = gallery.rebuilt[i]
            still = np.array_equal(before, picture)
            below = None if still else _source(difference_map(before, picture, scale=scale), _SMALL)
        yield Figure(
            src=_source(picture, _LARGE),
            alt=f"{name} by {row.name}",
            p="" if row.heat is not None else f"{row.p[i]:.2f}",
            turned=row.turned[i] and row.heat is None,
            below=below,
            said=row.said[i],
        )


def heated(picture: Picture, heat: NDArray[np.floating[Any]]) -> Picture:
    """A grey copy of the picture with heat laid on it, from nothing to orange to red: ``h w 3``."""
    grey = picture.astype(np.float32).mean(axis=2, keepdims=True)
    ground = 0.55 * np.repeat(grey, 3, axis=2) + 60
    amount = heat[:, :, None].astype(np.float32).clip(0, 1)
    cool, hot = np.array([255, 196, 0], dtype=np.float32), np.array([214, 20, 30], dtype=np.float32)
    colour = cool + (hot - cool) * amount
    drawn: Picture = (ground + (colour - ground) * 0.85 * amount).clip(0, 255).astype(np.uint8)
    return drawn


def _boards(comparison: Comparison) -> Iterator[Board]:
    for question, columns in comparison.groups():
        rows = [
            (row, [_number(comparison, row, column) for column in columns])
            for row in comparison.rows
            if columns[0].group != "cost" or row.kind != "control"
        ]
        blanks: dict[str, list[str]] = {}
        for row, numbers in rows:
            for n in numbers:
                if n.reason and row.title not in blanks.setdefault(n.reason, []):
                    blanks[n.reason].append(row.title)
        reasons = tuple((", ".join(titles), reason) for reason, titles in blanks.items())
        yield Board(question, columns, rows, reasons)


def _number(comparison: Comparison, row: Compared, column: Column) -> Number:
    cell = row.cells[column.key]
    reach = ""
    if cell.low is not None and cell.high is not None and cell.blank is None:
        reach = f"{number(Cell(cell.low), column)} to {number(Cell(cell.high), column)}"
    accident = row.kind != "control" and comparison.by_accident(row.name, column)
    return Number(
        number(cell, column).replace("-", "–", 1) if cell.blank else number(cell, column), reach, cell.blank, accident
    )


def _reach(comparison: Comparison) -> float:
    """The largest change that the chart shows: three times the common one."""
    return 3 * comparison.change


def _lines(comparison: Comparison) -> Iterator[Line]:
    drawn = [row for row in comparison.rows if row.curve]
    reach = _reach(comparison)
    colours, greys = cycle(_COLOURS), cycle(_CONTROL_COLOURS)
    for row in drawn:
        points = list(_within(row.curve, reach))
        placed = [(_WIDE * change / reach, _HIGH * (1 - flips)) for change, flips in points]
        yield Line(
            title=row.title,
            points=" ".join(f"{x:.1f},{y:.1f}" for x, y in placed),
            colour=next(greys if row.kind == "control" else colours),
            dashed=row.kind == "control",
            end=placed[-1],
        )


def _within(curve: Sequence[tuple[float, float]], reach: float) -> Iterator[tuple[float, float]]:
    """The part of a curve that lies in the chart, its last piece cut off at the edge."""
    last = curve[0]
    for point in curve:
        if point[0] < last[0]:  # stronger, and yet less is changed: the pictures have left what the generator can draw
            return
        if point[0] > reach:
            part = (reach - last[0]) / (point[0] - last[0])
            yield reach, last[1] + part * (point[1] - last[1])
            return
        yield point
        last = point


def _settings(comparison: Comparison) -> list[tuple[str, str]]:
    return [(key, str(value)) for key, value in comparison.settings.items() if value is not None]


def _source(picture: Picture, size: int) -> str:
    return picture_uri(enlarge(picture, size), quality=88)
