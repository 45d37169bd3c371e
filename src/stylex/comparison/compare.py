"""The comparison from end to end: methods fitted on some held-out images, everything measured on others."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from stylex.comparison.arena import Arena, Cases, Heat, Moves
from stylex.comparison.contenders import CONTENDERS, CONTROLS, Contender, with_own_size
from stylex.comparison.equal import Ladder, drawn_at
from stylex.comparison.judge import NO_ATTRIBUTES, Judge
from stylex.core.comparison import COLUMNS, Cell, Compared, Comparison
from stylex.core.errors import EvaluationError, StylexError
from stylex.core.progress import Done, Listener, Started, Step, silent
from stylex.core.wording import option
from stylex.data.archive import ImageSet
from stylex.evaluation.extractors import Extractor, random_extractor
from stylex.evaluation.realism import paired
from stylex.evaluation.subject import CountedClassifier, calls
from stylex.metrics.frechet import frechet_interval
from stylex.metrics.interval import mean_interval
from stylex.metrics.locality import area
from stylex.planted.known import known_of
from stylex.search.choosing import choose_to_search
from stylex.search.encoding import encode_set
from stylex.search.methods import Latents
from stylex.search.subject import TrainedSubject

TASK = "compare"
"""Name of this work in progress events."""

_FEWEST, _REFERENCES = 8, 1000
_NOTHING = 1e-4
"""A smaller mean change of the pixels is rounding."""
_TURNED = 0.75
"""All are brought to the size at which the first method turns so many images."""
_NO_PICTURE = "a heat-map changes no picture"
NOTHING_FOUND = "it found nothing to change"
"""Why a method has no numbers, though it changes pictures."""
_LISTLESS, _NO_LIST = (
    ("attack", "attack-s", "pixels", "other", "unchanged"),
    "it has no attribute that could be a cause",
)
_COSTS = ("seconds_found", "calls_found", "seconds", "calls")


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to compare.

    Attributes:
        methods: names of ``CONTENDERS``, in the order of showing.
        asked: they were asked for by name, so that none is left out where it cannot be used.
        searched: images to fit on.
        measured: other images to measure on.
        attributes: how many a ranking may have towards each class.
        change: mean change of a pixel (of 2) that all are brought to; None: at which the first method turns three
            quarters of the images.
        shown: images whose pictures are kept.
        observer_steps: how long the machine observer is trained.
        seed: of everything random.

    Raises:
        EvaluationError: values that cannot be meant.
    """

    methods: tuple[str, ...]
    asked: bool = False
    searched: int = 60
    measured: int = 64
    attributes: int = 8
    change: float | None = None
    shown: int = 7
    observer_steps: int = 150
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("searched", 4), ("measured", _FEWEST), ("attributes", 1), ("shown", 1), ("seed", 0)):
            if getattr(self, name) < least:
                typed = option("images" if name == "searched" else name)
                raise EvaluationError(f"{typed} is {getattr(self, name)}; expected {least} or more")
        if self.change is not None and not 0 < self.change < 2:
            raise EvaluationError(
                f"{option('change')} is {self.change:g}; expected a mean change of a pixel between 0 and 2"
            )


@dataclass(frozen=True, eq=False, kw_only=True)
class Inputs:
    """What is compared on.

    Attributes:
        held_out: images that were never trained on.
        targets: classes to drive to.
        extractor: compares pictures.
        latents: latents of images, for families of directions.
        listener: hears one ``Step`` for each method.
    """

    held_out: ImageSet
    targets: Sequence[int]
    extractor: Extractor
    latents: Latents
    listener: Listener = silent


