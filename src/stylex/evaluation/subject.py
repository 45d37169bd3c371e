"""What is evaluated: the networks of a snapshot, and the space that its attributes move in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from numpy import ndarray
from torch import Tensor

from stylex.classifiers.classifier import Classifier
from stylex.core.attribute import Attribute
from stylex.core.errors import SearchError
from stylex.core.progress import Listener, silent
from stylex.core.stylespace import StyleSpace
from stylex.data.archive import ImageSet
from stylex.models.snapshot import Snapshot
from stylex.search.directions import INDEPENDENT, independent
from stylex.search.effects import Effects, measure_effects
from stylex.search.eigenfind import along_eigenvectors
from stylex.search.explaining import Encoded, encode, told_of
from stylex.search.render import Synthesizer, draw
from stylex.search.shifts import apply_attributes, statistics_of

_ROWS = 64


class CountedClassifier(Classifier):
    """The classifier under explanation, which counts the images that it is shown."""

    def __init__(self, counted: Classifier) -> None:
        super().__init__(counted.model, counted.spec)
        self.counted = counted
        self.calls = 0
        self.to(next(counted.buffers()).device)

    @property
    def own(self) -> int:
        """How many of the labels the model answers itself."""
        return self.counted.own

    def logits(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """What the classifier says."""
        self.calls += len(x)
        return self.counted.logits(x)

    def logits_and_features(self, x: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "n k"], list[Tensor]]:
        """Logits and feature maps."""
        self.calls += len(x)
        return self.counted.logits_and_features(x)


@dataclass(frozen=True, eq=False, kw_only=True)
class Subject:
    """The networks, and the space whose coordinates the attributes move.

    Attributes:
        snapshot: encoder, generator, discriminator.
        synthesis: draws style vectors of ``space``.
        space: layout and observations.
        classifier: the explained one, counted.
        indices: the coordinates that are searched.
        control: those that random ones are drawn from, for comparison.
    """

    snapshot: Snapshot
    synthesis: Synthesizer
    space: StyleSpace
    classifier: CountedClassifier
    indices: Int64[ndarray, " m"]
    control: Int64[ndarray, " r"]

    def told(self, logits: Float[Tensor, "n k"]) -> Float[Tensor, "n own"]:
        """What the networks are told of logits."""
        return told_of(self.classifier, logits)

    def encode(self, images: ImageSet) -> Encoded:
        """Images in the space, with their reconstructions and what the classifier says of both."""
        device = next(self.classifier.buffers()).device
        x = images.batch(np.arange(len(images))).to(device)
        return encode(self.snapshot, self.classifier, x, images.names, [None] * len(images))

    def encode_again(self, encoded: Encoded) -> Encoded:
        """The same images in this subject's space."""
        return encode(self.snapshot, self.classifier, encoded.x, encoded.ids, encoded.labels)

    def effects(
        self,
        encoded: Encoded,
        indices: Int64[ndarray, " m"] | None = None,
        *,
        shift_range: float = 1.0,
        listener: Listener = silent,
    ) -> Effects:
        """What the classifier says of encoded images when each searched coordinate (or each of these) moves."""
        return measure_effects(
            self.synthesis,
            self.classifier,
            self.space,
            encoded.s,
            image_ids=encoded.ids,
            indices=self.indices if indices is None else indices,
            shift_range=shift_range,
            listener=listener,
        )

    @torch.inference_mode()
    def see(self, s: Float[Tensor, "n s_dim"]) -> Float32[ndarray, "n k"]:
        """The logits of the pictures of style vectors."""
        rows = [self.classifier.logits(draw(self.synthesis, part)) for part in s.split(_ROWS)]
        return np.asarray(torch.cat(rows).cpu().numpy(), dtype=np.float32) if rows else self._nobody()

    @torch.inference_mode()
    def show(self, s: Float[Tensor, "n s_dim"]) -> tuple[Float32[ndarray, "n c h w"], Float32[ndarray, "n k"]]:
        """The pictures of style vectors, and their logits."""
        pictures, logits = [], []
        for part in s.split(_ROWS):
            x = draw(self.synthesis, part)
            pictures.append(x.cpu().numpy())
            logits.append(self.classifier.logits(x).cpu().numpy())
        return np.concatenate(pictures), np.concatenate(logits)

    def _nobody(self) -> Float32[ndarray, "n k"]:
        return np.zeros((0, self.classifier.k), dtype=np.float32)


