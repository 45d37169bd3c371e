"""Explanation: what was found, with the pictures that show it, before it goes to disk and after it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from stylex.core.attribute import AttributeRanking
from stylex.core.figures import Flips
from stylex.core.presenting import present
from stylex.core.stylespace import StyleSpace

Picture = NDArray[np.uint8]
"""An image for the eye: ``h w c`` with c 1 or 3, uint8."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ExplainedImage:
    """One image and its reconstruction, with what the classifier says of each.

    Attributes:
        id: unique in the explanation; safe as a file name.
        original, reconstruction: pictures; ``original`` is None for an image sampled from noise.
        logits, probabilities: of the original, ``[k]`` (None for a sample).
        reconstruction_logits, reconstruction_probabilities: ``[k]``.
        label: the data set's own label, where it has one.
    """

    id: str
    original: Picture | None
    reconstruction: Picture
    logits: NDArray[np.float32] | None
    probabilities: NDArray[np.float32] | None
    reconstruction_logits: NDArray[np.float32]
    reconstruction_probabilities: NDArray[np.float32]
    label: str | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Counterfactual:
    """One image changed by one or more attributes.

    Attributes:
        image: id of the ExplainedImage that was changed.
        attributes: positions in the explanation's ranking, in the order they were applied.
        picture: the changed reconstruction.
        logits, probabilities: the classifier's on the changed picture, ``[k]``.
        target: the class whose probability this picture is to show moving.
        role: ``shows`` (one attribute shown at its best), ``independent`` (one attribute of an
            image-specific explanation) or ``subset`` (attributes together).
    """

    image: str
    attributes: tuple[int, ...]
    picture: Picture
    logits: NDArray[np.float32]
    probabilities: NDArray[np.float32]
    target: int
    role: Literal["shows", "independent", "subset"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Strip:
    """One image with one attribute turned from end to end: what a slider shows where no network is at hand.

    Attributes:
        image: id of the ExplainedImage that is turned.
        attribute: position in the explanation's ranking.
        shares: of the attribute's shift, ascending: 0 nothing, 1 all of it, negative as far the other way. What lies
            further than ``1 / shift_range`` was never observed.
        frames: a picture for each share, ``n h w c``, uint8.
        probabilities: the classifier's on each, ``[n, k]``.
    """

    image: str
    attribute: int
    shares: tuple[float, ...]
    frames: NDArray[np.uint8]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True, eq=False, kw_only=True)
class Explanation:
    """All that a report, a viewer or a script needs; it is what an explanation folder holds.

    Attributes:
        scope: ``class`` (global) or ``image`` (local).
        title: one line for a person.
        labels: the classifier's class names, ``k`` of them.
        output: ``softmax`` or ``sigmoid``: how logits become probabilities; of a ``regression`` logits
            are standardised numbers, and probabilities their places between 0 and 1 (``core/numbers.py``).
        ranking: the attributes, best first.
        images: the images shown.
        counterfactuals: what the attributes do to them.
        figures: named measurements (agreement, flips of the top attributes, of random ones, ...).
        flips: how many images the attributes turn together, one entry for each class that it was measured of.
        settings: everything needed to repeat the run, JSON-able.
        snapshot: ``{"path": ..., "sha256": ...}``.
        space: layout of StyleSpace.
        notes: for a person.
        strips: some of the images with each attribute turned from end to end.
    """

    scope: Literal["class", "image"]
    title: str
    labels: tuple[str, ...]
    output: Literal["softmax", "sigmoid", "regression"]
    ranking: AttributeRanking
    images: tuple[ExplainedImage, ...]
    counterfactuals: tuple[Counterfactual, ...]
    figures: Mapping[str, float]
    settings: Mapping[str, Any]
    snapshot: Mapping[str, str]
    space: StyleSpace
    notes: tuple[str, ...] = field(default=())
    flips: tuple[Flips, ...] = field(default=())
    strips: tuple[Strip, ...] = field(default=())

    def image(self, image_id: str) -> ExplainedImage:
        """The image of that id; KeyError if it is not shown."""
        for image in self.images:
            if image.id == image_id:
                return image
        raise KeyError(image_id)

    def show(self) -> Any:
        """In a notebook: knobs to turn, on the images that have strips; a table with pictures where widgets are off."""
        return present("show", self)

    def plot(self, *, images: int = 3) -> Any:
        """A matplotlib figure: for each attribute its probabilities from end to end, and ``images`` changed by it.

        Raises:
            ConfigError: matplotlib is not installed.
            SearchError: there is no attribute to draw.
        """
        return present("plot", self, images=images)

    def _repr_html_(self) -> str:
        html: str = present("html", self)
        return html


class Editor(Protocol):
    """Turns knobs live: what a viewer needs of the networks, without knowing them."""

    def render(self, image_id: str, knobs: Mapping[int, float]) -> tuple[Picture, NDArray[np.float32]]:
        """The picture of an image with attributes moved (position in the ranking -> fraction), and its logits."""
        ...
