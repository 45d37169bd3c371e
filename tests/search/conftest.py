"""A generator and a classifier of three lines each: both linear, so that every effect has a closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from stylex.classifiers.load import load_classifier
from stylex.core.stylespace import StyleLayer, StyleSpace, StyleStatistics
from stylex.data.archive import open_images
from stylex.models.snapshot import load_snapshot
from stylex.search.directions import independent
from stylex.search.effects import Effects
from stylex.search.encoding import Encoded, encode
from stylex.search.subject import Subject, TrainedSubject

SIDE = 4


@pytest.fixture(scope="session")
def shipped() -> tuple[TrainedSubject, Encoded]:
    """The package's own snapshot along ICA directions, and some photographs."""
    with as_file(files("stylex") / "demo_data") as folder:
        snapshot, images = load_snapshot(folder / "snapshot"), open_images(folder / "shoes.zip")
        subject = TrainedSubject.of(independent(snapshot), load_classifier(folder / "classifier"))
        rows = np.concatenate([np.arange(12), np.arange(len(images) - 12, len(images))])
        return subject, encode(subject, images.batch(rows), [images.names[i] for i in rows])


class State(NamedTuple):
    x: Tensor | None
    image: Tensor | None


class LinearSynthesis:
    """image = sum over layers of (styles of the layer) @ (directions of the layer), drawn layer by layer."""

    def __init__(self, channels: tuple[int, ...], torgb: int, seed: int = 0) -> None:
        layers = [StyleLayer(name=f"b4.conv{i}", kind="conv", resolution=4, channels=c) for i, c in enumerate(channels)]
        layers.append(StyleLayer(name="b4.torgb", kind="torgb", resolution=4, channels=torgb))
        self.space = StyleSpace(layers)
        self.steps = tuple(layer.name for layer in layers)
        random = torch.Generator().manual_seed(seed)
        # Orthonormal directions, so that a classifier that reads one of them reads one coordinate.
        self.directions = torch.linalg.qr(torch.randn(SIDE * SIDE, self.space.s_dim, generator=random))[0].T
        self.scale = 0.05  # pictures stay inside [-1, 1]
        self.rows_drawn = 0
        self.most_rows = 10**9

    def _after(self, step: int, state: State, s: Tensor) -> State:
        span = self.space.slice(self.steps[step])
        add = (self.scale * s[:, span] @ self.directions[span]).reshape(-1, 1, SIDE, SIDE)
        return State(None, add if state.image is None else state.image + add)

    def __call__(self, s: Tensor, *, noise: str = "const", start: int = 0, state: State | None = None) -> Tensor:
        assert noise == "const"
        if len(s) > self.most_rows:
            raise torch.OutOfMemoryError("too many rows")
        self.rows_drawn += len(s)
        state = self.between(s, start, len(self.steps), state=state)
        assert state.image is not None
        return state.image

    def between(self, s: Tensor, start: int, stop: int, *, noise: str = "const", state: State | None = None) -> State:
        state = state or State(None, None)
        for step in range(start, stop):
            state = self._after(step, state, s)
        return state

    def prefix(self, s: Tensor, *, noise: str = "const") -> list[State]:
        states = [State(None, None)]
        for step in range(len(self.steps) - 1):
            states.append(self._after(step, states[-1], s))
        return states


class LinearClassifier:
    """logits = pixels @ weight + bias."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None) -> None:
        self.weight = weight
        self.bias = torch.zeros(weight.shape[1]) if bias is None else bias

    def logits(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight + self.bias


@dataclass
class World:
    synthesis: LinearSynthesis
    classifier: LinearClassifier
    space: StyleSpace
    s: Tensor
    ids: tuple[str, ...]
    k: int = 2

    @property
    def subject(self) -> Subject:
        """As it is now: tests replace the classifier."""
        labels = ("cat", "dog", "bird")[: self.k]
        return Subject(synthesis=self.synthesis, classifier=self.classifier, space=self.space, labels=labels)

    def response(self) -> np.ndarray:
        """Change of each logit for one unit of each coordinate, [s_dim, k]."""
        weight = self.synthesis.scale * self.synthesis.directions @ self.classifier.weight
        return weight.numpy()


@pytest.fixture
def make_world() -> Callable[..., World]:
    def make(
        *,
        n: int = 6,
        channels: tuple[int, ...] = (4, 3),
        torgb: int = 2,
        reads: dict[int, tuple[float, ...]] | None = None,
        bias: tuple[float, ...] | None = None,
        k: int = 2,
        seed: int = 0,
    ) -> World:
        """``reads``: coordinate -> weight for each class; default: a random classifier."""
        synthesis = LinearSynthesis(channels, torgb, seed)
        random = torch.Generator().manual_seed(seed + 1)
        if reads is None:
            weight = torch.randn(SIDE * SIDE, k, generator=random)
        else:
            weight = torch.zeros(SIDE * SIDE, k)
            for index, weights in reads.items():
                weight += synthesis.directions[index][:, None] / synthesis.scale * torch.tensor(weights)
        s = torch.randn(n, synthesis.space.s_dim, generator=random)
        space = synthesis.space.observed(StyleStatistics.observe(s.numpy()))
        classifier = LinearClassifier(weight, None if bias is None else torch.tensor(bias))
        return World(synthesis, classifier, space, s, tuple(f"image-{i}" for i in range(n)), k)

    return make


@pytest.fixture
def make_effects() -> Callable[..., Effects]:
    def make(values: np.ndarray, base_logits: np.ndarray | None = None) -> Effects:
        """A table of effects [n, 2, m, k]; by default class 0 is predicted everywhere, by one logit."""
        n, _, m, k = values.shape
        if base_logits is None:
            base_logits = np.tile(np.eye(k)[0], (n, 1))
        return Effects(
            values=values.astype(np.float32),
            base_logits=base_logits.astype(np.float32),
            indices=np.arange(m),
            image_ids=tuple(f"image-{i}" for i in range(n)),
            shift_range=1.0,
        )

    return make


@pytest.fixture
def flat_space() -> Callable[[int], StyleSpace]:
    def make(m: int) -> StyleSpace:
        space = StyleSpace([StyleLayer(name="b4.conv1", kind="conv", resolution=4, channels=m)])
        zeros, ones = np.zeros(m, np.float32), np.ones(m, np.float32)
        return space.observed(StyleStatistics(-ones, ones, zeros, ones))

    return make
