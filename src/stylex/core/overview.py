"""Overview: every class of a classifier explained by itself, and what was found of each in one row."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What the first attribute alone does to a class's place among the answers, beside random moves as large.

    Attributes:
        images: not predicted the class, which were moved.
        turned: how many of them are then predicted it.
        place, moved: median place of the class among the answers, 1 is the first, before and after.
        random_turned: fraction of images that random moves turn, which change the picture as much.
        random_place: median place after those.
    """

    images: int
    turned: int
    place: float
    moved: float
    random_turned: float
    random_place: float


@dataclass(frozen=True, kw_only=True)
class OverviewRow:
    """A class and what was found of it.

    Attributes:
        label: the class.
        folder: its explanation, below the overview's folder.
        attributes: how many were found.
        finding: that in words.
        sentence: what the first attribute does to the images searched, on average; nothing found: None.
        standing: what it does over all images searched; nothing found: None.
    """

    label: str
    folder: str
    attributes: int
    finding: str
    sentence: str | None = None
    standing: Standing | None = None


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Every class explained.

    Attributes:
        rows: a class each, in the classifier's order.
        images: searched, the same ones for all classes.
        figures: how alike images and reconstructions are, as in an explanation.
        settings: with which the search was done.
    """

    rows: tuple[OverviewRow, ...]
    images: int
    figures: Mapping[str, float]
    settings: Mapping[str, Any]

    @property
    def found(self) -> int:
        """Classes of which something was found."""
        return sum(row.attributes > 0 for row in self.rows)

    @property
    def finding(self) -> str:
        """That in a sentence."""
        said = f"Something drives the classifier towards {self.found} of {len(self.rows)} classes"
        known = [row.standing for row in self.rows if row.standing is not None]
        if not known:
            return f"{said}, searched on {self.images} images."
        turned = sum(each.turned for each in known) / max(sum(each.images for each in known), 1)
        random = sum(each.random_turned for each in known) / len(known)
        return (
            f"{said}, searched on {self.images} images. Turned up, the first attribute of a class brings it from place "
            f"{_middle(s.place for s in known):g} of the answers to place {_middle(s.moved for s in known):g} (random "
            f"moves as large: {_middle(s.random_place for s in known):g}) and alone turns {turned:.1%} of the other "
            f"classes' images (random: {random:.1%})."
        )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON; a figure that could not be measured is null."""
        figures = {name: None if math.isnan(value) else float(value) for name, value in self.figures.items()}
        return {
            "images": self.images,
            "figures": figures,
            "finding": self.finding,
            "classes": [dataclasses.asdict(row) for row in self.rows],
            "settings": dict(self.settings),
        }


def _middle(values: Iterable[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return float(ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2)
