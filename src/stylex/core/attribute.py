"""Attribute: one knob on the picture, found to move the classifier. AttributeRanking: the best of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from stylex.core.presenting import present
from stylex.core.stylespace import StyleCoordinate

Sign = Literal[-1, 1]
Tested = Literal["p", "q"]


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What an attribute changes, in the words of a table of descriptors.

    Attributes:
        descriptor: the table's column that changes most.
        r: correlation, within images, of the attribute's value (in its own direction) with what the descriptor's probe
            reads of the picture.
        change: of what the probe reads when the attribute is turned from end to end, in standard deviations of the
            descriptor.
        others: further descriptors that change with it, the most first; it cannot be told from here which is meant.
    """

    descriptor: str
    r: float
    change: float
    others: tuple[Meaning, ...] = ()

    def __str__(self) -> str:
        also = ", ".join(f"{each.descriptor} ({each.change:+.1f} sd)" for each in self.others)
        return f"{self.descriptor} ({self.change:+.1f} sd, r {self.r:.2f})" + (f"; also {also}" if also else "")


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """A style coordinate moved one way, and what that does to the target.

    Attributes:
        coordinate: which style value moves.
        sign: -1 towards the observed minimum, +1 towards the observed maximum.
        shift_range: how far, as a fraction of the way from the image's own value to that extreme.
        target: index of the class (label) whose logit the effect is about.
        target_label: its name.
        effect: mean change of the target's logit over the images it was found on, against the reconstruction; in an
            explanation of a regression, of its number towards the target, in its unit.
        source_label: for a one-vs-one ranking, the class that the images started from.
        significance: p- or q-value of the effect, where it was tested.
        tested: which of the two: ``p`` of this attribute alone, ``q`` (false discovery rate) over all that were tested.
        label: a person's name for what changes in the picture.
        hidden: whether a person found it not worth showing.
        note: what to know of the images that show it, where there is something.
        meaning: what it changes, where a table of descriptors was given that tells.
    """

    coordinate: StyleCoordinate
    sign: Sign
    shift_range: float
    target: int
    target_label: str
    effect: float
    source_label: str | None = None
    significance: float | None = None
    tested: Tested | None = None
    label: str | None = None
    hidden: bool = False
    note: str | None = None
    meaning: Meaning | None = None

    @property
    def name(self) -> str:
        """The person's label, or the coordinate with its direction."""
        return self.label or f"{self.coordinate}{'+' if self.sign > 0 else '-'}"

    def _repr_html_(self) -> str:
        html: str = present("html", self)
        return html


@dataclass(frozen=True, kw_only=True)
class AttributeRanking:
    """Attributes of a class (or of one image), best first.

    Attributes:
        attributes: best first; empty when nothing moves the classifier.
        strategy: how they were chosen, e.g. ``attfind``, ``notebook``, ``independent``, ``subset``.
        images: how many images the choice was made on.
        explained: fraction of those images that the chosen attributes explained.
        finding: one sentence for a person: what was found, or that nothing was.
    """

    attributes: tuple[Attribute, ...]
    strategy: str
    images: int
    explained: float
    finding: str

    def __len__(self) -> int:
        return len(self.attributes)

    def __iter__(self) -> Iterator[Attribute]:
        return iter(self.attributes)

    def __getitem__(self, i: int) -> Attribute:
        return self.attributes[i]

    def _repr_html_(self) -> str:
        html: str = present("html", self)
        return html
