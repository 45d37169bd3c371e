"""The evaluation on the terminal: one table that a person can read."""

from __future__ import annotations

import math

from stylex.cli.table import number, table_of
from stylex.core.evaluation import Evaluation, Interval, Measure, MeasuredAttribute


def test_every_measure_has_its_line() -> None:
    evaluation = Evaluation(
        title="How far",
        labels=("a", "b"),
        searched=10,
        measured=20,
        measures=(
            Measure(name="realism.kid_real", value=0.0123, low=-0.01, high=0.04, images=20, by="Inception", note="ok"),
            Measure(name="cost.classifier_calls", value=12345.0),
        ),
        attributes=(
            MeasuredAttribute(
                name="b4.conv1:3+", target_label="[red]b", shift_range=1.0, random_effect=-0.011, q=0.002,
                claimed=False,
                effect=Interval(value=1.5, low=1.0, high=2.0), recognised=0.975,
            ),
        ),
        settings={},
        snapshot={},
        notes=("Too few.",),
    )  # fmt: skip
    lines = table_of(evaluation)
    text = "\n".join(lines)
    assert "found on 10 images, measured on 20 others" in text
    (kid,) = [line for line in lines if "kid_real" in line]
    for words in ("0.012", "-0.010 to 0.040", "20", "Inception; ok"):
        assert words in kid
    assert "12,345" in text
    assert "logits to [red]b, random" in text
    assert lines[-1] == "note: Too few."
    assert max(map(len, lines)) <= 118


def test_numbers_are_short() -> None:
    assert [number(x) for x in (0.12345, 123.4, 45678.0, math.nan, None)] == ["0.123", "123", "45,678", "-", "-"]
