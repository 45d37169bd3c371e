"""What each part of the method is worth: one small training a row, all else equal, and several searches of one.

    python benchmarks/ablations.py OUT                                             # drawn leaves with known causes
    python benchmarks/ablations.py OUT --data SHOES.zip --classifier CLASSIFIER    # a real set

Every row is a training (the preset with some settings changed) and a way to search it; trainings that several rows
share run once. Everything is measured on test images that neither the training nor the search has seen, with 95%
bootstrap intervals over images; of the directions towards each class, the harder one counts.

Everything is kept in OUT, and the same command goes on where it stopped: trainings from their last state, finished rows
are not measured again. A row that fails is told and stops no other. Progress goes to stderr, the table to stdout.

Of single coordinates and eigenvectors, whose lists are always full, the first four towards each class are scored
against the causes; of directions that a test may leave out, all that are claimed.

Seconds of a training are of the wall clock, those of searching and measuring of the processor.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from causes import Drawing
from clock import Seconds

import stylex
from stylex.classifiers.classifier import Classifier
from stylex.classifiers.load import load_classifier
from stylex.core.attribute import Attribute
from stylex.core.errors import ConfigError
from stylex.core.evaluation import Evaluation, Interval
from stylex.core.files import write_whole
from stylex.data.archive import ImageSet, open_images
from stylex.evaluation.evaluate import evaluate_subject
from stylex.evaluation.extractors import extractor_for
from stylex.evaluation.found import Found, in_turn
from stylex.evaluation.options import PARTS, Inputs, Options
from stylex.evaluation.subject import subject_of
from stylex.metrics.interval import mean_interval
from stylex.models.snapshot import Snapshot, load_snapshot
from stylex.planted.changes import factor_changes
from stylex.planted.families import planted_family
from stylex.planted.truth import truth
from stylex.search.choosing import choose_to_search
from stylex.search.classes import search_classes
from stylex.search.config import MethodName, SearchConfig
from stylex.search.decision import predicted
from stylex.search.encoding import Encoded, encode_set, latents_of
from stylex.search.methods import METHODS
from stylex.search.shifts import apply_attributes
from stylex.search.subject import TrainedSubject
from stylex.training.config import TrainConfig, preset

Rankings = dict[int, tuple[Attribute, ...]]

ATTRIBUTES = 10
"""Looked for towards each class, at most."""
FIRST = 4
"""Of a list that is always full, so many towards each class are scored against the causes."""
TOPS = (1, 3, 10)

_LONG: Mapping[str, Mapping[str, Any]] = {
    "loss": {"adversarial": 0.3},
    "schedule": {"reconstruct_first": 0.6},
}
"""A discriminator that works for the last 40% of the training: what it does, and what is done to it, can be seen."""


def _long(**groups: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    return {name: {**_LONG.get(name, {}), **groups.get(name, {})} for name in {**_LONG, **groups}}


_STYLEGAN2: Mapping[str, Mapping[str, Any]] = {
    "model": {"class_input": "none", "conditional_discriminator": False},
    "loss": {"adversarial": 1.0},
    "schedule": {"reconstruct_first": 0.0, "noise_every": 1, "encoder_after": 0.3},
}

_MAPS: Mapping[str, Mapping[str, Any]] = {
    "model": {"map_resolutions": (8, 16)},
    "schedule": {"map_dropout": 0.3},
}

_EYES: Mapping[str, Any] = {"perceptual_net": "efficientnet", "perceptual": 2.0}
_FULL: Mapping[str, Mapping[str, Any]] = {"loss": {"classifier": 1.0}}
"""What the presets leave out, and each training has that does not say otherwise."""

TRAININGS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "full": {},
    "reconstruction": {"schedule": {"reconstruct_first": 1.0}},
    "no-classifier-loss": {"loss": {"classifier": 0.0}},
    "no-classifier-loss-reconstruction": {"loss": {"classifier": 0.0}, "schedule": {"reconstruct_first": 1.0}},
    "maps": {**_MAPS, "loss": {"classifier": 0.0, "swap": 1.0}},
    "maps-no-swap": {**_MAPS, "loss": {"classifier": 0.0}},
    "maps-efficientnet": {**_MAPS, "loss": {**_EYES, "classifier": 0.0, "swap": 1.0}},
    "maps-projected": {
        "model": _MAPS["model"],
        "loss": {**_EYES, "classifier": 0.0, "swap": 1.0, "discriminator": "projected", "adversarial": 0.12},
        "schedule": {**_MAPS["schedule"], "reconstruct_first": 0.6},
    },
    "multiscale": {"loss": {"perceptual_net": "multiscale"}},
    "no-classifier": {
        "model": {"conditional_discriminator": False},
        "loss": {"classifier": 0.0, "perceptual_net": "multiscale"},
    },
    "encoder-told": {"model": {"class_encoder": "always"}},
    "encoder-told-after": {
        "model": {"class_encoder": "after"},
        "schedule": {"reconstruct_first": 0.8, "encoder_after": 0.15},
    },
    "c-all": {"model": {"class_input": "all"}},
    "c-coarse": {"model": {"class_input": "coarse"}},
    "c-dropout": {"model": {"class_input": "all"}, "schedule": {"class_dropout": 0.5}},
    "long": _long(),
    "long-unconditional": _long(model={"conditional_discriminator": False}),
    "long-no-noise": _long(schedule={"noise_every": 0}),
    "long-noise": _long(schedule={"noise_every": 1}),
    "long-path-length": _long(loss={"path_length": 2.0}),
    "long-style-mixing": _long(schedule={"style_mixing": 0.9}),
    "long-c": _long(model={"class_input": "all"}),
    "long-c-kl": _long(model={"class_input": "all"}, loss={"noise_kl": True}),
    "stylegan2": _STYLEGAN2,
    "stylegan2-ada": {**_STYLEGAN2, "augment": {"mode": "ada"}},
    "published": {
        "model": {"class_input": "all"},
        "loss": {
            "adversarial": 1.0,
            "pixel": 1.0,
            "perceptual": 0.1,
            "latent": 0.1,
            "latent_moments": 0.0,
            "latent_every": 1,
        },
        "optimizer": {"generator_lr": 2e-3, "encoder_lr": 2e-3},
        "schedule": {"reconstruct_first": 0.0, "noise_every": 2},
    },
}
"""What each training changes of the full one."""


@dataclass(frozen=True)
class Row:
    """A line of the table: a training and a way to search it."""

    training: str
    search: str
    says: str


ROWS: Mapping[str, Row] = {
    "full": Row("full", "directions", "full StylEx"),
    "full-coordinates": Row("full", "coordinates", "the same, AttFind on single coordinates"),
    "full-torgb": Row("full", "torgb", "the same, ToRGB styles searched too"),
    "full-stylespace": Row("full", "stylespace", "the same, StyleSpace ranking (Wu et al.)"),
    "full-eigenfind": Row("full", "eigenfind", "the same, EigenFind"),
    "full-random": Row("full", "random", "the same, 64 random directions in the same part of w"),
    "no-classifier-loss": Row("no-classifier-loss", "directions", "without classifier loss: the default"),
    "maps": Row("maps", "directions", "the default, with maps at 8 and 16 px"),
    "maps-no-swap": Row("maps-no-swap", "directions", "the same, maps exchanged with nobody"),
    "maps-efficientnet": Row(
        "maps-efficientnet", "directions", "with maps and swap, EfficientNet-Lite0's maps compared"
    ),
    "maps-projected": Row(
        "maps-projected", "directions", "the same, judged by a projected discriminator for the last 40%"
    ),
    "no-classifier-loss-reconstruction": Row(
        "no-classifier-loss-reconstruction", "directions", "the default, no discriminator at all"
    ),
    "multiscale": Row("multiscale", "directions", "multi-scale L1 for the classifier's features"),
    "no-classifier": Row("no-classifier", "directions", "nothing of the classifier in the training"),
    "encoder-told": Row("encoder-told", "directions", "c told to the encoder, beside the image"),
    "encoder-told-after": Row(
        "encoder-told-after", "directions", "c told to the encoder only in a last 15%, where it learns alone"
    ),
    "c-all": Row("c-all", "directions", "c told to every layer"),
    "c-all-coordinates": Row("c-all", "coordinates", "c told to every layer, AttFind"),
    "c-coarse": Row("c-coarse", "directions", "c told to coarse layers only"),
    "c-dropout": Row("c-dropout", "directions", "c told to every layer, dropped out for half of the images"),
    "reconstruction": Row("reconstruction", "directions", "no discriminator at all"),
    "long": Row("long", "directions", "discriminator for the last 40%, at three times the weight"),
    "long-coordinates": Row("long", "coordinates", "the same, AttFind on single coordinates"),
    "long-unconditional": Row("long-unconditional", "directions", "the same, discriminator not told c"),
    "long-no-noise": Row("long-no-noise", "directions", "the same, encoder steps only"),
    "long-noise": Row("long-noise", "directions", "the same, noise steps only"),
    "long-path-length": Row("long-path-length", "directions", "the same, path-length regularisation"),
    "long-style-mixing": Row("long-style-mixing", "directions", "the same, style mixing"),
    "long-c": Row("long-c", "directions", "the same, c told to every layer"),
    "long-c-kl": Row("long-c-kl", "directions", "the same, c told to every layer, KL in noise steps"),
    "stylegan2": Row("stylegan2", "directions", "plain StyleGAN2, encoder trained afterwards"),
    "stylegan2-ada": Row("stylegan2-ada", "directions", "the same, adaptive augmentation (for small sets)"),
    "stylegan2-coordinates": Row("stylegan2", "coordinates", "plain StyleGAN2, encoder afterwards, AttFind"),
    "published": Row("published", "coordinates", "StylEx as published (its losses and order), AttFind"),
}


def main() -> None:
    """Train and measure what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", default="planted", help="'planted', or an archive of real images")
    parser.add_argument("--classifier", help="of a real set")
    parser.add_argument("--family", default="leaves", help="of drawn images")
    parser.add_argument("--preset", default="small-32")
    parser.add_argument("--kimg", type=float, default=60, help="length of every training")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="NAME", help=", ".join(ROWS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time, one thread each")
    parser.add_argument("--images", type=int, default=100, help="images to search on")
    parser.add_argument("--measured", type=int, default=200, help="other images to measure on")
    parser.add_argument("--drawn", type=int, default=12_000, help="images to draw, for a trial of this program")
    parser.add_argument("--json", type=Path, help="write everything there")
    parser.add_argument("--markdown", action="store_true", help="the table with intervals, for a page")
    parser.add_argument("--training", choices=TRAININGS, help=argparse.SUPPRESS)  # one of the processes started here
    options = parser.parse_args()
    if (options.data == "planted") != (options.classifier is None):
        parser.error("--data ARCHIVE.zip and --classifier belong together; drawn images have their own classifier")
    torch.set_num_threads(1)
    bench = Bench(options)
    if options.training:
        _end_with_parent()
        sys.exit(bench.train_and_measure(options.training))
    bench.prepare()
    wanted = dict.fromkeys(ROWS[name].training for name in options.rows if bench.finished(name) is None)
    with ThreadPoolExecutor(max(1, options.jobs)) as pool:
        list(pool.map(bench.start, wanted))
    rows = {name: bench.result(name) for name in options.rows}
    table = _markdown(rows, planted=bench.drawing is not None) if options.markdown else _plain(rows)
    print(table)
    if options.json:
        told = {"data": Path(options.data).name, "preset": options.preset, "kimg": options.kimg, "seed": options.seed}
        told |= {"searched": options.images, "measured": options.measured, "rows": rows}
        write_whole(options.json, (json.dumps(told, indent=1) + "\n").encode())


def _end_with_parent() -> None:
    """End this process when the one that started it is gone: its end of the pipe closes."""

    def watch() -> None:
        while os.read(0, 1):  # not sys.stdin, whose lock a thread must not hold when the process ends well
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class Bench:
    """One set of images, and where everything about it lies."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.base: TrainConfig = preset(options.preset)
        self.drawing: Drawing | None = None
        if options.data == "planted":
            self.drawing = Drawing(
                family=options.family,
                resolution=self.base.model.resolution,
                seed=options.seed,
                images=options.drawn,
                read=4 * options.drawn // 3,
            )
        name = self.drawing.folder if self.drawing else f"{Path(options.data).stem}-s{options.seed}"
        self.work: Path = options.out / name
        self.place = self.work / f"ablations-{options.preset}-{options.kimg:g}kimg"

    @property
    def data(self) -> Path:
        """The archive."""
        return self.work / "images.zip" if self.drawing else Path(self.options.data)

    @property
    def reference(self) -> str:
        """The classifier, as it is given."""
        return str(self.work / "images-classifier") if self.drawing else self.options.classifier

    @cached_property
    def judge(self) -> Classifier:
        """The classifier."""
        return load_classifier(self.reference)

    @cached_property
    def test(self) -> ImageSet:
        """Images that no training sees."""
        return open_images(self.data).split("test")

    def config(self, training: str) -> TrainConfig:
        """The settings of a training."""
        kimg = self.options.kimg
        last_only = replace(self.base.schedule, kimg=kimg, snapshot_nimg=max(1, round(1000 * kimg)))
        config = replace(self.base, schedule=last_only, seed=self.options.seed)
        for changes in (_FULL, TRAININGS[training]):
            groups = {name: replace(getattr(config, name), **fields) for name, fields in changes.items()}
            config = replace(config, **groups)
        return config

    def prepare(self) -> None:
        """Draw the images and fit what is needed, once."""
        self.place.mkdir(parents=True, exist_ok=True)
        if self.drawing is None:
            return
        self.drawing.drawn_and_fitted(self.work)
        self.drawing.reader(self.work)
        if not (self.work / "strengths.json").exists():
            strengths = self.drawing.strengths(self.judge).tolist()
            write_whole(self.work / "strengths.json", json.dumps(strengths).encode())

    def asked(self, name: str) -> dict[str, Any]:
        """What decides a row's result."""
        row, options = ROWS[name], self.options
        config = json.loads(json.dumps(self.config(row.training).to_json()))
        sizes = {"images": options.images, "measured": options.measured, "drawn": options.drawn}
        return {"training": row.training, "search": row.search, "config": config, **sizes}

    def finished(self, name: str) -> dict[str, Any] | None:
        """The row's result, where it is there and is what is asked for."""
        try:
            result: dict[str, Any] = json.loads((self.place / f"{name}.json").read_text())
            # Options that did not exist then are as they are by default.
            result["asked"]["config"] = TrainConfig.from_json(result["asked"]["config"]).to_json()
            same = json.loads(json.dumps(result["asked"])) == self.asked(name)
        except (OSError, ValueError, KeyError, ConfigError):
            return None
        return result | {"says": ROWS[name].says} if same else None

    def result(self, name: str) -> dict[str, Any]:
        """The row's result, or that it failed."""
        failed = {"row": name, "says": ROWS[name].says, "failed": f"see {self.place / ROWS[name].training}.log"}
        return self.finished(name) or failed

    def start(self, training: str) -> None:
        """Train and measure in a process of its own, and wait for it."""
        began = time.perf_counter()
        _tell(f"{training}: training and measuring; {self.place / training}.log tells how far it is")
        command = [sys.executable, str(Path(__file__).resolve()), *sys.argv[1:], "--training", training]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        with (
            (self.place / f"{training}.log").open("ab") as log,
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment) as process,
        ):
            # The pipe stays open and silent: when this process ends, however, the other one sees it close.
            while process.poll() is None:
                time.sleep(0.2)
        for name in self.options.rows:
            if ROWS[name].training == training:
                _tell(_line(self.result(name)))
        _tell(f"{training}: {time.perf_counter() - began:.0f} s")

    def trained(self, training: str) -> Snapshot:
        """The training's snapshot, trained where it is not finished."""
        run = self.place / training
        stylex.train(
            data=self.data, classifier=self.reference, out=run, config=self.config(training), listener=_told_to_log
        )
        return load_snapshot(run)

    def train_and_measure(self, training: str) -> int:
        """Train, and measure the rows of it that are missing; 1 if one of them failed."""
        snapshot = self.trained(training)
        stats = [json.loads(line) for line in (self.place / training / "stats.jsonl").read_text().splitlines()]
        seconds = sum(line.get("seconds", 0.0) for line in stats)
        failed = 0
        for name in self.options.rows:
            if ROWS[name].training != training or self.finished(name) is not None:
                continue
            try:
                measured = self.measure(ROWS[name].search, snapshot)
            except Exception:
                traceback.print_exc()
                failed = 1
                continue
            told = {"row": name, "says": ROWS[name].says, **measured, "training_seconds": round(seconds, 1)}
            write_whole(self.place / f"{name}.json", json.dumps(told | {"asked": self.asked(name)}, indent=1).encode())
        return failed

    def measure(self, search: str, snapshot: Snapshot) -> dict[str, Any]:
        """Search, and measure on other images."""
        began, options = Seconds.now(), self.options
        chosen = choose_to_search(self.judge, self.test, options.images, target=None)
        subject, rankings = searched(search, snapshot, self.judge, chosen)
        searching = Seconds.now().since(began)
        found = Found(rankings=rankings, shown=in_turn(rankings), images=frozenset(chosen.names))
        rest = self.test.subset(np.array([name not in found.images for name in self.test.names], dtype=np.bool_))
        measured = encode_set(subject, choose_to_search(self.judge, rest, options.measured, target=None))
        evaluation = evaluate_subject(
            subject,
            Inputs(
                held_out=rest,
                training=None,
                targets=list(rankings),
                extractor=extractor_for("classifier", self.judge),
            ),
            Options(
                searched=options.images,
                measured=options.measured,
                without=frozenset(PARTS) - {"reconstruction", "sufficiency", "observer"},
                seed=options.seed,
            ),
            found=found,
            settings={},
        )
        figures = _figures(evaluation)
        figures |= _flips(evaluation, subject, rankings, measured)
        figures["change"] = _change(subject, rankings, measured)
        first = [a for ranking in rankings.values() for a in (ranking if search in TESTED else ranking[:FIRST])]
        first.sort(key=lambda a: -a.effect)
        causes = self._truth(subject, measured, first)
        kinds = {subject.space.layer(a.coordinate.layer).kind for a in found.shown}
        return {
            "kind": "direction" if kinds == {"direction"} else "coordinate" if kinds else "none",
            "attributes": len(first),
            "figures": {name: asdict(value) for name, value in (causes.pop("scores", {}) | figures).items()},
            "found": [{"name": a.name, "towards": a.target_label, "effect": round(a.effect, 3)} for a in first],
            **causes,
            "search_seconds": round(searching.cpu, 1),
            "measuring_seconds": round(Seconds.now().since(began).cpu - searching.cpu, 1),
        }

    def _truth(self, subject: TrainedSubject, measured: Encoded, first: Sequence[Attribute]) -> dict[str, Any]:
        if self.drawing is None:
            return {}
        kind = planted_family(self.drawing.family)
        strengths = np.array(json.loads((self.work / "strengths.json").read_text()))
        causes = [kind.factors.index(name) for name in kind.causes]
        reader = self.drawing.reader(self.work)
        changes = factor_changes(subject, reader, measured.s, first, noise=self.drawing.noise(reader))
        scored = truth(changes, strengths, causes, seed=self.options.seed)
        return {
            "scores": scored.figures() | {"recall_x_purity": scored.recall_x_purity},
            "main": [kind.factors[i] if i >= 0 else None for i in scored.main],
            "causes_found": [kind.factors[i] for i in scored.found],
            "changes": [
                dict(zip(kind.factors, np.round(change.mean(axis=0), 3).tolist(), strict=True))
                for change in changes.changes
            ],
        }


# The searches.


SEARCHES: Mapping[str, tuple[MethodName, bool]] = {
    "directions": ("directions", False),
    "coordinates": ("attfind", False),
    "torgb": ("attfind", True),
    "stylespace": ("stylespace", False),
    "eigenfind": ("eigenfind", False),
    "random": ("random", False),
}
"""Methods of the search, and whether ToRGB coordinates are searched too."""


def searched(name: str, snapshot: Snapshot, judge: Classifier, images: ImageSet) -> tuple[TrainedSubject, Rankings]:
    """Of every class, the attributes best first, and the subject in whose space they lie."""
    method, torgb = SEARCHES[name]
    plain = TrainedSubject.of(snapshot, judge)
    subject = subject_of(METHODS[method].prepare(snapshot, lambda: latents_of(plain, None), judge), judge, torgb=torgb)
    config = SearchConfig(method=method, torgb=torgb, search="exact", attributes=ATTRIBUTES)
    found = search_classes(subject, encode_set(subject, images), config, range(judge.k))
    assert found is not None
    return subject, {task.target: each.attributes for task, each in zip(found.tasks, found.rankings, strict=True)}


TESTED = frozenset({"directions", "random"})
"""Searches that leave out what cannot be claimed."""


# The figures.


def _figures(evaluation: Evaluation) -> dict[str, Interval]:
    wanted = {
        "reconstruction.agreement": "agreement",
        "reconstruction.probability_error": "probability_error",
        "reconstruction.pixel_l1": "pixel_l1",
        f"observer.accuracy_of_{FIRST}": "observer",
    }
    known = {m.name: _interval(m.value, m.low, m.high) for m in evaluation.measures}
    return {name: known[measure] for measure, name in wanted.items() if measure in known}


