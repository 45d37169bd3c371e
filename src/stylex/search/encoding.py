"""Images in StyleSpace: style vectors, reconstructions, and what the classifier says of both."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from stylex.core.errors import SearchError
from stylex.data.archive import ImageSet
from stylex.search.choosing import AT_ONCE, spread
from stylex.search.subject import Subject, TrainedSubject

_LATENTS = 512
"""Images encoded to know the range of directions by, where the snapshot keeps no latents."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Searched(ABC):
    """Images in StyleSpace, with what the classifier says of them and of their reconstructions.

    Attributes:
        ids: unique names, safe as file names.
        labels: the data's own labels, or None for each.
        logits, logits_rec: ``[n, k]``.
        s: style vectors ``[n, s_dim]``.
    """

    ids: tuple[str, ...]
    labels: tuple[str | None, ...]
    logits: Float[Tensor, "n k"]
    logits_rec: Float[Tensor, "n k"]
    s: Float[Tensor, "n s_dim"]

    @abstractmethod
    def pair(self, row: int) -> tuple[Float[Tensor, "1 c h w"], Float[Tensor, "1 c h w"]]:
        """An image and its reconstruction, in [-1, 1]."""

    def alone(self, row: int) -> Encoded:
        """One of the images, held in memory."""
        x, x_rec = self.pair(row)
        own = slice(row, row + 1)
        return Encoded(
            ids=self.ids[own],
            labels=self.labels[own],
            logits=self.logits[own],
            logits_rec=self.logits_rec[own],
            s=self.s[own],
            x=x,
            x_rec=x_rec,
        )

    @abstractmethod
    def pixel_l1(self) -> float:
        """Mean difference between images and reconstructions, in the unit of [-1, 1]."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Encoded(Searched):
    """Images that are held in memory, and their reconstructions.

    Attributes:
        x, x_rec: images and reconstructions ``n c h w`` in [-1, 1].
    """

    x: Float[Tensor, "n c h w"]
    x_rec: Float[Tensor, "n c h w"]

    def pair(self, row: int) -> tuple[Float[Tensor, "1 c h w"], Float[Tensor, "1 c h w"]]:
        """As in ``Searched``."""
        return self.x[row : row + 1], self.x_rec[row : row + 1]

    def pixel_l1(self) -> float:
        """As in ``Searched``."""
        return (self.x_rec - self.x).abs().mean().item()


@dataclass(frozen=True, eq=False, kw_only=True)
class Streamed(Searched):
    """Images that stay in their archive; what is shown of them is read, and drawn, again.

    Attributes:
        images: the archive's.
        subject: what draws reconstructions.
        difference: the mean difference of pixels.
    """

    images: ImageSet
    subject: Subject
    difference: float

    def pair(self, row: int) -> tuple[Float[Tensor, "1 c h w"], Float[Tensor, "1 c h w"]]:
        """As in ``Searched``."""
        s = self.s[row : row + 1]
        return self.images.batch([row]).to(s.device), self.subject.draw(s)

    def pixel_l1(self) -> float:
        """As in ``Searched``."""
        return self.difference


def encode(
    subject: TrainedSubject, x: Float[Tensor, "n c h w"], ids: Sequence[str], labels: Sequence[str | None] | None = None
) -> Encoded:
    """Take images into StyleSpace, and reconstruct them with fixed noise."""
    rows = [_encoded(subject, part) for part in x.split(AT_ONCE)]
    x_rec, logits, logits_rec, s = (torch.cat(column) for column in zip(*rows, strict=True))
    return Encoded(
        ids=file_names(ids),
        labels=tuple(labels or [None] * len(ids)),
        x=x,
        x_rec=x_rec,
        logits=logits,
        logits_rec=logits_rec,
        s=s,
    )


def encode_set(subject: TrainedSubject, images: ImageSet) -> Encoded:
    """``encode`` for all images of a set that fits in memory."""
    return encode(subject, images.batch(np.arange(len(images))).to(subject.device), images.names)


def encode_stream(subject: TrainedSubject, images: ImageSet, labels: Sequence[str | None]) -> Streamed:
    """``encode`` for any number of images: some are in memory at a time, and none are kept."""
    rows, difference = [], 0.0
    for start in range(0, len(images), AT_ONCE):
        x = images.batch(range(start, min(start + AT_ONCE, len(images)))).to(subject.device)
        x_rec, *row = _encoded(subject, x)
        difference += (x_rec - x).abs().mean().item() * len(x) / len(images)
        rows.append(row)
    logits, logits_rec, s = (torch.cat(column) for column in zip(*rows, strict=True))
    return Streamed(
        ids=file_names(images.names),
        labels=tuple(labels),
        logits=logits,
        logits_rec=logits_rec,
        s=s,
        images=images,
        subject=subject,
        difference=difference,
    )


@torch.inference_mode()
def _encoded(subject: TrainedSubject, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    # Reconstructions, logits of images and of those, and style vectors.
    logits = subject.classifier.logits(x)
    s = subject.styles(x, logits)
    x_rec = subject.draw(s)
    return x_rec, logits, subject.classifier.logits(x_rec), s


@torch.inference_mode()
def latents_of(subject: TrainedSubject, images: ImageSet | None) -> Float[NDArray[Any], "n w_dim"]:
    """Latents to know the range of directions by: those that the snapshot keeps, or of some of these images.

    Raises:
        SearchError: there are neither.
    """
    snapshot = subject.snapshot
    if snapshot.latents is not None:
        return snapshot.latents
    if images is None:
        raise SearchError(f"{snapshot.path} keeps no latents to find directions in; give an archive of images as data")
    parts = np.array_split(spread(len(images), min(len(images), _LATENTS)), 8)
    return encoder_latents(subject, (images.batch(part) for part in parts if len(part)))


def encoder_latents(subject: TrainedSubject, batches: Iterable[Tensor]) -> Float[NDArray[Any], "n w_dim"]:
    """The encoder's latents of images ``[n c h w]`` in [-1, 1], and told its answers where it is told c."""
    pieces = (x.to(subject.device) for x in batches)
    encoder = subject.snapshot.encoder
    latents = [encoder(x, subject.condition(subject.classifier.logits(x))) for x in pieces]
    return torch.cat(latents).cpu().numpy()


def file_names(names: Sequence[str]) -> tuple[str, ...]:
    """Names of images made safe as file names, and different from each other."""
    out: list[str] = []
    same: Counter[str] = Counter()
    for name in names:
        # No stem has two dashes in a row, so a numbered one is nobody else's stem.
        stem = re.sub(r"[^A-Za-z0-9]+", "-", name.rsplit(".", 1)[0]).strip("-")[-60:] or "image"
        same[stem] += 1
        out.append(f"{stem}--{same[stem]}" if same[stem] > 1 else stem)
    return tuple(out)
