"""ClassifierSpec: what must be known of a classifier to show it an image and to read its answer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from stylex.core.errors import ClassifierError

OutputKind = Literal["logits", "probabilities", "single-logit", "multi-label"]


@dataclass(frozen=True, kw_only=True)
class ClassifierSpec:
    """How a classifier wants its image and what its numbers mean.

    Attributes:
        labels: names of the classes, in the order of the outputs. For ``single-logit`` two names: the
            first is what a negative logit means, the second what a positive one means.
        input_size: side of the square image that it takes, in px.
        channels: 1 or 3 (RGB).
        mean, std: per channel, in units of ``value_range``; one number stands for all channels.
        value_range: pixel values of black and white before mean and std: (0, 1), (0, 255), (-1, 1), ...
        output: ``logits`` (softmax follows), ``probabilities`` (of exclusive classes; one column is the
            second label's), ``single-logit`` (two classes, one number) or ``multi-label`` (one logit a
            label, each with its own sigmoid).
    """

    labels: tuple[str, ...]
    input_size: int
    channels: Literal[1, 3]
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    value_range: tuple[float, float] = (0.0, 1.0)
    output: OutputKind = "logits"

    def __post_init__(self) -> None:
        if not all(isinstance(label, str) and label.strip() for label in _listed(self, "labels")):
            raise ClassifierError(f"spec: labels must be a list of names, got {self.labels!r}")
        if len(set(self.labels)) != len(self.labels):
            raise ClassifierError(f"spec: labels must differ from each other, got {list(self.labels)}")
        if self.output not in get_args(OutputKind):
            raise ClassifierError(f"spec: output must be one of {', '.join(get_args(OutputKind))}, got {self.output!r}")
        fewest = 1 if self.output == "multi-label" else 2
        if len(self.labels) < fewest or (self.output == "single-logit" and len(self.labels) != 2):
            wanted = "exactly 2" if self.output == "single-logit" else f"at least {fewest}"
            raise ClassifierError(f"spec: output {self.output} needs {wanted} labels, got {list(self.labels)}")
        if not _is_int(self.input_size) or not 1 <= self.input_size <= 4096:
            raise ClassifierError(f"spec: input_size must be a side in px from 1 to 4096, got {self.input_size!r}")
        if not _is_int(self.channels) or int(self.channels) not in (1, 3):
            raise ClassifierError(f"spec: channels must be 1 or 3, got {self.channels!r}")
        for name in ("mean", "std", "value_range"):
            values = _listed(self, name)
            if not all(_is_number(v) for v in values):
                raise ClassifierError(f"spec: {name} must hold finite numbers, got {list(values)}")
            object.__setattr__(self, name, tuple(float(v) for v in values))
        for name in ("mean", "std"):
            values = getattr(self, name)
            if len(values) not in (1, self.channels):
                raise ClassifierError(
                    f"spec: {name} must hold 1 or {self.channels} numbers for {self.channels} channel(s), "
                    f"got {len(values)}"
                )
            object.__setattr__(self, name, values * self.channels if len(values) == 1 else values)
        if min(self.std) <= 0:
            raise ClassifierError(f"spec: std must be above 0, got {list(self.std)}")
        if len(self.value_range) != 2 or self.value_range[0] == self.value_range[1]:
            raise ClassifierError(f"spec: value_range must be two different numbers, got {list(self.value_range)}")

    @property
    def k(self) -> int:
        """How many labels, and so how many logits."""
        return len(self.labels)

    @property
    def activation(self) -> Literal["softmax", "sigmoid"]:
        """How logits become probabilities."""
        return "sigmoid" if self.output == "multi-label" else "softmax"

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> ClassifierSpec:
        """Read what ``to_json`` wrote, or what a person wrote by hand.

        Raises:
            ClassifierError: not an object, an unknown or missing key, or a value that cannot be meant.
        """
        if not isinstance(given, Mapping):
            raise ClassifierError(f"spec: expected a JSON object, got {type(given).__name__}")
        known = [field.name for field in fields(cls)]
        if unknown := [str(key) for key in given if key not in known]:
            raise ClassifierError(f"spec: unknown key {', '.join(unknown)}; known are {', '.join(known)}")
        if missing := [key for key in ("labels", "input_size", "channels") if key not in given]:
            raise ClassifierError(f"spec: {', '.join(missing)} missing; needed are labels, input_size, channels")
        return cls(**given)


def _listed(spec: ClassifierSpec, name: str) -> tuple[Any, ...]:
    """The field's value, turned from a list (as JSON has it) into a tuple."""
    value = getattr(spec, name)
    if not isinstance(value, list | tuple):
        raise ClassifierError(f"spec: {name} must be a list, got {value!r}")
    object.__setattr__(spec, name, tuple(value))
    return tuple(value)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
