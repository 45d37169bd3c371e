"""The archive: a StyleGAN image zip. Written by ``prepare``, read by everybody who needs images.

Layout: ``00000/img00000000.png`` ... (PNG, stored), ``dataset.json`` (``{"labels": [[file, label], ...]}``, or null;
a label is a class number, or 0/1 per label), and our own ``stylex.json``, which other readers ignore: label names,
the pictures' original names, and what keeps a split honest. Archives without it are read too. It may also be a folder
with an index and several such zips (``zips.py``).
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from stylex.core.demo import ARCHIVE, NAME, shipped
from stylex.core.errors import DataError
from stylex.data.images import RESOLUTIONS, Channels, quiet_pillow, to_tensor
from stylex.data.index import (
    INDEX,
    LABELS,
    SCHEMA,
    VERSION,
    About,
    Label,
    SplitName,
    archive_root,
    parse_about,
    parse_labels,
    picture_files,
)
from stylex.data.zips import HEAD, is_sharded, write_zips, zips_of

MEMORY_BYTES = 1_500_000_000
"""Archives with more pixels than this are not kept in memory: their pictures are decoded each time."""

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")
"""What a member is opened as, whatever its name. Pillow knows more, among them formats that start other programs."""
_LARGEST_PICTURE = 16 * 2**20
_LARGEST_TEXT = 16 * 2**20
_TEXT_OF_ONE = 4096
"""Members that say of themselves that they are larger (what is said of the pictures: for each) are not unpacked."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ArchiveIndex:
    """What an archive says of its pictures, which are ``len(names)``.

    Attributes:
        resolution, channels: of every picture.
        names: what the pictures were called.
        labels: a class number each, or a 0/1 vector each (multi-label), or None.
        label_names: of the classes, or of the vectors' places; None if unknown.
        split_keys: pictures with the same key are never divided by a split.
        splits: where the source itself divided them; None for those to be divided by key.
        groups: whom or what a picture shows (a patient), if the source says so.
        contents: hashes of the pictures before they were resized.
        labels_from: whose answers the labels are, where no person gave them.
    """

    resolution: int
    channels: Channels
    names: Sequence[str]
    labels: Sequence[Label] | None
    label_names: Sequence[str] | None
    split_keys: Sequence[str]
    splits: Sequence[SplitName | None]
    groups: Sequence[str | None]
    contents: Sequence[str | None]
    labels_from: str | None = None

    def __post_init__(self) -> None:
        n = len(self.names)
        assert self.labels is None or len(self.labels) == n
        assert len(self.split_keys) == len(self.splits) == len(self.groups) == len(self.contents) == n


def member_name(i: int) -> str:
    """The file name of the i-th picture in an archive that we write."""
    return f"{i // 1000:05d}/img{i:08d}.png"


def write_archive(
    path: Path, pictures: Iterable[NDArray[np.uint8]], index: ArchiveIndex, *, shard_bytes: int | None = None
) -> None:
    """Write pictures ``[h, w, c]`` and what is said of them; the same input gives the same bytes.

    Args:
        path: the file to write, or with ``shard_bytes`` the folder, in the place of one that is there.
        pictures, index: these.
        shard_bytes: of pictures in one zip; None: all in one.

    Raises:
        DataError: it cannot be written; nothing is left of it.
    """
    files = [member_name(i) for i in range(len(index.names))]
    labels = None if index.labels is None else [[file, label] for file, label in zip(files, index.labels, strict=True)]
    about = {
        "schema": SCHEMA,
        "version": VERSION,
        "resolution": index.resolution,
        "channels": index.channels,
        "label_names": index.label_names,
        "files": files,
        "names": index.names,
        "split_keys": index.split_keys,
        "splits": index.splits if any(index.splits) else None,
        "groups": index.groups if any(group is not None for group in index.groups) else None,
        "contents": index.contents,
    } | ({} if index.labels_from is None else {"labels_from": index.labels_from})

    def drawn() -> Iterator[tuple[str, bytes]]:
        for name, picture in zip(files, pictures, strict=True):
            assert picture.shape == (index.resolution, index.resolution, index.channels), picture.shape
            yield name, _png(picture)

    texts = ((LABELS, json.dumps({"labels": labels}).encode()), (INDEX, json.dumps(about).encode()))
    write_zips(path, drawn(), texts, shard_bytes=shard_bytes)


