"""Where images are moved in an attack: in w, in StyleSpace, or in the latent of any other generative model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stylex.core.errors import SearchError
from stylex.search.choosing import AT_ONCE
from stylex.search.shifts import statistics_of
from stylex.search.subject import TrainedSubject

Read = Callable[[Float[Tensor, "n c h w"]], Float[np.ndarray, "n r"]]
"""The encoder's latents of images, for probes to read."""


@runtime_checkable
class LatentModel(Protocol):
    """Any generative model that images can be taken into and drawn from: an autoencoder, say.

    Images are float32 in [-1, 1], ``[n c h w]``; latents are floats ``[n, ...]`` of any shape. ``decode`` must carry a
    gradient.
    """

    def encode(self, x: Tensor) -> Tensor:
        """The latents of images."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """The images of latents; what lies outside [-1, 1] is clamped."""
        ...


class Placed(NamedTuple):
    """Images in a latent space: what is moved, and what else they are drawn from (it stays)."""

    z: Float[Tensor, "n d"]
    rest: Float[Tensor, "n e"]


@runtime_checkable
class Latents(Protocol):
    """A latent space to attack in."""

    @property
    def coordinates(self) -> int:
        """How many can be moved."""
        ...

    def place(self, x: Float[Tensor, "n c h w"], c: Float[Tensor, "n own"]) -> Placed:
        """Images in the space, given the classifier's probabilities of them."""
        ...

    def moved(self, z: Float[Tensor, "n d"], change: Float[Tensor, "n m"]) -> Float[Tensor, "n d"]:
        """Latents changed by so many standard deviations along each coordinate."""
        ...

    def draw(self, z: Float[Tensor, "n d"], rest: Float[Tensor, "n e"]) -> Float[Tensor, "n c h w"]:
        """The pictures, with a gradient."""
        ...

    def read(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n r"]:
        """What probes read of pictures: the encoder's latent of them alone.

        An encoder that can be told the classifier's answer is not told it here: a probe must not read the answer.
        """
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class InW:
    """The latent w. Coordinates are the principal axes of the training images' latents, in standard deviations.

    A step up a gradient then goes where images differ from each other, and does not move what varies independently of
    the classifier's answer, to first order: it is the covariance with the answer (Haufe et al. 2014).

    Attributes:
        subject: the networks.
        axes: ``[m, w_dim]``, each as long as one standard deviation.
    """

    subject: TrainedSubject
    axes: Float[Tensor, "m w_dim"]

    @classmethod
    def of(cls, subject: TrainedSubject, latents: Float[np.ndarray, "n w_dim"]) -> InW:
        """The space of these latents' principal axes."""
        return cls(subject=subject, axes=torch.from_numpy(principal_axes(latents)).to(subject.device))

    @property
    def coordinates(self) -> int:
        """How many axes there are."""
        return len(self.axes)

    def place(self, x: Float[Tensor, "n c h w"], c: Float[Tensor, "n own"]) -> Placed:
        """Their latents; with the answers and maps that the generator is told."""
        told = c[:, : self._told]
        maps = self.subject.snapshot.encoder.maps(x)
        w = self.subject.snapshot.encoder(x, c)
        return Placed(w, told if maps is None else torch.cat([told, maps], dim=1))

    def moved(self, z: Float[Tensor, "n d"], change: Float[Tensor, "n m"]) -> Float[Tensor, "n d"]:
        """Along the axes."""
        return z + change @ self.axes

    def draw(self, z: Float[Tensor, "n d"], rest: Float[Tensor, "n e"]) -> Float[Tensor, "n c h w"]:
        """The generator's pictures."""
        synthesis, told = self.subject.snapshot.generator.synthesis, self._told
        maps = rest[:, told:] if rest.shape[1] > told else None
        return synthesis(synthesis.styles(z, rest[:, :told] if told else None, maps), noise="const")

    def read(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n r"]:
        """The encoder's latents."""
        return self.subject.snapshot.encoder.unconditional(x)

    @property
    def _told(self) -> int:
        return self.subject.snapshot.generator.synthesis.c_dim


def principal_axes(latents: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "m d"]:
    """Along what latents vary, the most first, each axis as long as one standard deviation."""
    centred = latents.astype(np.float64) - latents.mean(axis=0)
    _, lengths, axes = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(axes * (lengths / np.sqrt(max(len(latents) - 1, 1)))[:, None], np.float32)


class InS:
    """StyleSpace: single style values, in the standard deviations that were observed of them.

    Attributes:
        coordinates: how many can be moved: those of convolutions, and of ToRGB layers where they are searched.
    """

    def __init__(self, subject: TrainedSubject) -> None:
        self.subject = subject
        self.coordinates = len(subject.indices)
        self._indices = torch.from_numpy(subject.indices).to(subject.device)
        unit = torch.from_numpy(statistics_of(subject.space).std[subject.indices])
        self._unit = unit.to(subject.device)

    def place(self, x: Float[Tensor, "n c h w"], c: Float[Tensor, "n own"]) -> Placed:
        """Their style vectors."""
        return Placed(self.subject.snapshot.styles_of(x, c), x.new_zeros(len(x), 0))

    def moved(self, z: Float[Tensor, "n d"], change: Float[Tensor, "n m"]) -> Float[Tensor, "n d"]:
        """The style values that can be moved, moved."""
        return z.index_add(1, self._indices, change * self._unit)

    def draw(self, z: Float[Tensor, "n d"], rest: Float[Tensor, "n e"]) -> Float[Tensor, "n c h w"]:
        """The generator's pictures."""
        return self.subject.synthesis(z, noise="const")

    def read(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n r"]:
        """The encoder's latents: style values are a linear map of them, so that a probe reads no more from s."""
        return self.subject.snapshot.encoder.unconditional(x)


class InModel:
    """The latent of another model, coordinate by coordinate, in standard deviations over some images.

    Attributes:
        coordinates: how many numbers a latent has.
    """

    def __init__(self, model: LatentModel, x: Float[Tensor, "n c h w"]) -> None:
        self.model = model
        with torch.no_grad():
            z = self._encoded(x)
        self._shape = z.shape[1:]
        flat = z.flatten(1)
        self.coordinates = flat.shape[1]
        std = flat.std(dim=0) if len(flat) > 1 else torch.ones_like(flat[0])
        self._unit = torch.where(std > 0, std, torch.ones_like(std))

    def place(self, x: Float[Tensor, "n c h w"], c: Float[Tensor, "n own"]) -> Placed:
        """Their latents."""
        return Placed(self.read(x), x.new_zeros(len(x), 0))

    def moved(self, z: Float[Tensor, "n d"], change: Float[Tensor, "n m"]) -> Float[Tensor, "n d"]:
        """The latents, moved."""
        return z + change * self._unit

    def draw(self, z: Float[Tensor, "n d"], rest: Float[Tensor, "n e"]) -> Float[Tensor, "n c h w"]:
        """The model's pictures.

        Raises:
            SearchError: they are none.
        """
        x: Any = self.model.decode(z.unflatten(1, self._shape))
        if not isinstance(x, Tensor) or x.ndim != 4 or len(x) != len(z):
            given = list(x.shape) if isinstance(x, Tensor) else type(x).__name__
            raise SearchError(f"the model's decode gives {given} for {len(z)} latents; expected images [n, c, h, w]")
        return x.float()

    def read(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n r"]:
        """The model's latents."""
        return self._encoded(x).flatten(1)

    def _encoded(self, x: Tensor) -> Tensor:
        z: Any = self.model.encode(x)
        if not isinstance(z, Tensor) or z.ndim < 2 or len(z) != len(x) or not z.is_floating_point():
            given = list(z.shape) if isinstance(z, Tensor) else type(z).__name__
            raise SearchError(f"the model's encode gives {given} for {len(x)} images; expected floats [n, ...]")
        return z.float()


def reader(latents: Latents) -> Read:
    """Reads images, any number of them."""

    @torch.inference_mode()
    def read(x: Tensor) -> np.ndarray:
        return torch.cat([latents.read(part) for part in x.split(AT_ONCE)]).float().cpu().numpy()

    return read
