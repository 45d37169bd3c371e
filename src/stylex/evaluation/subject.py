"""What is evaluated: a counted classifier, snapshots in the same space, and random coordinates to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from stylex.classifiers.classifier import Classifier
from stylex.core.attribute import Attribute
from stylex.core.errors import SearchError
from stylex.core.numbers import Numbers
from stylex.core.stylespace import StyleSpace
from stylex.models.snapshot import Snapshot
from stylex.search.controls import length_of, random_direction
from stylex.search.methods import METHODS, method_of
from stylex.search.shifts import apply_attributes, statistics_of
from stylex.search.subject import TrainedSubject


class CountedClassifier(Classifier):
    """The classifier under explanation, which counts the images that it is shown."""

    def __init__(self, counted: Classifier) -> None:
        super().__init__(counted.model, counted.spec)
        self.counted = counted
        self.calls = 0
        self.to(next(counted.buffers()).device)

    @property
    def own(self) -> int:
        """How many of the labels the model answers itself."""
        return self.counted.own

    @property
    def by(self) -> float:
        """Of a regression: the change that counts as an answer turned."""
        return self.counted.by

    @property
    def numbers(self) -> Numbers | None:
        """What a regression tells."""
        return self.counted.numbers

    def logits(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """What the classifier says."""
        self.calls += len(x)
        return self.counted.logits(x)

    def logits_and_features(self, x: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "n k"], list[Tensor]]:
        """Logits and feature maps."""
        self.calls += len(x)
        return self.counted.logits_and_features(x)


def calls(subject: TrainedSubject) -> int:
    """How many images a subject's counted classifier was shown."""
    assert isinstance(subject.classifier, CountedClassifier)
    return subject.classifier.calls


_FEWEST_OTHERS = 3


def subject_of(snapshot: Snapshot, classifier: Classifier, *, torgb: bool = False) -> TrainedSubject:
    """A snapshot in its own space, with a classifier that counts its calls."""
    return TrainedSubject.of(snapshot, CountedClassifier(classifier), torgb=torgb)


def steered_alike(snapshot: Snapshot, other: Snapshot, classifier: Classifier) -> Snapshot:
    """A snapshot with directions in w of the kinds that another has; itself where the other has none.

    Raises:
        SearchError: no such directions can be found in it.
    """

    def latents() -> Float[ndarray, "n w_dim"]:
        if snapshot.latents is None:
            raise SearchError(f"{snapshot.path} keeps no latents to find directions in; train to a new snapshot")
        return snapshot.latents

    return METHODS[method_of(other.space)].prepare(snapshot, latents, classifier)


def comparable(subject: TrainedSubject, shown: Sequence[Attribute]) -> Int64[ndarray, " r"]:
    """Coordinates to compare attributes with: of their kinds of layer, none of their own, all of them varying.

    Beside directions they are the other directions that were searched, as long as there are a few: random mixtures
    hold a part of the strongest direction, and beside these no weaker one would count.
    """
    space, statistics = subject.space, statistics_of(subject.space)
    kinds = {space.layer(attribute.coordinate.layer).kind for attribute in shown}
    own = {space.index(attribute.coordinate) for attribute in shown}
    kind_of = np.concatenate([[layer.kind] * layer.channels for layer in space.layers])

    def left(indices: Int64[ndarray, " m"]) -> Int64[ndarray, " r"]:
        kept = [i for i in indices.tolist() if i not in own and statistics.std[i] > 0 and kind_of[i] in kinds]
        return np.array(kept, dtype=np.int64)

    others = left(subject.indices) if kinds == {"direction"} else np.zeros(0, dtype=np.int64)
    return others if len(others) >= _FEWEST_OTHERS else left(subject.control)


def random_coordinates(
    s: Float[Tensor, "n s_dim"],
    attributes: Sequence[Attribute],
    space: StyleSpace,
    pool: Int64[ndarray, " r"],
    random: np.random.Generator,
) -> Float[Tensor, "n s_dim"]:
    """Move a random coordinate of the pool in each image, another in each, as far as the attributes together move it.

    As far: by the same Euclidean length in standard deviations.
    """
    if len(pool) == 0:
        return s.clone()
    std = torch.tensor(statistics_of(space).std).to(s)
    length = length_of(space, apply_attributes(s, attributes, space) - s)
    columns = torch.from_numpy(random.choice(pool, size=len(s))).to(s.device)
    signs = torch.from_numpy(random.choice((-1.0, 1.0), size=len(s))).to(s)
    moved = s.clone()
    moved[torch.arange(len(s), device=s.device), columns] += signs * length * std[columns]
    return moved


def random_moves_alike(
    subject: TrainedSubject,
    s: Float[Tensor, "n s_dim"],
    moved: Float[Tensor, "n s_dim"],
    random: np.random.Generator,
) -> Float[Tensor, "n s_dim"]:
    """Move every image as far as another move does, along a random direction of its own.

    A direction mixes all the coordinates that were searched. As far: by the same Euclidean length in standard
    deviations.
    """
    length = length_of(subject.space, moved - s)[:, None]
    return s + length * torch.from_numpy(random_direction(subject.space, subject.indices, random, len(s))).to(s)


def random_attributes(
    space: StyleSpace,
    pool: Int64[ndarray, " r"],
    shown: Sequence[Attribute],
    count: int,
    random: np.random.Generator,
) -> tuple[Attribute, ...]:
    """Coordinates of the pool drawn at random, each moved as far as one of the attributes is."""

    def drawn(like: Attribute) -> Attribute:
        sign: Literal[-1, 1] = 1 if random.integers(2) else -1
        coordinate = space.coordinate(int(random.choice(pool)))
        return replace(like, coordinate=coordinate, sign=sign, effect=0.0, significance=None, tested=None, label=None)

    return tuple(drawn(shown[i % len(shown)]) for i in range(count if len(pool) else 0))
