"""From photographs as people keep them to an archive: read, made square, checked for doubles, written once."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from stylex.core.errors import DataError
from stylex.core.files import cannot_write
from stylex.core.progress import Done, Listener, Started, Step, silent
from stylex.core.wording import option
from stylex.data.archive import ArchiveIndex, is_prepared, write_archive
from stylex.data.images import (
    Channels,
    Fit,
    PictureError,
    ReadPicture,
    Whites,
    WideRange,
    check_resolution,
    is_cut,
    is_dim,
    quiet_pillow,
    read_picture,
    whites_of,
)
from stylex.data.index import Label, SplitName
from stylex.data.source import Listing, Photo
from stylex.data.sources import open_source, shown
from stylex.data.tree import Files

_TASK = "prepare"


@dataclass(frozen=True, kw_only=True)
class PrepareSummary:
    """What was read, what was left out, and why.

    Attributes:
        path: the archive.
        images: how many pictures it holds.
        resolution, channels: of every picture.
        labels_from: what the labels were taken from.
        counts: pictures of each label; with several labels a picture, it counts for each.
        divided: pictures that the source itself puts in its ``train`` and ``test`` part; empty if it does not.
        divided_by: what in the source says so.
        duplicates: how many pictures equal an earlier one.
        skipped: files left out, with the reason.
        noted: files, with what is worth knowing of them.
    """

    path: Path
    images: int
    resolution: int
    channels: Channels
    labels_from: str
    counts: Mapping[str, int]
    divided: Mapping[str, int]
    divided_by: str | None
    duplicates: int
    skipped: tuple[tuple[str, str], ...]
    noted: tuple[tuple[str, str], ...]

    def lines(self, names: int = 20) -> list[str]:
        """The summary for a person; of labels and of files left out, at most ``names`` are named."""
        kind = "grey" if self.channels == 1 else "colour"
        out = [f"{self.images} pictures, {self.resolution} x {self.resolution}, {kind}; labels: {self.labels_from}"]
        out += [f"  {label}: {count}" for label, count in islice(self.counts.items(), names)]
        if len(self.counts) > names:
            out.append(f"  and {len(self.counts) - names} more labels")
        if self.divided:
            parts = ", ".join(f"{part}: {count}" for part, count in self.divided.items())
            out.append(f"  {parts} (divided {self.divided_by or 'by the source'})")
        elif self.divided_by:
            out.append(f"  read: {self.divided_by}")
        if self.duplicates:
            out.append(f"{self.duplicates} equal an earlier picture (a split keeps equal pictures together)")
        for note in dict.fromkeys(note for _, note in self.noted):
            files = [file for file, about in self.noted if about == note]
            more = f" and {len(files) - 3} more" if len(files) > 3 else ""
            out.append(f"{len(files)} {note}: {', '.join(files[:3])}{more}")
        if self.skipped:
            out.append(f"{len(self.skipped)} left out:")
            out += [f"  {file}: {reason}" for file, reason in self.skipped[:names]]
            if len(self.skipped) > names:
                out.append(f"  and {len(self.skipped) - names} more")
        return out

    def __str__(self) -> str:
        return "\n".join(self.lines())


@dataclass(frozen=True, kw_only=True)
class PrepareConfig:
    """What the pictures are to become, and which columns of the source's table are read.

    Attributes:
        resolution: side of the pictures in pixels: 16, 32, 64, 128 or 256.
        channels: 1 or 3; None: 1 if every picture is grey.
        fit: ``crop`` the centre, or ``pad`` with black.
        label_column: the table's column of labels; several columns of 0 and 1 make a multi-label set.
        group_column: the table's column of what a split must not divide: a patient, a plant, a scene.
        white: the number that stands for white in grey pictures of more than 8 bits, larger ones are cut; None: the
            end of the smallest usual range that holds all of them.

    Raises:
        DataError: a value that cannot be meant.
    """

    resolution: int
    channels: Channels | None = None
    fit: Fit = "crop"
    label_column: str | None = None
    group_column: str | None = None
    white: float | None = None

    def __post_init__(self) -> None:
        check_resolution(self.resolution)
        if self.white is not None and not 1 <= self.white <= 65535:
            raise DataError(f"white {self.white:g}: expected a number from 1 to 65535")
        if self.channels not in (None, 1, 3):
            raise DataError(f"channels {self.channels}: expected 1 (grey) or 3 (colour)")
        if self.fit not in ("crop", "pad"):
            raise DataError(f"fit {self.fit!r}: expected crop or pad")


@dataclass(frozen=True, kw_only=True)
class Labeller:
    """What gives pictures their labels where the source has none.

    Attributes:
        said: where the labels are from, for the summary and the archive.
        names: of its labels.
        answer: the labels of pictures ``[n, h, w, c]``.
    """

    said: str
    names: tuple[str, ...]
    answer: Callable[[NDArray[np.uint8]], Sequence[Label]]


def prepare(
    source: Any,
    out: str | Path,
    config: PrepareConfig,
    *,
    labeller: Labeller | None = None,
    shard_bytes: int | None = None,
    overwrite: bool = False,
    listener: Listener = silent,
) -> PrepareSummary:
    """Make an archive of a folder or zip of photographs, or of another source; the same input gives the same bytes.

    Labels come from the first of these that is there: the column ``config.label_column`` (several names joined by
    commas: multi-label) of ``metadata.csv`` or ``metadata.jsonl``, its column ``label``, the class folders, its only
    other column, its other columns if all are 0 or 1 (multi-label). A column ``split``, or folders named as parts
    (``train``, ``val``, ``test`` and the like, at the top or in each class), divide the pictures. An archive
    (StyleGAN zip) can be a source too. What is white in grey pictures of more than 8 bits is decided once, for all of
    them.

    Args:
        source: class folders, a folder with a table, a flat folder, or a zip of one of these; shards; a data set by
            name, saved on the disk, or in memory (see ``sources.py``).
        out: the archive to write, a ``.zip``.
        config: what the pictures are to become, and the table's columns.
        labeller: gives the labels; the source must have none.
        shard_bytes: of pictures in one zip; then ``out`` is a folder of such zips, and its name does not end in .zip.
        overwrite: replace an archive that is already there.
        listener: hears the progress.

    Returns:
        The summary; files that cannot be used are in it by name.

    Raises:
        DataError: nothing is usable, or ``out`` cannot be written (then nothing is).
    """
    out = Path(out)
    check_out(
        Path(source) if isinstance(source, str | Path) else None,
        out,
        overwrite=overwrite,
        sharded=shard_bytes is not None,
    )
    columns = {"label_column": config.label_column, "group_column": config.group_column}
    with open_source(source, leave_out=out, **columns) as (files, listing):
        if not listing.photos:
            raise _nothing(source, listing.skipped)
        if labeller is not None and listing.photos[0].label is not None:
            raise DataError(
                f"{shown(source)} has labels already ({listing.labels_from}), and {option('labels_from')} was given: "
                "leave it out, or take the pictures without their labels (from one folder)"
            )
        with _spool(out) as spool:
            said = None if config.white is None else {"whole": config.white, "float": config.white}
            shape = _Shape(resolution=config.resolution, channels=config.channels, fit=config.fit, whites=said)
            read = _read_all(files, listing, spool, shape, listener)
            ranges = set(read.ranges.values())
            whites = whites_of(ranges) if said is None else said
            cut = [name for name, range in read.ranges.items() if is_cut(range, whites)]
            read.noted.extend((name, "of numbers above white, which are cut") for name in cut)
            dim = _dim(read.ranges, whites, asked=said is not None)
            if said is None and any(whites_of([each]).items() - whites.items() for each in ranges):  # one rule for all
                spool.seek(0)
                read = _read_all(files, listing, spool, replace(shape, whites=whites), listener)
            read.noted.extend((name, "nearly black by what is white in the others") for name in dim)
            if not read.photos:
                raise _nothing(source, read.skipped)
            _check_classes(listing, read)
            _forget_patients(listing, read)
            if labeller is not None:
                spool.seek(0)
                listing = _labelled(listing, read, labeller, _pictures(spool, read.channels, *_form(read, config)))
            summary = _write(out, spool, read, listing, config, shard_bytes)
    listener(Done(task=_TASK, path=out))
    return summary


def _check_classes(listing: Listing, read: _Read) -> None:
    """Refuse to lose a whole class, of several photographs, without being asked.

    Raises:
        DataError: none of a class's photographs can be used.
    """
    kept = {photo.label for photo in read.photos}
    given = Counter(photo.label for photo in listing.photos)
    reasons = dict(read.skipped)
    for label, count in given.items():
        if count > 1 and isinstance(label, int) and label not in kept:
            name = listing.label_names[label] if listing.label_names else str(label)
            first = next(photo.name for photo in listing.photos if photo.label == label)
            raise DataError(
                f"none of the {count} photographs of {name!r} can be used, the first {first}: {reasons.get(first)}; "
                "mend them, or take that class away"
            )


def _dim(ranges: Mapping[str, WideRange], whites: Whites, *, asked: bool) -> list[str]:
    """The pictures that come out nearly black by what is white in others.

    Raises:
        DataError: these are more than a third, and nobody asked for it.
    """
    dim = [name for name, range in ranges.items() if is_dim(range, whites)]
    if asked or 3 * len(dim) <= len(ranges):
        return dim
    bright = max(ranges, key=lambda name: ranges[name].highest)
    highest = max(ranges[name].highest for name in dim)
    raise DataError(
        f"{len(dim)} of {len(ranges)} pictures of more than 8 bits use numbers up to {highest:g} only (the first is "
        f"{dim[0]}), {bright} up to {ranges[bright].highest:g}: by one rule for all they would be nearly black; "
        f"convert them to one range, or say what is white with {option('white', _usual(highest))} (larger numbers are "
        f"cut) or {option('white', _usual(ranges[bright].highest))}"
    )


def _usual(highest: float) -> float:
    return next(iter(whites_of([WideRange("float" if highest <= 1 else "whole", highest)]).values()))


def bytes_in(size: str | int) -> int:
    """The bytes that a size such as ``2GB`` means; a number alone is bytes.

    Raises:
        DataError: it is no size.
    """
    found = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s*([kmgt]?)(i?)b?\s*", str(size).lower())
    if found is None or (found[3] and not found[2]) or float(found[1]) == 0:
        raise DataError(f"{option('shard_size', size)}: expected a size such as 2GB or 500MB")
    return max(1, int(float(found[1]) * (1024 if found[3] else 1000) ** " kmgt".index(found[2] or " ")))


def check_out(source: Path | None, out: Path, *, overwrite: bool, sharded: bool = False) -> None:
    """Say before any work that an archive made of a source could not be written there.

    Raises:
        DataError: it is no name for an archive, the source itself, or something that stands there and stays.
    """
    if sharded and out.suffix.lower() == ".zip":
        raise DataError(f"cannot write {out}: shards go to a folder; give it a name that does not end in .zip")
    if not sharded and out.suffix.lower() != ".zip":
        raise DataError(f"cannot write {out}: give the archive a name that ends in .zip")
    if not sharded and out.is_dir():
        raise DataError(f"cannot write {out}: it is a folder")
    if sharded and out.is_file():
        raise DataError(f"cannot write {out}: it is a file, and shards go to a folder; give another name")
    if sharded and out.is_dir() and not any(out.iterdir()):
        return
    if source is not None and out.exists() and source.exists() and out.samefile(source):
        raise DataError(f"cannot write {out}: it is the source; give another name")
    if out.exists() and not overwrite:
        raise DataError(f"{out} exists already: give {option('overwrite', True)} to replace it, or another name")
    if out.exists() and not is_prepared(out):
        raise DataError(f"{out} holds something else than an archive of ours and stays as it is; give another name")


def _nothing(source: Any, skipped: Sequence[tuple[str, str]]) -> DataError:
    if not skipped:
        return DataError(f"{shown(source)} holds no pictures")
    name, reason = skipped[0]
    return DataError(f"{shown(source)} holds no usable picture: {len(skipped)} left out, the first {name}: {reason}")


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """What the pictures are to become; see ``read_picture``."""

    resolution: int
    channels: Channels | None
    fit: Fit
    whites: Whites | None = None


@contextmanager
def _spool(out: Path) -> Iterator[IO[bytes]]:
    """Where the pixels wait, on the archive's disk, until it is known whether any picture is coloured."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=out.parent)  # noqa: SIM115 (closed below, in its own way)
    except OSError as error:
        raise cannot_write(out, error, DataError) from error
    try:
        yield file
    finally:
        with suppress(OSError):  # closing writes what a full disk has refused before
            file.close()


