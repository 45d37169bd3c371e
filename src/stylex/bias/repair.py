"""Counterfactually augmented data: each training image also with an attribute turned both ways, its label kept."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64, UInt8
from numpy import ndarray
from torch import Tensor

from stylex.bias.ends import Ends, ends_of, is_high, on_photographs, random_ends
from stylex.core.attribute import Attribute
from stylex.core.errors import ConfigError, DataError
from stylex.core.progress import Done, Listener, Started, Step, silent
from stylex.core.wording import option
from stylex.data.archive import ArchiveIndex, ImageSet, write_archive
from stylex.data.images import to_pictures
from stylex.data.index import Label, SplitName
from stylex.evaluation.extractors import Extractor
from stylex.metrics.photograph import mean_change
from stylex.search.choosing import AT_ONCE, spread
from stylex.search.encoding import encode
from stylex.search.subject import TrainedSubject

TASK = "repair"
"""Name of this work in progress events."""

WAYS = ("up", "down")
_REFERENCES = 2000
"""Real photographs that changed ones are set beside, at most."""
_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class RepairConfig:
    """How data are repaired.

    Attributes:
        images: how many training images are turned; None: all.
        shift: fraction of the attribute's shift that they are turned by.
        realism: a changed photograph is kept while it is changed by no more than this fraction of pairs of real ones
            differ, and is as near to a real one as this fraction of the real ones are to another; None: all are kept.
        control: turn them along one random direction as far instead.
        seed: of what is random.

    Raises:
        ConfigError: a number out of its range.
    """

    images: int | None = None
    shift: float = 1.0
    realism: float | None = 0.95
    control: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.images is not None and self.images < 1:
            raise ConfigError(f"{self.images} images were to be turned; give {option('images')} 1 or more")
        if not 0 < self.shift <= 4:
            raise ConfigError(f"{option('shift', self.shift)}: expected a number above 0, up to 4, such as 1")
        if self.realism is not None and not 0 < self.realism < 1:
            raise ConfigError(
                f"{option('realism', self.realism)}: expected a fraction between 0 and 1 such as 0.95, or nothing to "
                "keep every changed picture"
            )


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What changed photographs are held to.

    Attributes:
        change: mean change of their pixels, at most, in the unit of [-1, 1].
        distance: distance of their features from those of the nearest real photograph, at most.
        by: the network whose features these are.
    """

    change: float
    distance: float
    by: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Repaired:
    """What was written.

    Attributes:
        attribute: the attribute's name.
        photographs, test: training and test images that are there as they were.
        turned: training images turned, and kept, each way.
        unreal: how many of each way were left out.
        limits: of the filter; None: there was none.
        change: mean change of the pixels of those that were kept.
        places: of the training images, how many of each label lie on the attribute's side (``high``) and on the other.
        groups: of each image of the archive as it was, in its order: ``LABEL high`` or ``LABEL low``.
        names: what these images are called.
        values: where they lie along the attribute, in deviations from the mean that was observed, its own way positive.
        sheet: some photographs with both turns, as rows of pictures.
    """

    attribute: str
    photographs: int
    test: int
    turned: Mapping[str, int]
    unreal: Mapping[str, int]
    limits: Limits | None
    change: float
    places: Mapping[str, tuple[int, int]]
    groups: tuple[str, ...]
    names: tuple[str, ...]
    values: tuple[float, ...]
    sheet: tuple[tuple[UInt8[ndarray, "h w c"], ...], ...]


