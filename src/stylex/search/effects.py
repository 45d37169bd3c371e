"""Effects: move each style coordinate of each image to its observed extremes, and ask the classifier."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Float32, Int64, Shaped
from numpy import ndarray
from torch import Tensor

from stylex.core.errors import ClassifierError, SearchError, StoreError
from stylex.core.files import write_whole
from stylex.core.progress import Done, Listener, Started, Step, silent
from stylex.core.untrusted import read_arrays
from stylex.models.processes import Processes
from stylex.search.config import Precision
from stylex.search.moves import TOLERANCE, Evaluator
from stylex.search.shards import DAMAGED, Block, ShardedEffects, Shards, position_of
from stylex.search.shifts import statistics_of
from stylex.search.subject import Subject

TASK = "effects"
"""Name of this work in progress events."""

IN_MEMORY = 2**30
"""Bytes of effects that are held in memory, as float32; more stay on disk, as float16."""

_BLOCK_PICTURES, _BLOCK_IMAGES = 2**12, 64
"""A block of images is measured and written together: about so many pictures, at most so many images."""
_KEPT_BYTES, _KEPT_CLASSES = 2**22, 16
"""Where one image's effects on all classes take more bytes, those on its likeliest classes are kept."""

_FORMAT = "stylex effects 1"


@runtime_checkable
class EffectTable(Protocol):
    """What the rankings need of effects, in memory (``Effects``) or on disk (``ShardedEffects``)."""

    @property
    def base_logits(self) -> Float32[ndarray, "n k"]:
        """Logits of the reconstructions."""
        ...

    @property
    def indices(self) -> Int64[ndarray, " m"]:
        """The coordinates' flat indices in ``s``."""
        ...

    @property
    def image_ids(self) -> tuple[str, ...]:
        """The images' names."""
        ...

    @property
    def shift_range(self) -> float:
        """How far coordinates were moved, as a fraction of the way to the extreme."""
        ...

    def __len__(self) -> int: ...

    def of(self, rows: Shaped[ndarray, " r"]) -> EffectTable:
        """The effects on some of the images (positions, or a mask)."""
        ...

    def position(self, index: int) -> int:
        """Where a flat index of ``s`` stands in this table."""
        ...

    def table(self, target: int) -> Float[ndarray, "n 2 m"]:
        """Every image's effects on the logit of one class."""
        ...

    def change(self, sign: int, column: int) -> Float32[ndarray, "n k"]:
        """What one move does to all logits of every image."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class Effects:
    """What each coordinate, moved each way, does to each image's logits.

    Attributes:
        values: ``[n, 2, m, k]``: image, sign index (0: moved to the observed minimum, 1: to the maximum),
            coordinate, class. Change of the logit against the *reconstruction's*.
        base_logits: ``[n, k]``, of the reconstructions.
        indices: ``[m]``, the coordinates' flat indices in ``s``.
        image_ids: ``n`` names.
        shift_range: how far coordinates were moved, as a fraction of the way to the extreme.
    """

    values: Float32[ndarray, "n 2 m k"]
    base_logits: Float32[ndarray, "n k"]
    indices: Int64[ndarray, " m"]
    image_ids: tuple[str, ...]
    shift_range: float

    def __post_init__(self) -> None:
        n, signs, m, k = self.values.shape
        assert signs == 2
        assert self.base_logits.shape == (n, k)
        assert self.indices.shape == (m,)
        assert len(self.image_ids) == n

    def __len__(self) -> int:
        return len(self.image_ids)

    def of(self, rows: Shaped[ndarray, " r"]) -> Effects:
        """The effects on some of the images (positions, or a mask)."""
        kept = np.arange(len(self))[rows]
        return Effects(
            values=self.values[kept],
            base_logits=self.base_logits[kept],
            indices=self.indices,
            image_ids=tuple(self.image_ids[i] for i in kept),
            shift_range=self.shift_range,
        )

    def position(self, index: int) -> int:
        """Where a flat index of ``s`` stands in this table.

        Raises:
            SearchError: the coordinate was not measured.
        """
        return position_of(self.indices, index)

    def table(self, target: int) -> Float32[ndarray, "n 2 m"]:
        """Every image's effects on the logit of one class."""
        return self.values[..., target]

    def change(self, sign: int, column: int) -> Float32[ndarray, "n k"]:
        """What one move does to all logits of every image."""
        return self.values[:, sign, column]

    def save(self, path: Path) -> None:
        """Write to one ``.npz`` file, whole or not at all.

        Raises:
            StoreError: it cannot be written.
        """
        write_whole(
            path,
            _packed(
                values=self.values,
                base_logits=self.base_logits,
                indices=self.indices,
                image_ids=np.array(self.image_ids, dtype=np.str_),
                shift_range=np.array(self.shift_range),
                format=np.array(_FORMAT),
            ),
        )

    @classmethod
    def load(cls, path: Path) -> Effects:
        """Read what ``save`` wrote.

        Raises:
            StoreError: there is no such file, or it is not a whole effects file.
        """
        try:
            arrays = read_arrays(path)
            if str(arrays["format"]) != _FORMAT:
                raise ValueError(str(arrays["format"]))
            return cls(
                values=arrays["values"],
                base_logits=arrays["base_logits"],
                indices=arrays["indices"],
                image_ids=tuple(str(name) for name in arrays["image_ids"]),
                shift_range=float(arrays["shift_range"]),
            )
        except FileNotFoundError:
            raise StoreError(f"there is no effects file {path}; measure the effects first") from None
        except (*DAMAGED, AssertionError) as error:
            raise StoreError(f"{path} is not a whole effects file; delete it and measure the effects again") from error