@dataclass(eq=False)
class _Read:
    """The usable photographs in order; their pixels are in the spool, one after the other."""

    photos: list[Photo]
    contents: list[str]
    channels: list[Channels]
    pixel_hashes: list[bytes]
    patients: list[str | None]
    skipped: list[tuple[str, str]]
    noted: list[tuple[str, str]]
    ranges: dict[str, WideRange] = field(default_factory=dict)


def _read_all(files: Files, listing: Listing, spool: IO[bytes], shape: _Shape, listener: Listener) -> _Read:
    listener(Started(task=_TASK, total=len(listing.photos), unit="images"))
    read = _Read([], [], [], [], [], list(listing.skipped), list(listing.noted))
    every = max(1, len(listing.photos) // 200)

    def work(photo: Photo) -> ReadPicture | PictureError:
        try:
            data = files.read(photo.file)
            return read_picture(data, photo.name, **vars(shape))
        except PictureError as error:
            return error

    for done, (photo, result) in enumerate(zip(listing.photos, _in_order(work, listing.photos), strict=True), 1):
        if result.range is not None:
            read.ranges[photo.name] = result.range
        if isinstance(result, PictureError):
            read.skipped.append((photo.name, result.reason))
        else:
            read.photos.append(photo)
            read.contents.append(result.content)
            read.patients.append(result.patient)
            read.channels.append(1 if result.pixels.shape[2] == 1 else 3)
            read.pixel_hashes.append(_pixel_hash(result.pixels))
            read.noted += [(photo.name, note) for note in result.notes]
            try:
                spool.write(result.pixels.tobytes())
                spool.flush()
            except OSError as error:
                raise DataError(f"cannot write beside the archive: {error.strerror or error}") from error
        if done % every == 0 or done == len(listing.photos):
            listener(Step(task=_TASK, done=done))
    return read


def _in_order(
    work: Callable[[Photo], ReadPicture | PictureError], photos: Sequence[Photo]
) -> Iterator[ReadPicture | PictureError]:
    """Results in the order of the photographs, computed by a few threads (decoders leave Python's lock)."""
    threads = min(8, os.cpu_count() or 1)
    waiting: deque[Future[ReadPicture | PictureError]] = deque()
    rest = iter(photos)
    pool = ThreadPoolExecutor(threads)
    try:
        with quiet_pillow():
            waiting.extend(pool.submit(work, photo) for photo in islice(rest, 4 * threads))
            while waiting:
                result = waiting.popleft().result()
                waiting.extend(pool.submit(work, photo) for photo in islice(rest, 1))
                yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _pixel_hash(pixels: NDArray[np.uint8]) -> bytes:
    """Equal for pictures that look equal, grey or coloured grey."""
    if pixels.shape[2] == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., :1]
    return hashlib.sha256(f"{pixels.shape[2]} ".encode() + pixels.tobytes()).digest()


