"""What a training would cost: parameters, times measured on real steps and passes, and how to make it cheaper."""

from __future__ import annotations

import math
import os
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stylex.classifiers.classifier import Classifier
from stylex.core.progress import Event, Tick
from stylex.core.wording import option
from stylex.data.archive import ImageSet
from stylex.metrics.agreement import agreement
from stylex.models.projected import projecting_eyes
from stylex.training.config import TrainConfig
from stylex.training.held_out import MEASURED
from stylex.training.loop import Networks, TrainingTask, train_networks
from stylex.training.perceptual import perceptual_for
from stylex.training.start import Start

_STEPS = 3
"""Steps of each kind: a first one that is not counted, then one of images and one of noise."""
_WORTH_SAYING_S = 3600.0
_PASSED = 4
"""Images on which the classifier's passes are timed."""
_COMPARED = 64
"""Images on which a smaller input is compared, at most."""
_AGREES = 0.97


class _EnoughError(Exception):
    """The rehearsal has seen what it needs."""


def parameters(config: TrainConfig, channels: int, k: int) -> dict[str, int]:
    """How many weights each network has."""
    networks = Networks.build(config, channels, k).by_name()
    return {
        name: sum(weight.numel() for weight in networks[name].parameters())
        for name in ("generator", "encoder", "discriminator")
    }


def check_settings(config: TrainConfig, channels: int, classifier: Classifier) -> None:
    """Whether the networks and losses can be built at all, before anything that takes time.

    Raises:
        ConfigError: they cannot.
    """
    for shape in (config.model.generator, config.model.discriminator, config.model.encoder):
        shape(channels, classifier.k)
    perceptual_for(config.loss, classifier)
    if config.loss.discriminator == "projected":
        projecting_eyes()


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a training's steps cost here.

    Attributes:
        seconds: of all steps; snapshots come on top.
        bytes: of memory, at the peak of a few steps: on a GPU what torch holds there, else what the process holds;
            None where the system does not tell.
    """

    seconds: float
    bytes: int | None


def cost_of(
    config: TrainConfig, images: ImageSet, classifier: Classifier, device: str, *, start: Start | None = None
) -> Cost:
    """What a training would cost, by a few steps of each of its parts; nothing of them is kept."""
    on_gpu = torch.device(device).type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(device)
    seconds = _seconds_of_steps(config, images, classifier, device, start)
    return Cost(seconds=seconds, bytes=torch.cuda.max_memory_reserved(device) if on_gpu else _most_held())


def _most_held() -> int | None:
    """Bytes that this process held at most; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _seconds_of_steps(
    config: TrainConfig, images: ImageSet, classifier: Classifier, device: str, start: Start | None
) -> float:
    schedule = config.schedule
    if config.model.class_encoder == "after":  # in the rehearsal of a part that has no encoder alone, as long
        config = replace(config, model=replace(config.model, class_encoder="always"))
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
                    start=start,
                ),
                out=Path(folder),
                draw_panel=lambda panel: b"",
                device=device,
                first_snapshot_s=math.inf,
                listener=hear,
            )
        seconds += fraction * schedule.total_nimg * sum(1 / speed for speed in speeds[1:]) / (_STEPS - 1)
    return seconds


