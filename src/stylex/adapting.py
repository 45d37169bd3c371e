"""A run brought to another domain: adapted to few images, moved by domain vectors, turned into another."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy import ndarray
from torch import Tensor

from stylex.classifiers import (
    answers,
    check_classifier,
    describe,
    fingerprint,
    load_classifier,
    load_recorded,
    recorded_place,
)
from stylex.classifiers.classifier import Classifier
from stylex.classifiers.spec import ClassifierSpec
from stylex.core.errors import ClassifierError, ConfigError, DataError, SnapshotError, TrainingError
from stylex.core.files import write_whole
from stylex.core.progress import Done, Found, Listener, SnapshotWritten, Started, Step, silent
from stylex.core.wording import option
from stylex.data import ImageSet, open_images
from stylex.data.images import load_image, to_pictures
from stylex.evaluation.extractors import random_extractor
from stylex.metrics.features import Features
from stylex.metrics.kid import kernel_distance
from stylex.models.config import AdaptMethod
from stylex.models.domain import DomainVector, between, read_domain
from stylex.models.generator import Mapping as MappingNetwork
from stylex.models.latents import normal_latents
from stylex.models.snapshot import (
    Snapshot,
    SnapshotNetworks,
    SnapshotRecord,
    find_snapshot,
    load_snapshot,
    save_snapshot,
)
from stylex.opening import ClassifierLike, ClassifierSpecLike, refuse_regression, spec_of, with_encoder
from stylex.training.adaptation import Adaptation, AdaptConfig, training_config, what_is_trained
from stylex.training.guided import (
    Guide,
    GuidedConfig,
    Pictures,
    aim_of_image,
    aim_of_words,
    guided,
    open_clip_guides,
    what_is_learnt,
)
from stylex.training.held_out import HeldOut, Panel, measure, observe
from stylex.training.loop import TrainingTask, train_networks
from stylex.training.state import images_seen

_PAIR = 2
"""Of training and of held-out images there must be as many: a step compares images with each other."""
_FEWEST = 3
"""Real images on each side of a kernel distance."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Place:
    """Where a run is brought to: images of another domain, and the classifier that is explained there.

    Attributes:
        snapshot: of the run that it begins with.
        images: of the other domain.
        classifier: the run's, or another one.
        reference: how a later command finds the classifier.
    """

    snapshot: Snapshot
    images: ImageSet
    classifier: Classifier
    reference: str | None

    @classmethod
    def open(
        cls,
        run: str | Path,
        data: str | Path,
        *,
        classifier: ClassifierLike | None,
        classifier_spec: ClassifierSpecLike | None,
        device: str,
    ) -> Place:
        """Open a run, images and a classifier, and see that they go together.

        Raises:
            SnapshotError, DataError, ClassifierError: one of them cannot be used, or not with the others.
        """
        snapshot = with_encoder(load_snapshot(run), run).to(torch.device(device))
        images, config = open_images(data), snapshot.generator.config
        if (images.resolution, images.channels) != (config.resolution, config.channels):
            raise DataError(
                f"{data} holds images of {images.resolution} px with {images.channels} channel(s), the run draws "
                f"{config.resolution} px with {config.channels}; prepare the data with "
                f"{option('resolution', config.resolution)} and {option('channels', config.channels)}"
            )
        for called, count in (("training", len(images.split("train"))), ("test", len(images.split("test")))):
            if count < _PAIR:
                raise DataError(
                    f"{data} has {count} {called} images; an adaptation needs at least 2: give an archive of more "
                    "photographs"
                )
        spec = spec_of(classifier_spec)
        if classifier is not None:
            explained = load_classifier(classifier, spec)
            reference = describe(classifier) if isinstance(classifier, str | Path) else None
        elif snapshot.classifier_reference is not None:
            reference = recorded_place(snapshot.classifier_reference, snapshot.path)
            explained = load_recorded(reference, spec or ClassifierSpec.from_json(dict(snapshot.classifier)))
        else:
            raise ClassifierError(
                f"{run} was trained with a classifier that was given as an object; give it again as classifier"
            )
        explained = explained.to(device)
        refuse_regression(explained)
        some = images.batch(range(0, len(images), -(-len(images) // 64)))
        # What another domain's labels are called is not the classifier's concern.
        check_classifier(explained, channels=config.channels, resolution=config.resolution, images=some)
        told = {c for c in (config.c_dim, snapshot.encoder.config.c_dim) if c}
        if told - {explained.k}:
            raise ClassifierError(
                f"{run} is conditioned on the {min(told)} answers of its classifier, this one gives {explained.k}; "
                "give one with as many, or train the run with model.class_input none and model.class_encoder never"
            )
        return cls(snapshot=snapshot, images=images, classifier=explained, reference=reference)

    @property
    def training(self) -> ImageSet:
        """Images to learn from."""
        return self.images.split("train")

    @property
    def held_out(self) -> ImageSet:
        """Images to measure on."""
        return self.images.split("test")


def adapt_run(
    place: Place,
    config: AdaptConfig,
    *,
    out: Path,
    device: str,
    draw_panel: Callable[[Panel], bytes],
    dry_run: bool = False,
    listener: Listener = silent,
) -> Path:
    """Adapt, or go on with the adaptation in ``out``, and return that folder.

    Raises:
        ConfigError, SnapshotError: settings that cannot be meant; ``out`` holds another training or a damaged one.
    """
    _require_own(out)
    start = Adaptation.planned(place.snapshot, config)
    listener(Found(message=what_is_trained(start, config)))
    options = training_config(place.snapshot, config)
    identity: dict[str, Any] = {
        "options": options.to_json(),
        "data": place.images.fingerprint,
        "classifier": fingerprint(place.classifier),
        "adaptation": start.to_json(),
    }
    done = images_seen(out / "state.pt", identity=identity)
    if dry_run:
        total = options.schedule.total_nimg
        begun = f"would go on from image {done} of {total}" if done else f"would see {total} images"
        listener(Found(message=f"{begun}, of {len(place.training)} ({len(place.held_out)} held out), on {device}"))
        return out
    train_networks(
        TrainingTask(
            config=options,
            images=place.training,
            held_out=place.held_out,
            classifier=place.classifier,
            identity=identity,
            classifier_reference=place.reference,
            classifier_fingerprint=identity["classifier"],
            classifier_answers=answers(place.classifier),
            start=start,
        ),
        out=out,
        draw_panel=draw_panel,
        device=device,
        listener=listener,
    )
    measure_nearness(place, load_snapshot(out).to(torch.device(device)), out, latents_of=start.latents_of)
    return out


_DRAWN = 256
"""New pictures that are measured; as many other real images at most."""
NEARNESS = "nearness.json"


@torch.inference_mode()
def measure_nearness(
    place: Place,
    after: Snapshot,
    out: Path,
    *,
    latents_of: Callable[[MappingNetwork, Float[Tensor, "n z_dim"]], Float[Tensor, "n w_dim"]] | None = None,
) -> None:
    """Write beside a run how near its new pictures are to held-out images of the domain, and what that compares with.

    The kernel distance over a network of random weights: of new pictures, of the pictures that the run began with drew
    from the same latents, and of other real images, which is as near as can be. Nothing is written where there are too
    few held-out images.

    Args:
        place: where the run was brought to.
        after: the result.
        out: the run's folder.
        latents_of: what an adaptation drew from, of its mapping network and noise; None: latents like those that the
            first run keeps, or else its mapping network's.
    """
    before = place.snapshot
    if len(place.held_out) < _FEWEST:
        return
    on = next(before.generator.parameters()).device
    if latents_of is None and before.latents is not None:
        w = normal_latents(before.latents, _DRAWN, seed=1).to(on)
    else:
        z = torch.randn(_DRAWN, before.generator.config.z_dim, generator=torch.Generator().manual_seed(1)).to(on)
        mapping = before.generator.mapping
        w = mapping(z) if latents_of is None else latents_of(mapping, z)
    k = len(before.classifier["labels"])
    c = torch.full((_DRAWN, k), 1 / k, device=on)
    extractor = random_extractor(on)

    def drawn(snapshot: Snapshot) -> Features:
        parts = zip(w.split(64), c.split(64), strict=True)
        new = [snapshot.generator(a, b, snapshot.some_maps(len(a))).clamp(-1, 1) for a, b in parts]
        return extractor.features(torch.cat(new))

    def real(images: ImageSet) -> Features:
        some = np.linspace(0, len(images) - 1, min(len(images), _DRAWN)).round().astype(int)
        return extractor.features(images.batch(some).to(on))

    known = real(place.held_out)
    measured = {"after": drawn(after), "before": drawn(before), "real": real(place.training)}
    distances = {name: kernel_distance(known, features).interval for name, features in measured.items()}
    found = {name: {"value": d.value, "low": d.low, "high": d.high} for name, d in distances.items()}
    report = {"measure": "kernel distance", "by": extractor.name, "held_out": len(known), "drawn": _DRAWN, **found}
    write_whole(out / NEARNESS, (json.dumps(report, indent=1) + "\n").encode(), error=TrainingError)


def powers_of(of: str | Mapping[str, float]) -> dict[str, float]:
    """Which domain vectors, and how strong: ``runs/a:0.5,runs/b:0.5``; without numbers, equal parts of 1.

    Raises:
        ConfigError: it cannot be read so, or names a run twice.
    """
    if isinstance(of, Mapping):
        return {str(run): float(power) for run, power in of.items()}
    parts = [part.strip() for part in of.split(",") if part.strip()]
    powers: dict[str, float] = {}
    for part in parts:
        run, colon, said = part.rpartition(":")
        try:
            power = float(said) if colon else 1 / len(parts)
        except ValueError:
            run, power = part, 1 / len(parts)
        run = run if colon and run else part
        if run in powers or not abs(power) < 100:
            raise ConfigError(f"{part!r:.200} of {option('of')}: give each run once, with a number like 0.5 behind it")
        powers[run] = power
    if not powers:
        raise ConfigError(f"{option('of')} names no run; give adapted runs like runs/boots:0.5,runs/bags:0.5")
    return powers


def mix_run(
    place: Place, powers: Mapping[str, float], *, out: Path, draw_panel: Callable[[Panel], bytes], listener: Listener
) -> Path:
    """A run whose generator is the given one's with the domain vectors of others in its weights; written to ``out``.

    Raises:
        SnapshotError: a vector that is missing, damaged, or for another shape of generator; ``out`` holds something.
    """
    _require_empty(out)
    snapshot = place.snapshot
    vectors = {run: read_domain(find_snapshot(run)) for run in powers}
    total: DomainVector | None = None
    for run, vector in vectors.items():
        part = vector.times(powers[run])
        total = part if total is None else total.plus(part)
        if find_snapshot(run) == snapshot.path:
            kin = "the run that it is added to, which has it already: it will be there once more"
        elif vector.record.get("parent") == snapshot.sha256:
            kin = "its own parent"
        else:
            kin = "another run: transferred"
        listener(Found(message=f"{run}: {vector.size:,} numbers, {powers[run]:g} times, learnt on {kin}"))
    assert total is not None, "no vector to add"
    record = {"method": "mix", "parent": snapshot.sha256, "latents": "encoder", "of": dict(powers)}
    whole = DomainVector(generator=total.generator, offsets=total.offsets, record=record)
    return _write(place, whole, out=out, draw_panel=draw_panel, listener=listener)


def guide_run(
    place: Place,
    method: AdaptMethod,
    config: GuidedConfig,
    *,
    aims: Aims,
    out: Path,
    draw_panel: Callable[[Panel], bytes],
    listener: Listener,
) -> Path:
    """A run whose generator was moved along what words or one image say; written to ``out``.

    Raises:
        TrainingError: no guide is there, or the losses are no longer finite.
        SnapshotError: ``out`` holds something.
    """
    _require_empty(out)
    settings = AdaptConfig(method=method, seed=config.seed, encoder_kimg=0)
    start = Adaptation.planned(place.snapshot, settings)
    listener(Found(message=what_is_learnt(start, config)))
    guides = open_clip_guides(str(next(place.snapshot.generator.parameters()).device))
    pairs = [(guide, aims(guide, Pictures(start, config.seed))) for guide in guides]
    vector = guided(start, pairs, config, listener=listener)
    return _write(place, vector, out=out, draw_panel=draw_panel, listener=listener)


Aims = Callable[[Guide, Pictures], Float[Tensor, " d"]]
"""In a guide's space, the direction that pictures are to move."""


def aim_for(place: Place, *, text: str | None, instead_of: str | None, image: str | Path | None) -> Aims:
    """Where words, or one image, say that pictures should go.

    Raises:
        ConfigError: neither is given, or both, or words without those that they stand instead of.
        DataError: the image cannot be read.
    """
    if (text is None) == (image is None) or (text is None) != (instead_of is None):
        raise ConfigError(
            f"give {option('text')} with {option('instead_of')}, such as 'an ankle boot' instead of 'a sneaker', or "
            f"{option('image')} alone"
        )
    if image is not None:
        x = load_image(image, resolution=place.images.resolution, channels=place.images.channels)
        return lambda guide, pictures: aim_of_image(guide, x.to(pictures.on), pictures.some())
    words, others = str(text), str(instead_of)
    return lambda guide, pictures: aim_of_words(guide, words, others)


def _require_own(out: Path) -> None:
    """What is there may be an adaptation to go on with, and nothing else."""
    if out.exists() and not out.is_dir():
        raise SnapshotError(f"{out} is a file; give a folder to write with {option('out')}")
    known = ("state.pt", "stats.jsonl", "snapshots")
    there = [at.name for at in out.iterdir() if not at.name.startswith(".")] if out.exists() else []
    if there and not set(there) & set(known):
        raise SnapshotError(f"{out} holds something else and stays as it is; choose another {option('out')}")


def _require_empty(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise SnapshotError(f"{out} is a file; give a folder to write with {option('out')}")
    if out.exists() and any(out.iterdir()):
        raise SnapshotError(f"{out} exists already; remove it, or choose another {option('out')}")


def _write(
    place: Place, vector: DomainVector, *, out: Path, draw_panel: Callable[[Panel], bytes], listener: Listener
) -> Path:
    """A run of one snapshot: the given one's networks, with the vector in the generator's weights."""
    _require_empty(out)
    snapshot, classifier = place.snapshot, place.classifier
    generator = vector.added_to(snapshot.generator).eval()
    target = out / "snapshots" / f"{snapshot.nimg:09d}"
    with torch.no_grad():
        on = next(generator.parameters()).device
        seen = observe(generator, snapshot.encoder, place.training, classifier, on)
        watch = HeldOut.choose(place.held_out, classifier, on)
        figures, panel, _ = measure(watch, generator, snapshot.encoder, classifier, seen, samples=False)
    save_snapshot(
        target,
        SnapshotNetworks(
            generator=generator,
            encoder=snapshot.encoder,
            discriminator=snapshot.discriminator,
            statistics=seen.statistics,
            latents=seen.latents,
            maps=seen.maps,
        ),
        SnapshotRecord(
            classifier=classifier.spec.to_json(),
            classifier_reference=place.reference,
            classifier_fingerprint=fingerprint(classifier),
            classifier_answers=answers(classifier),
            nimg=snapshot.nimg,
            training=snapshot.training,
            figures=figures,
        ),
        files={"panel.png": draw_panel(panel), **vector.files()},
    )
    listener(SnapshotWritten(nimg=snapshot.nimg, path=target, figures=figures))
    measure_nearness(place, load_snapshot(target).to(on), out)
    return out


@torch.inference_mode()
def morphed(
    runs: Sequence[str | Path],
    fractions: Sequence[float],
    *,
    data: str | Path | None,
    count: int,
    seed: int,
    listener: Listener = silent,
) -> UInt8[ndarray, "frames n h w c"]:
    """The same latents, drawn by generators on the way from each run to the next.

    Args:
        runs: two or more whose generators are aligned: one and what was adapted from it, or two of one parent.
        fractions: places on each way, 0 the one run and 1 the next.
        data: an archive whose held-out images are drawn, as the first run's encoder sees them; None: new pictures,
            drawn from latents like the encoder's. Networks that are told the classifier's answer are told an undecided
            one.
        count: how many pictures.
        seed: of the new pictures.
        listener: hears the progress.

    Raises:
        SnapshotError: the generators are of different shapes, or there are no latents to draw from.
    """
    stages = [load_snapshot(run) for run in runs]
    images = None if data is None else open_images(data).split("test")
    config = stages[0].generator.config
    if images is not None and (images.resolution, images.channels) != (config.resolution, config.channels):
        raise DataError(
            f"{data} holds images of {images.resolution} px and {images.channels} channel(s), {runs[0]} draws "
            f"{config.resolution} px and {config.channels}; give the archive that it was trained on"
        )
    w, c, maps = _shown(stages[0], images, count, seed)
    frames: list[Tensor] = []
    listener(Started(task="morph", total=(len(fractions) - 1) * (len(stages) - 1) + 1, unit="frames"))
    for way, (one, other) in enumerate(zip(stages, stages[1:], strict=False)):
        for fraction in fractions[min(way, 1) :]:  # where a way begins, the one before has ended
            generator = between(one.generator, other.generator, fraction)
            frames.append(generator(w, c, maps).clamp(-1, 1))
            listener(Step(task="morph", done=len(frames)))
    listener(Done(task="morph"))
    n = len(frames)
    pictures = to_pictures(torch.cat(frames).cpu())
    return pictures.reshape(n, len(w), *pictures.shape[1:])


def _shown(
    snapshot: Snapshot, images: ImageSet | None, count: int, seed: int
) -> tuple[Float[Tensor, "n w_dim"], Float[Tensor, "n k"], Float[Tensor, "n m_dim"] | None]:
    """Latents, answers and maps of the pictures to draw."""
    k = len(snapshot.classifier["labels"])
    c = torch.full((count, k), 1 / k)
    if images is not None:
        x = images.batch(np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(int))
        c = c[: len(x)]
        encoder = with_encoder(snapshot, snapshot.path).encoder
        return encoder(x, c), c, encoder.maps(x)
    if snapshot.latents is None:
        raise SnapshotError(
            f"{snapshot.path} keeps no latents to draw new pictures from; give images with {option('data')}"
        )
    return normal_latents(snapshot.latents, count, seed=seed), c, snapshot.some_maps(count)
