"""The subject of a search: the networks that draw and answer, and the space that is searched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from numpy import ndarray
from torch import Tensor

from stylex.classifiers import behaviour
from stylex.classifiers.classifier import Classifier
from stylex.core.attribute import Attribute
from stylex.core.numbers import Numbers
from stylex.core.stylespace import StyleSpace
from stylex.models.snapshot import Snapshot
from stylex.search.decision import Output
from stylex.search.render import ROWS_PER_PASS, HasLogits, Synthesizer
from stylex.search.shifts import apply_attributes


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """What a search moves, and whom it asks.

    Attributes:
        synthesis: draws style vectors of ``space``.
        classifier: the explained one.
        space: layout and observations of style vectors.
        labels: the classifier's.
        output: how its logits become probabilities.
        by: of a regression, the change that counts as an answer turned, in standard deviations of its number.
        numbers: what a regression's numbers mean.
        key: identity of everything that an effect depends on: networks, classifier, labels.
    """

    synthesis: Synthesizer
    classifier: HasLogits
    space: StyleSpace
    labels: Sequence[str] = ()
    output: Output = "softmax"
    by: float = 1.0
    numbers: Numbers | None = None
    key: str = ""

    def moved(self, s: Float[Tensor, "n s_dim"], attributes: Sequence[Attribute]) -> Float[Tensor, "n s_dim"]:
        """Style vectors moved by all of the attributes."""
        return apply_attributes(s, attributes, self.space)

    @torch.inference_mode()
    def draw(self, s: Float[Tensor, "n s_dim"]) -> Float[Tensor, "n c h w"]:
        """The pictures of style vectors, clamped to [-1, 1]."""
        return torch.cat([self.synthesis(rows, noise="const") for rows in s.split(ROWS_PER_PASS)]).clamp(-1, 1)

    @torch.inference_mode()
    def logits(self, s: Float[Tensor, "n s_dim"]) -> Float32[ndarray, "n k"]:
        """The classifier's logits on the pictures of style vectors."""
        if len(s) == 0:
            return np.zeros((0, len(self.labels)), dtype=np.float32)
        rows = [self._answers(self.synthesis(part, noise="const").clamp(-1, 1)) for part in s.split(ROWS_PER_PASS)]
        return np.asarray(torch.cat(rows).cpu().numpy())

    @torch.inference_mode()
    def show(self, s: Float[Tensor, "n s_dim"]) -> tuple[Float32[ndarray, "n c h w"], Float32[ndarray, "n k"]]:
        """The pictures of style vectors, and the classifier's logits on them."""
        pictures, logits = [], []
        for part in s.split(ROWS_PER_PASS):
            x = self.synthesis(part, noise="const").clamp(-1, 1)
            pictures.append(x.float().cpu().numpy())
            logits.append(self._answers(x).cpu().numpy())
        return np.concatenate(pictures), np.concatenate(logits)

    def _answers(self, x: Tensor) -> Tensor:
        return self.classifier.logits(x).float()


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedSubject(Subject):
    """The subject of a snapshot, which can also take images into its space.

    Attributes:
        snapshot: encoder, generator, discriminator.
        classifier: the explained one.
        torgb: whether single coordinates of ToRGB layers are searched too.
    """

    snapshot: Snapshot
    classifier: Classifier
    torgb: bool = False

    @classmethod
    def of(cls, snapshot: Snapshot, classifier: Classifier, *, torgb: bool = False) -> TrainedSubject:
        """A snapshot in its own space: single coordinates, or directions in w where it was given some."""
        return cls(
            synthesis=snapshot.generator.synthesis,
            classifier=classifier,
            space=snapshot.space,
            labels=classifier.spec.labels,
            output=classifier.activation,
            by=classifier.by,
            numbers=classifier.numbers,
            key=f"{snapshot.sha256} {behaviour(classifier)}",
            snapshot=snapshot,
            torgb=torgb,
        )

    @property
    def indices(self) -> Int64[ndarray, " m"]:
        """The flat indices that are searched."""
        return self.space.indices(include_torgb=self.torgb)

    @property
    def control(self) -> Int64[ndarray, " r"]:
        """The flat indices that random ones are drawn from, for comparison."""
        return self.space.control(include_torgb=self.torgb)

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(self.classifier.buffers()).device

    def condition(self, logits: Float[Tensor, "n k"]) -> Float[Tensor, "n own"]:
        """What the networks are conditioned on: the probabilities of the labels that the model answers itself."""
        return condition(self.classifier, logits)

    @torch.inference_mode()
    def styles(self, x: Float[Tensor, "n c h w"], logits: Float[Tensor, "n k"]) -> Float[Tensor, "n s_dim"]:
        """The style vectors of images, given what the classifier says of them."""
        return self.snapshot.styles_of(x, self.condition(logits))


def condition(classifier: Classifier, logits: Float[Tensor, "n k"]) -> Float[Tensor, "n own"]:
    """What networks are told of images: the probabilities of the labels that the model answers itself."""
    return classifier.probabilities(logits[:, : classifier.own])
