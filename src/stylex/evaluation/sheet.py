"""The sheet on which the parts of an evaluation write their numbers, and what several parts need."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, Int64
from numpy import ndarray
from torch import Tensor

from stylex.core.evaluation import About, Interval, Measure, MeasuredAttribute
from stylex.data.archive import ImageSet
from stylex.evaluation.extractors import Extractor, random_extractor
from stylex.evaluation.found import Found
from stylex.evaluation.options import Inputs, Options
from stylex.metrics.interval import bootstrap, mean_interval
from stylex.search.decision import predicted, turned
from stylex.search.encoding import Encoded
from stylex.search.lost import Decision, Pairs, decisions
from stylex.search.shifts import apply_attributes
from stylex.search.subject import TrainedSubject

TOPS = (1, 3, 10)
"""So many attributes are moved together."""

_REAL_IMAGES = 1000
"""Images of each set whose distances are measured, at most."""

_AT_ONCE = 64

_SIDE = 32
"""Pictures are compared between trainings, and shown to the observer, at this side at most."""


class Sheet:
    """The measures as they are taken; each part is a file of its own, and none needs another."""

    def __init__(
        self, subject: TrainedSubject, inputs: Inputs, found: Found, measured: Encoded, options: Options
    ) -> None:
        self.subject, self.inputs, self.found = subject, inputs, found
        self.measured, self.options = measured, options
        self.labels, self.output = subject.classifier.spec.labels, subject.classifier.activation
        self.numbers = subject.numbers
        self.base: Float32[ndarray, "n k"] = measured.logits_rec.cpu().numpy()
        self.measures: list[Measure] = []
        self.notes: list[str] = []
        self.alarms: list[str] = []
        self.attributes = [
            MeasuredAttribute(name=a.name, target_label=a.target_label, shift_range=a.shift_range) for a in found.shown
        ]
        self._pictures: Float32[ndarray, "k n c h w"] | None = None
        self._logits: Float32[ndarray, "k n classes"] | None = None

    def add(
        self,
        about: About | str,
        value: Interval | float,
        *,
        images: int | None = None,
        by: str | None = None,
        note: str | None = None,
    ) -> None:
        """Write a number down, by what it is about; ``part.kind`` is enough for one of no class and no attributes."""
        if isinstance(about, str):
            part, _, kind = about.partition(".")
            about = About(part, kind)
        number, ends = (value.value, value) if isinstance(value, Interval) else (float(value), None)
        self.measures.append(
            Measure(
                name=about.name,
                value=number,
                low=None if ends is None else ends.low,
                high=None if ends is None else ends.high,
                images=images,
                by=by,
                note=note,
                kind=about.kind,
                target=about.target,
                top=about.top,
            )
        )

    def starts(self, target: int) -> tuple[str, Float[Tensor, "n s_dim"], Int64[ndarray, " n"]]:
        """The label, and the style vectors and rows of measured images whose reconstruction is not it yet."""
        rows = np.flatnonzero(~predicted(self.base, target, self.output))
        sources = {a.source_label for a in self.found.rankings.get(target, ())} - {None}
        if len(sources) == 1:
            source = self.labels.index(str(sources.pop()))
            rows = rows[predicted(self.base[rows], source, self.output)]
        return self.labels[target], self.measured.s[torch.from_numpy(rows).to(self.measured.s.device)], rows

    def turned(self, before: Float[ndarray, "*n k"], after: Float[ndarray, "*n k"], target: int) -> Bool[ndarray, "*n"]:
        """Whether changed pictures get the target; of a number, whether it moved towards it by as much as counts."""
        return turned(before, after, target, self.output, self.subject.by)

    @property
    def turning(self) -> str | None:
        """What it is to be turned, where that is not another answer."""
        return None if self.numbers is None else f"moved by {self.numbers.amount(self.numbers.by)} or more"

    @cached_property
    def outside(self) -> Extractor:
        """What compares pictures without being the explained classifier: the extractor chosen, or random weights."""
        chosen = self.inputs.extractor
        return random_extractor(self.subject.device) if chosen.explained else chosen

    def decided(self, logits: Float[ndarray, "n k"]) -> Int64[ndarray, " n"]:
        """What the classifier decides, as a number: the class; of several labels, which of the targets are there.

        Of a regression's number, between which standard deviations from the mean it lies.
        """
        if self.output == "softmax":
            return np.asarray(logits.argmax(axis=1))
        if self.numbers is not None:
            return np.floor(logits[:, self.numbers.asked]).astype(np.int64)
        return (logits[:, self.targets] >= 0) @ (2 ** np.arange(len(self.targets)))

    def tops(self, count: int) -> list[int]:
        """How many attributes are moved together, where there are so many."""
        return sorted({top for top in TOPS if top <= count} | ({count} if count else set()))

    def others(self) -> Int64[ndarray, " n"]:
        """For each measured image another one, drawn at random."""
        order = np.random.default_rng([self.options.seed, 4]).permutation(len(self.measured.ids))
        others = np.empty_like(order)
        others[order] = np.roll(order, 1)
        return others

    @torch.inference_mode()
    def said(self, x: Float[Tensor, "n c h w"]) -> Float32[ndarray, "n k"]:
        """The classifier's logits of pictures."""
        return np.asarray(torch.cat([self.subject.classifier.logits(part) for part in x.split(_AT_ONCE)]).cpu().numpy())

    @cached_property
    def pairs(self) -> list[tuple[Decision, Pairs]]:
        """Photographs and rebuilt pictures with the classifier's gradients, for each decision; empty without them."""
        e, classifier = self.measured, self.subject.classifier
        decided: tuple[Decision, ...] = decisions(classifier, self.targets)
        if self.numbers is not None:  # above the mean or below it
            decided = (Decision(answers=(self.labels[self.numbers.asked], self.labels[-1]), label=self.numbers.asked),)
        found = [(d, Pairs.of(classifier, d, e.ids, e.x, e.x_rec)) for d in decided]
        known = [(decision, pairs) for decision, pairs in found if pairs is not None]
        if len(known) < len(found):
            return []
        return known

    @property
    def targets(self) -> list[int]:
        """The classes that the evaluation is about."""
        return list(self.found.rankings) or list(self.inputs.targets)

    def before(self) -> Float32[ndarray, "n c h w"]:
        """Every measured image's reconstruction, kept small."""
        return shrunk(self.measured.x_rec.cpu().numpy())

    def after(self) -> Float32[ndarray, "k n c h w"]:
        """Every measured image changed by each attribute alone, drawn once and kept small."""
        if self._pictures is None:
            pictures, logits = [], []
            for attribute in self.found.shown:
                drawn, said = self.subject.show(apply_attributes(self.measured.s, [attribute], self.subject.space))
                pictures.append(shrunk(drawn))
                logits.append(said)
            self._pictures, self._logits = np.stack(pictures), np.stack(logits)
        return self._pictures

    def effects(self) -> Float[ndarray, "k n classes"]:
        """What each attribute alone does to the logits of every measured image."""
        self.after()
        assert self._logits is not None
        return (self._logits - self.base).astype(np.float64)

    def mean(self, values: Float[ndarray, " n"] | Bool[ndarray, " n"]) -> Interval:
        """The mean over images with its interval."""
        return mean_interval(values.astype(np.float64), seed=self.options.seed)

    def ratio(self, part: Float[ndarray, " n"], whole: Float[ndarray, " n"]) -> Interval:
        """How much of a total over images a part of it makes; nan where the total is not positive."""

        def of(rows: Int64[ndarray, " m"]) -> float:
            total = float(whole[rows].sum())
            return float(part[rows].sum()) / total if total > 0 else float("nan")

        return bootstrap(of, len(whole), seed=self.options.seed)

    def sample(self, images: ImageSet) -> ImageSet:
        """Images drawn at random, none twice; evenly spaced ones would be more like their set than chance allows."""
        return images.subset(np.random.default_rng(self.options.seed).permutation(len(images))[:_REAL_IMAGES])


def shrunk(pictures: Float32[ndarray, "n c h w"]) -> Float32[ndarray, "n c small small"]:
    """Pictures at the side that is enough to compare what changes in them."""
    if pictures.shape[-1] <= _SIDE:
        return pictures
    return np.asarray(F.interpolate(torch.from_numpy(pictures), size=_SIDE, mode="area").numpy())