def shortlist(effects: Effects, keep: int) -> Int64[ndarray, " kept"]:
    """The flat indices of the coordinates that move the classifier most, in ascending order.

    For a search that is faster than measuring everything: measure all coordinates on a few images, then these on all
    of them. A coordinate's strength is its largest mean effect, either way and on any logit, over the images of one
    predicted class. What matters on images unlike the few is lost, and p-values of attributes chosen in this way are
    somewhat too small, since the few images are counted twice.

    Args:
        effects: of the few images.
        keep: how many coordinates.
    """
    groups = effects.base_logits.argmax(axis=1)
    strength = np.zeros(len(effects.indices))
    for group in np.unique(groups):
        mean = effects.values[groups == group].mean(axis=0, dtype=np.float64)
        np.maximum(strength, np.abs(mean).max(axis=(0, 2)), out=strength)
    return np.sort(effects.indices[np.argsort(-strength, kind="stable")[:keep]])


@dataclass(frozen=True, eq=False, kw_only=True)
class Measuring:
    """How effects are measured, and where they are kept.

    Attributes:
        shift_range: fraction of the way to the extreme.
        classes: those whose effects are kept of every image. Where one image's effects on all classes would take more
            than 4 MiB, they are kept for these and for the 16 that come nearest to being predicted on that image.
        precision: ``bf16`` where the hardware has it; refused, and said so, where it changes effects by more than
            ``tolerance`` (of the largest effect), measured on some moves of the first image.
        tolerance: that bound.
        chunk: pictures drawn at once (default: from the measured size of one picture's features). Effects do not
            depend on it, up to float noise.
        in_memory: bytes of effects (as float32) that are held in memory; more are left on disk, as float16.
        folder: keep effects here as they are finished; the same call again skips those.
        processes: who else works on this.
    """

    shift_range: float = 1.0
    classes: Sequence[int] = ()
    precision: Precision = "float32"
    tolerance: float = TOLERANCE
    chunk: int | None = None
    in_memory: int = IN_MEMORY
    folder: Path | None = None
    processes: Processes = field(default_factory=Processes)


