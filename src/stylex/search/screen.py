"""Screen, then verify: the coordinates that move a class most, without measuring all of them on all images.

First-order effects of every coordinate come from one backward pass through generator and classifier. They rank
coordinates roughly, and how roughly is seen on a few random images, on which the most promising moves and some random
others are measured. From both follows, for every move, an estimate of its mean effect with an error; moves
that are hardly among the strongest are given up, the others are measured on a third more images, and so on, until
those left have been measured on all. Of these the strongest are kept, and half as many more; if no more are left
before, they are.

What was measured of those in float32 is not measured again: it is the beginning of their effects (``EffectsOnDemand``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int64
from numpy import ndarray
from scipy.stats import t as student
from torch import Tensor

from stylex.core.progress import Done, Listener, Started, Step, silent
from stylex.search.config import Precision
from stylex.search.decision import predicted
from stylex.search.effects import IN_MEMORY, expect_finite
from stylex.search.first_order import first_order
from stylex.search.moves import Evaluator
from stylex.search.on_demand import Cells, Drawn, EffectsOnDemand
from stylex.search.subject import Subject

TASK = "screen"
"""Name of this work in progress events."""

_FEWEST_IMAGES = 2
"""Images measured first, at least."""
_SHARE = 1 / 64
"""Fraction of the images that are measured first."""
_PROMISING, _OTHERS = 1 / 4, 1 / 3
"""Fraction of the moves measured first because their first-order effects are large, and fraction of the others."""
_OTHERS_ENOUGH = 12
"""So many of each group of similar moves tell how they err, however many there are: the fraction falls with that."""
_PRIOR = 16.0
"""How many images' worth the errors of similar moves count beside a move's own."""
_PRIOR_SLOPE = 8.0
"""The same for the slope of effects against their guesses."""
_MORE = 1.5
"""Moves kept in the end for each one wanted: what is chosen among them need not be what is strongest on average."""
_CAUTION = 0.75
"""Standard errors that the strongest moves' estimates are lowered by."""
_GROWTH, _NEARLY_ALL = 1.35, 0.8
"""How many times as many images each round has measured as the one before; from that fraction of them on, all."""
_PATIENCE = 2
"""What moves given up may cost grows with this power of the rounds' progress: little at first."""
_GROUPS, _GROUP = 24, 8
"""Groups of similar moves, by the size of their first-order effects, at most; and moves in one, at least."""
_FEW = 5.0
"""Errors of effects on one image are taken to be so many times larger again, on n images an n-th of that: effects are
skewed, and few of them look less scattered than they are. Chosen on effects of four trained generators."""
_UNSEEN = 16.0
"""Degrees of freedom of a move's error where it was not measured, and similar moves' errors stand for it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Screened:
    """What the screen kept.

    Attributes:
        indices: flat indices of the coordinates to measure on all images, ascending.
        recall: estimated fraction of each class's strongest moves that is among them; unless nothing was given up, no
            more than was asked for, since the estimate is not finer than that.
        top: how many strongest moves of each class that is about.
        sample: images that were measured first, on which the errors of first-order effects were learnt.
        pictures: drawn and classified on the way, without the images' own passes for gradients.
        rounds: of every round of every target: moves, images that they were measured on, and whether in float32
            whatever the precision (the last images, when few moves are left).
        effects: of the coordinates kept, over all images: what was measured in float32, and the rest when it is asked.
            None where they could be too many for memory.
        of: the coordinates kept for each target, flat and ascending.
    """

    indices: Int64[ndarray, " m"]
    recall: float
    top: int
    sample: int
    pictures: int
    rounds: tuple[tuple[int, int, bool], ...]
    effects: EffectsOnDemand | None
    of: Mapping[int, Int64[ndarray, " own"]]

    @property
    def note(self) -> str:
        """A sentence for a person."""
        return (
            f"Screened: {len(self.indices)} coordinates were kept; they hold an estimated "
            f"{self.recall:.1%} of each class's top {self.top} moves (as learnt from {self.sample} random ones)"
        )


@dataclass(frozen=True, kw_only=True)
class Screening:
    """How to screen.

    Attributes:
        shift_range: fraction of the way to the extreme.
        top: how many strongest moves (a coordinate with its direction) of each target are wanted.
        recall: fraction of them that is to be found, as estimated. Moves are given up only while the expected number of
            strongest moves among all those given up stays within it; so the screen keeps as many as that takes.
        precision: ``bf16`` where the hardware has it, if it is exact enough on a sample (``Evaluator.try_bf16``). Its
            errors count among those of the estimates; what is kept is to be measured in float32.
        chunk: pictures drawn at once.
        seed: of the order in which images are measured.
        folder: keep what is drawn here as it is finished, if it is not too much for memory; the same screen again
            reads it.
    """

    shift_range: float = 1.0
    top: int = 10
    recall: float = 0.99
    precision: Precision = "float32"
    chunk: int | None = None
    seed: int = 0
    folder: Path | None = None


def screen(
    subject: Subject,
    s: Float[Tensor, "n s_dim"],
    targets: Sequence[int],
    *,
    source: int | None = None,
    indices: Int64[ndarray, " m"] | None = None,
    image_ids: Sequence[str] | None = None,
    how: Screening | None = None,
    listener: Listener = silent,
) -> Screened:
    """Find the coordinates that hold the strongest moves of each target, by mean effect over the images to be moved.

    Args:
        subject: the networks and the layout.
        s: the images' style vectors.
        targets: classes to drive to.
        source: which images are to be moved to a target, as in ``Task``.
        indices: flat indices to choose among (default: the convolutions' part of ``s``).
        image_ids: the images' names (default: their numbers).
        how: of the screening.
        listener: hears the rounds.

    Raises:
        ClassifierError: the classifier gives logits that are not finite.
        StoreError: the folder cannot be written.

    Source: Lang et al., ICCV 2021, choose by mean effect. Successive halving: Jamieson & Talwalkar 2016; estimates from
    a first-order control variate with the variance of similar columns: Smyth 2004.
    """
    how = how or Screening()
    space, output, shift_range, top = subject.space, subject.output, how.shift_range, how.top
    indices = space.indices(include_torgb=False) if indices is None else np.asarray(indices, dtype=np.int64)
    evaluator, exact = (Evaluator(subject, chunk=how.chunk) for _ in range(2))
    names = tuple(image_ids or map(str, range(len(s))))
    base = subject.logits(s)
    expect_finite(base, names)
    races = []
    listener(Started(task=TASK, total=None, unit="rounds"))
    for target in targets:
        rows = ~predicted(base, target, output)
        if source is not None:
            rows &= predicted(base, source, output)
        if rows.any() and len(indices):
            where = np.random.default_rng([how.seed, target]).permutation(np.flatnonzero(rows))
            races.append(Race(target=target, rows=where, top=min(top, 2 * len(indices)), seed=how.seed))
    if races and how.precision == "bf16":
        evaluator.try_bf16(s[races[0].rows[:1]].float(), indices, shift_range, listener=listener)
    keeps = 8 * base.size * round(_MORE * top) * len(races) <= IN_MEMORY
    drawn = Drawn(subject, names, shift_range=shift_range, folder=how.folder if keeps else None)
    pictures, sampled = 0, set[int]()
    rounds: list[tuple[int, int, bool]] = []

    def measured(race: Race, vectors: Tensor, wanted: ndarray, fresh: ndarray) -> ndarray:
        nonlocal pictures
        # Few are left on the last images, and their effects are to be kept: those in float32.
        by = exact if fresh[-1] + 1 == len(race.rows) else evaluator
        values, asked = drawn.effects(by, race.rows[fresh], vectors[fresh], indices, wanted)
        pictures += asked
        rounds.append((int(wanted.sum()), len(fresh), by is exact))
        if race.images == 0:
            sampled.update(race.rows[fresh].tolist())
        if keeps and by.precision == "float32":
            race.hold(wanted, fresh, values)
        figures = {"moves": float(wanted.sum()), "images": float(fresh[-1] + 1)}
        listener(Step(task=TASK, done=len(rounds), figures=figures))
        return np.asarray(values[..., race.target])

    for race in races:
        vectors = s[torch.from_numpy(race.rows).to(s.device)].float()
        guess = first_order(subject, vectors, race.target, indices, shift_range)
        race.run(guess, partial(measured, race, vectors), recall=how.recall)
    listener(Done(task=TASK))
    kept = np.zeros(len(indices), dtype=bool)
    for race in races:
        kept |= race.alive.any(axis=0)
    effects = None
    if keeps:
        cells = Cells(exact, drawn, s, base, indices[kept])
        place = np.cumsum(kept) - 1
        for race in races:
            for fresh, moves, values in race.held:
                sign, column = np.divmod(moves, len(indices))
                cells.put(race.rows[fresh], sign, place[column], values)
        effects = EffectsOnDemand(cells=cells, rows=np.arange(len(s)), columns=np.arange(len(cells.indices)))
    return Screened(
        indices=indices[kept],
        recall=min((race.stated(how.recall) for race in races), default=1.0),
        top=top,
        sample=len(sampled),
        pictures=pictures,
        rounds=tuple(rounds),
        effects=effects,
        of={race.target: indices[race.alive.any(axis=0)] for race in races},
    )


def measured_first(moves: int) -> float:
    """How many of so many moves a screen measures on its first images, on average."""
    return moves * (_PROMISING + (1 - _PROMISING) * _others(moves))


def _others(moves: int) -> float:
    """Fraction of the less promising moves that is measured first."""
    return min(_OTHERS, _OTHERS_ENOUGH * _GROUPS / moves)


Measure = Callable[[Bool[ndarray, "2 m"], Int64[ndarray, " r"]], Float[ndarray, "r 2 m"]]
"""Gives the effects of the moves that are wanted on some images (positions in the race's order); what it gives of
others is not looked at."""


@dataclass(eq=False, kw_only=True)
class Race:
    """Which moves are the strongest of one target: estimates, and who is still in.

    Attributes:
        target: class to drive to.
        rows: the images to be moved, in the order in which they are measured.
        top: how many strongest moves are wanted.
        seed: of the moves that are measured first beside the promising ones.
        images: measured so far.
        missed: of the strongest, as many as are to be expected among those given up.
        alive: who is still in; in the end, what is kept.
    """

    target: int
    rows: ndarray
    top: int
    seed: int
    images: int = 0
    missed: float = 0.0
    held: list[tuple[ndarray, Int64[ndarray, " moves"], Float32[ndarray, "r moves k"]]] = field(default_factory=list)
    """Of moves still in: images (positions among ``rows``), the moves, flat, and their effects on all logits."""

    def run(self, guess: Float[ndarray, "n 2 m"], measure: Measure, *, recall: float) -> None:
        """Measure on more and more images, and give moves up, until few enough are left or all were measured.

        Args:
            guess: first-order effects on the images, in the race's order.
            measure: asked once each round.
            recall: as in ``Screening``.
        """
        self.start(guess)
        while not self.images or not self.ended:
            wanted, fresh = self.next()
            self.learn(wanted, fresh, measure(wanted, fresh))
            if self.images < len(self.rows):
                self.give_up((1 - recall) * self.top)
        self.finish()

    def stated(self, recall: float) -> float:
        """The fraction of the strongest that is kept, by estimate; if any was given up, no more than was asked for."""
        return min(1 - self.missed / self.top, recall) if self.missed else 1.0

    def start(self, guess: Float[ndarray, "n 2 m"]) -> None:
        """Nothing is measured yet; the guesses tell which moves are alike, and which come first."""
        self.guess = guess
        self.alive: Bool[ndarray, "2 m"] = np.ones(guess.shape[1:], dtype=bool)
        # Sums over the images measured so far: guesses, effects, and their squares and products.
        self.sums: Float64[ndarray, "5 2 m"] = np.zeros((5, *guess.shape[1:]))
        self.measured_on = np.zeros(guess.shape[1:], dtype=np.int64)
        size = np.sqrt(np.square(guess, dtype=np.float64).mean(axis=0))
        rank = np.argsort(np.argsort(size, axis=None)).reshape(size.shape)
        self.groups = max(1, min(_GROUPS, size.size // _GROUP))
        self.group = rank * self.groups // size.size
        some = np.random.default_rng([self.seed, self.target, 1]).random(size.shape) < _others(size.size)
        self.first = (rank >= (1 - _PROMISING) * size.size) | some

    def next(self) -> tuple[Bool[ndarray, "2 m"], ndarray]:
        """The moves to measure, and on which of the images: a third more than before, in all."""
        n = len(self.rows)
        until = math.ceil(_GROWTH * self.images) if self.images else max(_FEWEST_IMAGES, round(n * _SHARE))
        until = n if until > _NEARLY_ALL * n else until
        fresh = np.arange(self.images, until)
        return self.alive if self.images else self.first, fresh

    def learn(self, wanted: ndarray, fresh: ndarray, values: Float[ndarray, "r 2 m"]) -> None:
        """Take in what was measured of the moves wanted on the next images."""
        x, y = (np.where(wanted, part, 0).astype(np.float64) for part in (self.guess[fresh], values))
        self.sums += np.stack([each.sum(axis=0) for each in (x, y, x * x, x * y, y * y)])
        self.measured_on += wanted * len(fresh)
        self.images = int(fresh[-1]) + 1

    def hold(self, wanted: Bool[ndarray, "2 m"], fresh: ndarray, values: Float32[ndarray, "r 2 m k"]) -> None:
        """Keep what was measured, of the moves that stay in."""
        sign, column = np.nonzero(wanted)
        self.held.append((fresh, np.flatnonzero(wanted), values[:, sign, column]))

    def _let_go(self) -> None:
        stays = [self.alive.ravel()[moves] for _, moves, _ in self.held]
        self.held = [
            (fresh, moves[stay], values[:, stay]) for (fresh, moves, values), stay in zip(self.held, stays, strict=True)
        ]

    def estimates(self) -> tuple[Float64[ndarray, "2 m"], Float64[ndarray, "2 m"], Float64[ndarray, "2 m"]]:
        """Each move's mean effect over all images: estimate, standard error, and degrees of freedom of that."""
        n, k = len(self.rows), self.measured_on
        seen, count, freedom = k > 0, np.maximum(k, 1), np.maximum(k - 1, 0)
        x, y, xx, xy, yy = self.sums
        x, y = x / count, y / count
        xx, xy, yy = np.maximum(xx - k * x * x, 0), xy - k * x * y, np.maximum(yy - k * y * y, 0)
        whole = self.guess.mean(axis=0, dtype=np.float64)
        # From image to image an effect grows with its guess, but not as much: by a slope of the move's own, held near
        # that of moves with equally large guesses. These also add to a move's own variance, of which few images say
        # little. What was not measured at all is taken to follow and to err like those.
        groups = [self.group == g for g in range(self.groups)]
        slope, prior, unseen = np.zeros(k.shape), np.zeros(k.shape), np.full(k.shape, np.inf)
        for mine in groups:
            common = xy[mine].sum() / max(xx[mine].sum(), 1e-12)
            weight = _PRIOR_SLOPE * xx[mine].sum() / max(freedom[mine].sum(), 1)
            slope[mine] = (xy[mine] + weight * common) / (xx[mine] + weight + 1e-12)
        own = np.maximum(yy - 2 * slope * xy + slope**2 * xx, 0)
        estimate = y + slope * (whole - x)
        for mine in groups:
            known = mine & seen
            known_by = freedom[mine].sum()  # one image of each move says nothing of errors
            prior[mine] = own[mine].sum() / known_by if known_by else np.inf
            if known.any():
                least = max(np.square(whole[known]).sum(), 1e-12)
                between = (whole[known] * estimate[known]).sum() / least
                rest = estimate[known] - between * whole[known]
                estimate[mine & ~seen] = between * whole[mine & ~seen] + rest.mean()
                unseen[mine] = rest.std()
        variance = (own + _PRIOR * prior) / (freedom + _PRIOR)
        error = np.where(seen, np.sqrt(variance / count * (1 - k / n)), unseen)
        error *= 1 + _FEW / np.where(seen, count, max(self.images, 1))
        return estimate, error, np.where(seen, freedom + _PRIOR, _UNSEEN)

    @property
    def kept(self) -> int:
        """How many moves are kept in the end."""
        return round(_MORE * self.top)

    @property
    def ended(self) -> bool:
        """Whether all images were measured, or no more moves are left than are kept."""
        return self.images == len(self.rows) or int(self.alive.sum()) <= self.kept

    def finish(self) -> None:
        """Keep the strongest, and some more."""
        mean = np.where(self.alive, self.estimates()[0], -np.inf)
        best = np.argsort(-mean, axis=None, kind="stable")[: self.kept]
        last = np.zeros(mean.size, dtype=bool)
        last[best] = True
        self.alive &= last.reshape(mean.shape)
        self._let_go()

    def give_up(self, budget: float) -> None:
        """Let go of the least promising moves, while few strong ones are to be expected among them."""
        estimate, error, freedom = self.estimates()
        # The largest of many estimates are too large, on the whole: what they surely reach is the line to pass.
        inside = np.where(self.alive, estimate - _CAUTION * error, -np.inf).ravel()
        line = np.sort(inside)[-self.top]
        if not np.isfinite(line):
            return
        doubt = student.sf((line - estimate) / np.maximum(error, 1e-12), freedom).ravel()
        order = [i for i in np.argsort(doubt, kind="stable") if self.alive.ravel()[i]]
        # Errors are little known at first: what may be missed in all is spent late, by the logarithm of the images.
        left = budget * (math.log(self.images) / math.log(len(self.rows))) ** _PATIENCE - self.missed
        risk = np.cumsum(doubt[order])
        count = min(int((risk <= left).sum()), len(order) - self.top)
        if count > 0:
            self.alive.ravel()[order[:count]] = False
            self.missed += float(risk[count - 1])
            self._let_go()