_FEWEST_OTHERS = 3


def subject_of(snapshot: Snapshot, classifier: Classifier, *, torgb: bool = False) -> Subject:
    """A snapshot in its own space: single coordinates, or directions in w where it was given some."""
    return Subject(
        snapshot=snapshot,
        synthesis=snapshot.generator.synthesis,
        space=snapshot.space,
        classifier=CountedClassifier(classifier),
        indices=snapshot.space.indices(include_torgb=torgb),
        control=snapshot.space.control(include_torgb=torgb),
    )


def steered_alike(snapshot: Snapshot, other: Snapshot) -> Snapshot:
    """A snapshot with directions in w of the kinds that another has; itself where the other has none.

    Raises:
        SearchError: no such directions can be found in it.
    """
    names = [layer.name for layer in other.space.layers if layer.kind == "direction"]
    if not names:
        return snapshot
    if INDEPENDENT in names:
        return independent(snapshot)
    if snapshot.latents is None:
        raise SearchError(f"{snapshot.path} keeps no latents to find directions in; train to a new snapshot")
    return along_eigenvectors(snapshot, snapshot.latents)


def comparable(subject: Subject, shown: Sequence[Attribute]) -> Int64[ndarray, " r"]:
    """Coordinates to compare attributes with: of their kinds of layer, none of their own, all of them varying.

    Beside directions they are the other directions that were searched, as long as there are a few: random mixtures
    hold a part of the strongest direction, and beside these no weaker one would count.
    """
    space, statistics = subject.space, statistics_of(subject.space)
    kinds = {space.layer(attribute.coordinate.layer).kind for attribute in shown}
    own = {space.index(attribute.coordinate) for attribute in shown}
    kind_of = np.concatenate([[layer.kind] * layer.channels for layer in space.layers])

    def left(indices: Int64[ndarray, " m"]) -> Int64[ndarray, " r"]:
        kept = [i for i in indices.tolist() if i not in own and statistics.std[i] > 0 and kind_of[i] in kinds]
        return np.array(kept, dtype=np.int64)

    others = left(subject.indices) if kinds == {"direction"} else np.zeros(0, dtype=np.int64)
    return others if len(others) >= _FEWEST_OTHERS else left(subject.control)


def random_coordinates(
    s: Float[Tensor, "n s_dim"],
    attributes: Sequence[Attribute],
    space: StyleSpace,
    pool: Int64[ndarray, " r"],
    random: np.random.Generator,
) -> Float[Tensor, "n s_dim"]:
    """Move a random coordinate of the pool in each image, another in each, as far as the attributes together move it.

    As far: by the same Euclidean length in standard deviations.
    """
    if len(pool) == 0:
        return s.clone()
    statistics = statistics_of(space)
    std = torch.tensor(np.where(statistics.std > 0, statistics.std, np.inf)).to(s)
    length = ((apply_attributes(s, attributes, space) - s) / std).norm(dim=1)
    columns = torch.from_numpy(random.choice(pool, size=len(s))).to(s.device)
    signs = torch.from_numpy(random.choice((-1.0, 1.0), size=len(s))).to(s)
    moved = s.clone()
    moved[torch.arange(len(s), device=s.device), columns] += signs * length * std[columns]
    return moved


@contextmanager
def gradients() -> Iterator[None]:
    """A gradient to the image, also where the caller has switched gradients off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield
