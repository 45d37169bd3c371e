"""Does an explanation find the causes that were planted: one training a seed, scored against the known factors.

    python benchmarks/planted.py OUT [--family leaves] [--kind uniform] [--seeds 0 1 2] [--kimg 160]
        [--json docs/results/planted.json]

Every step is kept in OUT; the same command goes on where it stopped. Everything is measured on test images, which
neither the training nor the search has seen; the reader of the factors is fitted to other drawings altogether.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from causes import Drawing

import stylex
from stylex.classifiers.classifier import Classifier
from stylex.classifiers.load import load_classifier
from stylex.core.attribute import Attribute
from stylex.core.files import write_whole
from stylex.data.archive import ImageSet, open_images
from stylex.evaluation.subject import subject_of
from stylex.metrics.agreement import agreement
from stylex.models.snapshot import Snapshot, load_snapshot
from stylex.planted.changes import factor_changes
from stylex.planted.factors import KINDS
from stylex.planted.families import Family, planted_family
from stylex.planted.images import Planted
from stylex.planted.probe import linear_r2
from stylex.planted.readers import FactorReader
from stylex.planted.truth import truth
from stylex.search.choosing import choose_to_search
from stylex.search.classes import search_classes
from stylex.search.config import SearchConfig
from stylex.search.counterfactual import flip_rate
from stylex.search.directions import independent
from stylex.search.encoding import encode_set
from stylex.search.methods import method_of
from stylex.training.config import TrainConfig, preset

SEARCHED, MEASURED, PROBED = 150, 200, 1000
_MOST = {"directions": 99, "attfind": 4}
"""Attributes of each class: all directions that can be claimed, four coordinates."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Known:
    """What is known of the images: what was drawn, who reads its factors, and how noisily."""

    drawing: Drawing
    reader: FactorReader
    noise: np.ndarray

    @property
    def family(self) -> Family:
        """What was drawn."""
        return planted_family(self.drawing.family, self.drawing.kind)


