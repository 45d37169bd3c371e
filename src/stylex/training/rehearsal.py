"""What a training would cost: parameters, and a time measured on a few real steps whose result is thrown away."""

from __future__ import annotations

import math
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from stylex.classifiers.classifier import Classifier
from stylex.core.progress import Event, Tick
from stylex.data.archive import ImageSet
from stylex.training.config import TrainConfig
from stylex.training.loop import Networks, TrainingTask, train_networks

_STEPS = 3
"""Steps of each kind: a first one that is not counted, then one of images and one of noise."""


class _EnoughError(Exception):
    """The rehearsal has seen what it needs."""


def parameters(config: TrainConfig, channels: int, k: int) -> dict[str, int]:
    """How many weights each network has."""
    networks = Networks.build(config, channels, k).by_name()
    return {
        name: sum(weight.numel() for weight in networks[name].parameters())
        for name in ("generator", "encoder", "discriminator")
    }


def seconds_needed(config: TrainConfig, images: ImageSet, classifier: Classifier, device: str) -> float:
    """Seconds that the steps of a training would take here, by a few steps of each of its parts."""
    schedule = config.schedule
    seconds = 0.0
    first, last = schedule.reconstruct_first, schedule.encoder_after
    for fraction, reconstruct_first, encoder_after in (
        (first, 1.0, 0.0),
        (1 - first - last, 0.0, 0.0),
        (last, 0.0, 1.0),
    ):
        if fraction < 1e-9:
            continue
        speeds: list[float] = []

        def hear(event: Event, speeds: list[float] = speeds) -> None:
            if isinstance(event, Tick):
                speeds.append(event.images_per_s)
                if len(speeds) == _STEPS:
                    raise _EnoughError

        short = replace(
            schedule,
            kimg=(_STEPS + 1) * schedule.batch / 1000,
            reconstruct_first=reconstruct_first,
            encoder_after=encoder_after,
            tick_nimg=schedule.batch,
            snapshot_nimg=10**12,
        )
        with tempfile.TemporaryDirectory() as folder, suppress(_EnoughError):
            train_networks(
                TrainingTask(
                    config=replace(config, schedule=short),
                    images=images,
                    held_out=images.subset([0, 1]),
                    classifier=classifier,
                    identity={},
                    classifier_reference=None,
                    classifier_fingerprint="",
                ),
                out=Path(folder),
                draw_panel=lambda panel: b"",
                device=device,
                first_snapshot_s=math.inf,
                listener=hear,
            )
        seconds += fraction * schedule.total_nimg * sum(1 / speed for speed in speeds[1:]) / (_STEPS - 1)
    return seconds


def plan(
    options: TrainConfig, training: ImageSet, held_out: int, classifier: Classifier, device: str, *, done: int
) -> str:
    """What a training would do, in a line."""
    total = options.schedule.total_nimg
    weights = parameters(options, training.channels, classifier.k)
    left = seconds_needed(options, training, classifier, device) * (total - done) / total
    time = f"{left / 60:.0f} minutes" if left >= 120 else f"{left:.0f} seconds"
    return (
        (f"would go on from image {done} of" if done else "would train for")
        + f" {total} images in {total // options.schedule.batch} steps, about {time} on {device}; on "
        f"{len(training)} images ({held_out} held out) of {options.model.resolution} px, for a classifier of "
        f"{', '.join(classifier.spec.labels[:5])}; "
        + ", ".join(f"{name} {number:,}" for name, number in weights.items())
        + " parameters"
    )
