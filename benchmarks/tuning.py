"""What tuning the generator to a photograph does to its explanation: held-out photographs of one training.

    python benchmarks/tuning.py RUN ARCHIVE --classifier CLASSIFIER [--images 20] [--json FILE]

Each photograph is explained towards its nearest other answer, as ``stylex explain`` does, by the generator as trained
and by a copy tuned to it. ``l1`` is the mean difference of the pixels, in the unit of [-1, 1], ``gap`` that of the
probability of the photograph's own answer. ``best_*`` and ``together_*`` are shares of photographs whose answer the
strongest attribute, or those that were found to turn it together, turn to the other: on the rebuilt picture, and laid
on the photograph (photograph + moved - rebuilt). Beside them: ``random_*``, as many random directions, each to its own
observed extreme; a copy tuned to the photograph from another photograph's style vector (``from another``); and
``l1_of_another``, how near a copy tuned to another photograph draws this one.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stylex.classifiers.load import load_classifier
from stylex.core.files import write_whole
from stylex.data.archive import open_images
from stylex.metrics.photograph import on_photograph
from stylex.models.snapshot import load_snapshot
from stylex.search.config import SearchConfig
from stylex.search.counterfactual import independent, subset
from stylex.search.decision import predicted
from stylex.search.effects import Measuring, measure_effects
from stylex.search.encoding import Encoded, encode
from stylex.search.methods import method, suited
from stylex.search.moves import moves_to_extremes
from stylex.search.subject import TrainedSubject
from stylex.search.task import Task
from stylex.search.tuning import tune

TOGETHER, RANDOM, FROM_ANOTHER = 10, 16, 8


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--classifier", required=True)
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    classifier, plain = load_classifier(options.classifier), load_snapshot(options.run)
    images = open_images(options.archive).split("test")
    name = suited("auto", plain)
    subject = TrainedSubject.of(
        method(name).prepare(plain, lambda: np.zeros((0, 0), np.float32), classifier), classifier
    )
    rows = np.linspace(0, len(images) - 1, min(options.images, len(images))).round().astype(int)
    encoded = encode(subject, images.batch(rows), [images.names[row] for row in rows])
    found: dict[str, list[dict[str, float]]] = {"as trained": [], "tuned": [], "from another": []}
    copy: TrainedSubject | None = None
    for row in range(len(rows)):
        alone, target = encoded.alone(row), int(encoded.logits_rec[row].argsort(descending=True)[1])
        if predicted(alone.logits.numpy(), target, subject.output)[0]:
            continue  # there is nothing to turn
        if copy is not None:
            of_another = (copy.draw(alone.s) - alone.x).abs().mean().item()
            found["tuned"].append({"l1_of_another": of_another})
        found["as trained"].append(measured(subject, alone, target))
        began = time.perf_counter()
        copy, fitted = tune(subject, alone)
        seconds = time.perf_counter() - began
        found["tuned"].append(measured(copy, fitted, target) | {"seconds": seconds})
        if len(found["from another"]) < FROM_ANOTHER:
            other = encoded.s[(row + len(rows) // 2) % len(rows)][None]
            found["from another"].append(measured(*tune(subject, replace(alone, s=other)), target))
        table = {"method": name, "photographs": len(found["as trained"])} | {
            version: {
                key: round(float(np.mean([each[key] for each in rows_ if key in each])), 4)
                for key in dict.fromkeys(key for each in rows_ for key in each)
            }
            for version, rows_ in found.items()
        }
        print(json.dumps(table), flush=True)
        if options.json:
            write_whole(options.json, (json.dumps(table, indent=1) + "\n").encode())


def measured(subject: TrainedSubject, encoded: Encoded, target: int) -> dict[str, float]:
    """What the explanation of one photograph comes to."""
    effects = measure_effects(
        subject, encoded.s, image_ids=encoded.ids, indices=subject.indices, how=Measuring(shift_range=1.0)
    )
    task = Task.of(subject, encoded.s, effects, target)
    best = independent(task, 0, num=SearchConfig(images=1).attributes)
    together = subset(task, 0, budget=TOGETHER).ranking
    own = int(encoded.logits[0].argmax())
    p, p_rec = (float(subject.classifier.probabilities(x)[0, own]) for x in (encoded.logits, encoded.logits_rec))
    rebuilt = predicted(encoded.logits_rec.numpy(), target, subject.output)[0]
    row = {"l1": encoded.pixel_l1(), "gap": abs(p - p_rec), "rebuilt_is_turned_already": float(rebuilt)}
    for name, attributes in (("best", list(best)[:1]), ("together", list(together))):
        s = subject.moved(encoded.s, attributes) if attributes else encoded.s
        row |= {f"{name}_{on}": share for on, share in _turned(subject, encoded, s, target).items()}
        random = _random(subject, encoded.s, max(1, len(attributes)))
        row |= {f"random_{name}_{on}": share for on, share in _turned(subject, encoded, random, target).items()}
    return row


def _turned(subject: TrainedSubject, encoded: Encoded, s: Tensor, target: int) -> dict[str, float]:
    """The share of moved style vectors whose picture gets the other answer, by itself and laid on the photograph."""
    moved = subject.draw(s)
    laid = on_photograph(encoded.x.expand_as(moved), encoded.x_rec.expand_as(moved), moved)
    with torch.inference_mode():
        answers = {"rebuilt": subject.classifier.logits(moved), "photograph": subject.classifier.logits(laid)}
    return {on: float(predicted(logits.numpy(), target, subject.output).mean()) for on, logits in answers.items()}


def _random(subject: TrainedSubject, s: Tensor, count: int) -> Tensor:
    """Style vectors with so many random coordinates at an observed extreme, each another draw."""
    random = np.random.default_rng(0)
    rows = []
    for _ in range(RANDOM):
        moved = s.clone()
        for index in random.choice(subject.control, count, replace=False):
            extremes = moves_to_extremes(subject.space, s, np.array([index]), 1.0)
            moved[:, int(index)] = extremes[0, int(random.integers(2))]
        rows.append(moved)
    return torch.cat(rows)


if __name__ == "__main__":
    main()