@dataclass(frozen=True, eq=False, kw_only=True)
class Shown:
    """One row's pictures of the images shown.

    Attributes:
        name: of the method, or control.
        pictures: at equal change, in [-1, 1]; None of a heat-map.
        heat: ``[n, h, w]``; None of changed pictures.
        probabilities: of each image's target.
        turned: whether it is the answer.
        said: what was moved.
    """

    name: str
    pictures: Float[ndarray, "n c h w"] | None
    heat: Float[ndarray, "n h w"] | None
    probabilities: Float[ndarray, " n"]
    turned: Float[ndarray, " n"]
    said: tuple[str, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class Pictures:
    """The same images for every row.

    Attributes:
        names, targets: of the images shown, and of the classes that they are driven to.
        x, x_rec: photographs and rebuilt pictures.
        probabilities, probabilities_rec: of the target, of both.
        rows: in the order of the comparison's.
    """

    names: tuple[str, ...]
    targets: tuple[str, ...]
    x: Float[ndarray, "n c h w"]
    x_rec: Float[ndarray, "n c h w"]
    probabilities: Float[ndarray, " n"]
    probabilities_rec: Float[ndarray, " n"]
    rows: tuple[Shown, ...]


@dataclass(eq=False, kw_only=True)
class _Entry:
    """A row while it is measured."""

    name: str
    contender: Contender
    made: Moves | Heat
    cells: dict[str, Cell]
    curve: tuple[tuple[float, float], ...] = ()
    pictures: Tensor | None = None
    heat: Tensor | None = None
    ladder: Ladder | None = None
    found: int | None = None

    def ladder_by(self, judge: Judge) -> Ladder:
        """What it does at growing strengths, drawn once."""
        if self.ladder is None:
            assert isinstance(self.made, Moves)
            self.ladder = judge.ladder(self.made)
        return self.ladder


def compare_methods(
    subject: TrainedSubject, inputs: Inputs, options: Options, *, settings: Mapping[str, Any]
) -> tuple[Comparison, Pictures]:
    """Fit every method on some images, bring all to one size of change on others, and measure.

    Args:
        subject: the networks in single coordinates, with a classifier that counts its calls.
        inputs: images, targets and instruments.
        options: which methods, and how.
        settings: to be written into the comparison.

    Raises:
        EvaluationError: too few images, or no size to bring the methods to.
    """
    listener, entrants = inputs.listener, {n: CONTENDERS[n] for n in options.methods} | dict(CONTROLS)
    sized = [] if options.change is not None else with_own_size(options.methods)
    listener(Started(task=TASK, total=2 * len(entrants), unit="steps"))
    arena, references, left = _prepared(subject, inputs, options)
    rows, left_out = [], []
    for done, (name, contender) in enumerate(entrants.items(), start=1):
        try:
            rows.append(_entered(arena, name, contender))
        except StylexError as error:
            if options.asked or contender.kind == "control":
                raise
            left_out.append(f"{contender.title} is left out: {error}.")
        listener(Step(task=TASK, done=done))
    judge = _judge(arena, inputs, options)
    reference, change, perceptual = _size(judge, rows, sized, options)
    for done, row in enumerate(rows, start=1 + len(entrants)):
        if isinstance(row.made, Moves):
            _changed(judge, row, change, perceptual, subject)
        listener(Step(task=TASK, done=done))
    _realism(judge, rows, references, options.seed)
    known = [c.key for c in COLUMNS if any(c.key in row.cells for row in rows)]
    listener(Done(task=TASK))
    comparison = Comparison(
        labels=tuple(subject.labels),
        searched=len(arena.pool.ids),
        measured=len(judge.cases),
        change=change,
        perceptual=perceptual,
        reference=reference,
        extractor=judge.extractor.name,
        rows=tuple(_row(row, known) for row in rows),
        settings=dict(settings),
        snapshot={"path": str(subject.snapshot.path), "sha256": subject.snapshot.sha256},
        notes=(*left_out, *_notes(judge, rows, left)),
    )
    return comparison, _pictures(judge, rows, options.shown)


def _prepared(subject: TrainedSubject, inputs: Inputs, options: Options) -> tuple[Arena, ImageSet, int]:
    """The images to fit on, those to change, other photographs, and how many there is nothing to change of."""
    held_out, targets = inputs.held_out, inputs.targets
    aimed = targets[0] if len(targets) == 1 else None
    pool, rest = (held_out.subset(np.arange(start, len(held_out), 2)) for start in (0, 1))
    if min(len(pool), len(rest)) < _FEWEST:
        raise EvaluationError(
            f"{len(held_out)} held-out images are too few to fit methods on half and to measure on the other; expected "
            f"{2 * _FEWEST} or more: give an archive with more test images"
        )
    counted = subject.classifier
    assert isinstance(counted, CountedClassifier)
    fitted = encode_set(subject, choose_to_search(counted, pool, options.searched, target=aimed))
    chosen = choose_to_search(counted, rest, options.measured, target=None)
    cases = Cases.of(subject, encode_set(subject, chosen), targets)
    arena = Arena(
        subject=subject,
        pool=fitted,
        cases=cases,
        targets=targets,
        attributes=options.attributes,
        seed=options.seed,
        latents=inputs.latents,
    )
    used = set(chosen.names)
    others = held_out.subset(np.array([name not in used for name in held_out.names], dtype=np.bool_))
    some = np.random.default_rng([options.seed, 24]).permutation(len(others))[:_REFERENCES]
    return arena, others.subset(some), len(chosen) - len(set(cases.names))


def _judge(arena: Arena, inputs: Inputs, options: Options) -> Judge:
    """The instruments; what they take in time is no method's."""
    subject, counted, images = arena.subject, arena.subject.classifier, inputs.held_out
    assert isinstance(counted, CountedClassifier)
    return Judge(
        classifier=counted.counted,
        subject=subject,
        cases=arena.cases,
        extractor=random_extractor(subject.device) if inputs.extractor.explained else inputs.extractor,
        components=None if subject.snapshot.latents is None else arena.steered("directions")[0],
        known=known_of(images.names, images.resolution, listener=inputs.listener),
        observer_steps=options.observer_steps,
        seed=options.seed,
    )


def _entered(arena: Arena, name: str, contender: Contender) -> _Entry:
    """A method after its fitting; heat-maps are drawn and measured here."""
    subject, n = arena.subject, len(arena.cases)
    began, before = time.perf_counter(), calls(subject)
    made = contender.enter(arena)
    seconds, shown = made.choosing if isinstance(made, Moves) else (0.0, 0)
    cells = {
        "seconds_found": Cell.of(time.perf_counter() - began - seconds),
        "calls_found": Cell.of(float(calls(subject) - before - shown)),
    }
    entry = _Entry(name=name, contender=contender, made=made, cells=cells)
    if isinstance(made, Heat):
        began, before = time.perf_counter(), calls(subject)
        entry.heat = made.maps()
        cells["seconds"] = Cell.of((time.perf_counter() - began) / n)
        cells["calls"] = Cell.of((calls(subject) - before) / n)
        hot = entry.heat[:, None].double().cpu().numpy() ** 0.5  # of which the squares are summed
        cells["area"] = Cell.of(mean_interval(area(np.zeros_like(hot), hot), seed=arena.seed))
    return entry


def _size(
    judge: Judge, rows: Sequence[_Entry], sized: Sequence[str], options: Options
) -> tuple[str | None, float, float]:
    """The size that all are brought to: which method gives it, the pixels' and the perceptual change.

    It is where the first method that changes anything turns three quarters of the images; where it never turns so many,
    the median of its own changes. Where a size is asked for, random directions tell how it looks.
    """
    by_name = {row.name: row for row in rows}
    sized = [name for name in sized if name in by_name]
    if options.change is not None:
        return None, options.change, _look_of(judge, by_name["random"], options.change)
    for name in sized:
        entry = by_name[name]
        assert isinstance(entry.made, Moves)
        own = float(np.median(judge.pixels(entry.made.draw(torch.ones(len(judge.cases))))))
        if own > _NOTHING:
            change = entry.ladder_by(judge).change_that_turns(_TURNED) or own
            return name, change, _look_of(judge, entry, change)
    raise EvaluationError(
        f"{', '.join(sized)} find nothing to change in most images, so there is no size to bring the others to; say "
        f"how large with {option('change', 0.05)}, or fit on more {option('images')}"
    )


def _look_of(judge: Judge, entry: _Entry, change: float) -> float:
    """The median perceptual distance of pictures that a method changes by so much."""
    assert isinstance(entry.made, Moves)
    drawn = drawn_at(entry.made, entry.ladder_by(judge).pixels, judge.pixels, change)[1]
    return float(np.median(judge.perceptual(drawn)))


def _changed(judge: Judge, entry: _Entry, change: float, perceptual: float, subject: TrainedSubject) -> None:
    """Measure changed pictures at one size of change, and what papers print at the method's own."""
    moves = entry.made
    assert isinstance(moves, Moves)
    ladder, n = entry.ladder_by(judge), len(judge.cases)
    found = int((ladder.pixels.max(axis=0) > _NOTHING).sum())
    if entry.name != "unchanged":
        entry.found = found
    strength, entry.pictures = drawn_at(moves, ladder.pixels, judge.pixels, change)
    began, before = time.perf_counter(), calls(subject)
    moves.draw(strength)
    seconds, shown = moves.choosing
    entry.cells["seconds"] = Cell.of((time.perf_counter() - began + seconds) / n)
    entry.cells["calls"] = Cell.of((calls(subject) - before + shown) / n)
    if entry.found == 0:
        return
    entry.cells |= judge.at_equal_change(entry.pictures)
    if entry.name != "unchanged":
        entry.curve = _through(ladder.curve(), (entry.cells["change"].value, entry.cells["flips"].value))
    alike = drawn_at(moves, ladder.perceptual, judge.perceptual, perceptual)[1]
    flips = mean_interval(judge.turned(alike), seed=judge.seed)
    entry.cells["flips_perceptual"] = Cell.of(flips)
    entry.cells["distinct"] = judge.distinct(moves.knobs)
    causes = judge.causes(moves.knobs, entry.pictures)
    entry.cells |= {key: Cell.without(_NO_LIST) for key in causes} if entry.name in _LISTLESS else causes
    entry.cells |= judge.papers(moves.draw(torch.ones(n)) if moves.sized else entry.pictures)


def _realism(judge: Judge, rows: Sequence[_Entry], references: ImageSet, seed: int) -> None:
    """Frechet distance of changed pictures from other photographs of the same answers, as many for every method."""
    drawn = [row for row in rows if row.pictures is not None and row.found != 0]
    x = references.batch(np.arange(len(references))).to(judge.cases.x)
    answers = _decided(judge, x)
    pairs = {}
    for row in drawn:
        assert row.pictures is not None
        random = np.random.default_rng([seed, 25])
        pairs[row.name] = paired(_decided(judge, row.pictures), answers, random)
    count = min(map(len, pairs.values()))
    for row in drawn:
        if count < _FEWEST:
            row.cells["realism"] = Cell.without("too few other photographs get the same answers")
            continue
        own, beside = torch.from_numpy(pairs[row.name][:count].T).to(x.device)
        assert row.pictures is not None
        a, b = judge.extractor.features(row.pictures[own]), judge.extractor.features(x[beside])
        row.cells["realism"] = Cell.of(frechet_interval(b, a, seed=seed))


def _decided(judge: Judge, x: Tensor) -> ndarray:
    """What the classifier decides, as a number: the class, or which of the targets are there."""
    logits = judge.said(x)
    if judge.subject.output == "softmax":
        return np.asarray(logits.argmax(axis=1))
    targets = np.unique(judge.cases.targets)
    return np.asarray((logits[:, targets] >= 0) @ (2 ** np.arange(len(targets))))


def _row(entry: _Entry, known: Sequence[str]) -> Compared:
    """A row with every column that some row has, blank where it does not apply."""
    blank = _NO_PICTURE if entry.heat is not None else NOTHING_FOUND if entry.found == 0 else NO_ATTRIBUTES
    cells = {key: entry.cells.get(key, Cell.without(blank)) for key in known}
    if entry.contender.kind == "control":
        cells |= {key: Cell.without("a control costs nothing to speak of") for key in _COSTS}
    contender = entry.contender
    return Compared(
        name=entry.name,
        title=contender.title,
        about=contender.about,
        kind=contender.kind,
        cells=cells,
        curve=entry.curve,
    )


def _through(curve: tuple[tuple[float, float], ...], point: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """The curve with what was measured at the common size in it, between what is smaller and what is larger."""
    before = tuple(own for own in curve if own[0] < point[0])
    return (*before, point, *(own for own in curve if own[0] > point[0]))


def _notes(judge: Judge, rows: Sequence[_Entry], left: int) -> tuple[str, ...]:
    """What to know before reading: images left out, methods that found nothing, and how good the instruments are."""
    cases, notes = judge.cases, []
    if left:
        notes.append(
            f"Of {left + len(set(cases.names))} images {left} had the target as the answer already, as photographs or "
            "rebuilt: left out."
        )
    for row in rows:
        if row.found is None or row.found >= len(cases) or row.contender.kind == "control":
            continue
        many = "no image" if row.found == 0 else f"{row.found} of {len(cases)} images"
        notes.append(
            f"{row.contender.title} found something to change in {many}"
            + (": it is not that it loses" if row.found == 0 else "; the others count as not turned")
            + f". Give it more to find with ({option('images')}, {option('attributes')}), or train the run longer."
        )
    features = judge.extractor.features(judge.cases.x[:2]).values.shape[1]
    if len(judge.cases) < features:
        notes.append(
            f"Frechet distances are of {len(judge.cases)} images in {features} dimensions: far above their limit, they "
            "compare within this table only."
        )
    if judge.known is not None:
        worst = min(judge.known.reader.r2.values())
        notes.append(f"The factors are read by a network that reads the worst of them with R2 {worst:.2f}.")
    return tuple(notes)


def _pictures(judge: Judge, rows: Sequence[_Entry], count: int) -> Pictures:
    """Some of the cases, evenly spread, as every row has them."""
    cases = judge.cases
    picked = np.unique(np.linspace(0, len(cases) - 1, min(count, len(cases))).round().astype(int))
    at = torch.from_numpy(picked)
    shown = []
    for row in rows:
        x = cases.x if row.pictures is None else row.pictures
        said = row.made.said if isinstance(row.made, Moves) else ()
        shown.append(
            Shown(
                name=row.name,
                pictures=None if row.pictures is None else row.pictures[at].float().cpu().numpy(),
                heat=None if row.heat is None else row.heat[at].float().cpu().numpy(),
                probabilities=judge.target_probability(x)[picked],
                turned=judge.turned(x)[picked],
                said=tuple(said[i] for i in picked) if said else ("",) * len(picked),
            )
        )
    return Pictures(
        names=tuple(cases.names[i] for i in picked),
        targets=tuple(judge.subject.labels[t] for t in cases.targets[picked]),
        x=cases.x[at].float().cpu().numpy(),
        x_rec=cases.x_rec[at].float().cpu().numpy(),
        probabilities=judge.target_probability(cases.x)[picked],
        probabilities_rec=judge.target_probability(cases.x_rec)[picked],
        rows=tuple(shown),
    )