def _forget_patients(listing: Listing, read: _Read) -> None:
    """Name DICOM pictures by what they look like, and a patient by the first such name of his pictures.

    Neither his name and ID nor a hash of them, from which a short ID could be found by trying all, go into an archive.

    Raises:
        DataError: the folders that would be classes are patients.
    """
    if all(patient is None for patient in read.patients):
        return
    of_label: dict[Label | None, set[str | None]] = {}
    for photo, patient in zip(read.photos, read.patients, strict=True):
        of_label.setdefault(photo.label, set()).add(patient)
    alone = [own for own in of_label.values() if len(own) == 1 and own.isdisjoint({"", None})]
    if listing.labels_from == "class folders" and len(alone) == len(of_label) > 1 and len(read.photos) > len(alone):
        raise DataError(
            f"each of the {len(alone)} class folders holds pictures of one patient only: these are patients, not "
            "classes; put the pictures into one folder for each class, or beside a metadata.csv"
        )
    ties = [photo.group or patient for photo, patient in zip(read.photos, read.patients, strict=True)]
    first: dict[str, str] = {}
    for tie, content in zip(ties, read.contents, strict=True):
        if tie:
            first[tie] = min(content, first.get(tie, content))
    taken: Counter[str] = Counter()
    for i, (photo, patient, content) in enumerate(zip(read.photos, read.patients, read.contents, strict=True)):
        if patient is None:
            continue
        again = taken[content]
        taken[content] += 1
        if not ties[i]:
            read.noted.append((photo.name, "of DICOM without PatientID: divided by itself"))
        read.photos[i] = replace(
            photo,
            name=f"{content}~{again + 1}.dcm" if again else f"{content}.dcm",
            group=f"patient {first[ties[i] or '']}" if ties[i] else None,
        )


