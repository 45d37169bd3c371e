"""From style vectors to pictures to logits, as every search does it: noise fixed, pictures clamped to [-1, 1].

The networks are met through protocols, so that a search can be tested on a generator of three lines.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from stylex.core.stylespace import StyleSpace

ROWS_PER_PASS = 32
"""Images drawn at once where speed is of no concern."""


@runtime_checkable
class Synthesizer(Protocol):
    """What the search needs of a synthesis network (``stylex.models.generator.Synthesis`` is one)."""

    space: StyleSpace
    steps: tuple[str, ...]

    def __call__(
        self, s: Tensor, *, noise: Literal["const"] = "const", start: int = 0, state: Any | None = None
    ) -> Tensor:
        """Draw images, from any step on, given the state before it."""
        ...

    def prefix(self, s: Tensor, *, noise: Literal["const"] = "const") -> list[Any]:
        """The state before each step: named tuples of tensors ``[n ...]`` or None."""
        ...

    def between(
        self, s: Tensor, start: int, stop: int, *, noise: Literal["const"] = "const", state: Any | None = None
    ) -> Any:
        """The state before step ``stop``, given the one before step ``start``."""
        ...


class InBfloat16:
    """The same network drawing in bfloat16: a ``Synthesizer`` for previews; what it misses is in how-to/explore.md."""

    def __init__(self, synthesis: Synthesizer, device: torch.device) -> None:
        self.space, self.steps = synthesis.space, synthesis.steps
        self._synthesis, self._device = synthesis, device.type

    def __call__(
        self, s: Tensor, *, noise: Literal["const"] = "const", start: int = 0, state: Any | None = None
    ) -> Tensor:
        """As in ``Synthesizer``."""
        with torch.autocast(self._device, torch.bfloat16):
            return self._synthesis(s, noise=noise, start=start, state=state)

    def prefix(self, s: Tensor, *, noise: Literal["const"] = "const") -> list[Any]:
        """As in ``Synthesizer``."""
        with torch.autocast(self._device, torch.bfloat16):
            return self._synthesis.prefix(s, noise=noise)

    def between(
        self, s: Tensor, start: int, stop: int, *, noise: Literal["const"] = "const", state: Any | None = None
    ) -> Any:
        """As in ``Synthesizer``."""
        with torch.autocast(self._device, torch.bfloat16):
            return self._synthesis.between(s, start, stop, noise=noise, state=state)


@runtime_checkable
class Mover(Synthesizer, Protocol):
    """A synthesis network that draws a single replaced style without repeating what stays the same."""

    def basis(self, s: Tensor, step: int, state: Any, drawn: Tensor) -> Any:
        """What ``moved`` needs of some images: their styles, a step, the state before it, and their pictures."""
        ...

    def moved(self, basis: Any, image: Tensor, index: Tensor, value: Tensor) -> Tensor:
        """Pictures, each of one of the basis's images with one style of its step replaced."""
        ...


@runtime_checkable
class HasLogits(Protocol):
    """What the search needs of the explained classifier."""

    def logits(self, x: Tensor) -> Tensor:
        """Logits ``[n k]`` of images in [-1, 1]."""
        ...


@runtime_checkable
class Critic(Protocol):
    """What the search needs of a discriminator."""

    def __call__(self, x: Tensor, c: Tensor) -> Tensor:
        """How real ``[n 1]`` images look that are said to be of probabilities c."""
        ...
