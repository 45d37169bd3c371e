"""Counterfactually augmented data: each training image also with an attribute turned both ways, its label kept."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64, UInt8
from numpy import ndarray
from torch import Tensor

from stylex.bias.ends import Ends, ends_of, is_high, on_photographs, places_of, random_ends
from stylex.core.attribute import Attribute
from stylex.core.audited import Place
from stylex.core.errors import ConfigError, DataError
from stylex.core.progress import Done, Listener, Started, Step, silent
from stylex.core.wording import option
from stylex.data.archive import ArchiveIndex, ImageSet, write_archive
from stylex.data.images import to_pictures
from stylex.data.index import Label, SplitName
from stylex.evaluation.extractors import Extractor
from stylex.metrics.photograph import mean_change
from stylex.search.choosing import AT_ONCE, spread
from stylex.search.subject import TrainedSubject

TASK = "repair"
"""Name of this work in progress events."""

PLACES = ("places", "ends")
"""Where images can be turned to."""
WAYS: tuple[tuple[str, Place], ...] = (("up", "high"), ("down", "low"))
"""What turned images are called, and where the attribute lies in them."""
_REFERENCES = 2000
"""Real photographs that changed ones are set beside, at most."""
_SHOWN = 12


@dataclass(frozen=True, kw_only=True)
class RepairConfig:
    """How data are repaired.

    Attributes:
        images: how many training images are turned; None: all.
        to: where they are turned to: ``places`` of other training images, one on either side, or the attribute's
            ``ends``.
        realism: both turns of an image are kept while each changes it by no more than this fraction of pairs of real
            ones differ, and is as near to a real one as this fraction of the real ones are to another; None: all are.
        control: turn them along one random direction as far instead.
        seed: of what is random.

    Raises:
        ConfigError: a number out of its range.
    """

    images: int | None = None
    to: str = "places"
    realism: float | None = 0.95
    control: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.images is not None and self.images < 1:
            raise ConfigError(f"{self.images} images were to be turned; give {option('images')} 1 or more")
        if self.to not in PLACES:
            raise ConfigError(f"{option('to', self.to)}: expected {' or '.join(PLACES)}")
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
        turned: training images that were turned both ways, and kept.
        unreal: how many were left out, because one turn or the other is too unlike a photograph.
        limits: of the filter; None: there was none.
        change: mean change of the pixels of those that were kept.
        places: of the photographs to train on, how many of each label lie on the attribute's side and on the other.
        groups: of every image of the archive, by its name: its label, and the attribute's place.
        sheet: some photographs with both turns, as rows of pictures.
    """

    attribute: str
    photographs: int
    test: int
    turned: int
    unreal: int
    limits: Limits | None
    change: float
    places: Mapping[str, tuple[int, int]]
    groups: Mapping[str, tuple[str, Place]]
    sheet: tuple[tuple[UInt8[ndarray, "h w c"], ...], ...]


