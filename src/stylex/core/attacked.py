"""Counterfactual attacks: images changed until the classifier says something else, and what changed in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from stylex.core.evaluation import Interval
from stylex.core.explanation import Picture

Kind = Literal["binary", "continuous"]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """How well a descriptor of images can be read from the latent.

    Attributes:
        descriptor: the table's column.
        kind: of its values.
        images: how many it was fitted on.
        quality: on images left out of the fit: area under the ROC curve (binary) or R2 (continuous).
        shuffled: the same of a column whose rows were exchanged at random: what comes by chance.
        weak: whether it reads too badly for anything to be claimed of it.
    """

    descriptor: str
    kind: Kind
    images: int
    quality: float
    shuffled: float
    weak: bool

    @property
    def measure(self) -> str:
        """What ``quality`` is."""
        return "AUC" if self.kind == "binary" else "R2"


@dataclass(frozen=True, kw_only=True)
class Score:
    """How a descriptor goes with the class, over all images that were turned.

    Attributes:
        descriptor: the table's column.
        change: mean change of what its probe reads, in standard deviations of the descriptor, towards the class
            (changes away from it count the other way); with its interval over images.
        images: how many counted.
    """

    descriptor: str
    change: Interval
    images: int


@dataclass(frozen=True, eq=False, kw_only=True)
class AttackedImage:
    """One image, its reconstruction, and its counterfactual.

    Attributes:
        id: unique in the attack; safe as a file name.
        original, rebuilt, counterfactual: pictures; what the classifier is said to say, it says of these.
        probabilities, rebuilt_probabilities, counterfactual_probabilities: the classifier's, ``[k]``.
        target: position of the class that the image was driven to.
        converged: whether the counterfactual reached the target's probability.
        steps: after how many steps it did, or the search ended; 0: rebuilding the image was enough.
        changed: how many coordinates of the latent were moved.
        length: of the change, in standard deviations of the latent.
        turned: whether moving it made the target the answer: the search converged, and the rebuilt image's answer is
            another one.
        turned_at_random: whether a random move does, of as many coordinates and as long.
        scores: by descriptor, the change of what its probe reads, in standard deviations of the descriptor.
        label: the data set's own label, where it has one.
    """

    id: str
    original: Picture
    rebuilt: Picture
    counterfactual: Picture
    probabilities: NDArray[np.float32]
    rebuilt_probabilities: NDArray[np.float32]
    counterfactual_probabilities: NDArray[np.float32]
    target: int
    converged: bool
    steps: int
    changed: int
    length: float
    turned: bool
    turned_at_random: bool
    scores: Mapping[str, float] = field(default_factory=dict)
    label: str | None = None

    @property
    def gain(self) -> float:
        """How much the target's probability rose from the rebuilt image to the counterfactual."""
        return float(self.counterfactual_probabilities[self.target] - self.rebuilt_probabilities[self.target])


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """How far pictures are from other real photographs that get the same answers: kernel distances, smaller is nearer.

    Attributes:
        attacked: of the counterfactuals.
        rebuilt: of the same images, rebuilt and not moved: what the generator costs by itself.
        random: of the same images after random moves of as many coordinates and as long.
        images: in each set.
        by: which network looks; it is not the classifier.
    """

    attacked: Interval
    rebuilt: Interval
    random: Interval
    images: int
    by: str

    @property
    def said(self) -> str:
        """In a sentence."""
        attacked, rebuilt, random = (
            f"{d.value:.3f} ({d.low:.3f} to {d.high:.3f})" for d in (self.attacked, self.rebuilt, self.random)
        )
        if self.attacked.low > self.rebuilt.high:
            verdict = ": look whether they are still pictures of the domain."
        elif self.attacked.high < self.rebuilt.low:
            verdict = "."
        else:
            verdict = ": so many pictures do not tell attacked and rebuilt ones apart."
        return (
            f"The attacked pictures are {attacked} from other photographs of the same answers, the rebuilt ones "
            f"{rebuilt}, and those moved at random {random} (kernel distance of {self.images} pictures, "
            f"{self.by}; 0 would be alike)" + verdict
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class Attack:
    """All that a report needs of an attack; what its folder holds.

    Attributes:
        title: one line for a person.
        labels: the classifier's class names, ``k`` of them.
        towards: the class that scores are about; changes of images driven away from it count the other way.
        coordinates: how many coordinates the latent has that could be moved.
        probability: that the target had to reach.
        images: in the order of the data.
        probes: one for each descriptor.
        scores: of the descriptors that can be read well enough, the largest change first.
        likeness: to real photographs; None where too few others get the same answers.
        settings: everything needed to repeat the attack, JSON-able.
        notes: for a person.
    """

    title: str
    labels: tuple[str, ...]
    towards: str
    coordinates: int
    probability: float
    images: tuple[AttackedImage, ...]
    probes: tuple[Probe, ...]
    scores: tuple[Score, ...]
    likeness: Likeness | None
    settings: Mapping[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def converged(self) -> int:
        """How many images reached the target's probability."""
        return sum(image.converged for image in self.images)

    @property
    def turned(self) -> tuple[AttackedImage, ...]:
        """The images that the attack turned: those that converged and whose answer it changed.

        Those that were rebuilt with the target's answer already do not count, nor those that reach a probability which
        is not the answer yet.
        """
        return tuple(image for image in self.images if image.turned)

    def weak(self, descriptor: str) -> bool:
        """Whether a descriptor reads too badly for anything to be claimed of it."""
        return any(probe.weak for probe in self.probes if probe.descriptor == descriptor)
