"""Do knobs keep the picture, and does what they do hold for the photograph: held-out images of one training.

    python benchmarks/photograph.py RUN ARCHIVE --classifier CLASSIFIER [--json docs/results/photograph.json]

The three strongest directions towards each class are chosen on half of the images and measured on the other half.
``flips_*`` are shares of the images that were not of the class: of rebuilt pictures; of the photographs themselves
(photograph + moved - rebuilt); and of rebuilt pictures moved as far along random directions of the same subspace.
``change`` is the mean difference of the pixels, in the unit of [-1, 1]. ``together`` is of the first ten directions
turned at once (fewer, where no more add anything), chosen on the first half, each for what it adds to those before it
as far as single effects tell: how many, and the same shares; ``random`` of directions mixed out of the searched ones,
as long; ``--only-together`` adds it to rows that are there, chosen on 60 images. With ``--tuned N``,
``flips_tuned`` is of the pictures after the generator was tuned to each of N photographs, some seconds each, and
``flips_untuned`` of the same images before. The rows that the file holds of the domain already are replaced; of a
snapshot alone, which does not say how long its training took, the minutes stay.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stylex.classifiers.classifier import Classifier
from stylex.classifiers.load import load_classifier
from stylex.core.files import write_whole
from stylex.data.archive import open_images
from stylex.data.images import to_pictures
from stylex.evaluation.subject import random_moves_alike
from stylex.metrics.agreement import agreement
from stylex.metrics.follows import follows
from stylex.metrics.photograph import mean_change, on_photograph
from stylex.metrics.reason import decisiveness, evidence, same_reason, smooth_gradients
from stylex.models.snapshot import load_snapshot
from stylex.search.decision import margin
from stylex.search.directions import INDEPENDENT, RANDOM, independent
from stylex.search.encoding import Encoded, encode_set
from stylex.search.greedy import greedy
from stylex.search.subject import TrainedSubject
from stylex.search.tuning import tune

BEST, IMAGES, RANDOM_MOVES = 3, 400, 32
TOP, TRIED_ON, DRAWS = 10, 60, 8
"""Directions turned together at most; images on which they alone are chosen; random ones for each image beside them."""
_LEAST, _ENOUGH = 0.01, 1.0
"""Logits by which one more must bring images nearer on average; beyond the boundary an image gains up to so many."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--classifier", required=True)
    parser.add_argument("--domain")
    parser.add_argument("--targets", nargs="+", help="classes to drive to, by name (default: all)")
    parser.add_argument("--images", type=int, default=IMAGES, help="held-out images, at most")
    parser.add_argument("--tuned", type=int, default=0, help="images whose flips are measured after tuning too")
    parser.add_argument("--only-together", action="store_true", help="add only that, to the rows of the file")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--sheet", type=Path, help="draw ten images, rebuilt and moved by each best direction")
    options = parser.parse_args()
    torch.set_num_threads(1)
    classifier = load_classifier(options.classifier)
    plain = load_snapshot(options.run)
    images = open_images(options.archive).split("test")
    chosen = np.linspace(0, len(images) - 1, min(options.images, len(images))).round().astype(int)
    subject = TrainedSubject.of(independent(plain), classifier)
    encoded = encode_set(subject, images.subset(chosen))
    minutes = _minutes(options.run, plain.nimg)
    targets = options.targets or subject.labels
    domain = options.domain or options.archive.stem
    if options.only_together:
        known = json.loads(options.json.read_text())
        for row in (row for row in known if row["domain"] == domain and row["target"] in targets):
            row["together"] = _alone(subject, encoded, subject.labels.index(row["target"]))
            print(row["target"], json.dumps(row["together"]))
        write_whole(options.json, (json.dumps(known, indent=1) + "\n").encode())
        return
    rows, sheet = measure(subject, encoded, domain, minutes, targets=targets, tuned=options.tuned)
    for row in rows:
        print(json.dumps({name: value for name, value in row.items() if name != "attributes"}))
        for attribute in row["attributes"]:
            print("   ", json.dumps(attribute))
    if options.sheet:
        Image.fromarray(sheet).save(options.sheet)
    if options.json:
        kept = json.loads(options.json.read_text()) if options.json.exists() else []
        for row in rows:
            known = [old["minutes"] for old in kept if (old["domain"], old["target"]) == (domain, row["target"])]
            row["minutes"] = next(iter(known), None) if minutes is None else minutes
        kept = [row for row in kept if row["domain"] != domain]
        write_whole(options.json, (json.dumps(kept + rows, indent=1) + "\n").encode())


