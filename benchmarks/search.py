"""The search, five ways, in one run and on the same snapshot: what each costs, and what each finds.

(a) The notebook's procedure as written: one picture at a time, the whole generator from w on, the affine layer's bias
edited and put back. It is timed on a sample of its evaluations and extrapolated. (b) The same pictures in batches, the
whole synthesis each time. (c) Cached exact: nothing is computed twice (``moves.Evaluator``). (d) Screened, then
verified. (e) EigenFind, and as many random directions.

``recall`` is the share of the exact top 10 moves of each class (largest mean effect over the images not predicted it)
that are measured. Of the images not predicted a class, ``explained`` is the share that the first 8 attributes turn
when they are moved together and drawn, ``alone`` the share that at least one of them turns alone; both are means over
the classes. ``same_picks`` compares what AttFind chooses from (c) and (d), up to 10 of each class, without tests of
significance. What (d) costs ends with that choice: which effects it needs is drawn then.

The floor of the exact search is the work that cannot be left out when nothing but the prefix is shared: for every move,
the operations of the convolutions and products from its own layer on, and of the classifier, over the rate at which the
machine does these very convolutions alone. (The cached search repeats no layer of its own, so that it could pass it.)

Times are of the wall clock, and (``cpu``) of the processor, which a busy machine disturbs less.

``--preset`` takes untrained networks of a preset's size, and is for times only. What would take hours is priced
instead, and the table says so: a picture's time is measured on some moves of every layer (drawn at random), and the
number of pictures of a screened search is carried over from the trained ``--snapshot``, screened on as many images with
a quarter, half and all of its coordinates. ``--processes`` compares one process with two of one thread each, and prints
beside it what two processes reach on this machine that only convolve (``processes_ceiling``), and the speed-up left
when starting, encoding and drawing what is shown are taken away (``processes_speedup_of_measuring``).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from clock import Seconds
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from stylex.classifiers.classifier import Classifier
from stylex.classifiers.small import SmallCNN
from stylex.classifiers.spec import ClassifierSpec
from stylex.core.attribute import AttributeRanking
from stylex.core.stylespace import StyleSpace, StyleStatistics
from stylex.data import open_images
from stylex.models.discriminator import Discriminator
from stylex.models.encoder import Encoder
from stylex.models.generator import Generator, Synthesis
from stylex.models.precision import has_fast_bf16
from stylex.models.snapshot import Snapshot
from stylex.opening import Run
from stylex.search.attfind import attfind
from stylex.search.choosing import choose_to_search
from stylex.search.choosing import few as few_of
from stylex.search.config import Precision
from stylex.search.counterfactual import flip_rate
from stylex.search.decision import predicted
from stylex.search.effects import Effects, EffectTable, measure_effects
from stylex.search.eigenfind import Moves, Rows, along_eigenvectors, eigenfind, explained_alone
from stylex.search.encoding import latents_of
from stylex.search.moves import Evaluator
from stylex.search.screen import Screening, first_order, measured_first, screen
from stylex.search.subject import Subject, TrainedSubject
from stylex.search.task import Task
from stylex.training.config import preset

TOP, ATTRIBUTES = 10, 8
_LONG = 0.1
"""Seconds from which a call is timed once."""
DEMO = Path(__file__).parent.parent / "src" / "stylex" / "demo_data"


class Case(NamedTuple):
    """What is searched: networks, and images as latents with what the generator is told."""

    snapshot: Snapshot
    classifier: Classifier
    w: Tensor
    told: Tensor | None
    s: Tensor
    goals: tuple[int, ...]
    latents: np.ndarray
    maps: Tensor | None = None

    @property
    def synthesis(self) -> Synthesis:
        """The network that draws."""
        return self.snapshot.generator.synthesis

    @property
    def space(self) -> StyleSpace:
        """Its layout, observed."""
        return self.snapshot.space

    @property
    def networks(self) -> Subject:
        """What single coordinates are searched with."""
        return self.along(self.snapshot)

    def along(self, snapshot: Snapshot) -> Subject:
        """What is searched in the space of the snapshot, prepared in some way."""
        return TrainedSubject.of(snapshot, self.classifier)

    @property
    def ids(self) -> tuple[str, ...]:
        """Names of the images."""
        return tuple(str(i) for i in range(len(self.s)))


class Row(NamedTuple):
    """A line of the table."""

    way: str
    evaluations: int
    seconds: Seconds
    images: int
    peak_mib: float
    recall: float | None = None
    explained: float | None = None
    alone: float | None = None
    note: str = ""


def trained(folder: Path, data: Path, classifier: str | None, images: int) -> Case:
    """The subject of a snapshot and an archive."""
    run = Run.open(folder, classifier=classifier)
    snapshot, judge = run.snapshot, run.classifier
    archive = open_images(data)
    chosen = choose_to_search(judge, archive.split("test"), images, target=None)
    x = chosen.batch(range(len(chosen)))
    with torch.inference_mode():
        c = judge.probabilities(judge.logits(x))
        told = snapshot.generator.condition(c)
        w = torch.cat([snapshot.encoder(*part) for part in zip(x.split(32), c.split(32), strict=True)])
        maps = snapshot.encoder.maps(x)
        s = snapshot.generator.synthesis.styles(w, told, maps)
    goals = (0, 1) if judge.k == 2 else (0,)
    return Case(snapshot, judge, w, told, s, goals, latents_of(TrainedSubject.of(snapshot, judge), archive), maps)


def random_weights(name: str, images: int) -> Case:
    """Untrained networks of a preset's shapes: for times, not for what is found."""
    torch.manual_seed(0)
    model = preset(name).model
    generator = Generator(model.generator(3, 2)).eval().requires_grad_(False)
    for module in generator.modules():
        if hasattr(module, "noise_strength"):
            module.noise_strength.fill_(0.1)
    spec = ClassifierSpec(labels=("a", "b"), input_size=model.resolution, channels=3)
    judge = Classifier(SmallCNN(channels=3, k=2, resolution=model.resolution).eval(), spec)
    with torch.inference_mode():
        wide = generator.mapping(torch.randn(512, model.z_dim))
        c = torch.rand(512, 2).softmax(dim=1)
        told = generator.condition(c)
        s = generator.synthesis.styles(wide, told)
        observed = generator.synthesis.space.observed(StyleStatistics.observe(s.numpy()))
    snapshot = Snapshot(
        generator=generator,
        encoder=Encoder(model.encoder(3, 2)),
        discriminator=Discriminator(model.discriminator(3, 2)),
        space=observed,
        latents=wide.numpy(),
        maps=None,
        classifier=spec.to_json(),
        classifier_reference=None,
        classifier_answers=None,
        classifier_fingerprint="",
        nimg=0,
        training={},
        figures={},
        path=Path(),
        sha256="random",
    )
    return Case(
        snapshot, judge, wide[:images], None if told is None else told[:images], s[:images], (0, 1), wide.numpy()
    )


