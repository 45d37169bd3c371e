"""A tiny archive, a tiny classifier and a training of a few steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from stylex.classifiers import Classifier, ClassifierSpec
from stylex.core.progress import Event, Listener, SnapshotWritten, Tick, silent
from stylex.data.archive import ArchiveIndex, ImageSet, open_images, write_archive
from stylex.training.config import PRESETS, TrainConfig
from stylex.training.loop import TrainingTask, train_networks


def tiny(**changes: Any) -> TrainConfig:
    """Eight-pixel-wide networks at 16 px; steps of 8 images; changes as ``schedule__kimg=1``."""
    config = PRESETS["tiny-16"]
    model = replace(
        config.model, generator_widths=(8, 8, 8), discriminator_widths=(8, 8, 8), encoder_widths=(8, 8, 8), w_dim=8
    )
    schedule = replace(config.schedule, kimg=0.064, tick_nimg=16, snapshot_nimg=32, ema_nimg=100)
    config = replace(config, model=model, schedule=schedule, precision="fp32")
    for name, value in changes.items():
        part, _, field = name.rpartition("__")
        config = replace(config, **{part: replace(getattr(config, part), **{field: value})} if part else {field: value})
    return config


def discs(path: Path, n: int = 60, channels: int = 1, labels: int = 2) -> Path:
    """An archive of blurred discs, larger with the class."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:16, :16]
    pictures = []
    for i in range(n):
        row, column = rng.uniform(5, 11, 2)
        radius = 2 + 2 * (i % labels) + rng.uniform(0, 1)
        disc = 1 / (1 + np.exp((np.hypot(y - row, x - column) - radius) * 2))
        pictures.append(np.repeat((255 * disc).astype(np.uint8)[:, :, None], channels, axis=2))
    index = ArchiveIndex(
        resolution=16,
        channels=channels,  # type: ignore[arg-type]
        names=[f"{i}.png" for i in range(n)],
        labels=[i % labels for i in range(n)],
        label_names=["small", "large", "huge"][:labels],
        split_keys=[str(i) for i in range(n)],
        splits=["test" if i % 5 == 0 else "train" for i in range(n)],
        groups=[None] * n,
        contents=[None] * n,
    )
    write_archive(path, pictures, index)
    return path


class Judge(nn.Module):
    """A small convolution with smooth activations."""

    def __init__(self, k: int = 2, channels: int = 1) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.body = nn.Sequential(nn.Conv2d(channels, 4, 3, 2, 1), nn.Softplus(), nn.Conv2d(4, 6, 3, 2, 1))
            self.head = nn.Linear(6, k)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(x).mean(dim=(2, 3)) * 4)
        return out


def judge(k: int = 2, channels: int = 1, output: Any = "logits") -> Classifier:
    labels = ("small", "large", "huge")[:k]
    return Classifier(
        Judge(k, channels), ClassifierSpec(labels=labels, input_size=16, channels=channels, output=output)
    )  # type: ignore[arg-type]


class Stop(Exception):
    """A training is cut off."""


def cut(*, after: int) -> Listener:
    """A listener that cuts a training off when it reports for the ``after + 1``-th time."""
    ticks = 0

    def hear(event: Event) -> None:
        nonlocal ticks
        ticks += isinstance(event, Tick)
        if ticks > after:
            raise Stop

    return hear


def run(
    config: TrainConfig,
    data: ImageSet,
    out: Path,
    *,
    classifier: Classifier | None = None,
    first_snapshot_s: float = math.inf,
    listener: Listener = silent,
) -> Path:
    """Train in ``out``."""
    return train_networks(
        TrainingTask(
            config=config,
            images=data.split("train"),
            held_out=data.split("test"),
            classifier=classifier or judge(),
            identity={"options": config.to_json(), "data": "discs"},
            classifier_reference=None,
            classifier_fingerprint="judge",
        ),
        out=out,
        draw_panel=lambda panel: b"a panel",
        first_snapshot_s=first_snapshot_s,
        listener=listener,
    )


def flat(tree: Any, where: str = "") -> Iterable[tuple[str, Any]]:
    """Every leaf of a training state, by its place."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from flat(value, f"{where}.{key}")
    elif isinstance(tree, list | tuple):
        for i, value in enumerate(tree):
            yield from flat(value, f"{where}.{i}")
    else:
        yield where, tree


def different(one: Path, other: Path) -> list[str]:
    """Where two trainings' states differ, bit for bit."""
    a, b = (dict(flat(torch.load(path / "state.pt", weights_only=True))) for path in (one, other))
    assert a.keys() == b.keys()
    return [key for key in a if not (torch.equal(a[key], b[key]) if isinstance(a[key], Tensor) else a[key] == b[key])]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return open_images(discs(tmp_path_factory.mktemp("data") / "discs.zip"))


@pytest.fixture
def trained(data: ImageSet, tmp_path: Path) -> Callable[..., Path]:
    """Trains into ``tmp_path / name`` and gives that folder."""

    def train(name: str = "run", **changes: Any) -> Path:
        run(tiny(**changes), data, tmp_path / name)
        return tmp_path / name

    return train


def told_of(heard: Listener, *nimg: int, then: Exception | None = None) -> None:
    """What a training says at these images: a loss and a held-out figure that follow them; then it may be cut off."""
    for n in nimg:
        heard(Tick(nimg=n, total_nimg=64, seconds=1.0, images_per_s=1.0, figures={"pixel": n}))
        heard(SnapshotWritten(nimg=n, path=Path("snapshot"), figures={"agreement": n / 2}))
    if then is not None:
        raise then