def _flips(
    evaluation: Evaluation, subject: TrainedSubject, rankings: Rankings, measured: Encoded
) -> dict[str, Interval]:
    """What the first attributes turn, towards the class that is harder to reach."""
    known = {
        (m.target, m.top): _interval(m.value, m.low, m.high)
        for m in evaluation.measures
        if (m.part, m.kind) == ("sufficiency", "attributes")
    }
    logits, judge = measured.logits_rec.cpu().numpy(), subject.classifier
    flips: dict[str, Interval] = {}
    for top in TOPS:
        ways = []
        for target, ranking in rankings.items():
            others = int((~predicted(logits, target, judge.activation)).sum())
            if not ranking:
                ways.append(mean_interval(np.zeros(others)))
            elif others:
                ways.append(known[judge.spec.labels[target], min(top, len(ranking))])
        flips[f"top{top}"] = min(ways, key=lambda way: way.value) if ways else Interval.nothing()
    return flips


def _change(subject: TrainedSubject, rankings: Rankings, measured: Encoded) -> Interval:
    """Mean |pixel change| by the first attribute of each class."""
    pictures = measured.x_rec.cpu().numpy()
    first = [ranking[:1] for ranking in rankings.values() if ranking]
    changed = [subject.show(apply_attributes(measured.s, one, subject.space))[0] for one in first]
    sizes = [np.abs(moved - pictures).mean(axis=(1, 2, 3)) for moved in changed]
    return mean_interval(np.mean(sizes, axis=0).astype(np.float64)) if sizes else Interval.nothing()


