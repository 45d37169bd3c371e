"""Do two classifiers of one question look at the same things? One generator, several classifiers, a table.

    PYTHONPATH=recipes/faces python benchmarks/same_question.py RUN ARCHIVE classifier=old perceived:age=old

Each classifier is written with the class that is asked about. Every independent direction of the generator is turned
to both ends on held-out images, and each classifier says by how much the log odds of its class change. Printed are the
moves, strongest of the first classifier first; how the others' changes go along with the first's over the moves, and
over as many random directions as long; how often the answers are the same; and how alike the evidence maps of the same
photograph are, beside those of two photographs. A classifier of another question is what passes by accident. The row
that the file holds of the domain already is replaced.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from photograph import gradients, to_extreme
from torch import Tensor

from stylex.classifiers.load import load_classifier
from stylex.core.files import write_whole
from stylex.data.archive import open_images
from stylex.metrics.reason import evidence, same_reason
from stylex.models.snapshot import load_snapshot
from stylex.search.decision import log_odds
from stylex.search.directions import INDEPENDENT, RANDOM, independent
from stylex.search.encoding import encode_set
from stylex.search.subject import TrainedSubject

SHOWN = 6


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("archive", type=Path)
    parser.add_argument("classifiers", nargs="+", metavar="CLASSIFIER=CLASS")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--domain", help="its name in the file (default: the archive's)")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    asked = [reference.rpartition("=")[::2] for reference in options.classifiers]
    snapshot = independent(load_snapshot(options.run))
    images = open_images(options.archive).split("test")
    chosen = images.subset(np.linspace(0, len(images) - 1, min(options.images, len(images))).round().astype(int))
    heard = {
        f"{reference} ({label})": _Heard.of(TrainedSubject.of(snapshot, load_classifier(reference)), chosen, label)
        for reference, label in asked
    }
    first, *others = heard
    report: dict[str, Any] = {"images": len(chosen), "classifiers": {}}
    for name in others:
        one, two = heard[first], heard[name]
        turned = np.random.default_rng(0).permutation(len(chosen))
        report["classifiers"][name] = {
            "moves_correlate": _correlation(one.moves, two.moves),
            "random_moves_correlate": _correlation(one.random, two.random),
            "same_answer": float((one.says == two.says).mean()),
            "same_answer_other_image": float((one.says == two.says[turned]).mean()),
            "evidence_correlates": same_reason(one.evidence, two.evidence).mean().item(),
            "evidence_correlates_other_image": same_reason(one.evidence, two.evidence[turned]).mean().item(),
        }
        print(f"{first} and {name}:")
        for figure, value in report["classifiers"][name].items():
            print(f"  {figure:32} {value:6.3f}")
    order = np.argsort(-np.abs(heard[first].moves))[:SHOWN]
    report["moves"] = [
        {"move": heard[first].names[i]} | {name: float(each.moves[i]) for name, each in heard.items()} for i in order
    ]
    print("change of the log odds, strongest moves of the first:")
    for move in report["moves"]:
        print("  " + "  ".join(f"{v:+.2f}" if isinstance(v, float) else f"{v:16}" for v in move.values()))
    if options.json:
        known = json.loads(options.json.read_text()) if options.json.exists() else {}
        known[options.domain or options.archive.stem] = report
        write_whole(options.json, (json.dumps(known, indent=1) + "\n").encode())


class _Heard:
    """What one classifier says of photographs and of moves."""

    def __init__(self, says: np.ndarray, moves: np.ndarray, random: np.ndarray, names: list[str], maps: Tensor) -> None:
        self.says, self.moves, self.random, self.names, self.evidence = says, moves, random, names, maps

    @classmethod
    def of(cls, subject: TrainedSubject, images: Any, label: str) -> _Heard:
        encoded = encode_set(subject, images)
        target, space, output = subject.labels.index(label), subject.space, subject.output
        base = log_odds(encoded.logits_rec.numpy(), target, output)
        start, count = space.offsets[INDEPENDENT], space.layer(INDEPENDENT).channels
        drawn = np.random.default_rng(0)
        changes: dict[str, list[float]] = {"moves": [], "random": []}
        names = []
        for index in range(start, start + count):
            for sign in (0, 1):
                end = to_extreme(subject, encoded.s, index, sign)
                other = encoded.s.clone()
                column = space.offsets[RANDOM] + int(drawn.integers(space.layer(RANDOM).channels))
                other[:, column] += (end[:, index] - encoded.s[:, index]).abs() * (1 if drawn.random() < 0.5 else -1)
                for kind, moved in (("moves", end), ("random", other)):
                    after = log_odds(subject.logits(moved), target, output)
                    changes[kind].append(float((after - base).mean()))
                names.append(f"{space.coordinate(index)}{'+' if sign else '-'}")
        says = log_odds(encoded.logits.numpy(), target, output) > 0
        moves, random = np.array(changes["moves"]), np.array(changes["random"])
        maps = [
            gradients(subject.classifier, *pair)
            for pair in zip(encoded.x.split(50), encoded.logits.split(50), strict=True)
        ]
        return cls(says, moves, random, names, evidence(torch.cat(maps)))


def _correlation(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.corrcoef(one, two)[0, 1])


if __name__ == "__main__":
    main()
