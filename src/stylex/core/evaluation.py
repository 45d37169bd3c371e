"""Evaluation: what was measured of an explanation, each measure with its interval, its images and its instrument."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

SCHEMA, VERSION = "stylex-evaluation", 1


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number with its 95% interval; all three are nan where nothing could be measured."""

    value: float
    low: float
    high: float

    @classmethod
    def nothing(cls) -> Interval:
        """Of what could not be measured."""
        return cls(value=math.nan, low=math.nan, high=math.nan)


@dataclass(frozen=True)
class About:
    """What a measure is about, of which its name is made.

    Attributes:
        part: of the evaluation, such as ``sufficiency``.
        kind: what was measured: ``attributes`` or ``random`` (images that they turn), ``accuracy`` of the observer, ...
        target: name of the class that images are driven to, where the measure is of one.
        top: how many attributes took part, where the measure is of so many.
    """

    part: str
    kind: str
    target: str | None = None
    top: int | None = None

    @property
    def name(self) -> str:
        """The measure's name: ``sufficiency.top10_to_cat``, ``observer.accuracy_of_4``."""
        towards = "" if self.target is None else f"_to_{self.target}"
        if self.top is None:
            return f"{self.part}.{self.kind}{towards}"
        if self.target is None:
            return f"{self.part}.{self.kind}_of_{self.top}"
        if self.kind == "attributes":
            return f"{self.part}.top{self.top}{towards}"
        many = f"random{self.top}_equal_length" if self.kind == "random" else f"{self.kind}_top{self.top}"
        return f"{self.part}.{many}{towards}"

    @classmethod
    def named(cls, name: str) -> About:
        """What a measure of that name is about: for files that say no more."""
        part, _, what = name.partition(".")
        for kind, pattern in _NAMES:
            if match := re.fullmatch(pattern, what, re.DOTALL):
                known = match.groupdict()
                top = known.get("top")
                kind = kind or known["kind"]
                return cls(part, kind, target=known.get("target"), top=None if top is None else int(top))
        return cls(part, what)