def main() -> None:
    """Train, search, score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--family", default="leaves")
    parser.add_argument("--kind", choices=KINDS, default="uniform", help="how the factors are distributed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--resolution", type=int, default=32)
    parser.add_argument("--preset", default="small-32")
    parser.add_argument("--kimg", type=float)
    parser.add_argument("--run", type=Path, help="score this run (of the first seed) instead of training one")
    parser.add_argument("--again", action="store_true", help="score anew what was scored already")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = [_kept(options, seed) for seed in options.seeds]
    last = [row["curve"][-1]["directions"] for row in rows]
    scores = {name: [row["truth"][name]["value"] for row in last] for name in last[0]["truth"]}
    report = {"family": options.family, "kind": options.kind, **scores, "seeds": rows}
    for name, values in scores.items():
        print(f"{name:10} " + "  ".join(f"{value:.2f}" for value in values))
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n")


def _kept(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    file = options.out / _drawing(options, seed).folder / "scores.json"
    if options.again or not file.exists():
        write_whole(file, json.dumps(_seed(options, seed), indent=1).encode())
    kept: dict[str, Any] = json.loads(file.read_text())
    return kept


def _drawing(options: argparse.Namespace, seed: int) -> Drawing:
    return Drawing(family=options.family, resolution=options.resolution, seed=seed, kind=options.kind)


def _seed(options: argparse.Namespace, seed: int) -> dict[str, Any]:
    drawing = _drawing(options, seed)
    work: Path = options.out / drawing.folder
    work.mkdir(parents=True, exist_ok=True)
    for shuffled in (False, True):
        drawing.drawn_and_fitted(work, shuffled=shuffled)
    reader = drawing.reader(work)
    known = Known(drawing=drawing, reader=reader, noise=drawing.noise(reader))
    names = known.family.factors
    run = options.run or work / "run"
    if options.run is None:
        base = preset(options.preset)
        length = replace(base.schedule, kimg=options.kimg or base.schedule.kimg, snapshot_nimg=40_000)
        config: TrainConfig = replace(base, schedule=length, seed=seed)
        stylex.train(data=work / "images.zip", classifier=work / "images-classifier", out=run, config=config)
    ticks = [json.loads(line) for line in (run / "stats.jsonl").read_text().splitlines()]
    judge, nobody = (load_classifier(work / f"{name}-classifier") for name in ("images", "shuffled"))
    test = open_images(work / "images.zip").split("test")
    strengths = drawing.strengths(judge)
    curve = []
    folders = sorted((run / "snapshots").iterdir())
    for folder in folders:
        snapshot = load_snapshot(folder)
        row: dict[str, Any] = {"kimg": snapshot.nimg / 1000, "held_out": dict(snapshot.figures)}
        subjects = {"directions": independent(snapshot)} | ({"coordinates": snapshot} if folder == folders[-1] else {})
        for method, subject in subjects.items():
            row[method] = _score(subject, judge, test, known, strengths)
            print(f"seed {seed}, {row['kimg']:.0f} kimg, {method}: {_line(row[method])}", flush=True)
        row["linear_r2"] = _probed(snapshot, test, names)
        curve.append(row)
    silent, _ = _found(independent(snapshot), nobody, test)
    return {
        "seed": seed,
        "training_seconds": round(sum(tick.get("seconds", 0.0) for tick in ticks), 1),
        "reader_r2": reader.r2,
        "reader_r2_of_kind": _by_name(names, drawing.read_right(reader)),
        "reader_noise": _by_name(names, known.noise),
        "strengths": _by_name(names, strengths),
        "curve": curve,
        "shuffled_claims": [len(attributes) for attributes in silent],
    }


def _found(
    snapshot: Snapshot, judge: Classifier, images: ImageSet
) -> tuple[list[tuple[Attribute, ...]], frozenset[str]]:
    """Attributes towards each class, found on some of the images, and which images these are."""
    chosen = choose_to_search(judge, images, SEARCHED, target=None)
    subject = subject_of(snapshot, judge, torgb=True)
    method = method_of(subject.space)
    config = SearchConfig(method=method, torgb=method == "attfind", search="exact", attributes=_MOST[method])
    found = search_classes(subject, encode_set(subject, chosen), config, range(judge.k))
    assert found is not None
    return [ranking.attributes for ranking in found.rankings], frozenset(chosen.names)


def _score(
    snapshot: Snapshot,
    judge: Classifier,
    images: ImageSet,
    known: Known,
    strengths: np.ndarray,
) -> dict[str, Any]:
    causes = [known.family.factors.index(name) for name in known.family.causes]
    found, searched = _found(snapshot, judge, images)
    ranked = sorted((a for attributes in found for a in attributes), key=lambda a: -a.effect)
    others = np.flatnonzero([name not in searched for name in images.names])[:MEASURED]
    subject = subject_of(snapshot, judge, torgb=True)
    encoded = encode_set(subject, images.subset(others))
    changes = factor_changes(subject, known.reader, encoded.s, ranked, noise=known.noise)
    scored = truth(changes, strengths, causes)
    flips = {
        f"top{top}_to_{judge.spec.labels[target]}": flip_rate(subject, encoded.s, attributes[:top], target).fraction
        for target, attributes in enumerate(found)
        for top in (1, 3, 10)
        if attributes
    }  # fmt: skip
    return {
        "truth": {name: {"value": i.value, "low": i.low, "high": i.high} for name, i in scored.figures().items()},
        "attributes": [
            {
                "name": attribute.name,
                "towards": attribute.target_label,
                "effect": round(attribute.effect, 3),
                "changes": _by_name(known.family.factors, change.mean(axis=0)),
            }
            for attribute, change in zip(ranked, changes.changes, strict=True)
        ],
        "flips": flips,
        "agreement": agreement(encoded.logits, encoded.logits_rec, judge.activation)["agreement"],
    }


def _probed(snapshot: Snapshot, images: ImageSet, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """R2 of each factor read linearly from w."""
    factors = Planted.named(images.names).factors
    rows = np.arange(min(PROBED, len(images)))
    x = images.batch(rows)
    with torch.inference_mode():
        w = torch.cat([snapshot.encoder(part) for part in x.split(64)]).numpy()
    return {"w": _by_name(names, linear_r2(w, factors[rows]))}


def _by_name(names: Sequence[str], values: np.ndarray) -> dict[str, float]:
    return dict(zip(names, np.round(values, 3).tolist(), strict=True))


def _line(row: dict[str, Any]) -> str:
    scores: Sequence[str] = [f"{name} {value['value']:.2f}" for name, value in row["truth"].items()]
    return ", ".join([*scores, f"agreement {row['agreement']:.3f}"])


if __name__ == "__main__":
    main()
