"""How many held-out images the top attributes turn when moved together: chosen on some images, tested on others.

The search sees the first half of the held-out images (every second one), the test the other half. Beside it, as many
random coordinates moved equally far. Prints a line for each class and selection; with --json the last line is one
JSON object.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from stylex.classifiers import load_classifier
from stylex.data import open_images
from stylex.models.snapshot import load_snapshot
from stylex.search.attfind import attfind
from stylex.search.choosing import choose_to_search
from stylex.search.counterfactual import flip_rate, random_control
from stylex.search.effects import Measuring, measure_effects
from stylex.search.encoding import encode_set
from stylex.search.subject import TrainedSubject
from stylex.search.task import Task
from stylex.search.together import together


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("snapshot", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--classifier", required=True)
    parser.add_argument("--searched", type=int, default=80, help="images to search on")
    parser.add_argument("--tested", type=int, default=200, help="other images to test on")
    parser.add_argument("--shift-range", type=float, default=1.0)
    parser.add_argument("--torgb", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    snapshot, classifier = load_snapshot(options.snapshot), load_classifier(options.classifier)
    held_out = open_images(options.data).split("test")
    halves = [held_out.subset(np.arange(start, len(held_out), 2)) for start in (0, 1)]
    chosen = [
        choose_to_search(classifier, half, num, target=None)
        for half, num in zip(halves, (options.searched, options.tested), strict=True)
    ]
    subject = TrainedSubject.of(snapshot, classifier, torgb=options.torgb)
    searched, tested = (encode_set(subject, part) for part in chosen)
    how = Measuring(shift_range=options.shift_range)
    effects = measure_effects(subject, searched.s, image_ids=searched.ids, indices=subject.indices, how=how)
    result: dict[str, dict[str, float]] = {}
    for target, label in enumerate(subject.labels):
        task = Task.of(subject, searched.s, effects, target)
        for name, ranking in (("attfind", attfind(task, restart=True)), ("together", together(task))):
            if not ranking.attributes:
                print(f"{label}, {name}: {ranking.finding}")
                continue
            flips = flip_rate(subject, tested.s, ranking.attributes, target)
            control = random_control(subject, tested.s, ranking.attributes, target, indices=subject.indices)
            row = {"attributes": float(len(ranking)), "flips": flips.fraction, "images": float(flips.images)}
            result[f"{name}_to_{label}"] = row | {
                "random_flips_equal_length": float(control.fractions.mean()),
                "random_flips_equal_length_std": float(control.fractions.std()),
            }
            print(
                f"{label}, {name}: {len(ranking)} attributes turn {flips.fraction:.1%} of {flips.images} other images, "
                f"random directions as long {control.fractions.mean():.1%} (standard deviation "
                f"{control.fractions.std():.1%})"
            )
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