def write_repaired(
    subject: TrainedSubject,
    images: ImageSet,
    attribute: Attribute,
    extractor: Extractor,
    out: Path,
    config: RepairConfig,
    *,
    listener: Listener = silent,
) -> Repaired:
    """Write an archive: all images as they are, and training images with the attribute turned both ways.

    Their labels are kept, the change is laid on the photographs, and test images are never turned.

    Args:
        subject: the networks, in the attribute's space.
        images: the archive.
        attribute: what is to lose its weight.
        extractor: says what is like a real photograph; not the classifier, which the attribute was chosen to move.
        out: the archive to write.
        config: how.
        listener: hears a ``Step`` for each few images.

    Raises:
        DataError: the images have no labels, or the archive cannot be written.
    """
    if images.labels is None:
        raise DataError(f"{images.path} has no labels to keep; prepare it from class folders or a table with labels")
    training, test = images.split("train"), images.part("test")
    chosen = spread(len(training), min(config.images or len(training), len(training)))
    shape = (2, len(chosen))
    limits = None if config.realism is None else _limits(training, extractor, config.realism, subject.device)
    random = np.random.default_rng([config.seed, 13])
    beside = out.parent if out.parent.is_dir() else None
    with tempfile.TemporaryFile(dir=beside) as up, tempfile.TemporaryFile(dir=beside) as down:
        drawn = (up, down)
        kept, change = np.ones(shape, dtype=np.bool_), np.zeros(shape, dtype=np.float32)
        listener(Started(task=TASK, total=len(chosen), unit="images"))
        direction = random.bit_generator.state
        for start in range(0, len(chosen), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            random.bit_generator.state = direction  # one direction for all, as an attribute is
            x = training.batch(chosen[part]).to(subject.device)
            ends = _turned(subject, x, attribute, config, random)
            for way, turned in enumerate((ends.up, ends.down)):
                drawn[way].write(to_pictures(turned).tobytes())
                change[way, part] = mean_change(x, turned).cpu().numpy()
                if limits is not None:
                    kept[way, part] = change[way, part] <= limits.limits.change
                    kept[way, part] &= limits.is_near(extractor, turned)
            listener(Step(task=TASK, done=min(start + AT_ONCE, len(chosen))))
        _write(out, (training, test), chosen, drawn, kept)
        listener(Done(task=TASK))
        few = spread(len(chosen), min(_SHOWN, len(chosen)))
        rows = (training.pictures(chosen[few]), *(_read(file, training, few) for file in drawn))
    groups, values = _places(subject, images, attribute)
    own = set(training.names)
    counts = Counter(group for name, group in zip(images.names, groups, strict=True) if name in own)
    return Repaired(
        attribute=attribute.name,
        photographs=len(training),
        test=0 if test is None else len(test),
        turned={name: int(row.sum()) for name, row in zip(WAYS, kept, strict=True)},
        unreal={name: int((~row).sum()) for name, row in zip(WAYS, kept, strict=True)},
        limits=None if limits is None else limits.limits,
        change=float(change[kept].mean()) if kept.any() else 0.0,
        places={
            label: (counts[f"{label} high"], counts[f"{label} low"])
            for label in dict.fromkeys(group.rsplit(" ", 1)[0] for group in groups)
        },
        groups=groups,
        names=images.names,
        values=values,
        sheet=tuple(tuple(row) for row in rows),
    )


def _turned(
    subject: TrainedSubject,
    x: Float[Tensor, "n c h w"],
    attribute: Attribute,
    config: RepairConfig,
    random: np.random.Generator,
) -> Ends:
    """Photographs turned both ways."""
    encoded = encode(subject, x, [""] * len(x))
    ends = ends_of(encoded.s, attribute, subject.space, shift=config.shift)
    if config.control:
        ends = random_ends(subject, encoded.s, ends, random, together=True)
    return on_photographs(subject, x, encoded.x_rec, ends)


def _places(
    subject: TrainedSubject, images: ImageSet, attribute: Attribute
) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Each image's group by label and place, and where it lies along the attribute."""
    rows = []
    for start in range(0, len(images), AT_ONCE):
        x = images.batch(range(start, min(start + AT_ONCE, len(images)))).to(subject.device)
        with torch.inference_mode():
            rows.append(subject.styles(x, subject.classifier.logits(x)).cpu().numpy())
    s, index = np.concatenate(rows), subject.space.index(attribute.coordinate)
    high = is_high(s, attribute, subject.space)
    statistics = subject.space.statistics
    assert statistics is not None
    values = (s[:, index] - statistics.mean[index]) / max(float(statistics.std[index]), 1e-12) * attribute.sign
    names = images.numbered_names or ()
    assert images.labels is not None
    labels = [
        names[row] if np.ndim(row) == 0 else "+".join(n for n, yes in zip(names, row, strict=True) if yes) or "none"
        for row in images.labels
    ]
    groups = tuple(f"{label} {'high' if up else 'low'}" for label, up in zip(labels, high, strict=True))
    return groups, tuple(values.tolist())


@dataclass(frozen=True, eq=False, kw_only=True)
class _Real:
    """Real photographs, and what is as real as these."""

    limits: Limits
    features: Float32[ndarray, "m d"]

    def is_near(self, extractor: Extractor, x: Float[Tensor, "n c h w"]) -> Bool[ndarray, " n"]:
        return _nearest(extractor.features(x).values, self.features) <= self.limits.distance


def _limits(training: ImageSet, extractor: Extractor, fraction: float, device: torch.device) -> _Real:
    """How much real photographs differ from each other, and how far the nearest one is."""
    few = spread(len(training), min(_REFERENCES, len(training)))
    parts = [training.batch(few[i : i + AT_ONCE]).to(device) for i in range(0, len(few), AT_ONCE)]
    features = np.concatenate([extractor.features(x).values for x in parts]).astype(np.float32)
    # Neighbours in the archive, where pictures of one kind may lie together, are no random pairs.
    other = np.random.default_rng(0).permutation(len(few))
    x = torch.cat([training.batch(few[other[i : i + AT_ONCE]]).to(device) for i in range(0, len(few), AT_ONCE)])
    pairs = mean_change(torch.cat(parts), x).cpu().numpy()[other != np.arange(len(few))]
    if len(pairs) == 0:
        raise DataError(f"one training image has no other to be compared with; give {option('realism')} nothing")
    limits = Limits(
        change=float(np.quantile(pairs, fraction)),
        distance=float(np.quantile(_nearest(features, features, own=True), fraction)),
        by=extractor.name,
    )
    return _Real(limits=limits, features=features)


def _nearest(
    points: Float32[ndarray, "n d"], real: Float32[ndarray, "m d"], *, own: bool = False
) -> Float[ndarray, " n"]:
    """Distance of each row to the nearest of others; ``own``: which are the same rows, and nobody's own counts."""
    squared = (points**2).sum(axis=1)[:, None] + (real**2).sum(axis=1) - 2 * points @ real.T
    if own:
        np.fill_diagonal(squared, np.inf)
    return np.sqrt(np.maximum(squared.min(axis=1), 0))


def _write(
    out: Path,
    parts: tuple[ImageSet, ImageSet | None],
    chosen: Int64[ndarray, " n"],
    drawn: tuple[IO[bytes], IO[bytes]],
    kept: Bool[ndarray, "2 n"],
) -> None:
    """Photographs first, then the turned ones, then the test images."""
    training, test = parts
    own = training.subset(chosen)
    blocks: list[tuple[ImageSet, str, SplitName]] = [(training, "", "train")]
    blocks += [(own.subset(kept[way]), f"turned-{name}/", "train") for way, name in enumerate(WAYS) if kept[way].any()]
    blocks += [] if test is None else [(test, "", "test")]

    def all_pictures() -> Iterator[UInt8[ndarray, "h w c"]]:
        yield from _one_by_one(training)
        for way in (0, 1):
            for start in range(0, len(chosen), AT_ONCE):
                yield from _read(drawn[way], training, start + np.flatnonzero(kept[way, start : start + AT_ONCE]))
        if test is not None:
            yield from _one_by_one(test)

    index = ArchiveIndex(
        resolution=training.resolution,
        channels=training.channels,
        names=[f"{before}{name}" for block, before, _ in blocks for name in block.names],
        labels=[label for block, _, _ in blocks for label in _labels(block)],
        label_names=training.label_names,
        split_keys=[key for block, _, _ in blocks for key in block.split_keys],
        splits=[split for block, _, split in blocks for _ in block.names],
        groups=[group for block, _, _ in blocks for group in block.groups],
        contents=[None for block, _, _ in blocks for _ in block.names],
    )
    write_archive(out, all_pictures(), index)


def _read(file: IO[bytes], like: ImageSet, rows: Int64[ndarray, " m"]) -> UInt8[ndarray, "m h w c"]:
    """Some of the pictures that were put into a file one after another."""
    shape = (like.resolution, like.resolution, like.channels)
    out, size = np.empty((len(rows), *shape), np.uint8), int(np.prod(shape))
    for at, row in enumerate(rows.tolist()):
        file.seek(row * size)
        out[at] = np.frombuffer(file.read(size), np.uint8).reshape(shape)
    return out


def _one_by_one(images: ImageSet) -> Iterator[UInt8[ndarray, "h w c"]]:
    for start in range(0, len(images), AT_ONCE):
        yield from images.pictures(range(start, min(start + AT_ONCE, len(images))))


def _labels(images: ImageSet) -> list[Label]:
    assert images.labels is not None
    rows: list[Label] = images.labels.tolist()
    return [tuple(row) if isinstance(row, list) else row for row in rows]