def measured(work: Callable[[], Any]) -> tuple[Any, Seconds, float]:
    """A result, how long it took, and the process's peak of memory meanwhile, MiB."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    start = Seconds.now()
    result = work()
    return result, Seconds.now().since(start), peak()


def peak() -> float:
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@torch.inference_mode()
def notebook(subject: Case, budget: float) -> tuple[Row, list[tuple[int, int, int, np.ndarray]]]:
    """(a): the procedure as written, on moves in random order until the budget of seconds ends."""
    indices = subject.space.indices(include_torgb=False)
    statistics = subject.space.statistics
    assert statistics is not None
    moves = [(i, sign, int(c)) for i in range(len(subject.s)) for sign in (0, 1) for c in indices]
    order = np.random.default_rng(0).permutation(len(moves))
    base: dict[int, Tensor] = {}
    effects = []

    def logits(i: int) -> Tensor:
        told, own = (None if part is None else part[i : i + 1] for part in (subject.told, subject.maps))
        x = subject.synthesis(subject.synthesis.styles(subject.w[i : i + 1], told, own)).clamp(-1, 1)
        return subject.classifier.logits(x)[0]

    logits(0)
    start = Seconds.now()
    for at in order:
        i, sign, index = moves[at]
        if i not in base:
            base[i] = logits(i)
            continue  # not a move: not counted
        coordinate = subject.space.coordinate(index)
        bias = subject.synthesis.get_submodule(f"layers.{coordinate.layer.replace('.', '_')}.affine").bias
        assert isinstance(bias, Tensor)
        own = bias[coordinate.channel].clone()
        extreme = (statistics.maximum if sign else statistics.minimum)[index]
        bias[coordinate.channel] += float(extreme - subject.s[i, index])
        after = logits(i)
        bias[coordinate.channel] = own
        effects.append((i, sign, index, (after - base[i]).numpy()))
        if Seconds.now().since(start).cpu > budget:
            break
    each = Seconds.now().since(start).times(1 / (len(effects) + len(base)))
    row = Row("(a) notebook", len(moves), each.times(len(moves)), len(subject.s), peak(), 1.0, None)
    return row._replace(note=f"extrapolated from {len(effects) + len(base)}"), effects


@torch.inference_mode()
def batched(subject: Case, budget: float, chunk: int = 32) -> Row:
    """(b): whole pictures in batches, on some of the moves."""
    indices = subject.space.indices(include_torgb=False)
    total = 2 * len(indices) * len(subject.s)
    done, start = 0, Seconds.now()
    while done < total and Seconds.now().since(start).cpu < budget:
        rows = subject.s[:1].expand(chunk, -1).clone()
        rows[torch.arange(chunk), torch.from_numpy(indices[np.arange(done, done + chunk) % len(indices)])] += 1
        subject.classifier.logits(subject.synthesis(rows).clamp(-1, 1))
        done += chunk
    each = Seconds.now().since(start).times(1 / done)
    return Row("(b) batched exact", total, each.times(total), len(subject.s), peak(), 1.0)._replace(
        note=f"extrapolated from {done}"
    )


class Convolutions(TorchDispatchMode):
    """Counts the convolutions that are called, by shape."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[Any] = Counter()
        self.arguments: dict[Any, Any] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.overloadpacket == torch.ops.aten.convolution:
            x, weight, bias = args[:3]
            key = tuple(x.shape), tuple(weight.shape), bias is not None, str(args[3:])
            self.calls[key] += 1
            self.arguments[key] = args[3:]
        return func(*args, **(kwargs or {}))


