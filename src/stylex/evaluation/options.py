"""What an evaluation is made of, and how it is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stylex.core.errors import EvaluationError
from stylex.core.progress import Listener, silent
from stylex.data.archive import ImageSet
from stylex.evaluation.extractors import Extractor
from stylex.search.choosing import KEPT_BACK
from stylex.search.config import SearchConfig
from stylex.search.subject import TrainedSubject

PARTS: Mapping[str, str] = {
    "reconstruction": "does the generator keep what the classifier sees",
    "reason": "does it decide on the rebuilt picture for the reason that it has on the photograph",
    "lost": "what is decisive on the photograph and not drawn",
    "follows": "does the answer go with w or with the maps, when the maps are another image's (needs maps)",
    "realism": "are reconstructions, samples and pictures changed by the attributes like real images",
    "sufficiency": "how many images do the attributes turn, beside random coordinates",
    "account": "how much of how the answers on photographs differ do the attributes account for",
    "photograph": "do the attributes turn the photographs too, as they turn the rebuilt pictures",
    "preservation": "what of the picture and of the other classes does an attribute leave alone",
    "own": "how many images do attributes turn that are chosen for each image",
    "attack": "do the changes survive being encoded again, beside a pixel attack of equal size",
    "significance": "does each attribute do more than a random coordinate moved equally far",
    "sparsity": "how local is each change",
    "observer": "can a machine tell the attributes apart on images that it has not seen",
    "stability": "does another training find the same attributes (needs a second snapshot)",
}
"""What is measured, in this order; every part can be left out."""


FEWEST_IMAGES = KEPT_BACK
"""Fewer images are not measured on."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to evaluate.

    Attributes:
        searched: images to find the attributes on, where no explanation is given.
        measured: other images to measure on.
        attributes: how many of each target are looked for and moved together.
        search: how they are searched for, as in ``find``.
        own: images towards each target that get attributes of their own.
        observer_steps: how long the machine observer is trained, in batches of 64 pairs.
        without: parts to leave out.
        seed: of everything random.
    """

    searched: int = 100
    measured: int = 200
    own: int = 16
    observer_steps: int = 300
    attributes: int = 10
    search: SearchConfig = field(default_factory=SearchConfig)
    without: frozenset[str] = field(default_factory=frozenset)
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (
            ("searched", 1),
            ("measured", FEWEST_IMAGES),
            ("own", 1),
            ("observer_steps", 1),
            ("attributes", 1),
            ("seed", 0),
        ):
            if getattr(self, name) < least:
                raise EvaluationError(f"{name} is {getattr(self, name)}; expected {least} or more")
        unknown = sorted(self.without - PARTS.keys())
        if unknown:
            raise EvaluationError(f"there is no part {unknown[0]!r} to leave out; the parts are {', '.join(PARTS)}")


@dataclass(frozen=True, eq=False, kw_only=True)
class Inputs:
    """What an evaluation is made of, beside the subject.

    Attributes:
        held_out: images that were never trained on; none is both searched and measured.
        training: images of the training, as a reference for realism; None: half of the held-out images.
        targets: classes to drive to, where the attributes are searched for here.
        extractor: for distances of sets of images.
        against: another training's networks; None: stability is not measured.
        listener: hears one ``Step`` for each part.
    """

    held_out: ImageSet
    training: ImageSet | None
    targets: Sequence[int]
    extractor: Extractor
    against: TrainedSubject | None = None
    listener: Listener = silent
