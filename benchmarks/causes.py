"""What the benchmarks on planted causes share: drawings, a classifier, a reader of the factors, true strengths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import stylex
from stylex.classifiers.classifier import Classifier
from stylex.data.images import to_tensor
from stylex.planted.changes import reader_noise
from stylex.planted.images import Planted, write_planted
from stylex.planted.readers import FactorReader, ReaderConfig, fit_reader, load_reader, save_reader


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One set of drawn images.

    Attributes:
        family: what is drawn.
        resolution: in pixels.
        seed: of everything.
        kind: how the factors are distributed, one of ``factors.KINDS``.
        images: how many are drawn to train and to test on.
        read: how many others, with independent factors, the reader is fitted to.
    """

    family: str = "leaves"
    resolution: int = 32
    seed: int = 0
    kind: str = "uniform"
    images: int = 12_000
    read: int = 16_000

    @property
    def folder(self) -> str:
        """The name of its folder."""
        drawn = self.family if self.kind == "uniform" else f"{self.family}-{self.kind}"
        return f"{drawn}-{self.resolution}-s{self.seed}"

    def sample(self, start: int, count: int, *, bias: float = 0.5, kind: str | None = None) -> Planted:
        """Other drawings than those to train and to test on: ``start`` is added to the seed."""
        return Planted.sample(self.family, range(count), seed=start + self.seed, bias=bias, kind=kind or self.kind)

    def drawn_and_fitted(self, work: Path, *, shuffled: bool = False) -> tuple[Path, Path]:
        """The archive in ``work`` and a classifier fitted to its labels, made where they are missing."""
        name = "shuffled" if shuffled else "images"
        archive, classifier = work / f"{name}.zip", work / f"{name}-classifier"
        if not archive.exists():
            write_planted(
                archive, family=self.family, images=self.images, resolution=self.resolution, seed=self.seed,
                shuffled=shuffled, kind=self.kind,
            )  # fmt: skip
        if not classifier.exists():
            stylex.fit_classifier(data=archive, out=classifier, seed=self.seed)
        return archive, classifier

    def reader(self, work: Path) -> FactorReader:
        """The reader of the factors in ``work``, fitted where it is missing."""
        folder = work / "reader"
        if not folder.exists():
            # Independent and uniform, so that the reader cannot infer one factor from another, nor guess what is rare.
            planted = self.sample(1000, self.read, bias=0, kind="local" if self.kind == "local" else "uniform")
            x = to_tensor(planted.pictures(self.resolution))
            config = ReaderConfig(epochs=6, seed=self.seed)
            save_reader(fit_reader(x, planted.factors, planted.family.factors, config), folder)
        return load_reader(folder)

    def noise(self, reader: FactorReader) -> np.ndarray:
        """What the reader sees of each factor where it does not change, on drawings of its own."""
        return reader_noise(reader, self.sample(3000, 200), self.resolution)

    def read_right(self, reader: FactorReader) -> np.ndarray:
        """R2 of the reader on unseen drawings of this kind."""
        planted = self.sample(4000, 500)
        read = reader.read(to_tensor(planted.pictures(self.resolution)))
        true = (planted.factors - reader.mean.numpy()) / reader.std.numpy()
        return np.asarray(1 - ((read - true) ** 2).mean(axis=0) / true.var(axis=0))

    def strengths(self, judge: Classifier) -> np.ndarray:
        """What each factor does to the classifier: log odds from one end of its range to the other, redrawn."""
        planted = self.sample(2000, 300)

        def odds(name: str, end: float) -> np.ndarray:
            pictures = planted.pictures(self.resolution, factors=planted.intervened(name, end))
            logits = judge.logits(to_tensor(pictures)).detach()
            return np.asarray(logits[:, 1] - logits[:, 0])

        return np.array([(odds(name, 1.0) - odds(name, 0.0)).mean() for name in planted.family.factors])