_ASKED_AT_ONCE = 32


def _labelled(listing: Listing, read: _Read, labeller: Labeller, pictures: Iterator[NDArray[np.uint8]]) -> Listing:
    """The listing with a labeller's names; the pictures that were read get its labels."""
    labels: list[Label] = []
    while some := list(islice(pictures, _ASKED_AT_ONCE)):
        labels += labeller.answer(np.stack(some))
    read.photos = [replace(photo, label=label) for photo, label in zip(read.photos, labels, strict=True)]
    return replace(listing, label_names=labeller.names, labels_from=labeller.said, answered=True)


def _form(read: _Read, config: PrepareConfig) -> tuple[int, Channels]:
    """Resolution and channels of the archive's pictures."""
    return config.resolution, config.channels or (3 if 3 in read.channels else 1)


def _write(
    out: Path, spool: IO[bytes], read: _Read, listing: Listing, config: PrepareConfig, shard_bytes: int | None
) -> PrepareSummary:
    resolution, channels = _form(read, config)
    photos = read.photos
    contents = [photo.content or content for photo, content in zip(photos, read.contents, strict=True)]
    split_keys, splits = _inseparable(photos, contents, read.pixel_hashes)
    noted = list(read.noted)
    for photo, split in zip(photos, splits, strict=True):
        if photo.split == "test" and split == "train":
            noted.append((photo.name, "of the test part: counted as training, where it or its group is too"))
    first: dict[bytes, Photo] = {}
    for photo, pixel_hash in zip(photos, read.pixel_hashes, strict=True):
        if first.setdefault(pixel_hash, photo).label != photo.label:
            noted.append((photo.name, "equal to an earlier picture with another label"))
    labels = [photo.label for photo in photos]
    index = ArchiveIndex(
        resolution=resolution,
        channels=channels,
        names=[photo.name for photo in photos],
        labels=[label for label in labels if label is not None] if labels[0] is not None else None,
        label_names=listing.label_names,
        split_keys=split_keys,
        splits=splits,
        groups=[photo.group for photo in photos],
        contents=contents,
        labels_from=listing.labels_from if listing.answered else None,
    )
    spool.seek(0)
    write_archive(out, _pictures(spool, read.channels, resolution, channels), index, shard_bytes=shard_bytes)
    return PrepareSummary(
        path=out,
        images=len(photos),
        resolution=resolution,
        channels=channels,
        labels_from=listing.labels_from,
        counts=_counts(index),
        divided=Counter(split for split in sorted(filter(None, splits), reverse=True)),
        divided_by=listing.divided_by,
        duplicates=len(photos) - len(first),
        skipped=tuple(read.skipped),
        noted=tuple(noted),
    )


