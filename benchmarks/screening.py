"""How honest a screen is: screens of many orders of the images, simulated on exact effects that are measured once.

Every coordinate is measured both ways on some images of a snapshot, and kept in a file. Then the screen is run on them
in many orders, without drawing anything: what share of the exact strongest moves it keeps, what it states, and how many
pictures each image to be moved costs it. ``by chance`` is what as many moves taken at random hold. ``picks`` is the
share of AttFind's choices (up to 10 of a class, no test of significance) that it makes as well of what was kept, and
``first 8`` how often the first eight are the same, in the same order.

    python benchmarks/screening.py --images 250
    python benchmarks/screening.py --snapshot RUN --data ARCHIVE --classifier FOLDER --images 120 --part 2
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from search import DEMO, TOP, trained
from stylex.core.stylespace import StyleSpace
from stylex.search.attfind import attfind
from stylex.search.decision import predicted
from stylex.search.effects import Effects, measure_effects
from stylex.search.first_order import first_order
from stylex.search.screen import Race
from stylex.search.task import Task


class Simulated(NamedTuple):
    """One screen."""

    found: float
    stated: float
    pictures: float
    chance: float
    picks: float
    first: float


class Table(NamedTuple):
    """Effects of all moves on the images to be moved to a class, and the gradient's guesses of them."""

    effects: Effects
    guess: np.ndarray
    goal: int


def chosen(effects: Effects, goal: int, space: StyleSpace) -> list[tuple[str, int]]:
    """What AttFind makes of effects."""
    labels = tuple(map(str, range(effects.base_logits.shape[1])))
    task = Task(effects=effects, target=goal, space=space, labels=labels)
    return [(a.name, a.sign) for a in attfind(task, num=TOP, restart=True, alpha=1.0)]


def simulated(table: Table, space: StyleSpace, images: int | None, seed: int, top: int, recall: float) -> Simulated:
    """A screen of some of the images, in an order of its own."""
    order = np.random.default_rng([seed, table.goal]).permutation(len(table.guess))[:images]
    effects, guess = table.effects.of(order), table.guess[order]
    values = effects.table(table.goal)
    race, pictures = Race(target=table.goal, rows=np.arange(len(guess)), top=top, seed=seed), [0]

    def measure(wanted: np.ndarray, fresh: np.ndarray) -> np.ndarray:
        pictures.append(int(wanted.sum()) * len(fresh))
        return values[fresh]

    race.run(guess, measure, recall=recall)
    mean = values.mean(axis=0, dtype=np.float64)
    best = np.argsort(-mean, axis=None, kind="stable")[:top]
    kept = race.alive.any(axis=0)
    exact = chosen(effects, table.goal, space)
    part = Effects(
        values=effects.values[:, :, kept],
        base_logits=effects.base_logits,
        indices=effects.indices[kept],
        image_ids=effects.image_ids,
        shift_range=effects.shift_range,
    )
    own = chosen(part, table.goal, space)
    return Simulated(
        found=float(kept[best % len(kept)].mean()),
        stated=race.stated(recall),
        pictures=sum(pictures) / len(guess),
        chance=float(kept.mean()),
        picks=len(set(exact) & set(own)) / len(exact) if exact else float(not own),
        first=float(exact[:8] == own[:8]),
    )


def tables(options: argparse.Namespace) -> tuple[list[Table], StyleSpace]:
    """Exact effects of the snapshot: read from the file, or measured and written there."""
    classifier = options.classifier
    if classifier is None and options.snapshot == DEMO / "snapshot":
        classifier = str(DEMO / "classifier")
    case = trained(options.snapshot, options.data, classifier, options.images)
    indices = case.space.indices(include_torgb=False)
    if options.part > 1:
        indices = np.random.default_rng(0).permutation(indices)[: len(indices) // options.part]
    indices = np.sort(indices)
    if options.effects is not None and options.effects.exists():
        effects = Effects.load(options.effects)
        if not np.array_equal(effects.indices, indices) or effects.image_ids != case.ids:
            raise SystemExit(f"{options.effects} has other coordinates or images; give another file")
    else:
        effects = measure_effects(case.networks, case.s, image_ids=case.ids, indices=indices)
        if options.effects is not None:
            effects.save(options.effects)
    made = []
    for goal in options.goals or case.goals:
        rows = ~np.asarray(predicted(effects.base_logits, goal, "softmax"))
        made.append(Table(effects.of(rows), first_order(case.networks, case.s[rows], goal, indices), goal))
    return made, case.space


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--snapshot", type=Path, default=DEMO / "snapshot")
    parser.add_argument("--data", type=Path, default=DEMO / "shoes.zip", help="archive; its test images are searched")
    parser.add_argument("--classifier", help="default: the demo's with the demo's snapshot, else the snapshot's own")
    parser.add_argument("--images", type=int, default=120, help="measured; the screen is of those to be moved")
    parser.add_argument("--part", type=int, default=1, help="measure one coordinate in so many, drawn at random")
    parser.add_argument("--goals", type=int, nargs="+", help="classes to screen for (default: of two both, else one)")
    parser.add_argument("--fewer", type=int, nargs="*", default=[], help="screen so many of those to be moved as well")
    parser.add_argument("--orders", type=int, default=30, help="of the images, for each class")
    parser.add_argument("--top", type=int, nargs="+", default=[TOP], help="strongest moves to be kept")
    parser.add_argument("--recall", type=float, default=0.99)
    parser.add_argument("--effects", type=Path, help="keep the exact effects in this file, or take them from there")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    made, space = tables(options)
    lines: list[dict[str, Any]] = []
    for images in (*options.fewer, None):
        for top in options.top:
            screens = [
                simulated(table, space, images, seed, top, options.recall)
                for table in made
                for seed in range(options.orders)
            ]
            mean = np.mean(screens, axis=0).tolist()
            line = dict(zip(Simulated._fields, mean, strict=True))
            line["error"] = float(np.std([s.found for s in screens]) / len(screens) ** 0.5)
            rows = [min(len(table.guess), images or len(table.guess)) for table in made]
            moves = 2 * len(made[0].effects.indices)
            lines.append({"images": float(np.mean(rows)), "moves": moves, "top": top, **line})
    if options.json:
        json.dump(lines, sys.stdout, indent=1)
        return
    print(
        "| to be moved | moves | top | pictures | found | stated | by chance | picks | first 8 |\n" + "|---" * 9 + "|"
    )
    for line in lines:
        print(
            f"| {line['images']:.0f} | {line['moves']} | {line['top']} | {line['pictures']:.1f} | {line['found']:.3f} "
            f"({line['error']:.3f}) | {line['stated']:.3f} | {line['chance']:.3f} | {line['picks']:.3f} | "
            f"{line['first']:.2f} |"
        )


if __name__ == "__main__":
    main()