def write_repaired(
    subject: TrainedSubject,
    images: ImageSet,
    attribute: Attribute,
    extractor: Extractor,
    out: Path,
    config: RepairConfig,
    *,
    marks: Mapping[str, bool] | None = None,
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
        marks: of images whose place a person marked, by name, whether it is high; that of others is read.
        listener: hears a ``Step`` for each few images.

    Raises:
        DataError: the images have no labels, or the archive cannot be written.
    """
    if images.labels is None:
        raise DataError(f"{images.path} has no labels to keep; prepare it from class folders or a table with labels")
    training, test = images.split("train"), images.part("test")
    chosen = spread(len(training), min(config.images or len(training), len(training)))
    limits = None if config.realism is None else _limits(training, extractor, config.realism, subject.device)
    known = _styles(subject, training)
    s = known if test is None else np.concatenate([known, _styles(subject, test)])
    turn = _Turn(subject, attribute, config, known)
    kept, change = np.ones(len(chosen), dtype=np.bool_), np.zeros(len(chosen), dtype=np.float32)
    beside = out.parent if out.parent.is_dir() else None
    with tempfile.TemporaryFile(dir=beside) as up, tempfile.TemporaryFile(dir=beside) as down:
        listener(Started(task=TASK, total=len(chosen), unit="images"))
        for start in range(0, len(chosen), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            x = training.batch(chosen[part]).to(subject.device)
            ends = turn(x, torch.from_numpy(known[chosen[part]]).to(x))
            for file, turned in ((up, ends.up), (down, ends.down)):
                file.write(to_pictures(turned).tobytes())
                by = mean_change(x, turned).cpu().numpy()
                change[part] += by / 2
                if limits is not None:
                    kept[part] &= (by <= limits.limits.change) & limits.is_near(extractor, turned)
            listener(Step(task=TASK, done=min(start + AT_ONCE, len(chosen))))
        index, pictures = _archive(training, test, chosen[kept], (up, down), np.flatnonzero(kept))
        write_archive(out, pictures, index)
        few = spread(len(chosen), min(_SHOWN, len(chosen)))
        rows = (training.pictures(chosen[few]), *(_read(file, training, few) for file in (up, down)))
        listener(Done(task=TASK))
    high = is_high(s, attribute, subject.space, known).tolist()
    names = training.names if test is None else (*training.names, *test.names)
    groups = _groups(images, {**dict(zip(names, high, strict=True)), **(marks or {})})
    for way, place in WAYS:
        for name in training.subset(chosen[kept]).names:
            label, own = groups[name]
            groups[f"turned-{way}/{name}"] = (label, own if config.control else place)
    counts = Counter(groups[name] for name in training.names)
    return Repaired(
        attribute=attribute.name,
        photographs=len(training),
        test=0 if test is None else len(test),
        turned=int(kept.sum()),
        unreal=int((~kept).sum()),
        limits=None if limits is None else limits.limits,
        change=float(change[kept].mean()) if kept.any() else 0.0,
        places={label: (counts[label, "high"], counts[label, "low"]) for label, _ in sorted(counts)},
        groups=groups,
        sheet=tuple(tuple(row) for row in rows),
    )


class _Turn:
    """Turns photographs both ways.

    Args:
        subject, attribute, config: as in ``write_repaired``.
        others: style vectors of the training images.
    """

    def __init__(
        self, subject: TrainedSubject, attribute: Attribute, config: RepairConfig, others: Float32[ndarray, "m s_dim"]
    ) -> None:
        self.subject, self.attribute, self.config, self.others = subject, attribute, config, others
        self.random = np.random.default_rng([config.seed, 13])

    def __call__(self, x: Float[Tensor, "n c h w"], s: Float[Tensor, "n s_dim"]) -> Ends:
        subject, config, space = self.subject, self.config, self.subject.space
        if config.to == "places":
            ends = places_of(s, self.attribute, space, self.others, self.random)
        else:
            ends = ends_of(s, self.attribute, space)
        if config.control:
            one = np.random.default_rng([config.seed, 17])  # the same direction for all, as an attribute is
            ends = random_ends(subject, s, ends, one, together=True)
        return on_photographs(subject, x, subject.draw(s), ends)


@torch.inference_mode()
def _styles(subject: TrainedSubject, images: ImageSet) -> Float32[ndarray, "n s_dim"]:
    """The style vectors of images."""
    rows = []
    for start in range(0, len(images), AT_ONCE):
        x = images.batch(range(start, min(start + AT_ONCE, len(images)))).to(subject.device)
        rows.append(subject.styles(x, subject.classifier.logits(x)).cpu().numpy())
    return np.asarray(np.concatenate(rows))


def _groups(images: ImageSet, high: Mapping[str, bool]) -> dict[str, tuple[str, Place]]:
    """Each image's label, of several all together, and the attribute's place in it."""
    names = images.numbered_names or ()
    groups: dict[str, tuple[str, Place]] = {}
    for name, row in zip(images.names, _labels(images), strict=True):
        own = [row] if isinstance(row, int) else [i for i, yes in enumerate(row) if yes]
        groups[name] = ("+".join(names[i] for i in own) or "none", "high" if high[name] else "low")
    return groups


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


def _archive(
    training: ImageSet,
    test: ImageSet | None,
    chosen: Int64[ndarray, " n"],
    drawn: tuple[IO[bytes], IO[bytes]],
    rows: Int64[ndarray, " n"],
) -> tuple[ArchiveIndex, Iterator[UInt8[ndarray, "h w c"]]]:
    """What the archive says, and its pictures: photographs first, then those turned, then the test images.

    Args:
        training, test: the photographs.
        chosen: which training images were turned, and kept.
        drawn: the pictures turned up, and those turned down.
        rows: where the kept ones are in these.
    """
    own = training.subset(chosen)
    blocks: list[tuple[ImageSet, str, SplitName]] = [(training, "", "train")]
    blocks += [(own, f"turned-{way}/", "train") for way, _ in WAYS]
    blocks += [] if test is None else [(test, "", "test")]

    def pictures() -> Iterator[UInt8[ndarray, "h w c"]]:
        yield from _one_by_one(training)
        for file in drawn:
            for start in range(0, len(rows), AT_ONCE):
                yield from _read(file, training, rows[start : start + AT_ONCE])
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
    return index, pictures()


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
    rows: list[Any] = images.labels.tolist()
    return [tuple(row) if isinstance(row, list) else row for row in rows]
