"""The judge: everything that is measured of a method's pictures, by one set of instruments for all methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy import ndarray
from torch import Tensor

from stylex.classifiers.classifier import Classifier
from stylex.comparison.arena import Cases, Knobs, Moves
from stylex.comparison.equal import STRENGTHS, Ladder
from stylex.core.comparison import Cell
from stylex.core.evaluation import Interval
from stylex.evaluation.extractors import Extractor
from stylex.evaluation.found import in_turn
from stylex.evaluation.preservation import others_changed
from stylex.evaluation.sheet import shrunk
from stylex.metrics.counterfactuals import cout, proximity, similarity, sparsity, split_frechet, valid
from stylex.metrics.features import Features
from stylex.metrics.frechet import frechet_interval
from stylex.metrics.interval import jackknife, mean_interval
from stylex.metrics.locality import area
from stylex.metrics.observer import observe
from stylex.metrics.photograph import mean_change, on_photograph
from stylex.metrics.spread import spread_over
from stylex.planted.changes import factor_changes
from stylex.planted.known import Known
from stylex.planted.truth import FactorChanges, truth
from stylex.search.decision import probabilities
from stylex.search.shifts import statistics_of
from stylex.search.subject import TrainedSubject

_AT_ONCE = 64
_ROUNDING = 1e-3
"""A factor or a component that moves by no more of its standard deviations does not move."""
_OBSERVED, _FEWEST_OBSERVED = 4, 8
_FEWEST_HALVED = 6
"""Of fewer images, less than two halves of two are left when an interval is measured by leaving some out."""
NO_ATTRIBUTES = "it has no several attributes to tell apart"


@dataclass(frozen=True, eq=False, kw_only=True)
class Judge:
    """The instruments.

    Attributes:
        classifier: the explained one, not counting.
        subject: the networks in single coordinates.
        cases: what is changed.
        extractor: compares pictures; not the explained classifier.
        components: the networks along directions in which images vary independently; None: none are known.
        known: what is known of the images' making; None: nothing.
        observer_steps: how long the machine observer is trained.
        seed: of everything random.
    """

    classifier: Classifier
    subject: TrainedSubject
    cases: Cases
    extractor: Extractor
    components: TrainedSubject | None
    known: Known | None
    observer_steps: int
    seed: int

    @torch.inference_mode()
    def said(self, x: Float[Tensor, "n c h w"]) -> Float32[ndarray, "n k"]:
        """The classifier's logits of pictures."""
        return torch.cat([self.classifier.logits(part).float() for part in x.split(_AT_ONCE)]).cpu().numpy()

    def pixels(self, x: Float[Tensor, "n c h w"]) -> Float[ndarray, " n"]:
        """Mean absolute change of the rebuilt pictures."""
        return mean_change(self.cases.x_rec, x).double().cpu().numpy()

    def perceptual(self, x: Float[Tensor, "n c h w"]) -> Float[ndarray, " n"]:
        """Perceptual distance from the rebuilt pictures."""
        return self.extractor.distance(self.cases.x_rec, x).double().cpu().numpy()

    def turned(self, x: Float[Tensor, "n c h w"]) -> Float[ndarray, " n"]:
        """1 where the answer is the case's target, else 0."""
        return self.cases.turned(self.said(x), self.subject)

    def ladder(self, moves: Moves) -> Ladder:
        """What moves do at growing strengths."""
        rows = []
        for strength in STRENGTHS:
            x = moves.draw(torch.full((len(self.cases),), strength))
            rows.append((self.pixels(x), self.perceptual(x), self.turned(x)))
        pixels, perceptual, turned = map(np.stack, zip(*rows, strict=True))
        return Ladder(pixels=pixels, perceptual=perceptual, turned=turned)

    def target_probability(self, x: Float[Tensor, "n c h w"]) -> Float[ndarray, " n"]:
        """Of each case."""
        p = probabilities(self.said(x), self.subject.output)
        return np.asarray(p[np.arange(len(p)), self.cases.targets], dtype=np.float64)

    def at_equal_change(self, x: Float[Tensor, "n c h w"]) -> dict[str, Cell]:
        """What holds of the cases' pictures at equal change of their pixels."""
        cases = self.cases
        cells = {
            "flips": self._share(self.turned(x)),
            "flips_photograph": self._share(self.turned(on_photograph(cases.x, cases.x_rec, x))),
            "change": self._mean(self.pixels(x)),
            "perceptual": self._mean(self.perceptual(x)),
            "area": self._mean(area(cases.x_rec.float().cpu().numpy(), x.float().cpu().numpy())),
        }
        others = self._other_logits(x)
        if others is not None:
            cells["other_logits"] = self._mean(others)
        if self.components is not None:
            moved = self._places(x) - self._places(cases.x_rec)
            cells["components"] = self._mean(spread_over(np.where(np.abs(moved) > _ROUNDING, moved, 0.0)))
        if self.known is not None:
            changes = self.known.reader.read(x.cpu()) - self.known.reader.read(cases.x_rec.cpu())
            innocent = [f for f in range(changes.shape[1]) if f not in self.known.causes]
            cells["factors"] = self._mean(spread_over(np.where(np.abs(changes) > _ROUNDING, changes, 0.0)))
            cells["other_factors"] = self._mean(np.abs(changes[:, innocent]).mean(axis=1))
        return cells

    def papers(self, x: Float[Tensor, "n c h w"]) -> dict[str, Cell]:
        """What papers print, of the cases' counterfactuals."""
        cases = self.cases
        originals, changed = self.extractor.features(cases.x), self.extractor.features(x)
        before, after = self.target_probability(cases.x), self.target_probability(x)
        return {
            "flip_rate": self._share(self.turned(x)),
            "validity": self._share(valid(before, after)),
            "proximity": self._mean(proximity(cases.x, x).cpu().numpy()),
            "sparsity": self._mean(sparsity(cases.x, x).cpu().numpy()),
            "cout": self._mean(cout(self._both, cases.x, x)),
            "s3": self._mean(similarity(originals, changed)),
            "fid": Cell.of(frechet_interval(originals, changed, seed=self.seed)),
            "sfid": self._halved(originals, changed),
        }

    def _halved(self, originals: Features, changed: Features) -> Cell:
        if (n := len(changed)) < _FEWEST_HALVED:
            return Cell.without(f"{n} images are too few to halve, leaving some out")
        return Cell.of(
            jackknife(
                lambda rows: split_frechet(originals.at(rows), changed.at(rows), seed=self.seed), n, seed=self.seed
            )
        )

    def distinct(self, knobs: Knobs | None) -> Cell:
        """Whether a machine can tell the first attributes apart."""
        shown = () if knobs is None else in_turn({t: tuple(a) for t, a in knobs.rankings.items()})[:_OBSERVED]
        if knobs is None or len(shown) < 2:
            return Cell.without(NO_ATTRIBUTES)
        if len(self.cases) < _FEWEST_OBSERVED:
            return Cell.without(f"{len(self.cases)} images are too few to train an observer on")
        before = shrunk(self.cases.x_rec.float().cpu().numpy())
        after = [shrunk(knobs.subject.show(knobs.subject.moved(knobs.s, [attribute]))[0]) for attribute in shown]
        seen = observe(before, np.stack(after), steps=self.observer_steps, seed=self.seed)
        beyond = [
            (end - seen.chance) / (1 - seen.chance)
            for end in (seen.accuracy.value, seen.accuracy.low, seen.accuracy.high)
        ]
        return Cell.of(Interval(value=beyond[0], low=beyond[1], high=beyond[2]))

    def causes(self, knobs: Knobs | None, x: Float[Tensor, "n c h w"]) -> Mapping[str, Cell]:
        """Which planted causes the attributes are; a method without them counts as one attribute, its move."""
        if self.known is None:
            return {}
        known, cases = self.known, self.cases
        if knobs is not None:
            shown = in_turn({t: tuple(a) for t, a in knobs.rankings.items()})
            measured = factor_changes(knobs.subject, known.reader, knobs.s, shown, noise=known.noise)
        else:  # towards the second class as it is, towards the first the other way
            way = np.where(cases.targets == 1, 1.0, -1.0)[:, None]
            changes = way * (known.reader.read(x.cpu()) - known.reader.read(cases.x_rec.cpu()))
            measured = FactorChanges(
                changes=changes[None],
                effects=np.zeros((1, len(changes))),
                claimed=np.ones(1, dtype=np.bool_),
                noise=known.noise,
            )
        found = truth(measured, np.zeros(len(known.noise)), known.causes, seed=self.seed)
        return {name: Cell.of(getattr(found, name)) for name in ("recall", "precision", "purity")}

    def _share(self, values: Float[ndarray, " n"] | ndarray) -> Cell:
        """Of images that say yes (1) and no (0)."""
        return Cell.of(mean_interval(np.asarray(values, dtype=np.float64), seed=self.seed))

    def _mean(self, values: Float[ndarray, " n"] | ndarray) -> Cell:
        """Of a size; where there is none on any image, it is surely none."""
        return Cell(0.0, 0.0, 0.0) if not np.any(values) else self._share(values)

    def _both(self, x: Float[Tensor, "n c h w"]) -> Float[ndarray, "n 2"]:
        """Probabilities of the target, and of the answer that the photograph has."""
        p, rows = probabilities(self.said(x), self.subject.output), np.arange(len(x))
        target = p[rows, self.cases.targets]
        if self.subject.output == "sigmoid":
            return np.stack([target, 1 - target], axis=1).astype(np.float64)
        own = self.cases.logits.argmax(dim=1).cpu().numpy()
        return np.stack([target, p[rows, own]], axis=1).astype(np.float64)

    def _other_logits(self, x: Float[Tensor, "n c h w"]) -> Float[ndarray, " n"] | None:
        before, after = self.cases.logits_rec.float().cpu().numpy(), self.said(x)
        out = np.full(len(after), np.nan)
        for target in np.unique(self.cases.targets):
            rows = self.cases.targets == target
            changed = others_changed(before[rows], after[rows], int(target), self.classifier)
            if changed is None:
                return None
            out[rows] = changed
        return out

    def _places(self, x: Float[Tensor, "n c h w"]) -> Float[ndarray, "n m"]:
        """Where pictures lie along the independent directions when they are encoded, in standard deviations."""
        assert self.components is not None
        subject = self.components
        logits = torch.from_numpy(self.said(x)).to(x)
        parts = zip(x.split(_AT_ONCE), logits.split(_AT_ONCE), strict=True)
        places = torch.cat([subject.styles(part, said) for part, said in parts]).cpu().numpy()[:, subject.indices]
        return np.asarray(places / statistics_of(subject.space).std[subject.indices], dtype=np.float64)
