"""Effects: move each style coordinate of each image to its observed extremes, and ask the classifier."""

from __future__ import annotations

import hashlib
import io
import json
import math
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, Shaped
from numpy import ndarray
from torch import Tensor

from stylex.core.errors import ClassifierError, SearchError, StoreError
from stylex.core.files import write_whole
from stylex.core.progress import Done, Listener, Started, Step, silent
from stylex.core.stylespace import StyleSpace
from stylex.search.render import Judge, Synthesizer
from stylex.search.shifts import extremes, statistics_of, towards

TASK = "effects"
"""Name of this work in progress events."""

_FORMAT = "stylex effects 1"
_DAMAGED = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What reading a damaged or foreign archive may raise."""


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
        found = np.flatnonzero(self.indices == index)
        if len(found) == 0:
            raise SearchError(
                f"style coordinate {index} was not measured ({len(self.indices)} others were); measure its effects"
            )
        return int(found[0])

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
            with _unpacked(path) as file:
                if str(file["format"]) != _FORMAT:
                    raise ValueError(str(file["format"]))
                return cls(
                    values=file["values"],
                    base_logits=file["base_logits"],
                    indices=file["indices"],
                    image_ids=tuple(str(name) for name in file["image_ids"]),
                    shift_range=float(file["shift_range"]),
                )
        except FileNotFoundError:
            raise StoreError(f"there is no effects file {path}; measure the effects first") from None
        except (*_DAMAGED, AssertionError) as error:
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


def measure_effects(
    synthesis: Synthesizer,
    classifier: Judge,
    space: StyleSpace,
    s: Float[Tensor, "n s_dim"],
    *,
    image_ids: Sequence[str],
    indices: Int64[ndarray, " m"] | None = None,
    shift_range: float = 1.0,
    chunk: int | None = None,
    folder: Path | None = None,
    key: str = "",
    listener: Listener = silent,
) -> Effects:
    """Measure the effect of every coordinate, moved to its observed minimum and maximum, on every image.

    Noise is fixed, pictures are clamped to [-1, 1], and synthesis starts at the coordinate's own layer from
    cached features. A coordinate that already stands at the extreme has an effect of exactly zero, unrendered.

    Args:
        synthesis, classifier: the networks, frozen and in eval mode.
        space: layout and observed extremes of ``s``.
        s: the images' style vectors, on the device to work on.
        image_ids: a name for each row of ``s``.
        indices: flat indices to move (default: the convolutions' part of ``s``).
        shift_range: fraction of the way to the extreme.
        chunk: pictures drawn at once (default: found by trying, for speed and bounded memory). Effects do not
            depend on it, up to float noise.
        folder: keep each image's effects here as they are finished; the same call again skips those.
        key: what the networks are (the snapshot's hash), so that no other networks' effects are taken from ``folder``.
        listener: hears one ``Step`` for each image.

    Raises:
        SearchError: ids and rows do not match, or ``space`` has no observations.
        ClassifierError: the classifier gives logits that are not finite.
        StoreError: ``folder`` cannot be written.

    Source: Lang et al., ICCV 2021, and its official notebook (logits, against the reconstruction, shift size 1).
    """
    if len(image_ids) != len(s) or len(s) == 0:
        raise SearchError(
            f"{len(s)} style vectors came with {len(image_ids)} image ids; give one id for each, at least one"
        )
    if folder is not None and not key:
        raise SearchError("effects are to be kept in a folder without a key; give the snapshot's hash as key")
    indices = space.indices(include_torgb=False) if indices is None else np.asarray(indices, dtype=np.int64)
    parts = _Parts(folder, space, indices, shift_range, key)
    finished: dict[int, tuple[ndarray, ndarray]] = {}
    for row, vector in enumerate(s.float().cpu().numpy()):
        part = parts.read(vector)
        if part is not None:
            finished[row] = part
    pending = [row for row in range(len(s)) if row not in finished]
    listener(Started(task=TASK, total=len(s), unit="images", done=len(finished)))
    if pending:
        worker = _Worker(synthesis, classifier, space, indices, shift_range, chunk)
        began, drawn = time.perf_counter(), 0
        for row, (values, base, pictures) in zip(pending, worker.run(s[pending].float()), strict=True):
            if not (np.isfinite(values).all() and np.isfinite(base).all()):
                raise ClassifierError(
                    f"the classifier gives logits that are not finite on changes of image {image_ids[row]!r}; "
                    "expected finite numbers: check the classifier on the snapshot's own pictures"
                )
            parts.write(s[row].float().cpu().numpy(), values, base)
            finished[row] = values, base
            drawn += pictures
            speed = drawn / (time.perf_counter() - began)
            listener(Step(task=TASK, done=len(finished), figures={"pictures_per_s": speed}))
    listener(Done(task=TASK, path=folder))
    return Effects(
        values=np.stack([finished[row][0] for row in range(len(s))]),
        base_logits=np.stack([finished[row][1] for row in range(len(s))]),
        indices=indices,
        image_ids=tuple(image_ids),
        shift_range=shift_range,
    )


class _Worker:
    """Draws and judges; knows nothing of files."""

    def __init__(
        self,
        synthesis: Synthesizer,
        classifier: Judge,
        space: StyleSpace,
        indices: ndarray,
        shift_range: float,
        chunk: int | None,
    ) -> None:
        self.synthesis, self.classifier, self.space = synthesis, classifier, space
        self.shift_range, self.chunk = shift_range, chunk
        self.m = len(indices)
        self.layers: list[tuple[int, bool, ndarray, ndarray]] = []
        """Of each layer that is searched: its step, whether it is ToRGB, the columns of the table, indices in s."""
        for step, name in enumerate(synthesis.steps):
            span = space.slice(name)
            columns = np.flatnonzero((indices >= span.start) & (indices < span.stop))
            if len(columns):
                self.layers.append((step, space.layer(name).kind == "torgb", columns, indices[columns]))
        assert sum(len(columns) for _, _, columns, _ in self.layers) == self.m, "indices outside of the space"

    @torch.inference_mode()
    def run(self, s: Tensor) -> Iterator[tuple[ndarray, ndarray, int]]:
        """Each row's effects ``[2, m, k]`` and base logits ``[k]``, with the number of pictures drawn."""
        if self.chunk is None:
            self.chunk = self._find_chunk(s)
        # Several images at once only where one image's smallest layer does not fill a chunk.
        smallest = min((2 * len(columns) for _, _, columns, _ in self.layers), default=1)
        together = max(1, min(16, self.chunk // smallest))
        for rows in torch.split(s, together):
            yield from self._effects_of(rows)

    def _effects_of(self, s: Tensor) -> Iterator[tuple[ndarray, ndarray, int]]:
        # Move every coordinate of a few images both ways.
        states = self.synthesis.prefix(s, noise="const")
        last = len(states) - 1
        drawn = self.synthesis(s, noise="const", start=last, state=states[last])
        base = self.classifier.logits(drawn.clamp(-1, 1)).float()
        table = torch.zeros(len(s), 2, self.m, base.shape[1], device=s.device)
        bounds = extremes(self.space, s)
        pictures = len(s)
        for step, linear, columns, indices in self.layers:
            at = torch.from_numpy(indices).to(s.device)
            column = torch.from_numpy(columns).to(s.device)
            own = s[:, None, at]
            moved = towards(own.expand(-1, 2, -1), bounds[None, :, at].expand(len(s), -1, -1), self.shift_range)
            if linear:
                image, which = (moved != own).any(dim=1).nonzero(as_tuple=True)
                work = self._torgb_chunks(s, states[step], step, image, at[which], moved[image, :, which], drawn)
            else:
                image, sign, which = (moved != own).nonzero(as_tuple=True)
                work = self._conv_chunks(s, states[step], step, image, at[which], moved[image, sign, which])
            for span, logits in work:
                change = logits - base[image[span]].unsqueeze(1)
                if linear:
                    table[image[span], :, column[which[span]]] = change
                else:
                    table[image[span], sign[span], column[which[span]]] = change[:, 0]
                pictures += logits.shape[0] * logits.shape[1]
        for i, (values, logits) in enumerate(zip(table.cpu().numpy(), base.cpu().numpy(), strict=True)):
            yield values, logits, pictures if i == 0 else 0

    def _conv_chunks(
        self, s: Tensor, state: Any, step: int, image: Tensor, index: Tensor, value: Tensor
    ) -> Iterator[tuple[slice, Tensor]]:
        # Logits [jobs, 1, k] of images with one style value replaced.
        def run(span: slice) -> Tensor:
            rows = s[image[span]]
            rows[torch.arange(len(rows), device=s.device), index[span]] = value[span]
            x = self.synthesis(rows, noise="const", start=step, state=_rows(state, image[span]))
            return self.classifier.logits(x.clamp(-1, 1)).float().unsqueeze(1)

        return self._spans(len(image), run)

    def _torgb_chunks(
        self, s: Tensor, state: Any, step: int, image: Tensor, index: Tensor, value: Tensor, drawn: Tensor
    ) -> Iterator[tuple[slice, Tensor]]:
        # Logits [jobs, 2, k], both ways. The picture is linear in a ToRGB style (nothing demodulates it and no
        # feature depends on it), so that one drawing tells both: the longer move is drawn, the other one scaled.
        def run(span: slice) -> Tensor:
            own = s[image[span], index[span]].unsqueeze(1)
            move = value[span] - own
            longest = move.gather(1, move.abs().argmax(dim=1, keepdim=True))
            rows = s[image[span]]
            rows[torch.arange(len(rows), device=s.device), index[span]] = (own + longest)[:, 0]
            before = drawn[image[span]]
            change = self.synthesis(rows, noise="const", start=step, state=_rows(state, image[span])) - before
            share = (move / longest)[:, :, None, None, None]
            x = (before.unsqueeze(1) + share * change.unsqueeze(1)).clamp(-1, 1)
            logits = self.classifier.logits(x.flatten(0, 1)).float()
            return logits.reshape(-1, 2, logits.shape[1])

        return self._spans(len(image), run)

    def _spans(self, jobs: int, run: Callable[[slice], Tensor]) -> Iterator[tuple[slice, Tensor]]:
        # Run jobs in even spans of at most a chunk; where memory does not suffice, in smaller ones from then on.
        done = 0
        while done < jobs:
            assert self.chunk is not None
            pieces = math.ceil((jobs - done) / self.chunk)
            span = slice(done, done + math.ceil((jobs - done) / pieces))
            try:
                result = run(span)
            except torch.OutOfMemoryError:
                if self.chunk == 1:
                    raise
                torch.cuda.empty_cache()
                self.chunk = max(1, self.chunk // 2)
                continue
            yield span, result
            done = span.stop

    def _find_chunk(self, s: Tensor) -> int:
        # The fastest of a few sizes, tried on the layer in the middle. Small chunks stay in a processor's cache, large
        # ones fill an accelerator. Trying costs some hundred pictures, so a small search does not try.
        accelerated = s.device.type != "cpu"
        sizes = (64, 128, 256, 512, 1024) if accelerated else (8, 16, 32, 64, 128)
        if not self.layers or len(s) * 2 * self.m < 16 * sum(sizes):
            return sizes[2]
        step, _, _, indices = self.layers[len(self.layers) // 2]
        state = self.synthesis.prefix(s[:1], noise="const")[step]
        best, chosen = math.inf, sizes[0]
        for size in (sizes[0], *sizes):  # the first of all warms up
            image = torch.zeros(size, dtype=torch.long, device=s.device)
            index = torch.full((size,), int(indices[0]), device=s.device)
            self.chunk = size
            began = time.perf_counter()
            for span, logits in self._conv_chunks(s[:1], state, step, image, index, s[image, index]):
                logits.sum().item()  # wait for the device
                if span.stop - span.start < size:
                    return chosen  # memory ended here
            each = (time.perf_counter() - began) / size
            if each < 0.97 * best:
                best, chosen = each, size
        return chosen


def _rows(state: Any, image: Tensor) -> Any:
    # The states of the images that the jobs are about; of a single image without copying.
    def pick(tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        return tensor.expand(len(image), *tensor.shape[1:]) if len(tensor) == 1 else tensor[image]

    return type(state)(*(pick(tensor) for tensor in state))


class _Parts:
    """Finished images on disk, one file each, found by the hash of all that their effects depend on."""

    def __init__(self, folder: Path | None, space: StyleSpace, indices: ndarray, shift_range: float, key: str) -> None:
        statistics = statistics_of(space)
        self.m = len(indices)
        settings = hashlib.sha256(json.dumps([_FORMAT, key, space.to_json(), shift_range]).encode())
        for array in (indices, statistics.minimum, statistics.maximum):
            settings.update(np.ascontiguousarray(array).tobytes())
        self.settings = settings.hexdigest()
        self.folder = None if folder is None else folder / self.settings[:16]

    def _name(self, vector: ndarray) -> str:
        return hashlib.sha256(self.settings.encode() + np.ascontiguousarray(vector).tobytes()).hexdigest()

    def read(self, vector: ndarray) -> tuple[ndarray, ndarray] | None:
        """The effects and base logits of an image, if they are there and whole."""
        if self.folder is None:
            return None
        name = self._name(vector)
        try:
            with _unpacked(self.folder / f"{name[:24]}.npz") as file:
                values, base = file["values"], file["base_logits"]
                whole = (
                    str(file["name"]) == name
                    and values.dtype == base.dtype == np.float32
                    and values.shape == (2, self.m, *base.shape)
                )
        except _DAMAGED:
            return None
        return (values, base) if whole else None

    def write(self, vector: ndarray, values: ndarray, base: ndarray) -> None:
        """Keep an image's effects.

        Raises:
            StoreError: they cannot be written.
        """
        if self.folder is not None:
            name = self._name(vector)
            data = _packed(values=values, base_logits=base, name=np.array(name))
            write_whole(self.folder / f"{name[:24]}.npz", data)


def _unpacked(path: Path) -> Any:
    # Read at once: where the archive is damaged, np.load would leave an open file behind.
    return np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)


def _packed(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # arrays of numbers and text: nothing is pickled
    return buffer.getvalue()
