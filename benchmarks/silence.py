"""What passes by accident: classifiers without a reason, searched like real ones.

    python benchmarks/silence.py [--snapshot DIR --data ZIP] [--seeds 5] [--json docs/results/silence.json]

A classifier that answers a hash of the picture, and one overfitted to coin-flip labels of half of the photographs until
it is sure, have nothing to explain. Of each: how many moves a sign test alone would call significant, how many
attributes would be claimed if they had not to account for any of how the photographs' answers differ, for how much of
it these account (R2), and how many `find` claims. Beside them the numbers for random directions of the same part of w,
and those of a real classifier.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from stylex.classifiers import load_classifier
from stylex.core.attribute import Attribute
from stylex.core.files import write_whole
from stylex.core.progress import silent
from stylex.data.archive import open_images
from stylex.metrics.significance import benjamini_hochberg, sign_flip
from stylex.models.snapshot import load_snapshot
from stylex.planted.unrelated import coin_classifier, hash_classifier
from stylex.search.account import account
from stylex.search.classes import Workplace, measure_classes
from stylex.search.config import SearchConfig
from stylex.search.controls import RandomBeside
from stylex.search.decision import first_answers, log_odds
from stylex.search.encoding import encode_set
from stylex.search.methods import METHODS
from stylex.search.subject import TrainedSubject
from stylex.search.task import Task

DEMO = Path(__file__).parent.parent / "src" / "stylex" / "demo_data"


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--snapshot", type=Path, default=DEMO / "snapshot")
    parser.add_argument("--data", type=Path, default=DEMO / "shoes.zip")
    parser.add_argument("--classifier", default=str(DEMO / "classifier"), help="the real one, to set beside them")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--classes", type=int, default=2, help="of the classifiers without a reason")
    parser.add_argument("--targets", type=int, default=10, help="of more classes, how many are driven to")
    parser.add_argument("--learnt", type=int, default=200, help="photographs that coin flips are learnt of")
    parser.add_argument("--methods", nargs="+", default=["directions", "random"])
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    images = open_images(options.data)
    size, channels = images.resolution, images.channels
    learnt = np.linspace(0, len(images) - 1, min(2 * options.learnt, len(images))).astype(int)
    x = images.batch(learnt)
    chosen = images.subset(np.linspace(0, len(images) - 1, min(options.images, len(images))).astype(int))
    rows, k = [], options.classes
    for seed in range(options.seeds):
        classifiers = ({} if seed else {"real": load_classifier(options.classifier)}) | {
            "hash": hash_classifier(channels=channels, resolution=size, spread=4.0, classes=k, seed=seed),
            "coin": coin_classifier(x[seed % 2 :: 2], spread=4.0, classes=k, seed=seed)[0],
        }
        for name, classifier in classifiers.items():
            for method in options.methods:
                snapshot = METHODS[method].prepare(
                    load_snapshot(options.snapshot), lambda: np.zeros((0, 0)), classifier
                )
                subject = TrainedSubject.of(snapshot, classifier)
                encoded = encode_set(subject, chosen)
                many = classifier.k
                few = first_answers(many, classifier.activation) is None
                targets = np.linspace(0, many - 1, many if few else options.targets).astype(int).tolist()
                config = SearchConfig(method=method, attributes=999)
                measured = measure_classes(subject, encoded, config, targets, num=999, at=Workplace())
                assert measured is not None
                # As `classes` does, many share the random moves that they are compared with.
                beside = None if few else RandomBeside(subject, measured.s, measured.effects.indices)
                tasks = [measured.task(config, target, beside=beside) for target in targets]
                p = [
                    sign_flip(task.searched.table(task.target)[:, sign, column])
                    for task in tasks
                    for sign in (0, 1)
                    for column in range(len(task.effects.indices))
                ]
                ranking = METHODS[method].rankings["attfind"]
                anyway = [ranking(replace(task, accounted=0.0), 999, silent) for task in tasks]
                part = max(
                    account(task, columns_of(task, each), task.changes()).photographs
                    for task, each in zip(tasks, anyway, strict=True)
                )
                first = tasks[-1]
                odds = log_odds(first.effects.base_logits, first.target, first.output)
                row = {
                    "classifier": name,
                    "seed": seed,
                    "method": method,
                    "classes": many,
                    "targets": len(targets),
                    "log_odds_deviation": round(float(odds.std(ddof=1)), 2),
                    "moves": len(p),
                    "sign_test": int((benjamini_hochberg(np.array(p)) <= 0.05).sum()),
                    "move_rebuilt_pictures": sum(len(each) for each in anyway),
                    "account_for": round(part, 3),
                    "claimed": sum(len(ranking(task, 999, silent)) for task in tasks),
                }
                rows.append(row)
                print(json.dumps(row), flush=True)
    if options.json:
        write_whole(options.json, (json.dumps(rows, indent=1) + "\n").encode())


def columns_of(task: Task, attributes: Iterable[Attribute]) -> list[int]:
    """Where the effects of attributes' coordinates stand in the table, each once."""
    return sorted({task.effects.position(task.space.index(a.coordinate)) for a in attributes})


if __name__ == "__main__":
    main()
