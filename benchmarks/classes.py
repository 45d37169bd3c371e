"""What grows with the number of classes, and is what is found of each class true: drawn beetles, whose parts are known.

    python benchmarks/classes.py beetles/run beetles/classifier OUT [--json docs/results/classes.json]

RUN and CLASSIFIER are those of ``recipes/many-classes``. Asked is the same classifier with the first 10, 50 and 200
classes for answers, on held-out beetles of those classes, drawn anew; nothing is trained. ``stylex classes`` runs as a
process of its own: its seconds, those of a processor, its peak of memory, and what it leaves on disk. Then, on images
that it did not search, of every class's first attribute, beside a random move of equal length: whether the class's
place among the answers and its log odds rise; whether the answer becomes the class; and, since the name of each of
all classes says its five parts, what the whole classifier reads after the move: whether a part in which image and class
differ has become the class's (``mends``), and whether one in which they agreed no longer is (``breaks``). For some
classes ten attributes are chosen together, and all are turned at once. Run it again to go on.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import stylex
from stylex.classifiers.classifier import Classifier
from stylex.classifiers.load import load_classifier
from stylex.classifiers.small import SmallCNN, save_small_classifier
from stylex.core.attribute import Attribute
from stylex.core.files import write_whole
from stylex.data.archive import open_images
from stylex.evaluation.subject import random_moves_alike
from stylex.metrics.agreement import agreement
from stylex.models.snapshot import load_snapshot
from stylex.search.choosing import spread
from stylex.search.decision import log_odds, margin
from stylex.search.directions import independent
from stylex.search.effects import measure_effects
from stylex.search.encoding import Encoded, encode_set
from stylex.search.subject import TrainedSubject
from stylex.search.task import Task
from stylex.search.together import together

sys.path.insert(0, str(Path(__file__).parents[1] / "recipes" / "many-classes"))
from beetles import PARTS, classes, draw, name_of, parts_of

FIRST_TEST, TEST, LEFT = 60, 10, 100
"""Of a class, the first beetle that no training saw; so many at least; and images that are not searched."""
DRAWS, TOP = 4, 10
TRIED_ON = 24
"""Images on which attributes are chosen together."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("classifier", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 50, 200])
    parser.add_argument("--images", type=int, default=1000, help="that are searched")
    parser.add_argument("--together", type=int, default=6, help="classes whose attributes are chosen together")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    snapshot = independent(load_snapshot(options.run))
    rows = []
    for k in options.sizes:
        place = prepared(options.out / str(k), k, options.run, options.classifier, options.images)
        cost = explained(place, options.images)
        subject = TrainedSubject.of(snapshot, load_classifier(place / "classifier"))
        rows.append({"classes": k, **cost, **measured(subject, load_classifier(options.classifier), place, options)})
        print(json.dumps(rows[-1]), flush=True)
    if options.json:
        write_whole(options.json, (json.dumps(rows, indent=1) + "\n").encode())


def prepared(place: Path, k: int, run: Path, reference: Path, images: int) -> Path:
    """A folder with beetles of the first classes, the classifier with these answers, and the snapshot."""
    if (place / "run").exists():
        return place
    names = sorted(name_of(parts) for parts in classes(k))
    numbers = range(FIRST_TEST, FIRST_TEST + max(TEST, -(-(images + LEFT) // k)))
    for number, parts in enumerate(classes(k)):
        for part, which in (("train", range(1)), ("test", numbers)):
            folder = place / "photos" / part / name_of(parts)
            folder.mkdir(parents=True, exist_ok=True)
            for i, picture in zip(which, draw(parts, which, seed=1 + number), strict=True):
                Image.fromarray(picture).save(folder / f"{number:03d}-{i:03d}.png")
    stylex.prepare(place / "photos", out=place / "beetles.zip", resolution=32)
    whole = load_classifier(reference)
    assert isinstance(whole.model, SmallCNN), "the classifier of the recipe is stylex's small one"
    kept = [whole.spec.labels.index(name) for name in names]
    model = SmallCNN(**{**whole.model.config, "k": k})
    state = whole.model.state_dict()
    model.load_state_dict({**state, **{f"head.{name}": state[f"head.{name}"][kept] for name in ("weight", "bias")}})
    spec = replace(whole.spec, labels=tuple(names))
    save_small_classifier(Classifier(model, spec), place / "classifier")
    newest = load_snapshot(run).path
    copied = place / "run" / "snapshots" / newest.name
    shutil.copytree(newest, copied)
    # Generator and encoder are told no answers, so that they serve any of these classifiers.
    description = json.loads((copied / "snapshot.json").read_text())
    description["classifier"]["labels"] = names
    description["classifier_answers"] = [[row[i] for i in kept] for row in description["classifier_answers"]]
    (copied / "snapshot.json").write_text(json.dumps(description))
    return place


def explained(place: Path, images: int) -> dict[str, float]:
    """What ``stylex classes`` takes."""
    known = place / "cost.json"
    if not known.exists():
        command = [sys.executable, "-m", "stylex", "classes", "run", "--data", "beetles.zip", "--out", "classes"]
        command += ["--classifier", "classifier", "--other-classifier", "--images", str(images), "--overwrite"]
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=place, env={**os.environ, "OMP_NUM_THREADS": "1"})
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"stylex classes ended with status {os.waitstatus_to_exitcode(status)}")
        cost = {
            "seconds": time.perf_counter() - began,
            "processor_seconds": usage.ru_utime + usage.ru_stime,
            "peak_mib": usage.ru_maxrss / 2**10,
            "effects_mib": _size(place / "run" / "effects"),
            "pages_mib": _size(place / "classes"),
            "index_mib": _size(place / "classes" / "index.html"),
        }
        write_whole(known, json.dumps(cost).encode())
    return dict(json.loads(known.read_text()))


def _size(path: Path) -> float:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files) / 2**20