def is_prepared(path: Path) -> bool:
    """Whether a file, or a folder of shards, is an archive that ``write_archive`` wrote, by the names in it."""
    path = path / HEAD if path.is_dir() else path
    if not path.is_file():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return {INDEX, LABELS} <= set(archive.namelist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return False


def _png(picture: NDArray[np.uint8]) -> bytes:
    """A PNG with stored pixels: fast to read, and the same bytes whatever encoder is installed."""
    height, width, channels = picture.shape
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each row begins with its filter: 0, none
    rows[:, 1:] = picture.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 3: 2}[channels], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes(), 0)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def open_images(path: str | Path) -> ImageSet:
    """The images of an archive: ``prepare``'s zip or folder of shards, a StyleGAN image zip, the package's (``demo``).

    Raises:
        DataError: missing, no archive, damaged, or its pictures are not all square, of one size (16 to 256, a power
            of two) and of one kind (grey or RGB).
    """
    path = shipped(path, ARCHIVE)
    if path.is_dir() and not is_sharded(path):
        raise DataError(f"{path} is a folder: make an archive of it first, with `stylex prepare`")
    if not path.exists() or not (path.is_file() or path.is_dir()):
        raise DataError(f"there is no archive {path}")
    pictures = _Pictures(path)
    return ImageSet(pictures, pictures.index(), np.arange(len(pictures.files)))