def _interval(value: float, low: float | None, high: float | None) -> Interval:
    return Interval(value=value, low=math.nan if low is None else low, high=math.nan if high is None else high)


# The table.

_TRUTH = ("recall", "precision", "purity", "order", "silence", "recall_x_purity")
_SHARES = ("top1", "top3", "top10")
_HEADS = {
    "recall_x_purity": "recall × purity", "probability_error": "\\|p - p_rec\\|", "pixel_l1": "L1", "top1": "1 turns",
    "top3": "3 turn", "top10": "10 turn", "observer": "observer, K = 4", "change": "size of change",
}  # fmt: skip


def _markdown(rows: Mapping[str, Mapping[str, Any]], *, planted: bool) -> str:
    """A table with intervals."""
    names = (*_TRUTH,) if planted else ()
    names = (*names, "agreement", "probability_error", "pixel_l1", *_SHARES, "observer", "change")
    heads = ["row", "kind", "attributes", *(_HEADS.get(name, name) for name in names)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row in rows.values():
        if "failed" in row:
            lines.append(f"| {row['says']} | failed |" + " |" * (len(heads) - 2))
            continue
        cells = [_cell(name, row["figures"].get(name)) for name in names]
        lines.append("| " + " | ".join([row["says"], row["kind"], str(row["attributes"]), *cells]) + " |")
    return "\n".join(lines)


def _cell(name: str, value: Mapping[str, float] | None) -> str:
    if value is None or math.isnan(value["value"]):
        return "-"
    digits, scale, unit = (0, 100, "%") if name in _SHARES else (3 if name in _FINE else 2, 1, "")
    number, low, high = (f"{scale * value[key]:.{digits}f}" for key in ("value", "low", "high"))
    return f"{number}{unit}" if low == high == number or math.isnan(value["low"]) else f"{number}{unit} ({low}–{high})"


_FINE = frozenset({"agreement", "probability_error", "pixel_l1", "change"})


def _plain(rows: Mapping[str, Mapping[str, Any]]) -> str:
    return "\n".join(_line(row) for row in rows.values())


def _line(row: Mapping[str, Any]) -> str:
    if "failed" in row:
        return f"{row['row']}: failed, {row['failed']}"
    figures = ", ".join(f"{name} {value['value']:.3g}" for name, value in row["figures"].items())
    seconds = f"{row['training_seconds']:.0f} + {row['search_seconds']:.0f} + {row['measuring_seconds']:.0f} s"
    return f"{row['row']}: {row['attributes']} attributes ({row['kind']}), {figures}; {seconds}"


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _told_to_log(event: Any) -> None:
    if hasattr(event, "total_nimg"):
        _tell(f"{event.nimg / 1000:.0f} of {event.total_nimg / 1000:.0f} kimg, {event.images_per_s:.0f} images/s")


if __name__ == "__main__":
    main()
