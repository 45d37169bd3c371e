"""The Studio protocol: what a viewer asks of the networks, without knowing them, and the nouns it is answered with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from stylex.core.attribute import Attribute
from stylex.core.explanation import Explanation, Picture
from stylex.core.numbers import Numbers
from stylex.core.progress import Listener


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One picture that is asked for: an image, and how far each knob is turned.

    Attributes:
        image: id of the image.
        knobs: position of the knob -> fraction of its attribute's shift: 0 nothing, 1 all of it, negative as far the
            other way. Knobs that are not named are at rest.
        fitted: whether the copy of the generator that was fitted to this photograph is to draw it.
    """

    image: str
    knobs: Mapping[int, float]
    fitted: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class Frame:
    """The picture that was asked for, and the classifier's ``[k]`` probabilities of it.

    Attributes:
        picture, probabilities: these; no probabilities where the picture is half as large as it should be, because
            what a classifier says of such a picture tells little of what it says of the whole one.
        draft: whether it was drawn fast and less exactly.
        fitted: whether the copy fitted to its photograph drew it; it has not, where none is kept.
    """

    picture: Picture
    probabilities: NDArray[np.float32]
    draft: bool = False
    fitted: bool = False

    @property
    def small(self) -> bool:
        """Whether the picture is one of half the size, which has no probabilities."""
        return len(self.probabilities) == 0


@dataclass(frozen=True, kw_only=True)
class Knob:
    """An attribute to be turned.

    Attributes:
        attribute: what moves.
        image: the image it was found for; None: found for the class.
        kept: whether its name outlives the session, in an explanation folder.
    """

    attribute: Attribute
    image: str | None
    kept: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class Fitted:
    """What a copy of the generator that was fitted to a photograph draws of it.

    Attributes:
        rebuilt: its version, all knobs at rest.
        l1, l1_before: mean absolute difference of the pixels to the photograph, on [-1, 1]: by the copy, and by the
            generator as trained.
    """

    rebuilt: Frame
    l1: float
    l1_before: float


@dataclass(frozen=True, eq=False, kw_only=True)
class StudioImage:
    """An image to turn knobs on.

    Attributes:
        id: unique in the studio; letters, digits, ``.``, ``_`` and ``-``.
        name: for people.
        label: the data's own label.
        original, probabilities: the photograph, and what the classifier says of it (None for a sample).
        rebuilt: the generator's version of it, as trained, all knobs at rest.
        own: whether the person brought it.
        notes: what was done to it on reading.
        fitted: what a copy fitted to it draws, as long as one is kept.
    """

    id: str
    name: str
    label: str | None
    original: Picture | None
    probabilities: NDArray[np.float32] | None
    rebuilt: Frame
    own: bool = False
    notes: tuple[str, ...] = ()
    fitted: Fitted | None = None


@dataclass(frozen=True, kw_only=True)
class Flip:
    """Knobs that change the classifier's answer.

    Attributes:
        knobs: position -> fraction of the attribute's shift.
        target: the class they drive to.
        flipped: whether the answer turns.
        sentence: for a person.
    """

    knobs: Mapping[int, float]
    target: int
    flipped: bool
    sentence: str


@dataclass(frozen=True, kw_only=True)
class OwnKnobs:
    """What a search for one image's own attributes came to.

    Attributes:
        knobs: positions of the new knobs, best first.
        flip: those of them that turn the answer together.
        finding: one sentence for a person.
    """

    knobs: tuple[int, ...]
    flip: Flip
    finding: str


@runtime_checkable
class Studio(Protocol):
    """Images, knobs and networks at hand. Safe to be called from several threads at once."""

    title: str
    labels: tuple[str, ...]
    output: Literal["softmax", "sigmoid", "regression"]
    numbers: Numbers | None
    """What a regression's numbers mean."""
    resolution: int
    channels: Literal[1, 3]
    notes: tuple[str, ...]
    remark: str | None
    """What must be known of the classifier before anything else."""
    first: str | None
    """The image to begin with."""
    repeat: Mapping[str, str | bool | None]
    """How this studio was opened: the arguments of ``stylex.open_studio`` that matter."""

    @property
    def knobs(self) -> tuple[Knob, ...]:
        """All knobs; a knob never changes its position."""
        ...

    @property
    def images(self) -> Mapping[str, StudioImage]:
        """The images that are ready, in order."""
        ...

    @property
    def coming(self) -> int:
        """How many images are still to be read."""
        ...

    def load_more(self) -> bool:
        """Read a few of the images that are still to come; False when there are none."""
        ...

    def render(self, turns: Sequence[Turn], *, draft: bool = False, small: bool = False) -> list[Frame]:
        """Draw what is asked for, together.

        Args:
            turns: what is asked for.
            draft: less exactly, where that is worth it.
            small: drafts at half size, where full size takes long; pictures of knobs at rest are never small.

        Raises:
            SearchError: an image or knob that is not there, or a share that is not finite.
        """
        ...

    def add(self, name: str, data: bytes) -> StudioImage:
        """Take in a person's own picture.

        Raises:
            DataError: not a picture, or too large.
        """
        ...

    def fit(self, image: str, listener: Listener) -> StudioImage:
        """Fit a copy of the generator to an image's photograph; an exception of the listener ends it.

        A few copies are kept; the one longest unused makes room for a new one.

        Raises:
            SearchError: no such image, or it has no photograph.
        """
        ...

    @property
    def fit_seconds(self) -> float | None:
        """About how long a fit takes here; None before ``measure_fit`` or a fit."""
        ...

    def measure_fit(self, image: str) -> float:
        """About how long a fit takes here, by a step of one on this image, unless it is known.

        Raises:
            SearchError: no such image, or it has no photograph.
        """
        ...

    def search(self, image: str, target: int | None, listener: Listener, *, fitted: bool = False) -> OwnKnobs:
        """Look for the attributes that drive one image's answer; an exception of the listener ends it.

        Args:
            image, target: which image, and to which class; None: the next likely one.
            listener: hears the progress.
            fitted: in what the copy fitted to this photograph draws.

        Raises:
            SearchError: no such image or class, or no copy fitted to it.
        """
        ...

    def flip(self, image: str, target: int | None, knobs: Sequence[int], *, fitted: bool = False) -> Flip:
        """The fewest of these knobs that turn the answer on the image, as in ``search``.

        Raises:
            SearchError: no such image, class or knob, or no copy fitted to it.
        """
        ...

    def rename(self, knob: int, label: str | None) -> None:
        """Give a knob a person's name; in the explanation folder where it came from one.

        Raises:
            StoreError: the name is too long, or cannot be written.
        """
        ...

    def hide(self, knob: int, hidden: bool) -> None:
        """Mark a knob as one not to be shown; in the explanation folder where it came from one.

        Raises:
            StoreError: it cannot be written.
        """
        ...

    def explanation(self, turn: Turn) -> Explanation:
        """What is on screen as an explanation of one image: each knob added in turn.

        Raises:
            SearchError: an image, knob or fitted copy that is not there, or no knob is turned.
        """
        ...
