"""What the report's template is given: words and pictures that are ready to show."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stylex.core.explanation import Explanation
from stylex.core.figures import Flips
from stylex.core.numbers import Numbers
from stylex.report import words
from stylex.report.evaluated import Evaluated


@dataclass(frozen=True)
class Shot:
    """A picture in one state, with the target's probability."""

    src: str
    probability: str
    alt: str


@dataclass(frozen=True)
class Tile:
    """One image changed by one attribute."""

    before: Shot
    after: Shot
    detail_before: str
    detail_after: str
    frame: tuple[float, float, float]
    magnified: str
    difference: str
    original: Shot | None
    target: str
    about: str
    p_before: float
    p_after: float
    towards: bool
    flips: bool
    answer_before: str
    answer_after: str
    name: str


@dataclass(frozen=True)
class Card:
    """One attribute."""

    position: int
    name: str
    named: bool
    technical: str
    key: str
    target: str
    sentence: str
    measured: str
    note: str | None
    bar: float
    towards: bool
    effect: str
    tiles: list[Tile]
    turned: list[Tile]
    left_out: int
    scale: str
    weak: bool


@dataclass(frozen=True)
class Bar:
    """A class's probability, or a number's place on its scale, in the original and in the reconstruction; in words."""

    label: str
    original: float | None
    reconstruction: float
    said_original: str
    said_reconstruction: str
    target: bool
    ends: tuple[str, str] | None = None


@dataclass(frozen=True)
class Subject:
    """An image that is explained by itself."""

    original: Shot | None
    reconstruction: Shot
    difference: str | None
    rebuilding: str | None
    answer: str
    bars: list[Bar]
    more_classes: int


@dataclass(frozen=True)
class PathStep:
    """One more attribute applied."""

    shot: Shot
    added: str
    answer: str
    p: float
    flips: bool


@dataclass(frozen=True)
class StepPath:
    """Attributes applied one after another to one image."""

    image: str
    target: str
    steps: list[PathStep]
    sentence: str


@dataclass(frozen=True)
class Page:
    """All of the page."""

    explanation: Explanation
    verdict: words.Check | None
    finding: str
    labels: list[str]
    more_labels: int
    snapshot: str
    shown: int
    searched: int
    subjects: list[Subject]
    cards: list[Card]
    paths: list[StepPath]
    flips: tuple[Flips, ...]
    checks: list[words.Check]
    notes: list[str]
    settings: str
    in_colour: bool
    evaluated: Evaluated | None
    knobs: dict[str, Any] | None
    numbers: Numbers | None = None
    pictures: list[Shot] = field(default_factory=list)
