"""Every knob on the same pictures, at its lower end, as they are, and at its upper end.

One row for each attribute of an explanation that was found along directions, three pictures for each image, each with
the probability of the attribute's class: ``knobs.py RUN EXPLANATION OUT.png --data DATA`` on held-out images as they
are rebuilt; without data on new pictures, drawn from latents distributed like the encoder's: nobody's photograph, and
nobody's reconstruction.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

import stylex
from stylex.classifiers import Classifier, load_recorded
from stylex.data.archive import open_images
from stylex.data.images import to_pictures
from stylex.models.latents import normal_latents
from stylex.models.snapshot import Snapshot
from stylex.report.figures import panel, save_picture
from stylex.search.encoding import encode
from stylex.search.methods import prepared_as
from stylex.search.shifts import apply_attributes
from stylex.search.subject import TrainedSubject

ENDS = (-1.0, 0.0, 1.0)


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("explanation", type=Path, help="found along directions")
    parser.add_argument("out", type=Path, help="the PNG to write")
    parser.add_argument("--data", type=Path, help="of held-out images; not given: new pictures")
    parser.add_argument("--classifier", help="where it is, if not where the training had it")
    parser.add_argument("--images", type=int, default=4, help="as many; of the held-out ones, evenly spread")
    parser.add_argument("--of", nargs="+", help="classes that the images are of; not given: all")
    parser.add_argument("--attributes", type=int, default=8, help="as many of the strongest")
    parser.add_argument("--spread", type=float, default=0.8, help="of new pictures; below 1: nearer to the average one")
    parser.add_argument("--seed", type=int, default=0, help="of new pictures")
    options = parser.parse_args()
    explanation = stylex.read_explanation(options.explanation)
    plain, given = stylex.load_snapshot(options.run), options.classifier
    classifier = stylex.load_classifier(given) if given else load_recorded(plain.classifier_reference)
    snapshot = prepared_as(explanation.space, plain, classifier)
    attributes = {str(a.coordinate): a for a in reversed(explanation.ranking.attributes)}
    strongest = sorted(attributes.values(), key=lambda a: -a.effect)[: options.attributes]

    s = _new(options, snapshot) if options.data is None else _rebuilt(options, snapshot, classifier)
    rows, captions, notes = [], [], []
    with torch.no_grad():
        for attribute in strongest:
            moved = [apply_attributes(s, [attribute], snapshot.space, fractions=[end]) if end else s for end in ENDS]
            drawn = snapshot.generator.synthesis(torch.stack(moved, dim=1).flatten(0, 1)).clamp(-1, 1)
            shares = classifier.probabilities(classifier.logits(drawn))[:, attribute.target]
            rows.append(list(to_pictures(drawn)))
            captions.append(attribute.label or f"to {attribute.target_label}")
            notes.append([f"{share:.2f}" for share in np.asarray(shares)])
    save_picture(panel(rows, captions, notes=notes, cell=80), options.out)


def _rebuilt(options: argparse.Namespace, snapshot: Snapshot, classifier: Classifier) -> torch.Tensor:
    held_out = open_images(options.data).split("test")
    of = options.of or held_out.label_names or classifier.spec.labels
    groups = [held_out.select(label) for label in of]
    chosen = [groups[i % len(groups)] for i in range(options.images)]
    picked = [(2 * (i // len(groups)) + 1) * len(group) // (2 * options.images) for i, group in enumerate(chosen)]
    x = torch.cat([group.batch([row]) for group, row in zip(chosen, picked, strict=True)])
    return encode(TrainedSubject.of(snapshot, classifier), x, [str(i) for i in range(len(x))]).s


def _new(options: argparse.Namespace, snapshot: Snapshot) -> torch.Tensor:
    w = normal_latents(snapshot.latents, options.images, seed=options.seed, spread=options.spread)
    with torch.no_grad():
        return snapshot.generator.synthesis.styles(w, maps=snapshot.some_maps(len(w)))


if __name__ == "__main__":
    main()
