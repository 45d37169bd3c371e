"""Runs as a table on the terminal."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from pathlib import Path

from stylex.cli.progress import duration
from stylex.report.words import percent
from stylex.store.runs import RunInfo

_STATES = {"training": "training now"}


def table_of(runs: Sequence[RunInfo], folder: str | Path) -> list[str]:
    """The lines of the table; a sentence where there is none to list."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not runs:
        return [f"no run in {folder}; `stylex train` writes one"]
    table = Table(box=None, pad_edge=False)
    for head, right in (
        ("run", False),
        ("state", False),
        ("kimg", True),
        ("left", True),
        ("images/s", True),
        ("agreement", True),
        ("by accident", True),
        ("written", True),
    ):
        table.add_column(head, justify="right" if right else "left", no_wrap=True)
    for run in runs:
        total = "?" if run.total_nimg is None else f"{run.total_nimg / 1000:.4g}"
        kimg = f"{run.nimg / 1000:.4g}" + ("" if run.nimg == 0 and run.total_nimg is None else f" / {total}")
        cells = (
            str(run.path),
            _STATES.get(run.state, run.state),
            kimg,
            "" if run.left_s is None else duration(run.left_s),
            "" if run.images_per_s is None else f"{run.images_per_s:.3g}",
            "" if run.agreement is None else percent(run.agreement),
            "" if run.agreement_other is None else percent(run.agreement_other),
            f"{duration(run.age_s)} ago",
        )
        table.add_row(*(Text(cell) for cell in cells))
    stream = io.StringIO()
    Console(file=stream, width=max(shutil.get_terminal_size((200, 24)).columns, 160), color_system=None).print(table)
    lines = [line.rstrip() for line in stream.getvalue().splitlines()]
    damaged = [f"damaged: {run.path}: {run.trouble}" for run in runs if run.trouble is not None]
    panels = [f"panel: {run.panel}" for run in runs if run.panel is not None]
    return [*lines, *damaged, *panels]
