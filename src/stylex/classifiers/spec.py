"""ClassifierSpec: what must be known of a classifier to show it an image and to read its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Literal, get_args

from stylex.core.errors import ClassifierError

OutputKind = Literal[
    "logits", "probabilities", "single-logit", "multi-label", "multi-label-probabilities", "regression"
]
Activation = Literal["softmax", "sigmoid", "regression"]
Interpolation = Literal["bilinear", "bicubic"]


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
            second label's), ``single-logit`` (two classes, one number), ``multi-label`` (one logit a label,
            each with its own sigmoid), ``multi-label-probabilities`` (the sigmoids are applied already) or
            ``regression`` (one real number a label, which is the name of what is told: ``age``).
        interpolation: how images are resized to ``input_size``: ``bilinear`` or ``bicubic``.
        unit: of a regression's numbers: ``years``.
        center, scale: mean and standard deviation of a regression's numbers, one each a label; where they are not
            given, a training measures them on its images.
        low, high: the ends of the scale on which a regression's numbers are shown, one each a label: the least and the
            most that it says of the training images, where a training measured them.
    """

    labels: tuple[str, ...]
    input_size: int
    channels: Literal[1, 3]
    mean: tuple[int | float, ...] = (0.0,)
    std: tuple[int | float, ...] = (1.0,)
    value_range: tuple[int | float, int | float] = (0.0, 1.0)
    output: OutputKind = "logits"
    interpolation: Interpolation = "bilinear"
    unit: str = ""
    center: tuple[int | float, ...] = ()
    scale: tuple[int | float, ...] = ()
    low: tuple[int | float, ...] = ()
    high: tuple[int | float, ...] = ()

    def __post_init__(self) -> None:
        for name, value in _validated({field.name: getattr(self, field.name) for field in fields(self)}).items():
            object.__setattr__(self, name, value)

    @property
    def k(self) -> int:
        """How many labels, and so how many logits."""
        return len(self.labels)

    @property
    def activation(self) -> Activation:
        """How logits become probabilities; those of a regression are its numbers, standardised."""
        if self.output == "regression":
            return "regression"
        return "sigmoid" if self.output.startswith("multi-label") else "softmax"

    def to_json(self) -> dict[str, Any]:
        """All fields as plain JSON; the usual interpolation is not written, as runs before it knew no other."""
        fields = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        if self.interpolation == "bilinear":
            del fields["interpolation"]
        if self.output != "regression":
            del fields["unit"], fields["center"], fields["scale"]
        if not self.low:  # as runs before these have it
            del fields["low"], fields["high"]
        return fields

    @classmethod
    def from_json(cls, given: Any) -> ClassifierSpec:
        """Read what ``to_json`` wrote, or what a person wrote by hand.

        Raises:
            ClassifierError: not an object, an unknown or missing key, or a value that cannot be meant.
        """
        if not isinstance(given, Mapping):
            raise ClassifierError(f"spec: expected a JSON object, got {type(given).__name__}")
        defaults = {field.name: field.default for field in fields(cls)}
        if unknown := [str(key) for key in given if key not in defaults]:
            raise ClassifierError(f"spec: unknown key {', '.join(unknown)}; known are {', '.join(defaults)}")
        if missing := [key for key, default in defaults.items() if default is MISSING and key not in given]:
            raise ClassifierError(f"spec: {', '.join(missing)} missing; needed are labels, input_size, channels")
        return cls(**_validated(defaults | dict(given)))


def _validated(given: dict[str, Any]) -> dict[str, Any]:
    """All fields in their final types; every rule about them is here.

    Raises:
        ClassifierError: a value that cannot be meant.
    """
    labels, output, size, channels = given["labels"], given["output"], given["input_size"], given["channels"]
    if not isinstance(labels, list | tuple) or not all(isinstance(label, str) and label.strip() for label in labels):
        raise ClassifierError(f"spec: labels must be a list of names, got {labels!r}")
    if len(set(labels)) != len(labels):
        raise ClassifierError(f"spec: labels must differ from each other, got {list(labels)}")
    if output not in get_args(OutputKind):
        raise ClassifierError(f"spec: output must be one of {', '.join(get_args(OutputKind))}, got {output!r}")
    if given["interpolation"] not in get_args(Interpolation):
        raise ClassifierError(
            f"spec: interpolation must be one of {', '.join(get_args(Interpolation))}, got {given['interpolation']!r}"
        )
    fewest = 1 if output.startswith("multi-label") or output == "regression" else 2
    if len(labels) < fewest or (output == "single-logit" and len(labels) != 2):
        wanted = "exactly 2" if output == "single-logit" else f"at least {fewest}"
        raise ClassifierError(f"spec: output {output} needs {wanted} labels, got {list(labels)}")
    if not _is_int(size) or not 1 <= size <= 4096:
        raise ClassifierError(f"spec: input_size must be a side in px from 1 to 4096, got {size!r}")
    if not _is_int(channels) or channels not in (1, 3):
        raise ClassifierError(f"spec: channels must be 1 or 3, got {channels!r}")
    numbers = {name: _numbers(given[name], name) for name in _ROWS}
    _check_regression(given, numbers)
    for name in ("mean", "std"):
        count = len(numbers[name])
        if count not in (1, channels):
            raise ClassifierError(
                f"spec: {name} must hold 1 or {channels} numbers for {channels} channel(s), got {count}"
            )
        numbers[name] *= channels // count
    if min(numbers["std"]) <= 0:
        raise ClassifierError(f"spec: std must be above 0, got {list(numbers['std'])}")
    if len(numbers["value_range"]) != 2 or len(set(numbers["value_range"])) != 2:
        raise ClassifierError(f"spec: value_range must be two different numbers, got {list(numbers['value_range'])}")
    return given | numbers | {"labels": tuple(labels)}


_ROWS = ("mean", "std", "value_range", "center", "scale", "low", "high")


def _check_regression(given: Mapping[str, Any], numbers: Mapping[str, tuple[float, ...]]) -> None:
    """What only numbers have: a unit, and where they lie.

    Raises:
        ClassifierError: they are given of something else, or do not fit each other.
    """
    unit, center, scale, low, high = given["unit"], *(numbers[name] for name in ("center", "scale", "low", "high"))
    if not isinstance(unit, str) or len(unit) > 40:
        raise ClassifierError(f"spec: unit must be a word such as years, got {str(unit)[:80]!r}")
    if given["output"] != "regression":
        if unit or center or scale or low or high:
            raise ClassifierError(
                "spec: unit, center, scale, low and high are of output regression only; leave them out"
            )
        return
    count = len(given["labels"])
    if len(center) != len(scale) or len(scale) not in (0, count):
        raise ClassifierError(
            f"spec: center and scale must hold one number for each of {count} label(s), or be left out; got "
            f"{list(center)} and {list(scale)}"
        )
    if scale and min(scale) <= 0:
        raise ClassifierError(f"spec: scale must be above 0, got {list(scale)}")
    if len(low) != len(high) or len(low) not in (0, count) or any(a >= b for a, b in zip(low, high, strict=True)):
        raise ClassifierError(
            f"spec: low and high must hold one number for each of {count} label(s), low below high, or be left out; "
            f"got {list(low)} and {list(high)}"
        )


def _numbers(values: Any, name: str) -> tuple[float, ...]:
    if not isinstance(values, list | tuple):
        raise ClassifierError(f"spec: {name} must be a list of numbers, got {values!r}")
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e30 for v in values):
        raise ClassifierError(f"spec: {name} must hold finite numbers, got {list(values)}")
    return tuple(float(v) for v in values)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