def measure(
    subject: TrainedSubject,
    encoded: Encoded,
    domain: str,
    minutes: float | None,
    *,
    targets: Sequence[str],
    tuned: int = 0,
) -> tuple[list[dict[str, Any]], np.ndarray]:
    """A row for each class, and a picture: ten photographs, rebuilt, with other maps, and moved."""
    output = subject.output
    choosing, measuring = np.arange(len(encoded.s))[::2], np.arange(len(encoded.s))[1::2]
    common = _of_all(subject, encoded)
    shown = np.linspace(0, len(encoded.s) - 1, 10).round().astype(int)
    strips = [encoded.x[shown], encoded.x_rec[shown], subject.draw(_exchanged(subject, encoded.s)[shown])]
    rows = []
    for label in targets:
        target = subject.labels.index(label)
        chosen_on = _not_yet(encoded, choosing, target, output)
        moved = _each(subject, encoded, chosen_on)
        scored = [(_share(torch.from_numpy(logits), target, output), *move) for move, logits in moved.items()]
        best = sorted(scored, reverse=True)[:BEST]
        start = _not_yet(encoded, measuring, target, output)
        attributes = [_measured(subject, encoded, start, move[1:], target) for move in best]
        mean = {name: float(np.mean([a[name] for a in attributes])) for name in attributes[0] if name != "coordinate"}
        row = {"domain": domain, "target": label, "resolution": encoded.x.shape[-1], **mean}
        row |= _tuned(subject, encoded, _spread(start, tuned), [move[1:] for move in best], target)
        row["together"] = _together(subject, encoded, _added(encoded, chosen_on, moved, target, output), start, target)
        rows.append(row | common | {"minutes": minutes, "images": len(start), "attributes": attributes})
        strips += [subject.draw(to_extreme(subject, encoded.s[shown], i, sign)) for _, i, sign in best]
    pictures = np.concatenate([np.concatenate(list(to_pictures(strip)), axis=1) for strip in strips])
    pictures = pictures.repeat(2, axis=0).repeat(2, axis=1)
    return rows, pictures if pictures.shape[-1] == 3 else pictures.repeat(3, axis=-1)


def _measured(
    subject: TrainedSubject, encoded: Encoded, start: Tensor, move: tuple[int, int], target: int
) -> dict[str, Any]:
    """What one direction does to images, beside random directions of its subspace that go as far."""
    space, (index, sign), s = subject.space, move, encoded.s[start]
    end = to_extreme(subject, s, index, sign)
    length = (end[:, index] - s[:, index]).abs()
    random = np.random.default_rng(index)

    def along(column: int) -> Tensor:
        other = s.clone()
        other[:, space.offsets[RANDOM] + column] += float(random.choice((-1.0, 1.0))) * length
        return other

    columns = random.choice(space.layer(RANDOM).channels, RANDOM_MOVES, replace=False).tolist()
    shares = _beside(subject, encoded, start, end, map(along, columns), target)
    return {"coordinate": f"{space.coordinate(index)}{'+' if sign else '-'}", **shares}


def _beside(
    subject: TrainedSubject, encoded: Encoded, start: Tensor, end: Tensor, others: Iterable[Tensor], target: int
) -> dict[str, float]:
    """What a move does to images and to their photographs, beside the mean of random ones as long."""
    output, classifier, x, x_rec = subject.output, subject.classifier, encoded.x[start], encoded.x_rec[start]
    moved = subject.draw(end)
    flips, changes = [], []
    for other in others:
        drawn = subject.draw(other)
        flips.append(_share(classifier.logits(drawn), target, output))
        changes.append(mean_change(x_rec, drawn).mean().item())
    return {
        "flips_rebuilt": _share(classifier.logits(moved), target, output),
        "flips_photograph": _share(classifier.logits(on_photograph(x, x_rec, moved)), target, output),
        "flips_random": float(np.mean(flips)),
        "change": mean_change(x_rec, moved).mean().item(),
        "change_random": float(np.mean(changes)),
    }


def _each(subject: TrainedSubject, encoded: Encoded, rows: Tensor) -> dict[tuple[int, int], np.ndarray]:
    """The classifier's logits after each direction alone is turned to either end."""
    first, count = subject.space.offsets[INDEPENDENT], subject.space.layer(INDEPENDENT).channels
    moves = [(index, sign) for index in range(first, first + count) for sign in (0, 1)]
    return {move: subject.logits(to_extreme(subject, encoded.s[rows], *move)) for move in moves}


def _added(
    encoded: Encoded, rows: Tensor, moved: Mapping[tuple[int, int], np.ndarray], target: int, output: Any
) -> list[tuple[int, int]]:
    """The directions to turn together, each for what its own effect adds to the others'."""
    base = encoded.logits_rec[rows].numpy()

    def reached(chosen: Sequence[tuple[int, int]], added: Sequence[tuple[int, int]]) -> np.ndarray:
        so_far = base + sum(moved[move] - base for move in chosen)
        ends = [margin(so_far + moved[move] - base, target, output) for move in added]
        return np.array([np.minimum(end, _ENOUGH).mean() for end in ends])

    start = float(np.minimum(margin(base, target, output), _ENOUGH).mean())
    return greedy(list(moved), reached, start=start, num=TOP, excludes=lambda one, two: one[0] == two[0], least=_LEAST)


