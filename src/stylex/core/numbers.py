"""What a regression's standardised numbers mean: their unit, where they lie, and which change counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from stylex.core.explanation import Explanation

KEY = "regression"
"""Where an explanation's settings hold it."""

_NEAREST = 1e-6
_REACH = 2.5


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """A regression's numbers, one for each label of an explanation; the last label is the fall of one of them.

    Attributes:
        names: of what is told, ``age``, for each label.
        unit: ``years``; empty where none was given.
        center, scale: mean and standard deviation of each; the last one's with its sign turned.
        by: the change, in the unit, that counts as an answer turned.
        low, high: the ends of the scale to show each on, in its own sense (the last one's as of the number it falls
            with); empty where they were not measured: then two and a half standard deviations about the mean.
    """

    names: Sequence[str]
    unit: str
    center: Sequence[float]
    scale: Sequence[float]
    by: float
    low: Sequence[float] = ()
    high: Sequence[float] = ()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def of(cls, explanation: Explanation) -> Numbers | None:
        """Those in an explanation's settings; None where it explains no regression, or they are damaged."""
        return cls.within(explanation.settings, explanation.labels) if explanation.output == "regression" else None

    @classmethod
    def within(cls, settings: Mapping[str, Any], labels: Sequence[str]) -> Numbers | None:
        """Those in the settings of an explanation or an evaluation of these labels; None where there are none."""
        given = settings.get(KEY)
        if not isinstance(given, Mapping):
            return None
        given = {"low": [], "high": []} | dict(given)  # folders from before do not say the ends
        if set(given) != set(cls.__dataclass_fields__):
            return None
        rows = [given[key] for key in ("names", "center", "scale", "low", "high")]
        if not all(isinstance(row, list) for row in rows) or len(given["low"]) != len(given["high"]):
            return None
        if not all(len(row) == len(labels) for row in (*rows[:3], *(row for row in rows[3:] if row))):
            return None
        if not all(isinstance(word, str) for word in (given["unit"], *given["names"])):
            return None
        figures = [*given["center"], *given["scale"], given["by"], *given["low"], *given["high"]]
        if not all(isinstance(x, int | float) and math.isfinite(x) for x in figures):
            return None
        return cls(**{str(key): given[key] for key in given})

    def value(self, place: float, label: int) -> float:
        """The number, in its unit, of a place between 0 and 1 (the sigmoid of the standardised number)."""
        inside = min(max(place, _NEAREST), 1 - _NEAREST)
        number = self.center[label] + self.scale[label] * math.log(inside / (1 - inside))
        return -number if self.falls(label) else number

    @property
    def asked(self) -> int:
        """The label of the number that is asked for, as it rises: the last one is its fall."""
        return list(self.names).index(self.names[-1])

    def falls(self, label: int) -> bool:
        """Whether a label is the fall of a number: the last one is."""
        return label == len(self.names) - 1

    def ends(self, label: int) -> tuple[float, float]:
        """The ends of the scale on which a label's number is shown, in its unit."""
        if self.low:
            return self.low[label], self.high[label]
        middle = -self.center[label] if self.falls(label) else self.center[label]
        return middle - _REACH * self.scale[label], middle + _REACH * self.scale[label]

    def along(self, place: float, label: int) -> float:
        """Where on that scale a number lies, from 0 to 1."""
        low, high = self.ends(label)
        return min(max((self.value(place, label) - low) / (high - low), 0.0), 1.0)

    def is_near(self, place: float, other: float, label: int) -> bool:
        """Whether two numbers are the same answer: they differ by half a standard deviation at most."""
        return abs(self.value(place, label) - self.value(other, label)) <= self.scale[label] / 2

    def moves(self, standardised: float, label: int, *, many: bool = False) -> str:
        """A change towards a label in words: ``raises age by 3.1 years``; with ``many``, ``raise age ...``."""
        verb = "lower" if self.falls(label) == (standardised >= 0) else "raise"
        by = self.amount(abs(self.effect(standardised, label)))
        return f"{verb}{'' if many else 's'} {self.names[label]} by {by}"

    def said(self, place: float, label: int) -> str:
        """The same in words: ``43.1 years``."""
        return self.amount(self.value(place, label))

    def effect(self, standardised: float, label: int) -> float:
        """A change towards a label, in the unit, of a change in standard deviations."""
        return standardised * self.scale[label]

    @property
    def digits(self) -> int:
        """Decimals that numbers are told with: two digits of the change that counts."""
        return min(max(1 - math.floor(math.log10(max(abs(self.by), 1e-9))), 0), 6)

    def amount(self, number: float, sign: str = "") -> str:
        """A number of the unit, to two digits of the change that counts."""
        return f"{number:{sign}.{self.digits}f}{f' {self.unit}' if self.unit else ''}".replace("-", "−")
