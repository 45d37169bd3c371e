"""Conditions on an audit, as a pipeline states them: ``attribute 3 > 0.5 or accuracy < 0.9``.

A grammar of its own, of which nothing is ever executed::

    conditions: condition ("," condition)*           each a check by itself
    condition:  all ("or" all)*
    all:        comparison ("and" comparison)*
    comparison: subject ("<" | "<=" | ">" | ">=") number
    subject:    ("attribute" number | "any" "attribute") [measure] | overall
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from stylex.core.audited import Audit, AuditedAttribute, Checked, Versus
from stylex.core.errors import ConfigError

MEASURES: Mapping[str, Callable[[AuditedAttribute], float]] = {
    "weight": lambda a: abs(a.weight.after.value),
    "gain": lambda a: abs(a.weight.after.value) - abs(a.weight.before.value),
    "kept": lambda a: a.kept.value,
    "flips": lambda a: a.flips_photograph.after.value,
    "worst group": lambda a: _after(a.worst),
}
"""What a condition can ask of an attribute in the later version; said by nothing: its weight."""

OVERALL: Mapping[str, Callable[[Audit], float]] = {
    "accuracy": lambda audit: _after(audit.accuracy),
    "accuracy drop": lambda audit: math.nan if audit.accuracy is None else -audit.accuracy.difference.value,
    "worst group": lambda audit: min((_after(a.worst) for a in audit.attributes if a.worst), default=math.nan),
}
"""What a condition can ask of the later version as a whole."""

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_WORDS = re.compile(r"\s*(<=|>=|[<>]|-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|-?\.\d+|[A-Za-z]+)")
_LONGEST = 2000


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """``attribute 3 flips > 0.5``.

    Attributes:
        attribute: the attribute's number, 0 for any; None: of the version as a whole.
        measure: what is compared.
        sign: how.
        limit: with what.
    """

    attribute: int | None
    measure: str
    sign: str
    limit: float

    @property
    def subject(self) -> str:
        """What is compared, in words."""
        if self.attribute is None:
            return self.measure
        return f"{f'attribute {self.attribute}' if self.attribute else 'any attribute'} {self.measure}"

    def values(self, audit: Audit) -> Iterator[float]:
        """What was measured: a number, or one of each attribute."""
        if self.attribute is None:
            yield OVERALL[self.measure](audit)
            return
        for attribute in audit.attributes:
            if self.attribute in (0, attribute.number):
                yield MEASURES[self.measure](attribute)


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One condition.

    Attributes:
        said: as it was written.
        ways: it holds where all comparisons of one of these hold.
    """

    said: str
    ways: tuple[tuple[Comparison, ...], ...]

    def check(self, audit: Audit) -> Checked:
        """Whether it holds of an audit; what could not be measured fails no condition, and is refused instead.

        Raises:
            ConfigError: it asks for what could not be measured.
        """
        values: dict[str, float] = {}
        for comparison in (comparison for way in self.ways for comparison in way):
            known = [value for value in comparison.values(audit) if math.isfinite(value)]
            if not known:
                raise ConfigError(
                    f"the condition {self.said!r} asks for {comparison.subject}, which could not be measured here (the "
                    "images need labels that both classifiers know, in groups that are large enough); leave it out"
                )
            extreme = max if comparison.sign.startswith(">") else min
            values[comparison.subject] = extreme(known)
        holds = any(all(_OPERATORS[c.sign](values[c.subject], c.limit) for c in way) for way in self.ways)
        return Checked(said=self.said, values=values, holds=holds)


def conditions(text: str, attributes: int) -> tuple[Condition, ...]:
    """Read conditions, separated by commas.

    Args:
        text: what was written; nothing but blanks: no condition.
        attributes: how many attributes there are to be named.

    Raises:
        ConfigError: it is no condition, or names an attribute that is not there.
    """
    if len(text) > _LONGEST:
        raise ConfigError(f"the conditions have {len(text)} characters; use at most {_LONGEST}")
    return tuple(_Reader(part.strip(), attributes).condition() for part in text.split(",") if part.strip())


def _after(pair: Versus | None) -> float:
    return math.nan if pair is None else pair.after.value


class _Reader:
    """Reads one condition from left to right."""

    def __init__(self, text: str, attributes: int) -> None:
        self.text, self.attributes, self.words, at = text, attributes, list[str](), 0
        while at < len(text):
            match = _WORDS.match(text, at)
            if match is None:
                raise self._wrong(f"{text[at:].strip()[:20]!r} is no word of a condition")
            self.words.append(match[1])
            at = match.end()

    def condition(self) -> Condition:
        ways = [self._all()]
        while self._take("or"):
            ways.append(self._all())
        if self.words:
            raise self._wrong(f"{self.words[0]!r} was not expected")
        return Condition(said=self.text, ways=tuple(ways))

    def _all(self) -> tuple[Comparison, ...]:
        found = [self._comparison()]
        while self._take("and"):
            found.append(self._comparison())
        return tuple(found)

    def _comparison(self) -> Comparison:
        attribute, known = self._attribute()
        measure = next((name for name in sorted(known, key=len, reverse=True) if self._take(*name.split())), None)
        if measure is None and attribute is None:
            raise self._wrong(f"{self._next()!r} is nothing that was measured")
        sign = self._next()
        if sign not in _OPERATORS:
            raise self._wrong(f"expected one of {' '.join(_OPERATORS)}, got {sign!r}")
        self.words.pop(0)
        return Comparison(attribute=attribute, measure=measure or "weight", sign=sign, limit=self._number())

    def _attribute(self) -> tuple[int | None, Mapping[str, object]]:
        if self._take("any", "attribute"):
            return 0, MEASURES
        if not self._take("attribute"):
            return None, OVERALL
        number = self._number()
        if not (number.is_integer() and 1 <= number <= self.attributes):
            raise self._wrong(f"there is no attribute {number:g}; they are numbered from 1 to {self.attributes}")
        return int(number), MEASURES

    def _take(self, *words: str) -> bool:
        if [word.lower() for word in self.words[: len(words)]] != list(words):
            return False
        del self.words[: len(words)]
        return True

    def _number(self) -> float:
        try:
            number = float(self._next())
        except ValueError:
            raise self._wrong(f"expected a number, got {self._next()!r}") from None
        if not math.isfinite(number):
            raise self._wrong(f"{self._next()} is too large")
        self.words.pop(0)
        return number

    def _next(self) -> str:
        return self.words[0] if self.words else "the end"

    def _wrong(self, problem: str) -> ConfigError:
        return ConfigError(
            f"the condition {self.text!r:.200} cannot be read: {problem}; expected such as 'attribute 3 > 0.5', "
            f"'any attribute gain > 1' or 'accuracy < 0.9', with {', '.join(MEASURES)} of an attribute or "
            f"{', '.join(OVERALL)}, joined by and, or"
        )