class _Pictures:
    """The pictures of an archive by position, decoded when first asked for and kept if they are not too many."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._zips = zips_of(path)
        self.members = frozenset(info.filename for info in self.directory() if not info.filename.endswith("/"))
        self.root = archive_root(self.members)
        self.files = picture_files(self.members)
        if not self.files:
            raise DataError(f"{path} has no pictures in it")
        self.resolution, self.channels = self._kind(self.files[0])
        shape = (len(self.files), self.resolution, self.resolution, self.channels)
        keep = int(np.prod(shape)) <= MEMORY_BYTES
        # Untouched pages of an empty array cost nothing: memory grows with what is read.
        self._kept = np.empty(shape, np.uint8) if keep else None
        self._have = np.zeros(len(self.files), bool)

    def read(self, name: str, largest: int = _LARGEST_PICTURE) -> bytes:
        """A member's bytes, checked against their CRC; unread if there are more than ``largest``."""
        try:
            holding = self._zips.holding(name)
            size = holding.getinfo(name).file_size
            if size > largest:
                raise DataError(
                    f"{self.path}: {name} would unpack to {size // 2**20} MiB, more than the {largest // 2**20} MiB "
                    "allowed here: refused"
                )
            return holding.read(name)
        except DataError:
            raise
        except KeyError:
            raise DataError(f"{self.path}: {name} is missing from the archive") from None
        except Exception as error:  # zipfile, zlib and friends raise nearly anything on damaged data
            raise DataError(f"{self.path}: {name} is damaged ({str(error) or type(error).__name__})") from None

    def text(self, name: str) -> bytes | None:
        """What the archive says in one of its own files, which is as long as its pictures are many; None: nothing."""
        name = self.root + name
        largest = _LARGEST_TEXT + _TEXT_OF_ONE * len(self.files)
        return self.read(name, largest) if name in self.members else None

    def directory(self) -> list[zipfile.ZipInfo]:
        """What the archive holds, by name; the same in one zip and in shards."""
        return self._zips.directory()

    def _kind(self, name: str) -> tuple[int, Channels]:
        """Size and channels by the header alone."""
        try:
            with (
                quiet_pillow(),
                self._zips.holding(name).open(name) as file,
                Image.open(file, formats=_FORMATS) as image,
            ):
                (width, height), mode = image.size, image.mode
        except DataError:
            raise
        except UnidentifiedImageError:
            kinds = ", ".join(_FORMATS)
            raise DataError(
                f"{self.path}: {name} is damaged, or no picture of a kind that an archive holds ({kinds}): run `stylex "
                "prepare` on the pictures"
            ) from None
        except Exception as error:
            raise DataError(f"{self.path}: {name} is damaged ({str(error) or type(error).__name__})") from None
        remedy = "run `stylex prepare` on the archive"
        if width != height or width not in RESOLUTIONS:
            raise DataError(
                f"{self.path}: {name} is {width} x {height} pixels, expected a square of 16, 32, 64, 128 or 256: "
                f"{remedy}"
            )
        if mode not in ("L", "RGB"):
            raise DataError(f"{self.path}: {name} is of kind {mode}, expected grey (L) or RGB: {remedy}")
        return width, 1 if mode == "L" else 3

    def check_alike(self) -> None:
        """All pictures are of one size and kind, by their headers."""
        for name in self.files:
            if self._kind(name) != (self.resolution, self.channels):
                raise self._unlike(name)

    def _unlike(self, name: str) -> DataError:
        kind = f"{self.resolution} x {self.resolution} pixels with {self.channels} channel(s)"
        return DataError(
            f"{self.path}: {name} is not {kind} as {self.files[0]} is: run `stylex prepare` on the archive"
        )

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        kept = self._kept
        if kept is None:
            return np.stack([self._decode(int(i)) for i in rows]) if len(rows) else self._none()
        # Two threads may decode the same picture: they write the same bytes.
        for i in rows[~self._have[rows]]:
            kept[i] = self._decode(int(i))
            self._have[i] = True
        return kept[rows]

    def _none(self) -> NDArray[np.uint8]:
        return np.empty((0, self.resolution, self.resolution, self.channels), np.uint8)

    def _decode(self, i: int) -> NDArray[np.uint8]:
        name = self.files[i]
        data = self.read(name)
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                if image.size != (self.resolution, self.resolution):
                    raise self._unlike(name)
                pixels = np.asarray(image)
        except DataError:
            raise
        except Exception as error:
            raise DataError(f"{self.path}: {name} is damaged ({str(error) or type(error).__name__})") from None
        shape = (self.resolution, self.resolution)
        if pixels.shape != (shape if self.channels == 1 else (*shape, 3)) or pixels.dtype != np.uint8:
            raise self._unlike(name)
        return pixels.reshape(*shape, self.channels)

    def index(self) -> ArchiveIndex:
        """What the archive says of its pictures, in the order of ``files``."""
        where = str(self.path)
        files = [name.removeprefix(self.root) for name in self.files]
        said, told = self.text(LABELS), self.text(INDEX)
        labels = None if said is None else parse_labels(said, files, where)
        if told is not None:
            about = parse_about(told, files, where)
            if (about.resolution, about.channels) != (self.resolution, self.channels):
                raise DataError(f"{where}: {INDEX} and the pictures disagree in size or channels")
        else:
            self.check_alike()
            infos = [self._zips.holding(name).getinfo(name) for name in self.files]
            # The zip's own checksums: equal files have equal keys, and nothing needs to be read.
            about = About.nothing(self.files, [f"{info.CRC:08x}-{info.file_size}" for info in infos])
        if labels and about.label_names is not None:
            need = max(x + 1 if isinstance(x, int) else len(x) for x in labels)
            if need > len(about.label_names):
                raise DataError(f"{where}: {INDEX} names {len(about.label_names)} labels, {LABELS} has {need}")
        return ArchiveIndex(
            resolution=self.resolution,
            channels=self.channels,
            names=about.names,
            labels=labels,
            label_names=about.label_names if labels is not None else None,
            split_keys=about.split_keys,
            splits=about.splits,
            groups=about.groups,
            contents=about.contents,
            labels_from=about.labels_from if labels is not None else None,
        )


