"""Counterfactual attacks: do they converge, how sparse are they, and do probes name what they and the knobs change?

    python benchmarks/attack.py OUT [--seeds 0 1 2] [--kimg 12] [--json docs/results/attack.json]

First on the demo's snapshot; then, a short training a seed, on drawn leaves whose causes are known, each with the same
table of descriptors in which the images were exchanged, to see what comes by chance. Every step is kept in OUT.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from causes import Drawing
from torch import Tensor

import stylex
from stylex.classifiers.classifier import Classifier
from stylex.classifiers.load import load_classifier
from stylex.core.files import write_whole
from stylex.data.archive import open_images
from stylex.data.descriptors import table_of
from stylex.evaluation.subject import subject_of
from stylex.models.snapshot import load_snapshot
from stylex.planted.changes import factor_changes
from stylex.planted.images import Planted, write_factors
from stylex.planted.truth import truth
from stylex.search.attack import Attacked, Opponent, attack
from stylex.search.choosing import spread
from stylex.search.config import AttackConfig
from stylex.search.directions import independent
from stylex.search.encoding import encode_set
from stylex.search.latents import InS, InW, Latents
from stylex.search.subject import TrainedSubject

ATTACKED, SURE = 200, 100.0
"""Images of the demo that are attacked; by how much the logits of the sure classifier are multiplied."""
_PLANTED = (("w", "true", 100), ("w", "shuffled", 100), ("s", "true", 40))
"""Attacks on drawn images: where, with which table, on how many."""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--kimg", type=float, default=12.0)
    parser.add_argument("--planted-only", action="store_true", help="leave the demo out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    report = {
        "demo": [] if options.planted_only else _demo(options.out),
        "planted": [
            _once(options.out / f"seed-{seed}.json", lambda seed=seed: _planted(options.out, seed, options.kimg))
            for seed in options.seeds
        ],
    }
    for row in report["demo"]:
        print("; ".join(f"{name} {value}" for name, value in row.items()))
    for row in report["planted"]:
        _print(row)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(report, indent=1) + "\n")


def _once(file: Path, measure: Any) -> Any:
    if not file.exists():
        write_whole(file, json.dumps(measure(), indent=1).encode())
    return json.loads(file.read_text())


def _demo(out: Path) -> list[dict[str, Any]]:
    """The shipped snapshot: each space and objective, on its classifier and on one that is far surer."""
    with as_file(files("stylex") / "demo_data") as folder:
        snapshot, archive = load_snapshot(folder / "snapshot"), open_images(folder / "shoes.zip")
        classifier = load_classifier(folder / "classifier")
        x = archive.batch(spread(len(archive), ATTACKED))
    sure = Classifier(lambda prepared: SURE * classifier.model(prepared), classifier.spec)
    rows = []
    for name, judge in (("as shipped", classifier), (f"logits times {SURE:g}", sure)):
        subject = TrainedSubject.of(snapshot, judge)
        assert snapshot.latents is not None
        in_w, in_s = InW.of(subject, snapshot.latents), InS(subject)
        tries: list[tuple[str, Latents, AttackConfig]] = [
            ("w", in_w, AttackConfig()),
            ("w, probability", in_w, AttackConfig(objective="probability")),
        ]
        if judge is classifier:
            tries += [("s, dense", in_s, AttackConfig())]
            tries += [(f"s, sparsity {by}", in_s, AttackConfig(sparsity=by)) for by in (0.3, 0.5)]
        for space, latents, config in tries:
            file = out / "demo" / f"{name}, {space}.json"
            got = _once(file, lambda s=subject, within=latents, how=config: _attacked(s, within, x, how))
            rows.append({"classifier": name, "attack": space, **got})
    return rows


def _attacked(subject: TrainedSubject, latents: Latents, x: Tensor, config: AttackConfig) -> dict[str, Any]:
    with torch.inference_mode():
        logits = subject.classifier.logits(x)
        placed = latents.place(x, subject.condition(logits))
    begun = time.perf_counter()
    opponent = Opponent(latents=latents, classifier=subject.classifier, output=subject.output)
    got: Attacked = attack(opponent, placed, 1 - logits.argmax(dim=1), config)
    seconds = time.perf_counter() - begun
    margins = (logits[:, 1] - logits[:, 0]).abs()
    surest = margins >= margins.quantile(0.9)
    turned = got.converged & (got.steps > 0)
    return {
        "images": len(x),
        "converged": round(float(got.converged.float().mean()), 4),
        "converged_of_the_surest_tenth": round(float(got.converged[surest].float().mean()), 4),
        "largest_margin": round(float(margins.max()), 2),
        "steps_median": float(got.steps[turned].float().median()) if turned.any() else None,
        "steps_most": int(got.steps[turned].max()) if turned.any() else None,
        "changed": round(float((got.change[turned] != 0).sum(dim=1).float().mean()), 1) if turned.any() else None,
        "coordinates": latents.coordinates,
        "length": round(float(got.change[turned].norm(dim=1).mean()), 2) if turned.any() else None,
        "seconds": round(seconds, 1),
    }


def _planted(out: Path, seed: int, kimg: float) -> dict[str, Any]:
    drawing = Drawing(family="leaves", seed=seed, images=6000, read=4000)
    work = out / drawing.folder
    work.mkdir(parents=True, exist_ok=True)
    archive, judge = drawing.drawn_and_fitted(work)
    base = stylex.PRESETS["small-32"]
    schedule = replace(base.schedule, kimg=kimg, snapshot_nimg=40_000)
    run = stylex.train(
        data=archive, classifier=judge, out=work / "run", config=replace(base, schedule=schedule, seed=seed)
    )
    images = open_images(archive)
    planted = Planted.named(images.names)
    tables = {"true": write_factors(work / "factors.csv", planted), "shuffled": work / "shuffled.csv"}
    mixed = np.random.default_rng(seed).permutation(len(images))
    columns = dict(zip(planted.family.factors, planted.factors[mixed].T.tolist(), strict=True))
    write_whole(tables["shuffled"], table_of(images.names, columns).encode())
    causes = planted.family.causes
    figures = load_snapshot(run).figures
    row: dict[str, Any] = {
        "seed": seed, "kimg": kimg, "causes": list(causes), "agreement": figures.get("agreement"), "attacks": {},
        "names": {},
    }  # fmt: skip
    for space, name, count in _PLANTED:
        got = stylex.attack(
            run, data=archive, out=work / f"attack-{space}-{name}", images=count, space=space,
            descriptors=tables[name], device="cpu", overwrite=True,
        )  # fmt: skip
        row["attacks"][f"{space}, {name}"] = _told(got, causes)
    row["strengths"] = dict(
        zip(planted.family.factors, map(float, drawing.strengths(load_classifier(judge))), strict=True)
    )
    for name, table in tables.items():
        found = stylex.find(
            run, data=archive, out=work / f"found-{name}", images=80, method="directions", attributes=16,
            descriptors=table, device="cpu", overwrite=True,
        )  # fmt: skip
        row["names"][name] = _named(found, drawing, work, run, judge, archive)
    return row


def _told(got: stylex.Attack, causes: Sequence[str]) -> dict[str, Any]:
    first = [score.descriptor for score in got.scores[: len(causes)]]
    return {
        "images": len(got.images),
        "converged": got.converged,
        "probes": {p.descriptor: [round(p.quality, 3), round(p.shuffled, 3), p.weak] for p in got.probes},
        "scores": {
            s.descriptor: [round(v, 3) for v in (s.change.value, s.change.low, s.change.high)] for s in got.scores
        },
        "causes_on_top": len(set(first) & set(causes)),
        "others_that_cover_zero": [
            s.descriptor for s in got.scores if s.descriptor not in causes and s.change.low <= 0 <= s.change.high
        ],
    }  # fmt: skip


def _named(
    found: stylex.Explanation, drawing: Drawing, work: Path, run: Path, judge: Path, archive: Path
) -> list[dict[str, Any]]:
    """Each attribute's name, beside the factor that it changes most, as a reader of the pictures sees it."""
    reader, explained = drawing.reader(work), load_classifier(judge)
    subject = subject_of(independent(load_snapshot(run)), explained, torgb=True)
    test = open_images(archive).split("test")
    others = np.flatnonzero([name not in set(found.settings["searched"]) for name in test.names])[:100]
    s = encode_set(subject, test.subset(others)).s
    names = Planted.named(test.names).family.factors
    changes = factor_changes(subject, reader, s, found.ranking.attributes, noise=drawing.noise(reader))
    main = truth(changes, np.ones(len(names)), [0]).main
    return [
        {
            "attribute": attribute.name,
            "effect": round(attribute.effect, 2),
            "named": None if attribute.meaning is None else str(attribute.meaning),
            "true": names[factor] if factor >= 0 else None,
            "right": attribute.meaning is not None and factor >= 0 and attribute.meaning.descriptor == names[factor],
        }
        for attribute, factor in zip(found.ranking, main, strict=True)
    ]


def _print(row: dict[str, Any]) -> None:
    print(
        f"seed {row['seed']}, {row['kimg']:g} kimg, agreement {row['agreement']:.3f}, causes {', '.join(row['causes'])}"
    )
    for name, told in row["attacks"].items():
        scores = ", ".join(f"{d} {v:+.2f} ({low:+.2f} to {high:+.2f})" for d, (v, low, high) in told["scores"].items())
        print(
            f"  attack in {name}: {told['converged']}/{told['images']} converged; {scores or 'no probe reads anything'}"
        )
        print(f"    causes on top: {told['causes_on_top']}; others whose interval covers zero: "
              f"{', '.join(told['others_that_cover_zero']) or 'none'}")  # fmt: skip
    for name, attributes in row["names"].items():
        right, named = (sum(bool(a[key]) for a in attributes) for key in ("right", "named"))
        print(f"  names by the {name} table: {named} of {len(attributes)} named, {right} rightly: "
              + ", ".join(f"{a['named']} [{a['true']}]" for a in attributes))  # fmt: skip


if __name__ == "__main__":
    main()