def _alone(subject: TrainedSubject, encoded: Encoded, target: int) -> dict[str, Any]:
    """What directions do together, with nothing else measured."""
    output, every = subject.output, np.arange(len(encoded.s))
    rows = _spread(_not_yet(encoded, every[::2], target, output), TRIED_ON)
    moves = _added(encoded, rows, _each(subject, encoded, rows), target, output)
    return _together(subject, encoded, moves, _not_yet(encoded, every[1::2], target, output), target)


def _together(
    subject: TrainedSubject, encoded: Encoded, moves: Sequence[tuple[int, int]], start: Tensor, target: int
) -> dict[str, Any]:
    """What directions do when they are turned at once, beside random ones as long."""
    s, random = encoded.s[start], np.random.default_rng(target)
    end = s
    for move in moves:
        end = to_extreme(subject, end, *move)
    others = (random_moves_alike(subject, s, end, random) for _ in range(DRAWS))
    return {"directions": len(moves), **_beside(subject, encoded, start, end, others, target)}


def _tuned(
    subject: TrainedSubject, encoded: Encoded, start: Tensor, moves: list[tuple[int, int]], target: int
) -> dict[str, float | None]:
    """Share of pictures that moves turn after the generator was tuned to each photograph, and before."""
    if len(start) == 0:
        return {"flips_tuned": None, "flips_untuned": None, "l1_tuned": None}
    found: dict[str, list[float]] = {"flips_tuned": [], "flips_untuned": [], "l1_tuned": []}
    for row in start.tolist():
        alone = encoded.alone(row)
        own, fitted = tune(subject, alone)
        found["l1_tuned"].append(fitted.pixel_l1())
        for name, by, of in (("flips_untuned", subject, alone), ("flips_tuned", own, fitted)):
            found[name] += [
                _share(by.classifier.logits(by.draw(to_extreme(by, of.s, i, sign))), target, by.output)
                for i, sign in moves
            ]
    return {name: float(np.mean(values)) for name, values in found.items()}


def _of_all(subject: TrainedSubject, encoded: Encoded) -> dict[str, float]:
    """What does not depend on a direction."""
    output, classifier = subject.output, subject.classifier
    others = torch.randperm(len(encoded.s), generator=torch.Generator().manual_seed(1))
    maps = [
        evidence(torch.cat([gradients(classifier, x, logits) for x, logits in pairs]))
        for pairs in (
            zip(encoded.x.split(64), encoded.logits.split(64), strict=True),
            zip(encoded.x_rec.split(64), encoded.logits.split(64), strict=True),
        )
    ]
    figures = {
        "same_reason": same_reason(maps[0], maps[1]).mean().item(),
        "same_reason_other": same_reason(maps[0], maps[1][others]).mean().item(),
        "l1": encoded.pixel_l1(),
        "agreement": agreement(encoded.logits, encoded.logits_rec, output)["agreement"],
    }
    swapped = encoded.s.clone()
    swapped[:, subject.space.maps] = encoded.s[others][:, subject.space.maps]
    answers = torch.from_numpy(subject.logits(swapped))
    return figures | follows(encoded.logits, encoded.logits[others], answers, output)


def gradients(classifier: Classifier, x: Tensor, logits: Tensor) -> Tensor:
    """Gradient to the image of how much more the decision gets than the next best."""
    found = smooth_gradients(lambda rough: decisiveness(classifier.logits(rough), logits), x)
    assert found is not None, "a classifier without gradient has no evidence maps"
    return found


def _exchanged(subject: TrainedSubject, s: Tensor) -> Tensor:
    other = s.clone()
    other[:, subject.space.maps] = s.roll(len(s) // 2, 0)[:, subject.space.maps]
    return other


def to_extreme(subject: TrainedSubject, s: Tensor, index: int, sign: int) -> Tensor:
    """Style vectors with one coordinate at an end of what was observed."""
    statistics = subject.space.statistics
    assert statistics is not None
    moved = s.clone()
    moved[:, index] = float((statistics.maximum if sign else statistics.minimum)[index])
    return moved


def _not_yet(encoded: Encoded, rows: np.ndarray, target: int, output: Any) -> Tensor:
    """Of these images those that are of another class, as photograph and rebuilt."""
    told = [margin(logits[rows].numpy(), target, output) < 0 for logits in (encoded.logits, encoded.logits_rec)]
    return torch.from_numpy(rows[told[0] & told[1]])


def _spread(rows: Tensor, count: int) -> Tensor:
    """So many of the rows, evenly spread."""
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int)]


def _share(logits: Tensor, target: int, output: Any) -> float:
    return float((margin(logits.detach().numpy(), target, output) > 0).mean()) if len(logits) else float("nan")


def _minutes(run: Path, nimg: int) -> float | None:
    stats = run / "stats.jsonl"
    if not stats.exists():
        return None
    ticks = [json.loads(line) for line in stats.read_text().splitlines()]
    return round(sum(tick.get("seconds", 0.0) for tick in ticks if tick["nimg"] <= nimg) / 60, 1)


if __name__ == "__main__":
    main()