def measure_effects(
    subject: Subject,
    s: Float[Tensor, "n s_dim"],
    *,
    image_ids: Sequence[str],
    indices: Int64[ndarray, " m"] | None = None,
    how: Measuring | None = None,
    listener: Listener = silent,
) -> Effects:
    """Measure the effect of every coordinate, moved to its observed minimum and maximum, on every image.

    Noise is fixed, pictures are clamped to [-1, 1], and nothing is computed twice (``moves.Evaluator``). A coordinate
    that already stands at the extreme has an effect of exactly zero, unrendered.

    Args:
        subject: the networks, frozen and in eval mode, and the observed extremes of ``s``.
        s: the images' style vectors, on the device to work on.
        image_ids: a name for each row of ``s``.
        indices: flat indices to move (default: the convolutions' part of ``s``).
        how: of the measuring, and where effects are kept; the subject's key tells whose they are.
        listener: hears a ``Step`` for each block of images.

    Raises:
        SearchError: ids and rows do not match, the space has no observations, or there are more effects than are
            held in memory (``stream_effects`` leaves them on disk).
        ClassifierError: the classifier gives logits that are not finite.
        StoreError: the folder cannot be written.

    Source: Lang et al., ICCV 2021, and its official notebook (logits, against the reconstruction, shift size 1).
    """
    effects = stream_effects(subject, s, image_ids=image_ids, indices=indices, how=how, listener=listener)
    if not isinstance(effects, Effects):
        raise SearchError(f"effects on {len(effects)} images are too many to hold in memory; measure fewer at once")
    return effects


def stream_effects(
    subject: Subject,
    s: Float[Tensor, "n s_dim"],
    *,
    image_ids: Sequence[str],
    indices: Int64[ndarray, " m"] | None = None,
    how: Measuring | None = None,
    listener: Listener = silent,
) -> Effects | ShardedEffects:
    """``measure_effects`` of any number of images, by any number of processes.

    Images are measured in blocks; each finished block becomes a shard in the folder. The processes share the blocks
    that are not there yet, so that whoever was lost is replaced by calling again, and the result is the same, to the
    last bit, whatever the number of processes.

    Args:
        subject, s, image_ids, indices, how: as in ``measure_effects``. Several processes need a folder that all see.
        listener: as in ``measure_effects``; counts the images of all processes that it knows of.

    Raises:
        SearchError: as in ``measure_effects``; more than is held in memory, or several processes, without a folder.
        ClassifierError, StoreError: as in ``measure_effects``.
    """
    how = how or Measuring()
    space, shift_range, classes, processes = subject.space, how.shift_range, how.classes, how.processes
    if len(image_ids) != len(s) or len(s) == 0:
        raise SearchError(
            f"{len(s)} style vectors came with {len(image_ids)} image ids; give one id for each, at least one"
        )
    if how.folder is not None and not subject.key:
        raise SearchError("effects are to be kept in a folder, but the subject has no key to tell whose they are")
    indices = space.indices(include_torgb=False) if indices is None else np.asarray(indices, dtype=np.int64)
    statistics = statistics_of(space)
    evaluator = Evaluator(subject, chunk=how.chunk)
    n, m = len(s), len(indices)
    k = evaluator.effects(s[:1].float(), indices[:0], shift_range)[1].shape[1]
    kept = _kept_classes(k, 2 * m, classes)
    large = 4 * n * 2 * m * kept > how.in_memory
    if how.folder is None and (large or processes.size > 1):
        raise SearchError(
            f"effects of {2 * m} moves on {n} images and {kept} classes need a place on disk "
            f"({'they are too many for memory' if large else 'several processes share them'}); search with a run's "
            "folder, or fewer images"
        )
    if how.precision == "bf16":
        evaluator.try_bf16(s[:1].float(), indices, shift_range, tolerance=how.tolerance, listener=listener)
    vectors = s.float().cpu().numpy()
    settings = [subject.key, space.to_json(), shift_range, evaluator.precision, kept, "float16" if large else "float32"]
    if kept < k:
        settings.append(list(classes))
    shards = None
    if how.folder is not None:
        shards = Shards(how.folder, settings, [indices, statistics.minimum, statistics.maximum])
    names = [shards.key(vector) if shards else str(row) for row, vector in enumerate(vectors)]
    kept_in = dict(shards.slots) if shards else {}
    size = images_of_a_block(2 * m)
    blocks = [range(start, min(start + size, n)) for start in range(0, n, size)]
    pending = [left for block in blocks if (left := [row for row in block if names[row] not in kept_in])]
    done = n - sum(map(len, pending))
    listener(Started(task=TASK, total=n, unit="images", done=done))
    began, drawn = time.perf_counter(), 0
    for rows in pending[processes.rank :: processes.size]:
        values, base, pictures = evaluator.effects(s[rows].float(), indices, shift_range)
        expect_finite(values, [image_ids[row] for row in rows])
        expect_finite(base, [image_ids[row] for row in rows])
        block = _block(values, base, kept, classes, np.float16 if large else np.float32)
        if shards:
            shards.write([names[row] for row in rows], block)
        for position, row in enumerate(rows):
            kept_in[names[row]] = block, position
        done, drawn = done + len(rows), drawn + pictures
        figures = {"pictures_per_s": drawn / (time.perf_counter() - began)}
        listener(Step(task=TASK, done=done, figures=figures))
        if large:
            kept_in = {}  # they are on disk now
    processes.wait()
    if shards:
        shards.look()
        kept_in = shards.slots
    if missing := sum(name not in kept_in for name in names):
        raise SearchError(f"effects of {missing} images are missing, as another process was lost; search again")
    listener(Done(task=TASK, path=how.folder))
    found = [kept_in[name] for name in names]
    sharded = ShardedEffects(
        slots=tuple(found),
        base_logits=np.stack([block.base_logits[position] for block, position in found]),
        indices=indices,
        image_ids=tuple(image_ids),
        shift_range=shift_range,
    )
    return sharded if large or kept < k else _in_memory(sharded)


