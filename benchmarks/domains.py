"""The figures of real sets side by side, from what ``stylex evaluate`` wrote about each.

    stylex evaluate leaves/run --data leaves/leaves.zip --out leaves.json
    python benchmarks/domains.py leaves=leaves.json shoes=shoes.json --json docs/results/domains.json
    python benchmarks/domains.py --photograph docs/results/photograph.json --rows pepper-leaves x-ray    # Markdown

``top10`` is the share of images that the first ten attributes turn (all of them where there are fewer), towards the
class that is hardest to reach; ``random`` as many random directions of the same length, there. ``top10_own`` is the
same, attributes chosen for each image by itself: the mean of the classes, from the hardest to the easiest.

The second form makes the table of the gallery out of what ``benchmarks/photograph.py`` measured: of each domain and
class the direction that turns most, beside it the mean of the best three, and ten turned together.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stylex.core.evaluation import Evaluation, Measure
from stylex.core.files import write_whole
from stylex.store.evaluation import read_evaluation

FIGURES = {
    "agreement": "reconstruction.agreement",
    "probability_error": "reconstruction.probability_error",
    "pixel_l1": "reconstruction.pixel_l1",
    "observer_of_4": "observer.accuracy_of_4",
}


def main() -> None:
    """Read, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("domains", nargs="*", metavar="NAME=EVALUATION.json")
    parser.add_argument("--photograph", type=Path, help="what benchmarks/photograph.py wrote")
    parser.add_argument("--rows", nargs="+", default=[], help="its domains to show, in order")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.photograph:
        print("\n".join(table(json.loads(options.photograph.read_text()), options.rows)))
        return
    named = [domain.partition("=")[::2] for domain in options.domains]
    report = {name: figures(read_evaluation(path)) for name, path in named}
    for name, row in report.items():
        shown = (f"{figure} {value['value']:.3f}" for figure, value in row.items() if isinstance(value, dict))
        print(f"{name}: " + ", ".join(shown))
    if options.json:
        write_whole(options.json, (json.dumps(report, indent=1) + "\n").encode())


def table(rows: Sequence[Mapping[str, Any]], domains: Sequence[str]) -> list[str]:
    """In Markdown: a row for each class of each domain, its first direction beside random ones as long."""
    lines = [
        "| domain | px | to | images | first knob: rebuilt, photograph (random) | change (random) | best three: "
        "rebuilt, photograph | ten together: rebuilt, photograph (random) | "
        "agreement | L1 | follows w | same reason (another image's) | minutes |",
        "|---" * 13 + "|",
    ]
    for domain in domains:
        for row in (row for row in rows if row["domain"] == domain):
            first = max(row["attributes"], key=lambda one: one["flips_rebuilt"])
            lines.append(
                f"| {domain} | {row['resolution']} | {row['target']} | {row['images']} | {first['flips_rebuilt']:.0%}, "
                f"{first['flips_photograph']:.0%} ({first['flips_random']:.0%}) | {first['change']:.3f} "
                f"({first['change_random']:.3f}) | {row['flips_rebuilt']:.0%}, {row['flips_photograph']:.0%} | "
                f"{_at_once(row.get('together'))} | "
                f"{row['agreement']:.3f} | {row['l1']:.3f} | {_or_dash(row['follows_w'])} | {row['same_reason']:.2f} "
                f"({row['same_reason_other']:.2f}) | {_or_dash(row['minutes'], 0)} |"
            )
    return lines


def _at_once(together: Mapping[str, Any] | None) -> str:
    """What the first ten do, or as many as there were."""
    if together is None:
        return "-"
    shares = f"{together['flips_rebuilt']:.0%}, {together['flips_photograph']:.0%} ({together['flips_random']:.0%})"
    return shares if together["directions"] == 10 else f"{shares}, by {together['directions']}"


def _or_dash(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def figures(evaluation: Evaluation) -> dict[str, Any]:
    """What counts of an evaluation."""
    known = {m.name: _ends(m) for m in evaluation.measures}
    row: dict[str, Any] = {figure: known[name] for figure, name in FIGURES.items() if name in known}
    tops, own = _most(evaluation, "sufficiency"), _most(evaluation, "own")
    beside = {m.target: _ends(m) for m in evaluation.measures if (m.part, m.kind) == ("sufficiency", "random")}
    if tops:
        label = min(tops, key=lambda name: tops[name][1]["value"])
        row["top10"] = tops[label][1] | {"attributes": tops[label][0], "towards": label}
        if label in beside:
            row["random"] = beside[label]
    if own:
        shares = [value["value"] for _, value in own.values()]
        row["top10_own"] = {"value": sum(shares) / len(shares), "low": min(shares), "high": max(shares)}
    return row | {"searched": evaluation.searched, "measured": evaluation.measured}


def _most(evaluation: Evaluation, part: str) -> dict[str, tuple[int, dict[str, Any]]]:
    """For each class the part's measure of the most attributes, with their number."""
    most: dict[str, tuple[int, dict[str, Any]]] = {}
    for m in evaluation.measures:
        if (m.part, m.kind) != (part, "attributes") or m.target is None or m.top is None:
            continue
        if m.target not in most or m.top > most[m.target][0]:
            most[m.target] = m.top, _ends(m)
    return most


def _ends(measure: Measure) -> dict[str, Any]:
    return {"value": measure.value, "low": measure.low, "high": measure.high}


if __name__ == "__main__":
    main()
