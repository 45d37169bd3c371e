"""A snapshot of untrained networks of 16 px, a classifier of one line, and an archive of discs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stylex.classifiers import Classifier, ClassifierSpec
from stylex.core.stylespace import StyleStatistics
from stylex.data.archive import ArchiveIndex, ImageSet, open_images, write_archive
from stylex.evaluation.subject import subject_of
from stylex.models.config import DiscriminatorConfig, EncoderConfig, GeneratorConfig
from stylex.models.discriminator import Discriminator
from stylex.models.encoder import Encoder
from stylex.models.generator import Generator
from stylex.models.snapshot import Snapshot
from stylex.search.subject import TrainedSubject

WIDTHS = (8, 6, 4)


class Halves(nn.Module):
    """Class 1 where the left half is brighter than the right; the maps are there to be tapped."""

    def __init__(self) -> None:
        super().__init__()
        self.blur = nn.Conv2d(1, 3, 3, stride=2, padding=1)
        nn.init.constant_(self.blur.weight, 1 / 9)
        nn.init.zeros_(self.blur.bias)

    def forward(self, x: Tensor) -> Tensor:
        y = self.blur(x)
        side = y.shape[3] // 2
        height = 4 * (y[..., :side].mean(dim=(1, 2, 3)) - y[..., side:].mean(dim=(1, 2, 3)))
        return torch.stack([-height, height], dim=1)


def make_classifier(*, gradient: bool = True) -> Classifier:
    spec = ClassifierSpec(labels=("right", "left"), input_size=16, channels=1, value_range=(-1.0, 1.0))
    return Classifier(Halves() if gradient else lambda x: Halves()(x).detach(), spec)


@pytest.fixture(scope="session")
def halves() -> Callable[..., Classifier]:
    return make_classifier


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    random = np.random.default_rng(0)
    y, x = np.mgrid[:16, :16]
    pictures = []
    for i in range(100):
        row, column = random.uniform(5, 11), (5 if i % 2 else 10) + random.uniform(-2, 2)
        disc = 1 / (1 + np.exp((np.hypot(y - row, x - column) - random.uniform(2, 4)) * 2))
        pictures.append((255 * disc).astype(np.uint8)[:, :, None])
    path = tmp_path_factory.mktemp("evaluation") / "discs.zip"
    index = ArchiveIndex(
        resolution=16,
        channels=1,
        names=[f"{i}.png" for i in range(100)],
        labels=[i % 2 for i in range(100)],
        label_names=["right", "left"],
        split_keys=[str(i) for i in range(100)],
        splits=["train" if i % 3 == 0 else "test" for i in range(100)],
        groups=[None] * 100,
        contents=[None] * 100,
    )
    write_archive(path, pictures, index)
    return open_images(path)


def make_snapshot(images: ImageSet, map_resolutions: tuple[int, ...] = ()) -> Snapshot:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = Generator(
            GeneratorConfig(
                resolution=16,
                channels=1,
                widths=WIDTHS,
                z_dim=5,
                w_dim=7,
                c_dim=2,
                mapping_layers=2,
                map_resolutions=map_resolutions,
            )
        )
        encoder = Encoder(
            EncoderConfig(resolution=16, channels=1, widths=WIDTHS, w_dim=7, map_resolutions=map_resolutions)
        )
        discriminator = Discriminator(
            DiscriminatorConfig(resolution=16, channels=1, widths=WIDTHS, c_dim=2, mapping_layers=2)
        )
    for network in (generator, encoder, discriminator):
        network.eval().requires_grad_(False)
    x = images.batch(np.arange(len(images)))
    classifier = make_classifier()
    w = 3 * encoder(x)
    s = generator.synthesis.styles(
        w, generator.condition(classifier.probabilities(classifier.logits(x))), encoder.maps(x)
    )
    return Snapshot(
        generator=generator,
        encoder=encoder,
        discriminator=discriminator,
        space=generator.synthesis.space.observed(StyleStatistics.observe(s.numpy())),
        latents=w.numpy(),
        maps=None,
        classifier=classifier.spec.to_json(),
        classifier_reference=None,
        classifier_fingerprint="halves",
        classifier_answers=None,
        nimg=0,
        training={},
        figures={},
        path=Path("snapshot"),
        sha256="0",
    )


@pytest.fixture(scope="session")
def snapshot(images: ImageSet) -> Snapshot:
    return make_snapshot(images)


@pytest.fixture(scope="session")
def mapped(images: ImageSet) -> Snapshot:
    return make_snapshot(images, (8,))


@pytest.fixture(scope="session")
def subject(snapshot: Snapshot) -> TrainedSubject:
    return subject_of(snapshot, make_classifier())