def images_of_a_block(moves: int) -> int:
    """How many images are measured and written together, of which each is moved so often."""
    return max(1, min(_BLOCK_IMAGES, _BLOCK_PICTURES // max(1, moves)))


def expect_finite(values: Float[ndarray, "n ..."], image_ids: Sequence[str], *, of: str = "changes of image") -> None:
    """See that a classifier answered with numbers.

    Args:
        values: its answers on each image.
        image_ids: their names.
        of: what was shown of them.

    Raises:
        ClassifierError: it did not, on some image.
    """
    if not np.isfinite(values).all():
        bad = next(name for name, own in zip(image_ids, values, strict=True) if not np.isfinite(own).all())
        raise ClassifierError(
            f"the classifier gives logits that are not finite on {of} {bad!r}; "
            "expected finite numbers: check the classifier on the snapshot's own pictures"
        )


def _kept_classes(k: int, moves: int, classes: Sequence[int]) -> int:
    return k if 2 * moves * k <= _KEPT_BYTES else min(k, len(classes) + _KEPT_CLASSES)


def _block(values: ndarray, base: ndarray, kept: int, classes: Sequence[int], dtype: type) -> Block:
    n, _, _, k = values.shape
    if kept == k:
        chosen = np.tile(np.arange(k), (n, 1))
    else:
        # The highest logit that any move gives each class says how near it comes to being predicted.
        highest = base + np.maximum(values.max(axis=(1, 2)), 0)
        highest[:, list(classes)] = np.inf
        rest = np.argsort(-highest, axis=1, kind="stable")[:, len(classes) : kept]
        chosen = np.concatenate([np.tile(np.array(classes, dtype=np.int64), (n, 1)), rest], axis=1)
    taken = np.take_along_axis(values, chosen[:, None, None, :], axis=3)
    taken = np.ascontiguousarray(taken.transpose(3, 0, 1, 2)).astype(dtype)
    return Block(values=taken, classes=chosen.astype(np.int64), base_logits=base)


def _in_memory(sharded: ShardedEffects) -> Effects:
    n, k = sharded.base_logits.shape
    values = np.empty((n, 2, len(sharded.indices), k), dtype=np.float32)
    for row, (block, slot) in enumerate(sharded.slots):
        values[row] = np.moveaxis(block.values[:, slot], 0, -1)
    return Effects(
        values=values,
        base_logits=sharded.base_logits,
        indices=sharded.indices,
        image_ids=sharded.image_ids,
        shift_range=sharded.shift_range,
    )


def _packed(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # arrays of numbers and text: nothing is pickled
    return buffer.getvalue()
