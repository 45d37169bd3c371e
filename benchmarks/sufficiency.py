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
from stylex.search.counterfactual import flip_rate, random_control
from stylex.search.effects import measure_effects
from stylex.search.explaining import choose_to_search, encode
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
    searched, tested = (
        encode(snapshot, classifier, part.batch(np.arange(len(part))), part.names, [None] * len(part))
        for part in chosen
    )
    networks = (snapshot.generator.synthesis, classifier, snapshot.space)
    labels, output = classifier.spec.labels, classifier.activation
    indices = snapshot.space.indices(include_torgb=options.torgb)
    effects = measure_effects(
        *networks, searched.s, image_ids=searched.ids, indices=indices, shift_range=options.shift_range
    )
    result: dict[str, dict[str, float]] = {}
    for target, label in enumerate(labels):
        for name, ranking in (
            ("attfind", attfind(effects, target, space=snapshot.space, labels=labels, output=output, restart=True)),
            ("together", together(*networks, searched.s, effects, target, labels=labels, output=output)),
        ):
            if not ranking.attributes:
                print(f"{label}, {name}: {ranking.finding}")
                continue
            flips = flip_rate(*networks, tested.s, ranking.attributes, target, output=output)
            control = random_control(*networks, tested.s, ranking.attributes, target, output=output, indices=indices)
            row = {"attributes": float(len(ranking)), "flips": flips.share, "images": float(flips.images)}
            result[f"{name}_to_{label}"] = row | control.figures()
            print(
                f"{label}, {name}: {len(ranking)} attributes turn {flips.share:.1%} of {flips.images} other images, "
                f"as many random coordinates {control.equal_range.mean():.1%} (equal range), "
                f"{control.equal_length.mean():.1%} (equal length)"
            )
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
