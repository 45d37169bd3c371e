"""Methods side by side where the causes are known: drawn images, a short training, ``stylex compare``, several seeds.

    python benchmarks/compare.py OUT --seeds 0 1 2 --json docs/results/compare.json --markdown

What is there already is kept. A number of the table is the mean of the seeds, with the lowest and the highest.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from causes import Drawing

import stylex
from stylex.cli.compared import tables_of
from stylex.core.comparison import COLUMNS, Comparison
from stylex.core.files import write_whole
from stylex.training.config import preset

SHOWN = (
    "flips", "flips_photograph", "components", "area", "factors", "recall", "precision", "purity", "realism",
    "distinct", "calls_found", "calls",
)  # fmt: skip


def main() -> None:
    """Draw, train, compare, for each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--family", default="leaves")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--kimg", type=float, default=40)
    parser.add_argument("--measured", type=int, default=40)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", action="store_true", help="print a table over the seeds")
    options = parser.parse_args()
    found = {}
    for seed in options.seeds:
        found[seed] = compared(options.out, Drawing(family=options.family, images=6000, seed=seed), options)
        print(f"seed {seed}", *tables_of(found[seed]), sep="\n")
    if options.json:
        rows = [
            {"seed": seed, "change": one.change, **row} for seed, one in found.items() for row in one.to_json()["rows"]
        ]
        for row in rows:
            del row["about"], row["curve"]
        write_whole(options.json, (json.dumps(rows, indent=1) + "\n").encode())
    if options.markdown:
        print("\n".join(markdown(list(found.values()))))


def compared(out: Path, drawing: Drawing, options: argparse.Namespace) -> Comparison:
    """One seed's."""
    work = out / drawing.folder
    work.mkdir(parents=True, exist_ok=True)
    archive, classifier = drawing.drawn_and_fitted(work)
    base = preset("small-32")
    config = replace(base, seed=drawing.seed, schedule=replace(base.schedule, kimg=options.kimg, snapshot_nimg=10_000))
    if not (work / "run").exists():
        stylex.train(data=archive, classifier=classifier, out=work / "run", config=config)
    return stylex.compare(
        work / "run",
        data=archive,
        measured=options.measured,
        out=work / "comparison",
        seed=drawing.seed,
        overwrite=True,
    )


def markdown(comparisons: Sequence[Comparison]) -> list[str]:
    """The table: a row for each method that all seeds have."""
    columns = [column for column in COLUMNS if column.key in SHOWN]
    lines = [" | ".join(["| method", *(column.title for column in columns)]) + " |", "|---" * (1 + len(columns)) + "|"]
    for row in comparisons[0].rows:
        cells = []
        for column in columns:
            values = [one[row.name].cells[column.key].value for one in comparisons if column.key in one[row.name].cells]
            known = [value for value in values if math.isfinite(value)]
            scale, digits = (100, 0) if column.unit == "fraction" else (1, 0 if column.unit == "count" else 2)
            mean, low, high = (
                f"{scale * value:,.{digits}f}" for value in (sum(known) / len(known), min(known), max(known))
            ) if known else ("-", "-", "-")  # fmt: skip
            cells.append(mean if low == high else f"{mean} ({low} to {high})")
        title = f"*{row.title}*" if row.kind == "control" else row.title
        lines.append(" | ".join([f"| {title}", *cells]) + " |")
    return lines


if __name__ == "__main__":
    main()
