"""Draw which knob changes what, as bubbles, from the scores of planted causes: docs/is-it-true.md's table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scores", type=Path, help="what benchmarks/planted.py wrote")
    parser.add_argument("out", type=Path, help="the PNG to write")
    parser.add_argument("--seed", type=int, default=0, help="which of the seeds, by its place")
    options = parser.parse_args()
    row = json.loads(options.scores.read_text())["seeds"][options.seed]
    strengths = row["strengths"]
    factors = sorted(strengths, key=lambda name: -abs(strengths[name]))
    knobs = row["curve"][-1]["directions"]["attributes"]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(9, 0.46 * len(factors) + 1.2), width_ratios=(1, 2.2), sharey=True, layout="constrained"
    )
    places = range(len(factors))
    left.barh(places, [abs(strengths[name]) for name in factors], color="#0b6a8f")
    left.set_yticks(places, factors)
    left.set_ylim(len(factors) - 0.5, -0.5)
    left.set_title("what the classifier really goes by\n(log odds, from end to end)", fontsize=10)
    for j, knob in enumerate(knobs):
        for i, name in enumerate(factors):
            change = knob["changes"][name]
            right.scatter(j, i, s=260 * abs(change), color="#0b6a8f" if change > 0 else "#b0501a", alpha=0.85, lw=0)
    right.set_xticks(range(len(knobs)), [f"{j + 1}\n{knob['towards']}" for j, knob in enumerate(knobs)], fontsize=8)
    right.set_xlim(-0.6, len(knobs) - 0.4)
    right.set_title("what each knob changes in the pictures\n(blue more, orange less; strongest first)", fontsize=10)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(length=0)
    right.grid(axis="y", alpha=0.25)
    right.set_axisbelow(True)
    figure.savefig(options.out, dpi=130)


if __name__ == "__main__":
    main()