def calls_needed(config: TrainConfig, training: int, held_out: int, *, done: int) -> int:
    """How many images a black box is asked about in a training: each one once, as its answers are remembered.

    Args:
        config: the settings.
        training, held_out: how many images there are.
        done: images of the training that were seen before.
    """
    schedule, model = config.schedule, config.model
    left = schedule.total_nimg - done
    real = min(left, training * (2 if config.mirror else 1)) + held_out
    samples = model.conditional_discriminator and (model.class_input == "none" or schedule.class_dropout > 0)
    steps = range(done, schedule.total_nimg, schedule.batch)
    noise = schedule.batch * sum(schedule.step(nimg).from_noise for nimg in steps) if samples else 0
    snapshots = max(1, -(-left // schedule.snapshot_nimg)) + (done == 0)
    # Of each snapshot: reconstructions of the watched images, as many with others' maps, and a panel.
    shown = min(held_out, MEASURED) * (2 if model.map_resolutions else 1) + 20
    return real + noise + snapshots * shown


def classifier_advice(
    classifier: Classifier, images: ImageSet, nimg: int, *, share: float = 1.0, worth_saying_s: float = _WORTH_SAYING_S
) -> str | None:
    """What to do about a classifier whose own passes make a training long; None where they do not.

    Measured are a pass over a few images and one with its gradient, as each step makes them; where they would take
    long, also whether the classifier answers alike when it is shown smaller images.

    Args:
        classifier: to be trained with.
        images: some of the data.
        nimg: images that the training is to see.
        share: fraction of them that the classifier is shown.
        worth_saying_s: seconds of passes from which on something is said.
    """
    if not classifier.gradient:
        return None  # it is asked once about each image, and that is counted, not timed
    x = images.batch(range(min(_PASSED, len(images)))).to(next(classifier.buffers()).device)
    seconds = _seconds_of_passes(classifier, x) * nimg * share
    if seconds < worth_saying_s:
        return None
    size = classifier.spec.input_size
    some = np.linspace(0, len(images) - 1, min(_COMPARED, len(images))).round().astype(int)
    shown = images.batch(some).to(x.device)
    smaller = "it takes no other input size"
    for fraction in (0.5, 0.75):
        other = max(round(size * fraction / 16), 1) * 16
        if other >= size:
            continue
        seen_small = Classifier(classifier.model, replace(classifier.spec, input_size=other))
        with suppress(Exception):  # a program may take one size alone, and say so in its own way
            alike = _agreement(classifier, seen_small, shown)
            faster = seconds / max(_seconds_of_passes(seen_small, x) * nimg * share, 1e-9)
            smaller = f"with input_size {other} in its spec it answers {alike:.0%} of {len(shown)} images alike"
            if alike >= _AGREES:
                smaller += f" and takes {faster:.1f} times less"
                break
            smaller += ", too few to train with that"
    hours = f"{seconds / 3600:.1f} hours" if seconds >= 5400 else f"{seconds / 60:.0f} minutes"
    fewer = (
        f"show it fewer of each step's images ({option('schedule.classifier_share', 0.25)}), " if share > 0.25 else ""
    )
    return (
        f"the classifier's own passes, at {size} px, would take about {hours} of this training here: {smaller}; or "
        f"{fewer}train for fewer images ({option('kimg')}), or on a GPU ({option('device', 'cuda')})"
    )


def _seconds_of_passes(classifier: Classifier, x: Tensor) -> float:
    """For each image: a pass over the image, and one over its reconstruction with the gradient."""
    took: list[float] = []
    for _ in range(4):  # the first one warms up, and on a busy machine the fastest says most
        began = time.perf_counter()
        with torch.no_grad():
            classifier.logits(x)
        drawn = x.clone().requires_grad_()
        torch.autograd.grad(classifier.logits(drawn).sum(), drawn)
        took.append(time.perf_counter() - began)
    return min(took) / len(x)


@torch.no_grad()
def _agreement(one: Classifier, other: Classifier, x: Tensor) -> float:
    answers = [torch.cat([classifier.logits(part) for part in x.split(8)]) for classifier in (one, other)]
    return agreement(answers[0], answers[1], one.activation)["agreement"]


_FEWEST_STEPS = 20 * 3 * _STEPS
"""Of a training that is rehearsed: a rehearsal is then a twentieth of it at most."""


def expectation(
    options: TrainConfig,
    training: ImageSet,
    classifier: Classifier,
    device: str,
    *,
    done: int,
    start: Start | None = None,
) -> str | None:
    """What the rest of a training will cost, in a line; None where that is not worth measuring.

    It is not where few steps are left, where each question to the classifier is counted, and where several processes
    share the work.
    """
    left = options.schedule.total_nimg - done
    steps = left // options.schedule.batch
    if steps < _FEWEST_STEPS or not classifier.gradient or int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return None
    cost = cost_of(options, training, classifier, device, start=start)
    return f"expected: {_cost(cost, left / options.schedule.total_nimg, device)}, by {_STEPS} steps of each kind"


def _cost(cost: Cost, fraction: float, device: str) -> str:
    left = cost.seconds * fraction
    hours, minutes = int(left // 3600), left / 60
    time = f"{hours} h {int(minutes) % 60:02d} min" if hours else f"{minutes:.0f} minutes"
    time = f"{left:.0f} seconds" if left < 120 else time
    memory = "" if cost.bytes is None else f" and {cost.bytes / 1e9:.2g} GB of memory"
    return f"about {time}{memory} on {device}"


def plan(
    options: TrainConfig,
    training: ImageSet,
    held_out: int,
    classifier: Classifier,
    device: str,
    *,
    done: int,
    start: Start | None = None,
) -> str:
    """What a training would do, in a line."""
    total = options.schedule.total_nimg
    weights = parameters(options, training.channels, classifier.k)
    cost = cost_of(options, training, classifier, device, start=start)
    costs = _cost(cost, (total - done) / total, device)
    return (
        (f"would go on from image {done} of" if done else "would train for")
        + f" {total} images in {total // options.schedule.batch} steps, {costs}; on "
        f"{len(training)} images ({held_out} held out) of {options.model.resolution} px, for a classifier of "
        f"{', '.join(classifier.spec.labels[:5])}; "
        + ", ".join(f"{name} {number:,}" for name, number in weights.items())
        + " parameters"
    )