def _pictures(
    spool: IO[bytes], kinds: Sequence[Channels], resolution: int, channels: Channels
) -> Iterator[NDArray[np.uint8]]:
    for kind in kinds:
        pixels = np.frombuffer(spool.read(resolution * resolution * kind), np.uint8)
        pixels = pixels.reshape(resolution, resolution, kind)
        yield np.repeat(pixels, channels, axis=2) if kind < channels else pixels


def _counts(index: ArchiveIndex) -> dict[str, int]:
    """Pictures of each label, also of those that have none."""
    counts: Counter[int] = Counter()
    for label in index.labels or ():
        counts.update([label] if isinstance(label, int) else [i for i, there in enumerate(label) if there])
    if index.label_names is not None:
        return {name: counts[i] for i, name in enumerate(index.label_names)}
    return {f"label {i}": counts[i] for i in sorted(counts)}


def _inseparable(
    photos: Sequence[Photo], contents: Sequence[str], pixel_hashes: Sequence[bytes]
) -> tuple[list[str], list[SplitName | None]]:
    """Keys by which a split may divide the pictures, and the source's own split, made consistent.

    Pictures of one group, or with equal pixels before or after resizing, belong together, and so do their
    relations' relations: they get one key (that of their group or content where they have the same), and go to
    training if the source puts any of them there.
    """
    own_keys = []
    parent = list(range(len(photos)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first: dict[object, int] = {}
    for i, photo in enumerate(photos):
        own = photo.split_key or (_hash("group", photo.group) if photo.group else contents[i])
        own_keys.append(own)
        for tie in (own, contents[i], pixel_hashes[i], ("group", photo.group) if photo.group else None):
            if tie is not None:
                a, b = root(first.setdefault(tie, i)), root(i)
                parent[max(a, b)] = min(a, b)

    key_of: dict[int, str] = {}
    split_of: dict[int, SplitName | None] = {}
    for i, photo in enumerate(photos):
        r = root(i)
        key_of[r] = min(key_of.get(r, own_keys[i]), own_keys[i])
        here = split_of.setdefault(r, photo.split)
        split_of[r] = "train" if "train" in (here, photo.split) else here or photo.split
    roots = [root(i) for i in range(len(photos))]
    return [key_of[r] for r in roots], [split_of[r] for r in roots]


def _hash(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:32]
