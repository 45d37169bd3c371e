"""Conditions of a pipeline: what can be said, what holds, and what is refused in one line."""

from __future__ import annotations

import math

import pytest

from stylex.core.audited import Audit, AuditedAttribute, Versus
from stylex.core.conditions import conditions
from stylex.core.errors import ConfigError
from stylex.core.evaluation import Interval


def number(value: float) -> Interval:
    return Interval(value=value, low=value - 0.1, high=value + 0.1)


def versus(before: float, after: float) -> Versus:
    return Versus(before=number(before), after=number(after), difference=number(after - before))


def attribute(place: int, before: float, after: float, *, worst: Versus | None = None) -> AuditedAttribute:
    return AuditedAttribute(
        number=place,
        name=f"knob {place}",
        target_label="sick",
        weight=versus(before, after),
        weight_photograph=versus(before, after),
        kept=number(after / before),
        flips=versus(0.5, 0.2),
        flips_photograph=versus(0.5, 0.25),
        random_weight=(0.1, 0.1),
        random_flips=(0.01, 0.01),
        worst=worst,
    )


@pytest.fixture
def audit() -> Audit:
    return Audit(
        before="old",
        after="new",
        labels=("healthy", "sick"),
        images=100,
        attributes=(attribute(1, 2.0, 0.4, worst=versus(0.4, 0.8)), attribute(2, -1.0, -3.0)),
        accuracy=versus(0.93, 0.92),
    )


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("attribute 1 > 0.5", False),
        ("attribute 1 weight > .3", True),
        ("attribute 2 > 0.5", True),  # its size counts, whichever way it goes
        ("ATTRIBUTE 2 gain >= 2", True),
        ("any attribute > 2.5", True),
        ("any attribute kept < 0.5", True),
        ("attribute 1 flips > 0.2", True),
        ("attribute 1 worst group < 0.7", False),
        ("worst group < 0.9", True),
        ("accuracy < 0.9", False),
        ("accuracy drop > 0.005", True),
        ("accuracy < 0.9 or attribute 2 > 1", True),
        ("accuracy < 0.9 and attribute 2 > 1", False),
        ("accuracy < 0.9 and attribute 2 > 1 or attribute 1 > 1e-1", True),  # and binds more than or
        ("attribute 1 > -1", True),
    ],
)
def test_what_holds(audit: Audit, text: str, holds: bool) -> None:
    (condition,) = conditions(text, 2)
    checked = condition.check(audit)
    assert checked.holds is holds
    assert checked.said == text
    assert all(math.isfinite(value) for value in checked.values.values())


def test_commas_part_conditions_and_nothing_is_none(audit: Audit) -> None:
    assert [c.check(audit).holds for c in conditions("attribute 1 > 0.5, accuracy < 1 ,", 2)] == [False, True]
    assert conditions("  ", 2) == ()


@pytest.mark.parametrize(
    "text",
    [
        "attribute 3 > 0.5",
        "attribute 0 > 0.5",
        "attribute 1.5 > 0.5",
        "attribute > 0.5",
        "attribute 1 0.5",
        "attribute 1 = 0.5",
        "attribute 1 > x",
        "attribute 1 > 1e999",
        "attribute 1 > 0.5 or",
        "attribute 1 > 0.5 attribute 2 > 1",
        "any > 1",
        "height > 1",
        "__import__('os').system('true') > 1",
        "(attribute 1 > 1)",
        "attribute 1 > 1" + " or attribute 1 > 1" * 200,
    ],
)
def test_what_is_no_condition_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(ConfigError) as told:
        conditions(text, 2)
    assert "\n" not in str(told.value)


def test_what_was_not_measured_cannot_be_asked_for(audit: Audit) -> None:
    (condition,) = conditions("attribute 2 worst group < 0.5", 2)
    with pytest.raises(ConfigError, match="could not be measured"):
        condition.check(audit)