def measured(subject: TrainedSubject, whole: Classifier, place: Path, options: argparse.Namespace) -> dict[str, Any]:
    """What the attributes found do to images that were not searched."""
    overview = json.loads((place / "classes" / "overview.json").read_text())
    test, searched = open_images(place / "beetles.zip").split("test"), set(overview["settings"]["searched"])
    left = np.array([row for row, name in enumerate(test.names) if name not in searched])
    others = test.subset(left[spread(len(left), LEFT)])
    encoded = encode_set(subject, others)
    logits, output = encoded.logits_rec.numpy(), subject.output
    answer, parts = partial(_parts, whole), np.array([parts_of(label) for label in subject.labels])
    before = answer(encoded.x_rec)
    random = np.random.default_rng(0)
    moves: dict[Any, list[tuple[np.ndarray, np.ndarray]]] = {}

    def after(attribute: Attribute) -> list[tuple[np.ndarray, np.ndarray]]:
        """What both classifiers say after a move, and after random ones as long."""
        key = attribute.coordinate, attribute.sign
        if key not in moves:
            ends = [subject.moved(encoded.s, [attribute])]
            ends += [random_moves_alike(subject, encoded.s, ends[0], random) for _ in range(DRAWS)]
            pictures = [subject.draw(end) for end in ends]
            moves[key] = [(subject.classifier.logits(x).numpy(), answer(x)) for x in pictures]
        return moves[key]

    seen: list[tuple[dict[str, float], dict[str, float]]] = []
    changed, found = np.zeros(len(PARTS)), []
    for target, row in enumerate(overview["classes"]):
        ranking = stylex.read_explanation(place / "classes" / row["folder"]).ranking
        rows = margin(logits, target, output) < 0
        if not len(ranking):
            continue
        found.append(row["standing"])

        def figures(
            end: tuple[np.ndarray, np.ndarray], target: int = target, rows: np.ndarray = rows
        ) -> dict[str, float]:
            moved, read = end
            differ = before != parts[target]
            mended = differ & (read == parts[target])
            broken = ~differ & (read != parts[target])
            rise = log_odds(moved, target, output) - log_odds(logits, target, output)
            one = {
                "place_rises": _places(moved, target) < _places(logits, target),
                "log_odds_rise": rise > 0,
                "turned": margin(moved, target, output) > 0,
                "mends": mended.any(axis=1),
                "breaks": broken.any(axis=1),
                "differ": differ.mean(axis=1),
            }
            return {name: float(values[rows].mean()) for name, values in one.items()}

        own, *random_ones = after(ranking[0])
        beside = [figures(one) for one in random_ones]
        seen.append((figures(own), {name: float(np.mean([b[name] for b in beside])) for name in beside[0]}))
        changed[(own[1] != before)[rows].mean(axis=0).argmax()] += 1
    names = seen[0][0] if seen else {}
    return {
        "accuracy": float(
            np.mean([subject.labels[i] for i in encoded.logits.argmax(1)] == np.array(others.label_texts()))
        ),
        **agreement(encoded.logits, encoded.logits_rec, output),
        "found": len(seen),
        "place": float(np.median([s["place"] for s in found])) if found else None,
        "place_moved": float(np.median([s["moved"] for s in found])) if found else None,
        "place_random": float(np.median([s["random_place"] for s in found])) if found else None,
        "first": {name: float(np.mean([one[name] for one, _ in seen])) for name in names},
        "random": {name: float(np.mean([other[name] for _, other in seen])) for name in names},
        "first_changes_most": dict(zip(PARTS, changed.tolist(), strict=True)),
        "together": _together(subject, encoded, test, searched, options.together),
    }


def _parts(whole: Classifier, x: Tensor) -> np.ndarray:
    """The five parts of what the whole classifier calls pictures, ``[n, 5]``."""
    return np.array([parts_of(whole.spec.labels[i]) for i in whole.logits(x).argmax(dim=1).tolist()])


def _places(logits: np.ndarray, target: int) -> np.ndarray:
    return (logits > logits[:, target, None]).sum(axis=1)


def _together(
    subject: TrainedSubject, encoded: Encoded, test: Any, searched: set[str], number: int
) -> dict[str, float]:
    """Of some classes ten attributes, chosen together on searched images and turned at once on others."""
    rows = np.array([row for row, name in enumerate(test.names) if name in searched])
    own = encode_set(subject, test.subset(rows[spread(len(rows), TRIED_ON)]))
    effects = measure_effects(subject, own.s, image_ids=own.ids, indices=subject.indices)
    random, shares = np.random.default_rng(0), []
    for target in spread(len(subject.labels), min(number, len(subject.labels))).tolist():
        chosen = together(Task.of(subject, own.s, effects, target), num=TOP, images=TRIED_ON).attributes
        start = encoded.s[torch.from_numpy(margin(encoded.logits_rec.numpy(), target, subject.output) < 0)]
        end = subject.moved(start, chosen)
        others = [random_moves_alike(subject, start, end, random) for _ in range(DRAWS)]
        turned, *beside = (
            float((margin(subject.logits(s), target, subject.output) > 0).mean()) for s in (end, *others)
        )
        shares.append((len(chosen), turned, float(np.mean(beside))))
    attributes, turned, beside = (float(np.mean(column)) for column in zip(*shares, strict=True))
    return {"classes": len(shares), "attributes": attributes, "turned": turned, "random": beside}


if __name__ == "__main__":
    main()
