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


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """A regression's numbers, one for each label of an explanation; the last label is the fall of one of them.

    Attributes:
        names: of what is told, ``age``, for each label.
        unit: ``years``; empty where none was given.
        center, scale: mean and standard deviation of each; the last one's with its sign turned.
        by: the change, in the unit, that counts as an answer turned.
    """

    names: Sequence[str]
    unit: str
    center: Sequence[float]
    scale: Sequence[float]
    by: float

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def of(cls, explanation: Explanation) -> Numbers | None:
        """Those in an explanation's settings; None where it explains no regression, or they are damaged."""
        given = explanation.settings.get(KEY) if explanation.output == "regression" else None
        if not isinstance(given, Mapping) or set(given) != {"names", "unit", "center", "scale", "by"}:
            return None
        rows = [given[key] for key in ("names", "center", "scale")]
        if not all(isinstance(row, list) and len(row) == len(explanation.labels) for row in rows):
            return None
        if not all(isinstance(word, str) for word in (given["unit"], *given["names"])):
            return None
        figures = [*given["center"], *given["scale"], given["by"]]
        if not all(isinstance(x, int | float) and math.isfinite(x) for x in figures):
            return None
        return cls(**{str(key): given[key] for key in given})

    def value(self, place: float, label: int) -> float:
        """The number, in its unit, of a place between 0 and 1 (the sigmoid of the standardised number)."""
        inside = min(max(place, _NEAREST), 1 - _NEAREST)
        number = self.center[label] + self.scale[label] * math.log(inside / (1 - inside))
        return -number if label == len(self.names) - 1 else number

    def said(self, place: float, label: int) -> str:
        """The same in words: ``43.1 years``."""
        return self.amount(self.value(place, label))

    def effect(self, standardised: float, label: int) -> float:
        """A change towards a label, in the unit, of a change in standard deviations."""
        return standardised * self.scale[label]

    def amount(self, number: float, sign: str = "") -> str:
        """A number of the unit, to two digits of the change that counts."""
        digits = min(max(1 - math.floor(math.log10(max(abs(self.by), 1e-9))), 0), 6)
        return f"{number:{sign}.{digits}f}{f' {self.unit}' if self.unit else ''}".replace("-", "−")