@torch.no_grad()  # not inference mode, in which convolutions are not seen one by one
def floor(subject: Case, chunk: int) -> tuple[float, float, Seconds]:
    """GFLOP of the average move from its own layer on, GFLOP/s of these convolutions alone, and their quotient."""
    synthesis, space = subject.synthesis, subject.space
    s = subject.s[:1].expand(chunk, -1)
    states = synthesis.prefix(subject.s[:1])
    work, moves = 0.0, 0
    seen: Counter[Any] = Counter()
    arguments: dict[Any, Any] = {}
    for step, name in enumerate(synthesis.steps):
        layer = space.layer(name)
        if layer.kind != "conv":
            continue
        state = states[step].expand(chunk)
        with FlopCounterMode(display=False) as flops, Convolutions() as convolutions:
            subject.classifier.logits(synthesis(s, start=step, state=state).clamp(-1, 1))
        work += layer.channels * flops.get_total_flops() / chunk
        moves += layer.channels
        for key, count in convolutions.calls.items():
            seen[key] += count * layer.channels
        arguments |= convolutions.arguments
    busy, done = Seconds(0, 0), 0.0
    for key, count in seen.items():
        (x_shape, w_shape, bias, _), rest = key, arguments[key]
        if len(x_shape) != 4 or rest[-1] > 1:
            continue  # the filters are not counted as work
        x = torch.randn(x_shape).contiguous(memory_format=torch.channels_last)
        weight = torch.randn(w_shape).contiguous(memory_format=torch.channels_last)
        extra = torch.randn(w_shape[0]) if bias else None
        call = lambda x=x, weight=weight, extra=extra, rest=rest: torch.ops.aten.convolution(x, weight, extra, *rest)  # noqa: E731
        with FlopCounterMode(display=False) as flops:
            call()
        best = timed(call)
        if best.wall < _LONG:
            best = min((best, *(timed(call) for _ in range(4))), key=lambda t: t.cpu)
        busy = Seconds(busy.wall + count * best.wall, busy.cpu + count * best.cpu)
        done += count * flops.get_total_flops()
    rate = Seconds(done / busy.wall, done / busy.cpu)
    each = work / moves
    return each / 1e9, rate.wall / 1e9, Seconds(each / rate.wall, each / rate.cpu)