_NAMES = (
    ("attributes", r"top(?P<top>\d+)_to_(?P<target>.+)"),
    ("random", r"random(?P<top>\d+)_equal_length_to_(?P<target>.+)"),
    ("", r"(?P<kind>(?:attributes|pixels)_(?:turn|survive|kept))_to_(?P<target>.+)"),
    ("", r"(?P<kind>accuracy|coherence)_of_(?P<top>\d+)"),
    ("", r"(?P<kind>(?:random_)?(?:rebuilt|photograph)|mixtures)_top(?P<top>\d+)_to_(?P<target>.+)"),
)
"""Kinds (in the name itself where empty) and names of measures of one class, or of so many attributes."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number of an evaluation.

    Attributes:
        name: ``part.what``, such as ``reconstruction.agreement``; unique.
        value: the number; nan where it could not be measured.
        low, high: its 95% interval over images, where it has one.
        images: how many images it was measured on.
        by: what it was measured with, where that matters: numbers by different instruments are never compared.
        note: a sentence to read it by.
        kind, target, top: what it is about, see ``About``.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    images: int | None = None
    by: str | None = None
    note: str | None = None
    kind: str | None = None
    target: str | None = None
    top: int | None = None

    @property
    def part(self) -> str:
        """The part of the evaluation that it belongs to."""
        return self.name.split(".", 1)[0]

    @property
    def what(self) -> str:
        """Its name within the part."""
        return self.name.split(".", 1)[-1]


@dataclass(frozen=True, kw_only=True)
class MeasuredAttribute:
    """What was measured of one attribute, on images that it was not found on; None: not measured.

    Attributes:
        name: a person's label, or the coordinate with its direction.
        target_label: the class that it drives to.
        shift_range: how far it was moved.
        effect: mean change of the target's logit; of a regression, of its number towards the target, in its unit.
        random_effect: the same of random coordinates moved equally far.
        change: what it would do to the target's probability of an image on the decision boundary, on average.
        p: of doing no more than a random coordinate moved equally far does.
        q: the same with the false discovery rate controlled over all attributes tested.
        claimed: whether it is said to drive the classifier: q small enough, and a change worth a word.
        flips: fraction of the images of another class that it alone turns, rebuilt.
        flips_photograph: the same when its change of the rebuilt picture is laid on the photograph.
        random_flips_photograph: the same of random directions moved equally far.
        picture_change: mean absolute change of the pixels of those rebuilt pictures, in the unit of [-1, 1].
        area: fraction of the pixels that hold 90% of the squared difference: small is local.
        recognised: how often the machine observer knew it on images it had not seen.
        coherent: how often the observer kept its change apart from another attribute's on the same image (chance 0.5).
        counterpart: the attribute of the second training that it was matched with.
        similarity: of the two, 0 to 1.
    """

    name: str
    target_label: str
    shift_range: float
    effect: Interval | None = None
    random_effect: float | None = None
    change: float | None = None
    p: float | None = None
    q: float | None = None
    claimed: bool | None = None
    flips: Interval | None = None
    flips_photograph: Interval | None = None
    random_flips_photograph: float | None = None
    picture_change: Interval | None = None
    area: Interval | None = None
    recognised: float | None = None
    coherent: float | None = None
    counterpart: str | None = None
    similarity: float | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All that was measured of a snapshot and what was found with it.

    Attributes:
        title: one line for a person.
        labels: the classifier's class names.
        searched: how many images the attributes were found on.
        measured: how many other images everything was measured on.
        measures: the numbers, by part.
        attributes: the numbers of each attribute, in the order of the rankings.
        settings: everything needed to repeat it, JSON-able.
        snapshot: ``{"path": ..., "sha256": ...}``.
        notes: sentences to read it by: what was left out and why, what is too few.
    """

    title: str
    labels: tuple[str, ...]
    searched: int
    measured: int
    measures: tuple[Measure, ...]
    attributes: tuple[MeasuredAttribute, ...]
    settings: Mapping[str, Any]
    snapshot: Mapping[str, str]
    notes: tuple[str, ...] = field(default=())

    def __getitem__(self, name: str) -> float:
        """The value of a measure by its full name; KeyError if it was not measured."""
        for measure in self.measures:
            if measure.name == name:
                return measure.value
        raise KeyError(name)

    def parts(self) -> Iterator[tuple[str, tuple[Measure, ...]]]:
        """The measures of each part, in order."""
        for part in dict.fromkeys(measure.part for measure in self.measures):
            yield part, tuple(measure for measure in self.measures if measure.part == part)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, with the schema's version; what could not be measured is null."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "title": self.title,
            "labels": list(self.labels),
            "searched": self.searched,
            "measured": self.measured,
            "measures": [
                {
                    "name": m.name,
                    "value": _finite(m.value),
                    "low": _finite(m.low),
                    "high": _finite(m.high),
                    "images": m.images,
                    "by": m.by,
                    "note": m.note,
                    "kind": m.kind,
                    "target": m.target,
                    "top": m.top,
                }
                for m in self.measures
            ],
            "attributes": [
                {
                    key: _interval(value) if isinstance(value, Interval) else value
                    for key, value in vars(attribute).items()
                }
                for attribute in self.attributes
            ],
            "settings": dict(self.settings),
            "snapshot": dict(self.snapshot),
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Evaluation:
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
                title=str(row["title"]),
                labels=tuple(str(label) for label in row["labels"]),
                searched=int(row["searched"]),
                measured=int(row["measured"]),
                measures=tuple(_measure(m) for m in row["measures"]),
                attributes=tuple(_attribute(a) for a in row["attributes"]),
                settings=dict(row["settings"]),
                snapshot={str(key): str(value) for key, value in row["snapshot"].items()},
                notes=tuple(str(note) for note in row["notes"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it is damaged ({type(error).__name__}: {error})") from error


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _interval(interval: Interval) -> dict[str, float | None]:
    return {key: _finite(value) for key, value in vars(interval).items()}


def _measure(row: Mapping[str, Any]) -> Measure:
    name = str(row["name"])
    # Files of before say what a measure is about in its name alone.
    about = vars(About.named(name)) if "kind" not in row else row
    return Measure(
        name=name,
        value=_number(row["value"]),
        low=None if row["low"] is None else float(row["low"]),
        high=None if row["high"] is None else float(row["high"]),
        images=None if row["images"] is None else int(row["images"]),
        by=_text(row["by"]),
        note=_text(row["note"]),
        kind=_text(about["kind"]),
        target=_text(about["target"]),
        top=None if about["top"] is None else int(about["top"]),
    )


def _attribute(row: Mapping[str, Any]) -> MeasuredAttribute:
    # Files of before know less of an attribute.
    known = {key: row[key] for key in MeasuredAttribute.__dataclass_fields__ if key in row or key not in _LATER}
    for key, value in known.items():
        if value is not None and key in _INTERVALS:
            known[key] = Interval(**{end: _number(value[end]) for end in ("value", "low", "high")})
        elif value is not None and key in _NUMBERS:
            known[key] = float(value)
    return MeasuredAttribute(**known)


_INTERVALS = frozenset({"effect", "flips", "flips_photograph", "picture_change", "area"})
_NUMBERS = frozenset(
    {"shift_range", "random_effect", "change", "p", "q", "recognised", "coherent", "similarity"}
    | {"random_flips_photograph"}
)
_LATER = frozenset({"flips", "flips_photograph", "random_flips_photograph", "picture_change"})
