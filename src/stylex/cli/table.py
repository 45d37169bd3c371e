"""The evaluation as a table on the terminal: every number with its interval, its images and what it means."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator

from stylex.core.evaluation import Evaluation, Interval, Measure, MeasuredAttribute
from stylex.core.numbers import Numbers

_WIDTH = 118


def table_of(evaluation: Evaluation) -> list[str]:
    """The lines of the table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=f"{evaluation.title}: found on {evaluation.searched} images, measured on {evaluation.measured} others",
        title_style="",
        title_justify="left",
    )
    table.add_column("measure")
    table.add_column("value", justify="right")
    table.add_column("95% interval")
    table.add_column("images", justify="right")
    table.add_column("")
    for part, measures in evaluation.parts():
        table.add_section()
        table.add_row(Text(part, style="bold"))
        said = ""
        for measure in measures:
            images = "" if measure.images is None else str(measure.images)
            about = remark(measure)
            # As text: what is in brackets is a name, not a style. What holds of several in a row is said once.
            cells = (f"  {measure.what}", number(measure.value), reach(measure), images, "" if about == said else about)
            table.add_row(*(Text(cell) for cell in cells))
            said = about
    told = Numbers.within(evaluation.settings, evaluation.labels)
    unit = "logits" if told is None else told.unit or told.names[-1]
    if evaluation.attributes:
        table.add_section()
        table.add_row(Text("attributes", style="bold"))
        for attribute in evaluation.attributes:
            table.add_row(*(Text(cell) for cell in _attribute(attribute, unit)))
    stream = io.StringIO()
    Console(file=stream, width=_WIDTH, color_system=None).print(table)
    return [line.rstrip() for line in stream.getvalue().splitlines()] + [f"note: {note}" for note in evaluation.notes]


def number(value: float | None) -> str:
    """Three digits, or a dash for what was not measured."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}" if abs(value) >= 100 else f"{value:.3f}"


def reach(measure: Measure | Interval) -> str:
    """The interval, where there is one."""
    ends = (measure.low, measure.high)
    known = [end for end in ends if end is not None and math.isfinite(end)]
    return f"{number(known[0])} to {number(known[1])}" if len(known) == 2 else ""


def remark(measure: Measure) -> str:
    """What a number was measured with, and how to read it."""
    return "; ".join(text for text in (measure.by, measure.note) if text)


def _attribute(a: MeasuredAttribute, unit: str) -> tuple[str, ...]:
    effect = a.effect or Interval.nothing()
    return f"  {a.name}", number(effect.value), reach(effect), "", ", ".join(facts(a, unit))


def facts(a: MeasuredAttribute, unit: str = "logits") -> Iterator[str]:
    """What was measured of an attribute, in a few words each."""
    yield f"{unit} to {a.target_label}"
    if a.q is not None and a.random_effect is not None:
        yield f"random {a.random_effect:+.2f}, q {a.q:.2g}" + ("" if a.claimed else ", not claimed")
    if a.flips is not None and a.flips_photograph is not None:
        yield f"turns {100 * a.flips.value:.0f}%, photographs {100 * a.flips_photograph.value:.0f}%"
    if a.area is not None:
        yield f"on {100 * a.area.value:.0f}% of the pixels"
    if a.recognised is not None:
        yield f"recognised {100 * a.recognised:.0f}%"
    if a.similarity is not None:
        yield f"like {a.counterpart} {a.similarity:.2f}"