def timed(call: Callable[[], Any]) -> Seconds:
    call()
    start, n = Seconds.now(), 0
    while n == 0 or (n < 3 and Seconds.now().since(start).wall < _LONG) or Seconds.now().since(start).wall < 0.005:
        call()
        n += 1
    return Seconds.now().since(start).times(1 / n)


def strongest(effects: Effects, goal: int) -> set[tuple[int, int]]:
    """The exact top moves of a class: sign and flat index."""
    rows = ~predicted(effects.base_logits, goal, "softmax")
    mean = effects.values[rows, ..., goal].mean(axis=0)
    order = np.argsort(-mean.ravel(), kind="stable")[:TOP]
    return {(int(i) // mean.shape[1], int(effects.indices[i % mean.shape[1]])) for i in order}


Rank = Callable[..., AttributeRanking]


def explained(effects: Effects, goals: Sequence[int], along: Subject, s: Tensor, how: Rank) -> tuple[float, float]:
    """Fractions of images that the first attributes turn: together, and one of them alone."""
    return explained_by(lambda goal: effects, lambda goal: effects, goals, along, s, how)


Tables = Callable[[int], EffectTable]
"""The effects that the search for a class looks at."""


def explained_by(
    found: Tables, effects: Tables, goals: Sequence[int], along: Subject, s: Tensor, how: Rank
) -> tuple[float, float]:
    """The same where attributes are found from some images' effects, and tried on all."""
    fractions = []
    for goal in goals:
        ranking = how(Task.of(along, s, found(goal), goal), num=ATTRIBUTES)
        single = explained_alone(Task.of(along, s, effects(goal), goal), ranking)
        together = flip_rate(along, s, tuple(ranking), goal).fraction if ranking else 0.0
        fractions.append((together, single))
    together, single = np.mean(fractions, axis=0).tolist()
    return together, single


def picks(tables: Tables, subject: Case) -> list[list[tuple[str, int]]]:
    """What AttFind chooses for each class, without a test of significance: it counts the moves looked at."""
    tasks = [Task.of(subject.networks, subject.s, tables(goal), goal) for goal in subject.goals]
    return [[(a.name, a.sign) for a in attfind(task, num=TOP, restart=True, alpha=1.0)] for task in tasks]


def compare(
    subject: Case, budget: float, exact_images: int | None, *, with_eigenfind: bool = True
) -> tuple[list[Row], dict[str, Any]]:
    """All five ways."""
    judge, n = subject.classifier, len(subject.s)
    first, sample = notebook(subject, budget)
    rows = [first, batched(subject, budget / 2)]
    some = n if exact_images is None else min(exact_images, n)
    exact, seconds, memory = measured(
        lambda: measure_effects(subject.networks, subject.s[:some], image_ids=subject.ids[:some])
    )
    moves = 2 * len(exact.indices)
    figures: dict[str, Any] = {}
    found = explained(exact, subject.goals, subject.networks, subject.s, attfind)
    cached = Row("(c) cached exact", moves * n, seconds.times(n / some), n, memory, 1.0, *found)
    rows.append(cached._replace(note="" if some == n else f"extrapolated from {some} images"))
    known = [(i, sign, index, change) for i, sign, index, change in sample if i < some]
    errors = [np.abs(exact.values[i, sign, exact.position(index)] - change).max() for i, sign, index, change in known]
    figures["error_of_scale"] = float(max(errors, default=float("nan")) / np.abs(exact.values).max())

    kept, screening, _ = measured(lambda: screen(subject.networks, subject.s, subject.goals, how=Screening(top=TOP)))

    def verified(goal: int) -> EffectTable:
        assert kept.effects is not None
        return kept.effects.among(kept.of[goal])

    ranked, verifying, memory = measured(lambda: picks(verified, subject))
    spent = Seconds(screening.wall + verifying.wall, screening.cpu + verifying.cpu)
    asked = 0 if kept.effects is None else kept.effects.cells.pictures
    pictures = kept.pictures + asked
    recall = None
    if some == n:
        hits = [index in kept.of[goal] for goal in subject.goals for _, index in strongest(exact, goal)]
        recall = float(np.mean(hits))
        figures["same_picks"] = picks(lambda goal: exact, subject) == ranked
    shares = explained_by(verified, verified, subject.goals, subject.networks, subject.s, attfind)
    rows.append(Row("(d) screened", pictures, spent, n, memory, recall, *shares, f"stated recall {kept.recall:.4f}"))

    variants: tuple[tuple[Rows, Moves], ...] = (("plain", "w"), ("unit", "w"), ("plain", "s"))
    for rows_of, moving in variants if with_eigenfind else ():
        steered = along_eigenvectors(subject.snapshot, subject.latents, rows=rows_of, moves=moving)
        along, network, wider = subject.along(steered), steered.generator.synthesis, steered.space
        with torch.inference_mode():
            s = network.styles(subject.w, subject.told, subject.maps)
        for way, indices in (("", wider.indices(include_torgb=False)), ("random ", wider.control(include_torgb=False))):
            if way and (rows_of, moving) != ("plain", "w"):
                continue
            effects, seconds, memory = measured(
                lambda along=along, s=s, indices=indices: measure_effects(
                    along, s, image_ids=subject.ids, indices=indices
                )
            )
            shares = explained(effects, subject.goals, along, s, eigenfind)
            name = f"    {len(indices)} random directions" if way else f"(e) EigenFind, {rows_of}, in {moving.upper()}"
            rows.append(Row(name, 2 * len(indices) * n, seconds, n, memory, None, *shares))
            key = "random_directions" if way else f"eigenfind_{rows_of}_{moving}"
            figures[f"{key}_explained"], figures[f"{key}_alone"] = shares
            if way or (rows_of, moving) != ("plain", "w"):
                continue
            # Ranked on some of the images; what the attributes turn is told of all.
            few = few_of(effects.base_logits, subject.goals, judge.activation)
            quick, seconds, memory = measured(
                lambda along=along, s=s, indices=indices, few=few: measure_effects(
                    along, s[few], image_ids=[subject.ids[i] for i in few], indices=indices
                )
            )
            tables = (lambda goal, quick=quick: quick), (lambda goal, effects=effects: effects)
            shares = explained_by(*tables, subject.goals, along, s, eigenfind)
            name = f"    the same, ranked on {len(few)} images"
            rows.append(Row(name, 2 * len(indices) * len(few), seconds, n, memory, None, *shares))
            figures["eigenfind_quick_explained"], figures["eigenfind_quick_alone"] = shares
    evaluator = Evaluator(subject.networks)
    nothing = torch.zeros(0, dtype=torch.long)
    evaluator.logits(subject.s[:1], nothing, nothing, torch.zeros(0))
    gflop, rate, least = floor(subject, evaluator.chunk or 32)
    each = cached.seconds.times(1 / cached.evaluations)
    per_evaluation = first.seconds.times(1 / first.evaluations)
    figures |= {
        "cached_exact_speedup": per_evaluation.wall / each.wall,
        "cached_exact_speedup_cpu": per_evaluation.cpu / each.cpu,
        "screened_speedup": first.seconds.wall / spent.wall,
        "screened_speedup_cpu": first.seconds.cpu / spent.cpu,
        "screened_recall_at_10": recall,
        "screened_recall_stated": kept.recall,
        "screened_coordinates": len(kept.indices),
        "exact_over_floor": each.wall / least.wall,
        "exact_over_floor_cpu": each.cpu / least.cpu,
        "floor_gflop": gflop,
        "conv_gflops": rate,
        "attfind_explained": found[0],
        "attfind_alone": found[1],
        "peak_mib": max(row.peak_mib for row in rows if not row.way.startswith(("(a)", "(b)"))),
    }
    if with_eigenfind:
        figures["eigenfind_explained"] = figures["eigenfind_plain_w_explained"]
        for name, way in (("", "(e)"), ("quick_", "    the same")):
            spent = next(row for row in rows if row.way.startswith(way)).seconds
            figures[f"eigenfind_{name}time_share"] = spent.cpu / cached.seconds.cpu
            figures[f"eigenfind_{name}time_share_of_notebook"] = spent.cpu / first.seconds.cpu
    return rows, figures


def a_picture(subject: Case, precision: Precision) -> tuple[Seconds, Evaluator, float]:
    """Time of the average move of a convolution's style, from a chunk of each layer; of the reconstruction itself."""
    evaluator, space = (
        Evaluator(subject.networks, precision=precision),
        subject.space,
    )
    random, s = np.random.default_rng(0), subject.s[:1]
    evaluator.effects(s, space.indices(include_torgb=False)[:0], 1.0)
    start = Seconds.now()
    evaluator.effects(s, space.indices(include_torgb=False)[:0], 1.0)
    base = Seconds.now().since(start)
    spent = Seconds(0, 0)
    for layer in space.layers:
        if layer.kind != "conv":
            continue
        count = max(1, (evaluator.chunk or 2) // 2)
        some = space.offsets[layer.name] + np.sort(random.choice(layer.channels, size=count, replace=False))
        start = Seconds.now()
        _, _, drawn = evaluator.effects(s, some, 1.0)
        took, share = Seconds.now().since(start), layer.channels / space.conv_dim / (drawn - 1)
        spent = Seconds(spent.wall + share * (took.wall - base.wall), spent.cpu + share * (took.cpu - base.cpu))
    return spent, evaluator, base.cpu


def scaled(model: Case, moves: int) -> dict[str, float]:
    """A screened search's pictures an image where so many moves are searched.

    The later rounds' grow with a power of the number of moves, which is fitted to screens on parts of a trained
    generator's coordinates. The first round's follow from the screen's own shares; what is kept does not grow.
    """
    indices = model.space.indices(include_torgb=False)
    counted = []
    n = len(model.s)
    for part, seed in ((4, 0), (4, 1), (4, 2), (2, 0), (2, 1), (1, 0)):
        some = np.sort(np.random.default_rng([part, seed]).permutation(indices)[: len(indices) // part])
        kept = screen(model.networks, model.s, model.goals, indices=some, how=Screening(top=TOP, seed=seed))
        assert kept.effects is not None
        own = {goal: int((~predicted(kept.effects.base_logits, goal, "softmax")).sum()) for goal in model.goals}
        first = kept.rounds[0][0] * sum(images for _, images, _ in kept.rounds[:1]) * len(model.goals)
        rough = sum(m * i for m, i, exact in kept.rounds if not exact)
        exact = sum(m * i for m, i, exact in kept.rounds if exact)
        # Beside what the last round measured, a rough screen measures what it keeps anew, and both ways.
        again = sum(2 * len(kept.of[goal]) * images for goal, images in own.items())
        again -= sum(min(m, round(1.5 * TOP)) * i for m, i, exact in kept.rounds if exact)
        for goal in model.goals:
            table = kept.effects.among(kept.of[goal])
            table.of(~predicted(table.base_logits, goal, "softmax")).table(goal)
        asked = kept.effects.cells.pictures
        counted.append((2 * len(some), first, rough - first, exact, again + n, asked, len(kept.indices)))
    columns = (np.array(column, dtype=float) for column in zip(*counted, strict=True))
    sizes, firsts, later, exact, again, asked, coordinates = columns

    def carried(values: np.ndarray) -> float:
        return float(np.exp(np.polyval(np.polyfit(np.log(sizes), np.log(values), 1), np.log(moves))))

    return {
        "first": firsts[-1] / measured_first(int(sizes[-1])) * measured_first(moves) / n,
        "later": carried(later) / n,
        "later_same_share": later[-1] / sizes[-1] * moves / n,
        "last": float(exact.mean()) / n,
        "again": float(again.mean()) / n,
        "again_float32": float(asked.mean()) / n,
        "kept": float(coordinates.mean()),
    }


def priced(subject: Case, model: Case, budget: float) -> tuple[list[Row], dict[str, Any]]:
    """What the ways of searching cost where none of them can be run to its end: times of a sample, and counts."""
    n, moves = len(subject.s), 2 * subject.space.conv_dim
    first, _ = notebook(subject, budget)
    rows = [first, batched(subject, budget / 2, chunk=4)]
    single, evaluator, base = a_picture(subject, "float32")
    exact = single.times(moves).cpu + base
    rows.append(Row("(c) cached exact", moves * n, single.times(moves * n), n, peak(), 1.0))
    rows[-1] = rows[-1]._replace(note="a chunk of each layer timed, extrapolated")
    fast = has_fast_bf16(subject.s.device)
    rough = a_picture(subject, "bf16")[0] if fast else single
    every = subject.space.indices(include_torgb=False)
    _, slope, memory = measured(lambda: first_order(subject.networks, subject.s[:2], 0, every))
    slope = slope.times(1 / 2)
    counts = scaled(model, moves)
    figures: dict[str, Any] = {f"screen_{name}": value for name, value in counts.items()}
    speedups = {}
    for name, drawing, later in (
        ("float32", single, "later"),
        ("bf16", rough, "later"),
        ("bf16_same_share", rough, "later_same_share"),
    ):
        screening = counts["first"] + counts[later]
        verifying = counts["last"] + counts["again_float32" if drawing is single else "again"]
        spent = [slope[i] + screening * drawing[i] + verifying * single[i] for i in (0, 1)]
        each = Seconds(*spent)
        speedups[name] = first.seconds.cpu / n / each.cpu
        note = f"priced: {screening:.0f} pictures, then {verifying:.0f} in float32, and a gradient an image"
        way = f"(d) screened, {name.replace('_', ', ')}".replace("same, share", "as large a share")
        rows.append(Row(way, round((screening + verifying) * n), each.times(n), n, memory)._replace(note=note))
    batch = rows[1].seconds.times(1 / rows[1].evaluations)
    for way, images, note in (("(e) EigenFind", n, ""), ("    the same, ranked on some", max(64, n // 8), "")):
        rows.append(Row(way, 40 * images, batch.times(40 * images), n, peak())._replace(note=note or "priced as (b)"))
    gflop, rate, least = floor(subject, evaluator.chunk or 4)
    figures |= {
        "cached_exact_speedup_cpu": first.seconds.cpu / n / exact,
        "screened_speedup_cpu": max(speedups["float32"], speedups["bf16"]),
        **{f"screened_speedup_cpu_{name}": value for name, value in speedups.items()},
        "notebook_seconds_an_image": first.seconds.cpu / n,
        "exact_seconds_an_image": exact,
        "screened_seconds_an_image": min(row.seconds.cpu / n for row in rows if row.way.startswith("(d)")),
        "eigenfind_time_share": rows[-2].seconds.cpu / rows[2].seconds.cpu,
        "eigenfind_quick_time_share": rows[-1].seconds.cpu / rows[2].seconds.cpu,
        "exact_over_floor_cpu": single.cpu / least.cpu,
        "floor_gflop": gflop,
        "conv_gflops": rate,
        "peak_mib": max(row.peak_mib for row in rows),
    }
    return rows, figures


CONVOLVING = """
import sys, time, torch
torch.set_num_threads(1)
x = torch.randn(16, 64, 32, 32).contiguous(memory_format=torch.channels_last)
w = torch.randn(64, 64, 3, 3).contiguous(memory_format=torch.channels_last)
for _ in range(20):
    torch.nn.functional.conv2d(x, w, padding=1)
print(flush=True)
end, done = time.perf_counter() + float(sys.stdin.readline()), 0
while time.perf_counter() < end:
    torch.nn.functional.conv2d(x, w, padding=1)
    done += 1
print(done, flush=True)
"""


def ceiling(seconds: float = 2.0) -> float:
    """How many times as many convolutions two independent processes do as one, one thread each."""

    def done(processes: int) -> int:
        words = [sys.executable, "-c", CONVOLVING]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        started = [
            subprocess.Popen(words, env={**os.environ, "OMP_NUM_THREADS": "1"}, **pipes) for _ in range(processes)
        ]
        for process in started:
            process.stdout.readline()
        for process in started:
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()
        total = sum(int(process.stdout.readline()) for process in started)
        for process in started:
            process.communicate()
        return total

    before, both, after = done(1), done(2), done(1)
    return 2 * both / (before + after)


def two_processes(snapshot: Path, data: Path, classifier: str | None, images: int) -> dict[str, Any]:
    """The same exact search by one process and by two, one thread each: times, and whether the files are the same."""
    times, written, rest = {}, {}, {}
    for processes in (1, 2):
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            (run / "snapshots").mkdir(parents=True)
            (run / "snapshots" / "0").symlink_to(snapshot.resolve(), target_is_directory=True)
            launch = ["-m"] if processes == 1 else ["-m", "torch.distributed.run", "--nproc-per-node", "2", "-m"]
            words = [sys.executable, *launch, "stylex", "find", str(run), "--data", str(data), "--out", f"{folder}/out"]
            words += ["--images", str(images), "--method", "attfind", "--search", "exact", "-q"]
            words += [] if classifier is None else ["--classifier", classifier]
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            start = time.perf_counter()
            subprocess.run(words, check=True, env=environment)
            times[processes] = time.perf_counter() - start
            written[processes] = {
                str(path.relative_to(folder)): path.read_bytes()
                for path in sorted(Path(folder).rglob("*"))
                if path.is_file() and "snapshots" not in path.parts and path.name != "manifest.json"
            }
            # Again, with all effects there already: what is left is all that is not measuring them.
            start = time.perf_counter()
            subprocess.run([*words, "--overwrite"], check=True, env=environment)
            rest[processes] = time.perf_counter() - start
    best = ceiling()
    return {
        "processes_speedup": times[1] / times[2],
        "processes_ceiling": best,
        "processes_speedup_of_measuring": (times[1] - rest[1]) / (times[2] - rest[2]),
        "one_process_rest_seconds": rest[1],
        "two_processes_rest_seconds": rest[2],
        "one_process_seconds": times[1],
        "two_processes_seconds": times[2],
        "two_processes_same_files": written[1] == written[2],
    }


def shown(rows: Sequence[Row]) -> str:
    lines = ["| way | evaluations | s/image | (cpu) | peak MiB | recall | explained | alone | |", "|" + "---|" * 9]
    for row in rows:
        recall, share, single = (
            "" if value is None else f"{value:.3f}" for value in (row.recall, row.explained, row.alone)
        )
        each = row.seconds.times(1 / row.images)
        lines.append(
            f"| {row.way} | {row.evaluations:,} | {each.wall:.3f} | {each.cpu:.3f} | {row.peak_mib:,.0f} | {recall} | "
            f"{share} | {single} | {row.note} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--snapshot", type=Path, default=DEMO / "snapshot")
    parser.add_argument("--data", type=Path, default=DEMO / "shoes.zip", help="archive; its test images are searched")
    parser.add_argument("--classifier", help="default: the demo's with the demo's snapshot, else the snapshot's own")
    parser.add_argument("--preset", help="price untrained networks of this preset: times only")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--exact-images", type=int, help="measure (c) on so many images and extrapolate")
    parser.add_argument("--budget", type=float, default=30.0, help="processor seconds to time (a) for; (b) takes half")
    parser.add_argument("--without-eigenfind", action="store_true", help="leave (e) out, which takes a while")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--processes", action="store_true", help="compare one process with two, and nothing else")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    classifier = options.classifier
    if classifier is None and options.snapshot == DEMO / "snapshot":
        classifier = str(DEMO / "classifier")
    if options.processes:
        figures, rows = two_processes(options.snapshot, options.data, classifier, options.images), []
    else:
        subject = trained(options.snapshot, options.data, classifier, options.images)
        if options.preset:
            model, subject = subject, random_weights(options.preset, options.images)
            rows, figures = priced(subject, model, options.budget)
        else:
            rows, figures = compare(
                subject, options.budget, options.exact_images, with_eigenfind=not options.without_eigenfind
            )
        figures |= {"images": len(subject.s), "coordinates": subject.space.conv_dim}
    figures |= {"threads": torch.get_num_threads(), "torch": torch.__version__, "machine": platform.processor()}
    if options.json:
        if rows:
            print(shown(rows), file=sys.stderr)
        print(json.dumps({key: round(v, 5) if isinstance(v, float) else v for key, v in figures.items()}, indent=1))
    else:
        print(shown(rows))
        print()
        for key, value in figures.items():
            print(f"{key}: {value:.4g}" if isinstance(value, float) else f"{key}: {value}")


if __name__ == "__main__":
    main()
