"""What the benchmarks on planted causes share: drawings, a classifier, a reader of the factors, true strengths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

import stylex
from stylex.classifiers.classifier import Classifier
from stylex.data.images import to_tensor
from stylex.planted.images import Planted, write_planted
from stylex.planted.readers import FactorReader, fit_reader, load_reader, save_reader


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One set of drawn images.

    Attributes:
        family: what is drawn.
        resolution: in pixels.
        seed: of everything.
        images: how many are drawn to train and to test on.
        read: how many others, with independent factors, the reader is fitted to.
    """

    family: str = "leaves"
    resolution: int = 32
    seed: int = 0
    images: int = 12_000
    read: int = 16_000

    @property
    def folder(self) -> str:
        """The name of its folder."""
        return f"{self.family}-{self.resolution}-s{self.seed}"

    def drawn_and_fitted(self, work: Path, *, shuffled: bool = False) -> tuple[Path, Path]:
        """The archive in ``work`` and a classifier fitted to its labels, made where they are missing."""
        name = "shuffled" if shuffled else "images"
        archive, classifier = work / f"{name}.zip", work / f"{name}-classifier"
        if not archive.exists():
            write_planted(
                archive, family=self.family, images=self.images, resolution=self.resolution, seed=self.seed,
                shuffled=shuffled,
            )  # fmt: skip
        if not classifier.exists():
            stylex.fit_classifier(data=archive, out=classifier, seed=self.seed)
        return archive, classifier

    def reader(self, work: Path) -> FactorReader:
        """The reader of the factors in ``work``, fitted where it is missing."""
        folder = work / "reader"
        if not folder.exists():
            # Without bias, so that the reader cannot infer one factor from another.
            planted = Planted.sample(self.family, range(self.read), seed=1000 + self.seed, bias=0)
            x = to_tensor(planted.pictures(self.resolution))
            save_reader(fit_reader(x, planted.factors, planted.family.factors, epochs=6, seed=self.seed), folder)
        return load_reader(folder)

    def strengths(self, judge: Classifier) -> np.ndarray:
        """What each factor does to the classifier: log odds from one end of its range to the other, redrawn."""
        planted = Planted.sample(self.family, range(300), seed=2000 + self.seed)

        def odds(name: str, end: float) -> np.ndarray:
            pictures = planted.pictures(self.resolution, factors=planted.intervened(name, end))
            logits = judge.logits(to_tensor(pictures)).detach()
            return np.asarray(logits[:, 1] - logits[:, 0])

        return np.array([(odds(name, 1.0) - odds(name, 0.0)).mean() for name in planted.family.factors])
