"""A snapshot of untrained networks of 16 px with its classifiers, and an archive of discs in two parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stylex.classifiers import Classifier, ClassifierSpec
from stylex.core.attribute import Attribute
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


class Brightness(nn.Module):
    """Class 1 where the picture is bright, as surely as ``strength`` says."""

    def __init__(self, strength: float) -> None:
        super().__init__()
        self.strength = nn.Parameter(torch.tensor(strength))

    def forward(self, x: Tensor) -> Tensor:
        height = self.strength * (x.mean(dim=(1, 2, 3)) + 0.5)
        return torch.stack([-height, height], dim=1)


def make_bright(strength: float) -> Classifier:
    spec = ClassifierSpec(labels=("dark", "bright"), input_size=16, channels=1, value_range=(-1.0, 1.0))
    return Classifier(Brightness(strength), spec)


@pytest.fixture(scope="session")
def bright() -> Callable[[float], Classifier]:
    return make_bright


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    random = np.random.default_rng(0)
    y, x = np.mgrid[:16, :16]
    pictures = [
        (255 / (1 + np.exp((np.hypot(y - 8, x - 8) - (2 if i % 2 else 5) - random.uniform(0, 2)) * 2))).astype(np.uint8)
        for i in range(90)
    ]
    path = tmp_path_factory.mktemp("bias") / "discs.zip"
    index = ArchiveIndex(
        resolution=16,
        channels=1,
        names=[f"discs/{i}.png" for i in range(90)],
        labels=[(i + 1) % 2 for i in range(90)],
        label_names=["dark", "bright"],
        split_keys=[str(i) for i in range(90)],
        splits=["test" if i % 3 == 0 else "train" for i in range(90)],
        groups=[None] * 90,
        contents=[None] * 90,
    )
    write_archive(path, [picture[:, :, None] for picture in pictures], index)
    return open_images(path)


@pytest.fixture(scope="session")
def subject(images: ImageSet) -> TrainedSubject:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = Generator(
            GeneratorConfig(resolution=16, channels=1, widths=WIDTHS, z_dim=5, w_dim=7, c_dim=2, mapping_layers=2)
        )
        encoder = Encoder(EncoderConfig(resolution=16, channels=1, widths=WIDTHS, w_dim=7))
        discriminator = Discriminator(
            DiscriminatorConfig(resolution=16, channels=1, widths=WIDTHS, c_dim=2, mapping_layers=2)
        )
    for network in (generator, encoder, discriminator):
        network.eval().requires_grad_(False)
    x, classifier = images.batch(np.arange(len(images))), make_bright(4.0)
    w = 3 * encoder(x)
    s = generator.synthesis.styles(w, generator.condition(classifier.probabilities(classifier.logits(x))), None)
    snapshot = Snapshot(
        generator=generator,
        encoder=encoder,
        discriminator=discriminator,
        space=generator.synthesis.space.observed(StyleStatistics.observe(s.numpy())),
        latents=w.numpy(),
        maps=None,
        classifier=classifier.spec.to_json(),
        classifier_reference=None,
        classifier_fingerprint="bright",
        classifier_answers=None,
        nimg=0,
        training={},
        figures={},
        path=Path("snapshot"),
        sha256="0",
    )
    return subject_of(snapshot, classifier)


@pytest.fixture(scope="session")
def attribute(subject: TrainedSubject, images: ImageSet) -> Attribute:
    """The coordinate that moves the untrained generator's brightness most."""
    x = images.batch(np.arange(8))
    s = subject.styles(x, subject.classifier.logits(x))
    effects = []
    for index in subject.indices.tolist():
        up, down = s.clone(), s.clone()
        assert subject.space.statistics is not None
        up[:, index] = float(subject.space.statistics.maximum[index])
        down[:, index] = float(subject.space.statistics.minimum[index])
        effects.append(float((subject.logits(up) - subject.logits(down))[:, 1].mean()))
    best = int(np.argmax(np.abs(effects)))
    return Attribute(
        coordinate=subject.space.coordinate(int(subject.indices[best])),
        sign=1 if effects[best] > 0 else -1,
        shift_range=1.0,
        target=1,
        target_label="bright",
        effect=abs(effects[best]),
    )
