"""Comparison: several methods on the same images, a number for each method and column, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from stylex.core.evaluation import Interval

SCHEMA, VERSION = "stylex-comparison", 1

Kind = Literal["moves", "pixels", "map", "control"]
"""Moves in the generator's space; changes of pixels; heat-maps; what passes a measure by accident."""
Better = Literal["more", "less"]
Unit = Literal["fraction", "number", "seconds", "count"]


_REACHES = 0.9
"""A method that changes images by less of what is asked does not reach it."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """What is measured of every method.

    Attributes:
        key: its name in files.
        title: for people.
        group: of ``GROUPS``.
        unit: how it is written.
        better: which end is good; None: neither.
        about: a sentence that says how it is measured.
    """

    key: str
    title: str
    group: str
    unit: Unit
    better: Better | None
    about: str


GROUPS: Mapping[str, str] = {
    "turns": "Does it turn the answer, with a change of the same size?",
    "changes": "What else does it change?",
    "real": "Is the changed picture like a real one, and can one change be told from another?",
    "truth": "Are the causes that were planted found?",
    "papers": "What papers on visual counterfactuals print",
    "cost": "What does it take?",
}
"""Groups of columns, in order, with the question that they answer."""

COLUMNS: tuple[Column, ...] = (
    Column(
        key="flips",
        title="flips, equal pixels",
        group="turns",
        unit="fraction",
        better="more",
        about="share of images whose answer becomes the target, every image changed by the same mean of its pixels",
    ),
    Column(
        key="flips_perceptual",
        title="flips, equal look",
        group="turns",
        unit="fraction",
        better="more",
        about="the same with every image changed by the same perceptual distance",
    ),
    Column(
        key="flips_photograph",
        title="flips, photograph",
        group="turns",
        unit="fraction",
        better="more",
        about="share of photographs that turn when the change (equal pixels) is laid on them: photograph + moved - "
        "rebuilt, clipped",
    ),
    Column(
        key="change",
        title="pixels changed",
        group="changes",
        unit="number",
        better=None,
        about="the mean change of a pixel that was reached, of 2; below the common size where there is no more to do",
    ),
    Column(
        key="perceptual",
        title="look changed",
        group="changes",
        unit="number",
        better="less",
        about="perceptual distance at that change of pixels, by a network that is not the explained classifier",
    ),
    Column(
        key="components",
        title="attributes changed",
        group="changes",
        unit="number",
        better="less",
        about="over how many of the directions along which images vary independently a change is spread, once the "
        "changed picture is encoded again: 1 where one alone changes (participation ratio); in favour of whoever moves "
        "these directions",
    ),
    Column(
        key="area",
        title="area",
        group="changes",
        unit="fraction",
        better="less",
        about="fraction of the pixels that hold 90% of the squared change; of a heat-map, 90% of its heat",
    ),
    Column(
        key="other_logits",
        title="other classes",
        group="changes",
        unit="number",
        better="less",
        about="mean absolute change of the other classes' logits",
    ),
    Column(
        key="factors",
        title="factors changed",
        group="changes",
        unit="number",
        better="less",
        about="over how many of the factors that the images were drawn from a change is spread: 1 for one alone",
    ),
    Column(
        key="other_factors",
        title="innocent factors",
        group="changes",
        unit="number",
        better="less",
        about="mean change of a factor that is no cause, in its standard deviations",
    ),
    Column(
        key="realism",
        title="realism",
        group="real",
        unit="number",
        better="less",
        about="Frechet distance of the changed pictures from other photographs that get the same answers, never an "
        "image's own",
    ),
    Column(
        key="distinct",
        title="told apart",
        group="real",
        unit="fraction",
        better="more",
        about="how often a small network that had learned the method's first attributes from other images named the "
        "right one, above chance: 0 chance, 1 always",
    ),
    Column(
        key="recall",
        title="causes found",
        group="truth",
        unit="fraction",
        better="more",
        about="share of the planted causes that are the main factor of one of the method's attributes",
    ),
    Column(
        key="precision",
        title="of causes",
        group="truth",
        unit="fraction",
        better="more",
        about="share of its attributes whose main factor is a planted cause",
    ),
    Column(
        key="purity",
        title="purity",
        group="truth",
        unit="fraction",
        better="more",
        about="how much of an attribute's change of all factors is that of its main one",
    ),
    Column(
        key="flip_rate",
        title="flip rate",
        group="papers",
        unit="fraction",
        better="more",
        about="share of counterfactuals that get the target as their answer, each method at its own size",
    ),
    Column(
        key="validity",
        title="validity",
        group="papers",
        unit="fraction",
        better="more",
        about="share whose target probability differs from the photograph's by more than 0.8 (Singla et al. 2023)",
    ),
    Column(
        key="proximity",
        title="proximity",
        group="papers",
        unit="number",
        better="less",
        about="mean absolute difference of photograph and counterfactual, pixels in 0..1 (Mothilal et al. 2020)",
    ),
    Column(
        key="sparsity",
        title="sparsity",
        group="papers",
        unit="fraction",
        better="more",
        about="fraction of pixels left as they were, to 2% of the range (Mothilal et al. 2020)",
    ),
    Column(
        key="cout",
        title="COUT",
        group="papers",
        unit="number",
        better="more",
        about="how soon the answer goes over as the most changed pixels are put in, -1 to 1 (Khorram & Fuxin 2022)",
    ),
    Column(
        key="s3",
        title="S3",
        group="papers",
        unit="number",
        better="more",
        about="cosine similarity of photograph and counterfactual in the extractor's features (Jeanneret et al. 2023)",
    ),
    Column(
        key="fid",
        title="FID",
        group="papers",
        unit="number",
        better="less",
        about="Frechet distance of counterfactuals from the photographs, over the extractor's features",
    ),
    Column(
        key="sfid",
        title="sFID",
        group="papers",
        unit="number",
        better="less",
        about="the same between one half's counterfactuals and the other half's photographs (Jeanneret et al. 2023)",
    ),
    Column(
        key="seconds_found",
        title="seconds to find",
        group="cost",
        unit="seconds",
        better="less",
        about="once, for all images to come",
    ),
    Column(
        key="calls_found",
        title="calls to find",
        group="cost",
        unit="count",
        better="less",
        about="pictures that the classifier was shown for it",
    ),
    Column(
        key="seconds",
        title="seconds an image",
        group="cost",
        unit="seconds",
        better="less",
        about="to change, or to map, one image",
    ),
    Column(
        key="calls",
        title="calls an image",
        group="cost",
        unit="count",
        better="less",
        about="pictures that the classifier was shown for it, choosing the image's attribute included",
    ),
)
"""Everything that is measured, in order; a comparison has those of them that its data allow."""

_KEYS = frozenset(column.key for column in COLUMNS)


@dataclass(frozen=True)
class Cell:
    """One number, or why there is none.

    Attributes:
        value: nan where it is blank.
        low, high: its 95% interval over images, where it has one.
        blank: why it is blank.
    """

    value: float
    low: float | None = None
    high: float | None = None
    blank: str | None = None

    @classmethod
    def of(cls, value: Interval | float) -> Cell:
        """A number with its interval where it has one; blank where it is not finite."""
        ends = value if isinstance(value, Interval) else Interval(value=float(value), low=math.nan, high=math.nan)
        if not math.isfinite(ends.value):
            return cls(math.nan, blank="there was nothing to measure it on")
        both = math.isfinite(ends.low) and math.isfinite(ends.high)
        return cls(ends.value, ends.low if both else None, ends.high if both else None)

    @classmethod
    def without(cls, reason: str) -> Cell:
        """No number, for a reason."""
        return cls(math.nan, blank=reason)


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One method, or one control.

    Attributes:
        name: as it is asked for.
        title: for people.
        about: a sentence on what it does.
        kind: what it makes.
        cells: by the column's key.
        curve: mean change of pixels and share of images turned, at growing strengths.
    """

    name: str
    title: str
    about: str
    kind: Kind
    cells: Mapping[str, Cell]
    curve: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Methods on the same images.

    Attributes:
        labels: the classifier's class names.
        searched, measured: how many images methods were fitted on, and how many others they were measured on.
        change, perceptual: the sizes of change that all are brought to: mean of the pixels (of 2), and perceptual.
        reference: the method that gave that size, see ``compare``; None: it was asked for.
        extractor: by what pictures are compared.
        rows: methods in the order asked for, then controls.
        settings: everything needed to repeat it, JSON-able.
        snapshot: ``{"path": ..., "sha256": ...}``.
        notes: sentences to read it by.
    """

    labels: tuple[str, ...]
    searched: int
    measured: int
    change: float
    perceptual: float
    reference: str | None
    extractor: str
    rows: tuple[Compared, ...]
    settings: Mapping[str, Any]
    snapshot: Mapping[str, str]
    notes: tuple[str, ...] = field(default=())

    def __getitem__(self, name: str) -> Compared:
        """The row of a method or control; KeyError if it was not compared."""
        for row in self.rows:
            if row.name == name:
                return row
        raise KeyError(name)

    def groups(self) -> Iterator[tuple[str, tuple[Column, ...]]]:
        """The columns of each group that some row has a number in, in order, with the group's question."""
        for group, question in GROUPS.items():
            known = [c for c in COLUMNS if c.group == group and any(c.key in row.cells for row in self.rows)]
            if known:
                yield question, tuple(known)

    def by_accident(self, name: str, column: Column) -> bool:
        """Whether a method's number is no better than what random directions get, within both intervals.

        A method that asks the classifier about several pictures of each image is held against the best of eight random
        directions for that image. Never of what is not taken at equal change: heat-maps, and what papers print.
        """
        own, chance = self._ends(name, column.key), self._ends(self._chance_of(name), column.key)
        if own is None or chance is None or column.better is None:
            return False
        if column.group == "papers" or self[name].kind == "map":
            return False
        return own[0] <= chance[1] if column.better == "more" else own[1] >= chance[0]

    def _chance_of(self, name: str) -> str:
        asked = next((row.cells.get("calls") for row in self.rows if row.name == name), None)
        chooses = asked is not None and asked.blank is None and asked.value > 1
        return "random-best" if chooses and any(row.name == "random-best" for row in self.rows) else "random"

    def falling_short(self) -> str | None:
        """Which methods do not change images by so much, however far they go; None where all do."""
        short = [
            f"{row.title} {row.cells['change'].value:.3f}"
            for row in self.rows
            if row.name != "unchanged" and row.kind != "map" and self._change_of(row) < _REACHES * self.change
        ]
        if not short:
            return None
        return (
            f"Not so much, however far they go: {', '.join(short)}; their other numbers are of these smaller changes."
        )

    def _change_of(self, row: Compared) -> float:
        cell = row.cells.get("change")
        return self.change if cell is None or cell.blank is not None else cell.value

    def _ends(self, name: str, key: str) -> tuple[float, float] | None:
        cell = next((row.cells.get(key) for row in self.rows if row.name == name), None)
        return None if cell is None or cell.low is None or cell.high is None else (cell.low, cell.high)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, with the schema's version."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "labels": list(self.labels),
            "searched": self.searched,
            "measured": self.measured,
            "change": self.change,
            "perceptual": self.perceptual,
            "reference": self.reference,
            "extractor": self.extractor,
            "rows": [
                {
                    "name": row.name,
                    "title": row.title,
                    "about": row.about,
                    "kind": row.kind,
                    "cells": {key: _cell_to_json(cell) for key, cell in row.cells.items()},
                    "curve": [list(point) for point in row.curve],
                }
                for row in self.rows
            ],
            "settings": dict(self.settings),
            "snapshot": dict(self.snapshot),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Comparison:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: it is something else, of another version, or damaged; the message says what.
        """
        if row.get("schema") != SCHEMA:
            raise ValueError(f"it does not say schema {SCHEMA}")
        if row.get("version") != VERSION:
            raise ValueError(f"it has version {row.get('version')!r}, this stylex reads {VERSION}")
        try:
            return cls(
                labels=tuple(str(label) for label in row["labels"]),
                searched=int(row["searched"]),
                measured=int(row["measured"]),
                change=_finite(row["change"]),
                perceptual=_finite(row["perceptual"]),
                reference=None if row["reference"] is None else str(row["reference"]),
                extractor=str(row["extractor"]),
                rows=tuple(_row(own) for own in row["rows"]),
                settings=dict(row["settings"]),
                snapshot={str(key): str(value) for key, value in row["snapshot"].items()},
                notes=tuple(str(note) for note in row["notes"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it is damaged ({type(error).__name__}: {error})") from error


def _cell_to_json(cell: Cell) -> dict[str, Any]:
    if cell.blank is not None:
        return {"blank": cell.blank}
    known = {"value": cell.value, "low": cell.low, "high": cell.high}
    return {key: value for key, value in known.items() if value is not None}


def _row(row: Mapping[str, Any]) -> Compared:
    if row["kind"] not in get_args(Kind):
        raise ValueError(f"it has a method of kind {row['kind']!r}")
    unknown = sorted(set(row["cells"]) - _KEYS)
    if unknown:
        raise ValueError(f"it has a column {unknown[0]!r}")
    return Compared(
        name=str(row["name"]),
        title=str(row["title"]),
        about=str(row["about"]),
        kind=row["kind"],
        cells={key: _cell(cell) for key, cell in row["cells"].items()},
        curve=tuple((_finite(change), _finite(flips)) for change, flips in row["curve"]),
    )


def _cell(row: Mapping[str, Any]) -> Cell:
    if "blank" in row:
        return Cell.without(str(row["blank"]))
    low, high = (None if row.get(end) is None else _finite(row[end]) for end in ("low", "high"))
    return Cell(_finite(row["value"]), low, high)


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"it has a number that is not finite ({value!r})")
    return number
