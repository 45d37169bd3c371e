"""A comparison as tables on the terminal: a row for each method, a table for each question."""

from __future__ import annotations

import io

from stylex.core.comparison import Cell, Column, Comparison
from stylex.report.compared import number

_WIDTH = 118


def tables_of(comparison: Comparison) -> list[str]:
    """The lines of the tables; ``~`` marks what random directions of the same size get too."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stream = io.StringIO()
    console = Console(file=stream, width=_WIDTH, color_system=None)
    for question, columns in comparison.groups():
        table = Table(title=question, title_style="", title_justify="left")
        table.add_column("method")
        for column in columns:
            table.add_column(column.title, justify="right")
        for row in comparison.rows:
            if row.kind == "control" and columns[0].group == "cost":
                continue
            cells = [_written(comparison, row.name, column, row.cells[column.key]) for column in columns]
            table.add_row(*(Text(cell) for cell in (row.title, *cells)))
            following = comparison.rows[comparison.rows.index(row) + 1 :]
            if row.kind != "control" and following and following[0].kind == "control":
                table.add_section()
        console.print(table)
    said = [
        f"Every image is changed by {comparison.change:.3f} of 2 on average over its pixels, where a method can"
        + (f", the size that {comparison.reference} gives" if comparison.reference else "")
        + f"; fitted on {comparison.searched} images, measured on {comparison.measured} others.",
        *filter(None, [comparison.falling_short()]),
        "~ no better than random directions of the same size, within the intervals (what chooses among several "
        "pictures: than the best of eight); - does not apply.",
    ]
    return [line.rstrip() for line in stream.getvalue().splitlines()] + said + [f"note: {n}" for n in comparison.notes]


def _written(comparison: Comparison, name: str, column: Column, cell: Cell) -> str:
    mark = "~" if name != "random" and comparison.by_accident(name, column) else ""
    return mark + number(cell, column)
