"""Audit: two versions of a classifier beside each other, attribute by attribute, on the same images."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stylex.core.evaluation import Interval

SCHEMA, VERSION = "stylex-audit", 1

Place = Literal["high", "low"]
"""Where an attribute lies in an image: on the side that it moves to, or on the other."""
Verdict = Literal["lost", "gained", "unchanged", "turned round"]
"""What became of an attribute's weight, as far as its interval is sure of it."""


@dataclass(frozen=True, kw_only=True)
class Versus:
    """A number of both versions.

    Attributes:
        before, after: of each.
        difference: after less before, over the same images.
    """

    before: Interval
    after: Interval
    difference: Interval


@dataclass(frozen=True, kw_only=True)
class Group:
    """Images of one label on one side of an attribute.

    Attributes:
        label: their label.
        place: of the attribute in them.
        images: how many.
        accuracy: of both versions on them.
    """

    label: str
    place: Place
    images: int
    accuracy: Versus


@dataclass(frozen=True, kw_only=True)
class AuditedAttribute:
    """One attribute in both versions.

    Attributes:
        number: its place in the ranking, from 1.
        name: the person's label, or the coordinate with its direction.
        target_label: of the class that it moves towards.
        weight: change of the target's log odds between the attribute's two ends, on rebuilt pictures; mean over images.
        weight_photograph: the same with the change laid on the photographs.
        kept: the weight after as a fraction of that before; negative where it has turned round.
        flips: fraction of images whose answers at the two ends differ, of rebuilt pictures.
        flips_photograph: the same on the photographs.
        random_weight: mean size of that change along random directions turned as far both ways: before, after.
        random_flips: fraction of images whose answers at their ends differ: before, after.
        worst: accuracy of the worst group of label and place; None: no labels, or no group is large enough.
        groups: all of them.
    """

    number: int
    name: str
    target_label: str
    weight: Versus
    weight_photograph: Versus
    kept: Interval
    flips: Versus
    flips_photograph: Versus
    random_weight: tuple[float, float]
    random_flips: tuple[float, float]
    worst: Versus | None = None
    groups: tuple[Group, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Whether the attribute lost or gained weight: only where the interval of the difference leaves zero out."""
        before, after, by = self.weight.before.value, self.weight.after.value, self.weight.difference
        if not (by.low > 0 or by.high < 0):
            return "unchanged"
        if before * after < 0 and (self.weight.after.low > 0 or self.weight.after.high < 0):
            return "turned round"
        return "lost" if abs(after) < abs(before) else "gained"


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A condition that must not hold.

    Attributes:
        said: the condition.
        values: what was measured of each number that it names.
        holds: whether it does: then the check has failed.
    """

    said: str
    values: Mapping[str, float]
    holds: bool


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Two versions of a classifier on the same images and attributes.

    Attributes:
        before, after: what they are called.
        labels: the classifiers'.
        images: how many held-out images were measured.
        attributes: in the ranking's order.
        accuracy: on all of the images; None: they have no labels that the classifiers know.
        checks: conditions that must not hold.
        settings, snapshot: to repeat it.
        notes: for a person.
    """

    before: str
    after: str
    labels: tuple[str, ...]
    images: int
    attributes: tuple[AuditedAttribute, ...]
    accuracy: Versus | None
    checks: tuple[Checked, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    snapshot: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether a condition holds that must not."""
        return any(check.holds for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, with the schema's version."""
        return {
            "schema": SCHEMA,
            "version": VERSION,
            "before": self.before,
            "after": self.after,
            "labels": list(self.labels),
            "images": self.images,
            "failed": self.failed,
            "accuracy": None if self.accuracy is None else _versus(self.accuracy),
            "checks": [
                {"said": c.said, "values": {k: _number(v) for k, v in c.values.items()}, "holds": c.holds}
                for c in self.checks
            ],
            "attributes": [_attribute(attribute) for attribute in self.attributes],
            "settings": dict(self.settings),
            "snapshot": dict(self.snapshot),
            "notes": list(self.notes),
        }


def _attribute(a: AuditedAttribute) -> dict[str, Any]:
    return {
        "number": a.number,
        "name": a.name,
        "target": a.target_label,
        "verdict": a.verdict,
        "weight": _versus(a.weight),
        "weight_photograph": _versus(a.weight_photograph),
        "kept": _interval(a.kept),
        "flips": _versus(a.flips),
        "flips_photograph": _versus(a.flips_photograph),
        "random_weight": [_number(value) for value in a.random_weight],
        "random_flips": [_number(value) for value in a.random_flips],
        "worst": None if a.worst is None else _versus(a.worst),
        "groups": [
            {"label": g.label, "place": g.place, "images": g.images, "accuracy": _versus(g.accuracy)} for g in a.groups
        ],
    }


def _versus(pair: Versus) -> dict[str, Any]:
    return {name: _interval(getattr(pair, name)) for name in ("before", "after", "difference")}


def _interval(interval: Interval) -> dict[str, float | None]:
    return {name: _number(getattr(interval, name)) for name in ("value", "low", "high")}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