class ImageSet:
    """Images of an archive, or some of them, by position 0..n-1. Safe to read from several threads."""

    def __init__(self, pictures: _Pictures, index: ArchiveIndex, rows: NDArray[np.int64]) -> None:
        self._pictures = pictures
        self._index = index
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        size = f"{self.resolution} x {self.resolution} x {self.channels}"
        return f"ImageSet({str(self.path)!r}, {len(self)} images, {size})"

    @property
    def path(self) -> Path:
        """The archive."""
        return self._pictures.path

    @property
    def resolution(self) -> int:
        """Width and height in pixels."""
        return self._index.resolution

    @property
    def channels(self) -> Channels:
        """1 (grey) or 3 (RGB)."""
        return self._index.channels

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """Names of the labels, if the archive gives them."""
        names = self._index.label_names
        return None if names is None else tuple(names)

    @property
    def labels_from(self) -> str | None:
        """Whose answers the labels are, in words; None where a person gave them (or nobody)."""
        return self._index.labels_from

    @property
    def multi_label(self) -> bool:
        """Whether an image can have several labels."""
        return self.labels is not None and self.labels.ndim == 2

    @cached_property
    def labels(self) -> NDArray[np.int64] | None:
        """Class numbers ``[n]``, or 0/1 ``[n, k]`` for multi-label; None if there are no labels."""
        labels = self._index.labels
        return None if labels is None else np.asarray(labels, np.int64)[self._rows]

    @property
    def numbered_names(self) -> tuple[str, ...] | None:
        """Names of the labels, made of their numbers where the archive gives none; None if there are no labels."""
        labels = self._index.labels
        if labels is None or self.label_names is not None:
            return self.label_names
        count = max(label + 1 if isinstance(label, int) else len(label) for label in labels)
        return tuple(f"label {i}" for i in range(count))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What the pictures were called, relative to the source; unique."""
        return tuple(self._index.names[i] for i in self._rows)

    @cached_property
    def files(self) -> tuple[str, ...]:
        """The pictures' files in the archive."""
        return tuple(self._pictures.files[i] for i in self._rows)

    @cached_property
    def groups(self) -> tuple[str | None, ...]:
        """Whom or what each picture shows, where the source says so."""
        return tuple(self._index.groups[i] for i in self._rows)

    @cached_property
    def split_keys(self) -> tuple[str, ...]:
        """Pictures of the same key belong together: a group's, or equal ones."""
        return tuple(self._index.split_keys[i] for i in self._rows)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of the whole archive's directory (names, sizes, checksums) and labels: cheap, and any change shows."""
        digest = hashlib.sha256()
        for info in self._pictures.directory():
            digest.update(f"{info.filename}\0{info.file_size}\0{info.CRC}\n".encode("utf-8", "replace"))
        digest.update(self._pictures.text(LABELS) or b"")
        return digest.hexdigest()

    def subset(self, indices: ArrayLike) -> ImageSet:
        """These images, in this order; ``indices`` are positions, or a truth value for each image."""
        return ImageSet(self._pictures, self._index, self._rows[_positions(indices)])

    def select(self, label: int | str) -> ImageSet:
        """The images that have a label, by its number or name.

        Raises:
            DataError: there are no labels, or no such label.
        """
        if self.labels is None:
            raise DataError(f"{self.path} has no labels to select by")
        if isinstance(label, str):
            if label not in (self.label_names or ()):
                known = ", ".join(self.label_names) if self.label_names else "numbers only"
                raise DataError(f"no label {label!r} in {self.path}: its labels are {known}")
            assert self.label_names is not None
            label = self.label_names.index(label)
        if self.multi_label:
            if not 0 <= label < self.labels.shape[1]:
                raise DataError(f"no label {label} in {self.path}: its labels are 0 to {self.labels.shape[1] - 1}")
            return self.subset(np.flatnonzero(self.labels[:, label]))
        return self.subset(np.flatnonzero(self.labels == label))

    def split(self, name: SplitName, test_fraction: float = 0.1, seed: int = 0) -> ImageSet:
        """The training or the test part: the source's own, or else about ``test_fraction`` of the images by hash.

        An image's part depends on its group or content alone, so adding images moves no other, and neither groups
        nor equal pictures are ever divided.

        Raises:
            DataError: the part is empty, or the fraction is not between 0 and 1.
        """
        if not 0 < test_fraction < 1:
            raise DataError(f"test_fraction {test_fraction}: expected a number between 0 and 1, such as 0.1")
        assert name in ("train", "test"), name
        part = [i for i, row in enumerate(self._rows) if self._part(int(row), test_fraction, seed) == name]
        if not part and len(self) and all(self._index.splits[row] for row in self._rows):
            own, other = ("training", "test") if name == "train" else ("test", "training")
            remedy = (
                "it is there to be looked at; give an archive of your own"
                if self.path == shipped(NAME, ARCHIVE)
                else "prepare photographs of both parts, or of none"
            )
            raise DataError(
                f"the {own} part of {self.path} is empty: its source puts all {len(self)} images in the {other} part; "
                f"{remedy}"
            )
        if not part:
            raise DataError(
                f"the {name} part of {self.path} is empty ({len(self)} images, test_fraction {test_fraction}): "
                "give more images"
            )
        return self.subset(part)

    def part(self, name: SplitName) -> ImageSet | None:
        """The training or the test part; None where the archive has none."""
        try:
            return self.split(name)
        except DataError:
            return None

    def label_texts(self) -> list[str | None]:
        """The data's own label of each image, in words; None where it has none."""
        if self.labels is None or self.label_names is None:
            return [None] * len(self)
        names = self.label_names
        if self.multi_label:
            return [", ".join(name for name, yes in zip(names, row, strict=True) if yes) for row in self.labels]
        return [names[label] for label in self.labels]

    def _part(self, row: int, test_fraction: float, seed: int) -> SplitName:
        explicit = self._index.splits[row]
        if explicit is not None:
            return explicit
        digest = hashlib.sha256(f"{seed}:{self._index.split_keys[row]}".encode()).digest()
        return "test" if int.from_bytes(digest[:8], "big") < test_fraction * 2**64 else "train"

    def pictures(self, indices: ArrayLike) -> NDArray[np.uint8]:
        """Pictures ``[n, h, w, c]``.

        Raises:
            DataError: the archive is damaged there.
        """
        return self._pictures[self._rows[_positions(indices)]]

    def batch(self, indices: ArrayLike, mirror: bool | NDArray[np.bool_] | None = None) -> Float[Tensor, "n c h w"]:
        """Images as x; ``mirror`` (for all, or one truth value each) exchanges left and right.

        Raises:
            DataError: the archive is damaged there.
        """
        pictures = self.pictures(indices)
        if mirror is not None:
            chosen = np.broadcast_to(np.asarray(mirror, bool), len(pictures))
            pictures = np.where(chosen[:, None, None, None], pictures[:, :, ::-1], pictures)
        return to_tensor(pictures)


def _positions(indices: ArrayLike) -> NDArray[Any]:
    """For numpy to index by: whole numbers, or a mask."""
    given = np.asarray(indices)
    assert given.ndim == 1, given.shape
    return given if given.dtype == bool else given.astype(np.int64)


def sample_order(n: int, nimg: int, batch: int, seed: int) -> NDArray[np.int64]:
    """Indices in 0..n-1 of the global batch that begins at image counter ``nimg``.

    Every n consecutive images from a multiple of n are one epoch: each index once, in an order given by the seed
    and the epoch's number. Nothing is remembered: the same arguments give the same batch.
    """
    assert n > 0
    assert nimg >= 0
    position = np.arange(nimg, nimg + batch)
    out = np.empty(batch, np.int64)
    for epoch in np.unique(position // n):
        here = position // n == epoch
        out[here] = _epoch_order(n, seed, int(epoch))[position[here] % n]
    return out


@lru_cache(maxsize=4)
def _epoch_order(n: int, seed: int, epoch: int) -> NDArray[np.int64]:
    order = np.random.default_rng([seed % 2**64, epoch]).permutation(n)
    order.flags.writeable = False
    return order
