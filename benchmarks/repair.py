"""Is a planted bias repaired: drawn leaves whose background goes with the label in nine of ten images.

    python benchmarks/repair.py OUT [--seeds 0 1 2] [--kimg 20] [--images 2700] [--marks 200]
        [--arms attribute marked ...] [--json docs/results/repair.json]

A classifier learns from the biased images, and a generator is trained with it. What should not matter, the background,
is taken from where a user would have it: from an attribute that was found (the one that changes the background most, as
a reader of the factors sees it, fitted to other drawings); or from a few training images, drawn at random, that are
marked as warm or cool. The classifier is then trained further in several ways, all for as many steps:

    attribute         that attribute turned both ways, groups (label and the attribute's place) balanced
    marked            the direction between the marked groups turned both ways, groups balanced as it reads them
    marked_unbalanced the same images, groups as they come
    balanced          no image turned, groups balanced as the direction reads them
    random_direction  a random direction turned as far, groups balanced as the other direction reads them
    random_unbalanced the same images, groups as they come
    random_colours    each channel's gain and offset drawn anew, groups as they come
    redrawn           the best that there could be: images drawn again with another background, groups balanced

Everything is measured on drawings of their own: with background and label independent, and biased as the training's.
Every step is kept in OUT; the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from causes import Drawing
from numpy import ndarray

import stylex
from stylex.bias.ends import Ends, ends_of, is_high, on_photographs, places_of
from stylex.bias.marked import marked_direction
from stylex.classifiers.load import load_classifier
from stylex.core.audited import Versus
from stylex.core.evaluation import Interval
from stylex.core.files import write_whole
from stylex.data.archive import ArchiveIndex, ImageSet, open_images, write_archive
from stylex.data.descriptors import read_descriptors, table_of
from stylex.data.groups import groups_table
from stylex.data.images import to_pictures, to_tensor
from stylex.metrics.groups import worst_group
from stylex.metrics.interval import mean_interval
from stylex.opening import Run
from stylex.planted.images import Planted, write_planted
from stylex.planted.readers import FactorReader
from stylex.search.choosing import spread
from stylex.search.encoding import encode_set
from stylex.search.subject import TrainedSubject
from stylex.training.config import preset

BIAS = 0.8
"""The background lies in the half that goes with the label in 80% of the images, and by chance in half of the rest."""
CAUSE, READ, HELD_OUT, REDRAWN = "background", 64, 3000, 500
EPOCHS = 2
"""Passes over the largest archive; the others are shown for as many steps."""
ARMS = ("attribute", "marked", "marked_unbalanced", "balanced", "random_direction", "random_unbalanced")
ARMS += ("random_colours", "redrawn")
MARKS = (100, 200, 500, 2000)
"""How many marked images the direction is looked at with."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One seed's folder and settings."""

    at: Path
    seed: int
    kimg: float
    images: int
    marks: int = 200
    resolution: int = 32

    @property
    def archive(self) -> Path:
        """The biased images."""
        return self.at / "images.zip"

    @property
    def classifier(self) -> Path:
        """What has learnt from them."""
        return self.at / "classifier"

    @property
    def explanation(self) -> Path:
        """Its attributes."""
        return self.at / "explanation"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--kimg", type=float, default=20.0)
    parser.add_argument("--images", type=int, default=2700, help="training images that are turned")
    parser.add_argument("--marks", type=int, default=200, help="training images that are marked")
    parser.add_argument("--arms", nargs="+", default=ARMS, choices=ARMS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    reader = Drawing(read=6000).reader(options.out)
    rows = []
    for seed in options.seeds:
        work = Work(
            at=options.out / f"seed-{seed}", seed=seed, kimg=options.kimg, images=options.images, marks=options.marks
        )
        rows.append(_seed(work, reader, options.arms))
        if options.json:
            settings = {"bias": BIAS, "kimg": options.kimg, "images": options.images, "marks": options.marks}
            write_whole(options.json, (json.dumps({**settings, "seeds": rows}, indent=1) + "\n").encode())


def _seed(work: Work, reader: FactorReader, wanted: list[str]) -> dict[str, Any]:
    work.at.mkdir(parents=True, exist_ok=True)
    if not work.archive.exists():
        write_planted(work.archive, family="leaves", images=6000, resolution=32, seed=work.seed, bias=BIAS)
    if not work.classifier.exists():
        stylex.fit_classifier(work.archive, work.classifier, epochs=4, seed=work.seed)
    base = preset("small-32")
    config = replace(base, schedule=replace(base.schedule, kimg=work.kimg), seed=work.seed)
    stylex.train(data=work.archive, classifier=work.classifier, out=work.at / "run", config=config)
    row: dict[str, Any] = {"seed": work.seed}
    row["marked"] = _once(work.at / "marks.json", lambda: _marks_read(work, reader))
    for each in row["marked"]:
        print(f"seed {work.seed}: {json.dumps(each)}")
    if "attribute" in wanted:
        if not work.explanation.exists():
            stylex.find(
                work.at / "run", data=work.archive, out=work.explanation, images=100, attributes=6, selection="together"
            )
        listed = _once(work.at / "attributes.json", lambda: _read_off(work, reader))
        row["attribute"] = 1 + max(range(len(listed)), key=lambda i: listed[i]["share"])
        row["attributes"] = listed
    arms = {"before": _once(work.at / "before.json", lambda: {"true": _measured(work.classifier, work.seed)})}
    print(_line("before", arms["before"]["true"]), flush=True)
    for name in wanted:
        arms[name] = _once(
            work.at / f"{name}.json", lambda n=name: _arm(work, n, *_archive(work, n, row.get("attribute")))
        )
        print(_line(name, arms[name]["true"]), flush=True)
    return {**row, "arms": arms}


def _once(file: Path, measure: Any) -> Any:
    if not file.exists():
        write_whole(file, json.dumps(measure(), indent=1).encode())
    return json.loads(file.read_text())


def _table(work: Work, marks: int) -> Path:
    """A table of marks: of so many training images, drawn at random, whether the ground is warm."""
    out = work.at / f"marks-{marks}.csv"
    training = open_images(work.archive).split("train")
    rows = np.random.default_rng([work.seed, 23]).permutation(len(training))[:marks]
    chosen = training.subset(np.sort(rows))
    write_whole(out, table_of(chosen.names, {CAUSE: _is_warm(chosen.names).astype(float).tolist()}).encode())
    return out


def _is_warm(names: tuple[str, ...]) -> ndarray:
    known = Planted.named(names)
    return np.asarray(known.factors[:, known.family.factors.index(CAUSE)] > 0.5)


def _archive(work: Work, name: str, number: int | None) -> tuple[Path, Path | None]:
    """What to train further on: an archive, and a table of groups where they are balanced."""
    training = open_images(work.archive).split("train")
    chosen = training.subset(spread(len(training), min(work.images, len(training))))
    if name == "random_colours":
        random = np.random.default_rng(work.seed)
        return _written(work, name, chosen, lambda: [_random_colours(chosen, random) for _ in range(2)]), None
    if name == "redrawn":
        return _redrawn(work, training, chosen)
    kind = {"balanced": "marked", "marked_unbalanced": "marked", "random_unbalanced": "random_direction"}.get(
        name, name
    )
    out = work.at / f"{kind}.zip"
    if not out.exists():
        what: dict[str, Any] = (
            {"explanation": work.explanation, "attribute": str(number)}
            if kind == "attribute"
            else {"explanation": work.at / "run", "descriptors": _table(work, work.marks)}
        )
        done = stylex.repair(
            **what,
            data=work.archive,
            out=out,
            images=work.images,
            control=kind == "random_direction",
            seed=work.seed,
            overwrite=True,
        )
        print(f"{kind}: {done.turned} turned, {done.unreal} left out, change {done.change:.3f}, {dict(done.places)}")
    groups = None if name.endswith("unbalanced") else out.with_suffix(".groups.csv")
    return work.archive if name == "balanced" else out, groups


def _written(work: Work, name: str, chosen: ImageSet, further: Any) -> Path:
    if not (out := work.at / f"{name}.zip").exists():
        _write(out, open_images(work.archive).split("train"), chosen, further())
    return out


def _redrawn(work: Work, training: ImageSet, chosen: ImageSet) -> tuple[Path, Path]:
    planted, random = Planted.named(chosen.names), np.random.default_rng(work.seed)

    def ends() -> list[ndarray]:
        drawn = []
        for half in (0.5, 0.0):
            factors = planted.factors.copy()
            factors[:, planted.family.factors.index(CAUSE)] = half + random.random(len(planted)) / 2
            drawn.append(planted.pictures(work.resolution, factors=factors))
        return drawn

    out = _written(work, "redrawn", chosen, ends)
    names, known = planted.family.labels, Planted.named(training.names)
    groups = {
        n: (names[label], "high" if up else "low")
        for n, label, up in zip(training.names, known.labels, _is_warm(training.names), strict=True)
    }
    for way, place in ((0, "high"), (1, "low")):
        groups |= {f"{way}/{n}": (groups[n][0], place) for n in chosen.names}
    write_whole(out.with_suffix(".groups.csv"), groups_table(groups).encode())
    return out, out.with_suffix(".groups.csv")


def _random_colours(images: ImageSet, random: np.random.Generator) -> ndarray:
    """Photographs with each channel's gain and offset drawn anew."""
    x = images.batch(range(len(images)))
    gain, lift = (
        torch.from_numpy(random.uniform(low, high, (len(x), 3, 1, 1))).float()
        for low, high in ((0.7, 1.3), (-0.2, 0.2))
    )
    return to_pictures((x * gain + lift).clamp(-1, 1))


def _write(out: Path, training: ImageSet, chosen: ImageSet, further: list[ndarray]) -> None:
    """The training images, and some of them in further versions; two of them as a test part, for the verb's sake."""
    assert training.labels is not None
    assert chosen.labels is not None
    test = open_images(training.path).split("test").subset(range(100))
    assert test.labels is not None
    blocks = [("", training), *((f"{i}/", chosen) for i in range(len(further))), ("", test)]
    names = [f"{before}{name}" for before, block in blocks for name in block.names]
    pictures = [training.pictures(range(len(training))), *further, test.pictures(range(len(test)))]
    index = ArchiveIndex(
        resolution=training.resolution,
        channels=3,
        names=names,
        labels=[int(label) for _, block in blocks for label in (block.labels if block.labels is not None else ())],
        label_names=training.label_names,
        split_keys=[key for _, block in blocks for key in block.split_keys],
        splits=["train"] * (len(names) - len(test)) + ["test"] * len(test),
        groups=[None] * len(names),
        contents=[None] * len(names),
    )
    write_archive(out, (picture for block in pictures for picture in block), index)


def _arm(work: Work, name: str, archive: Path, groups: Path | None) -> dict[str, Any]:
    """Train the classifier further, and measure it by the truth and by the audit."""
    steps = EPOCHS * (len(open_images(work.archive).split("train")) + 2 * work.images)
    out = work.at / f"classifier-{name}"
    if not out.exists():
        stylex.fit_classifier(
            archive,
            out,
            from_=work.classifier,
            groups=groups,
            epochs=max(1, round(steps / len(open_images(archive).split("train")))),
            seed=work.seed,
        )
    row = {"true": _measured(out, work.seed)}
    if name != "marked":
        return row
    audit = stylex.audit(
        work.classifier,
        out,
        data=work.archive,
        descriptors=_table(work, work.marks),
        run=work.at / "run",
        measured=200,
        fail_if="attribute 1 kept > 0.5",
    )
    (a,) = audit.attributes
    return {
        **row,
        "audit": {
            "verdict": a.verdict,
            "failed": audit.failed,
            **{key: _versus(getattr(a, key)) for key in ("weight", "flips", "flips_photograph")},
            "kept": _rounded(a.kept),
            "random_weight": a.random_weight,
            "random_flips": a.random_flips,
            "worst": None if a.worst is None else _versus(a.worst),
        },
    }


def _measured(classifier: Path, seed: int) -> dict[str, Any]:
    """Accuracy, that of the worst group, and what the background and true causes do, on drawings of their own."""
    judge = load_classifier(classifier)

    def odds(pictures: ndarray) -> ndarray:
        with torch.inference_mode():
            logits = torch.cat([judge.logits(part) for part in to_tensor(pictures).split(250)]).numpy()
        return np.asarray(logits[:, 1] - logits[:, 0], dtype=np.float64)

    row: dict[str, Any] = {}
    for kind, bias in (("independent", 0.0), ("biased", BIAS)):
        planted, pictures = _held_out(seed, bias)
        cause = planted.factors[:, planted.family.factors.index(CAUSE)] > 0.5
        right = ((odds(pictures) > 0) == planted.labels).astype(np.float64)
        row[f"accuracy_{kind}"] = _rounded(mean_interval(right))
        row[f"worst_{kind}"] = _rounded(worst_group(right, 2 * planted.labels + cause))
        row[f"disagreeing_{kind}"] = _rounded(mean_interval(right[cause != planted.labels]))
    for name, ends in _intervened(seed).items():
        up, down = map(odds, ends)
        row[f"effect_{name}"] = _rounded(mean_interval(up - down))
        if name == CAUSE:
            row["flips"] = _rounded(mean_interval(((up > 0) != (down > 0)).astype(np.float64)))
    return row


@lru_cache(maxsize=2)
def _held_out(seed: int, bias: float) -> tuple[Planted, ndarray]:
    planted = Planted.sample("leaves", range(HELD_OUT), seed=5000 + seed, bias=bias)
    return planted, planted.pictures(32)


@lru_cache(maxsize=1)
def _intervened(seed: int) -> dict[str, tuple[ndarray, ndarray]]:
    """Pictures with one cause at its upper end, and at its lower, all else equal."""
    planted = Planted.sample("leaves", range(REDRAWN), seed=6000 + seed, bias=0.0)
    return {
        name: tuple(planted.pictures(32, factors=planted.intervened(name, end)) for end in (1.0, 0.0))  # type: ignore[misc]
        for name in planted.family.causes
    }


def _marks_read(work: Work, reader: FactorReader) -> list[dict[str, Any]]:
    """Of each number of marks: how well sides are read, and what the direction changes, from one side to the other."""
    opened, archive = Run.open(work.at / "run", classifier=work.classifier), open_images(work.archive)
    subject, training = TrainedSubject.of(opened.snapshot, opened.classifier), archive.split("train")
    rows = []
    for marks in MARKS:
        marked = marked_direction(subject, archive, read_descriptors(_table(work, marks)), seed=work.seed)
        some = training.subset(spread(len(training), 1000))
        s = encode_set(marked.subject, some).s
        high = is_high(s.numpy(), marked.attribute, marked.subject.space, s.numpy())
        encoded, random = (
            encode_set(marked.subject, archive.split("test").subset(range(READ))),
            np.random.default_rng(0),
        )
        ends = places_of(encoded.s, marked.attribute, marked.subject.space, s.numpy(), random)
        rows.append(
            {
                "marks": marks,
                "rarest": min(min(sides) for sides in marked.counts.values()),
                "right": round(marked.right, 4),
                "by_chance": round(marked.by_chance, 4),
                "sides_right": round(float((high == _is_warm(some.names)).mean()), 4),
                **_changed(reader, on_photographs(marked.subject, encoded.x, encoded.x_rec, ends)),
            }
        )
    return rows


def _changed(reader: FactorReader, laid: Ends) -> dict[str, Any]:
    """What differs between two turns, in deviations of each factor, and the background's share of it."""
    change = (reader.read(laid.up) - reader.read(laid.down)).mean(axis=0)
    factors = dict(zip(reader.names, change.round(2).tolist(), strict=True))
    return {"share": round(abs(factors[CAUSE]) / max(sum(map(abs, factors.values())), 1e-9), 3), "changes": factors}


def _read_off(work: Work, reader: FactorReader) -> list[dict[str, Any]]:
    """What each attribute changes, laid on photographs of the test part: deviations of each factor, end to end."""
    known = stylex.read_explanation(work.explanation)
    opened = Run.open(work.at / "run").explaining(known, work.explanation)
    subject = TrainedSubject.of(opened.snapshot, opened.classifier)
    encoded = encode_set(subject, open_images(work.archive).split("test").subset(range(READ)))
    rows = []
    for number, attribute in enumerate(known.ranking, start=1):
        laid = on_photographs(subject, encoded.x, encoded.x_rec, ends_of(encoded.s, attribute, subject.space))
        rows.append({"number": number, "name": attribute.name, **_changed(reader, laid)})
    return rows


def _rounded(interval: Interval) -> list[float]:
    return [round(float(value), 4) for value in (interval.value, interval.low, interval.high)]


def _versus(pair: Versus) -> dict[str, list[float]]:
    return {name: _rounded(getattr(pair, name)) for name in ("before", "after", "difference")}


def _line(name: str, true: dict[str, Any]) -> str:
    return f"  {name:17} " + "  ".join(f"{key} {value[0]:.3f}" for key, value in true.items())


if __name__ == "__main__":
    main()
