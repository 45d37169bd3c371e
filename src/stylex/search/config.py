"""The settings of a search: everything that decides what is found, beside networks, images and classifier."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stylex.core.errors import ConfigError
from stylex.core.verdict import ACCOUNTED
from stylex.core.wording import option

MethodName = Literal["directions", "attfind", "eigenfind", "sefa", "ganalyze", "stylespace", "random"]
"""What is moved, and how it is ranked: rows of ``methods.METHODS``."""
Selection = Literal["attfind", "together", "notebook"]
Search = Literal["auto", "exact", "screened"]
"""Whether every coordinate is measured on every image, or those that a screen keeps."""
Precision = Literal["float32", "bf16"]
"""How pictures are drawn and classified."""
AttackSpace = Literal["w", "s"]
"""Where an attack moves an image: its latent, or its style values."""
Objective = Literal["margin", "probability"]
"""What an attack raises."""
SPARSITY_IN_S = 0.5
"""Sparsity of an attack on style values, where none is given."""


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """How to search; the fields are the options of ``find`` and ``explain``, which document them.

    Raises:
        ConfigError: values that cannot be meant.
    """

    target: str | None = None
    source: str | None = None
    images: int = 200
    attributes: int = 8
    selection: Selection = "attfind"
    threshold: float | None = None
    accounted: float = ACCOUNTED
    torgb: bool = False
    shift_range: float = 1.0
    realism: float | None = None
    method: MethodName = "directions"
    search: Search = "auto"
    recall: float = 0.99
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        if not 0 < self.shift_range < math.inf:
            raise ConfigError(
                f"{option('shift_range')} is {self.shift_range:g}, but must be a number above 0, such as 1"
            )
        if self.threshold is not None and not 0 < self.threshold < math.inf:
            raise ConfigError(
                f"{option('threshold')} is {self.threshold:g}, but must be a number of logits above 0, such as 0.3"
            )
        if self.threshold is not None and (self.method, self.selection) != ("attfind", "attfind"):
            raise ConfigError(
                f"{option('threshold')} is a rule of {option('method', 'attfind')} with "
                f"{option('selection', 'attfind')}: add these, or leave it out"
            )
        if not 0 <= self.accounted < 1:
            raise ConfigError(
                f"{option('accounted')} is {self.accounted:g}, but must be from 0 (ask for nothing) to below 1"
            )
        if self.accounted != ACCOUNTED and not _claims(self.method, self.selection):
            raise ConfigError(
                f"{option('accounted')} is a rule of {option('method', 'directions')} with "
                f"{option('selection', 'attfind')}: add these, or leave it out"
            )
        if not 0 < self.recall < 1:
            raise ConfigError(f"{option('recall')} is {self.recall:g}, but must be between 0 and 1, like 0.99")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> SearchConfig:
        """The settings in what an explanation recorded; what it does not say is the default.

        One that is older than ``accounted`` was found without it.
        """
        said = {field.name: tree[field.name] for field in dataclasses.fields(cls) if field.name in tree}
        if _claims(said.get("method", cls.method), said.get("selection", cls.selection)):
            said.setdefault("accounted", 0.0)
        return cls(**said)


@dataclass(frozen=True, kw_only=True)
class AttackConfig:
    """How to attack; the fields are the options of ``attack``, which document them.

    Raises:
        ConfigError: values that cannot be meant.
    """

    objective: Objective = "margin"
    probability: float = 0.75
    steps: int = 500
    stride: float = 0.3
    sparsity: float = 0.0
    distance: float = 0.0
    realism: float = 0.0
    batch: int = 32

    def __post_init__(self) -> None:
        _within("probability", self.probability, 0 < self.probability < 1, "between 0 and 1, like 0.75")
        _within("steps", self.steps, self.steps >= 1, "1 or more, such as 500")
        _within("stride", self.stride, 0 < self.stride < math.inf, "a number above 0, such as 0.3")
        _within("sparsity", self.sparsity, 0 <= self.sparsity < 1, "from 0 to below 1, like 0.5")
        _within("distance", self.distance, 0 <= self.distance < math.inf, "0 or more, such as 0.1")
        _within("realism", self.realism, 0 <= self.realism < math.inf, "0 or more, such as 1")
        _within("batch", self.batch, self.batch >= 1, "1 or more, such as 32")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return dataclasses.asdict(self)


def _claims(method: str, selection: str) -> bool:
    """Whether what is listed is what can be claimed, and so must account for the answers."""
    return method in ("directions", "random") and selection == "attfind"


def _within(name: str, value: float, holds: bool, expected: str) -> None:
    if not holds:
        raise ConfigError(f"{option(name)} is {value:g}, but must be {expected}")
