"""Names that a person gave go on with the attribute that does the same, where an explanation is made anew."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from stylex.core.attribute import Attribute
from stylex.core.explanation import Explanation
from stylex.data.images import to_pictures
from stylex.search.encoding import Searched
from stylex.search.subject import TrainedSubject

ALIKE = 0.8
"""From this correlation of what two attributes do to the same images on, a name goes on without a word of doubt."""
DOUBTFUL = 0.5
"""Below it, a name does not go on; between the two it does, and is doubted."""
_FEWEST = 2
"""Images that both attributes must be seen on."""


@dataclass(frozen=True, kw_only=True)
class Followed:
    """A name that went on.

    Attributes:
        label: the name.
        position: of the attribute in the new ranking.
        r: correlation of what the two attributes do to the same images.
        images: how many.
    """

    label: str
    position: int
    r: float
    images: int

    @property
    def doubtful(self) -> bool:
        """Whether a person must look again."""
        return self.r < ALIKE

    def __str__(self) -> str:
        said = (
            f"{self.label!r} is now attribute {self.position + 1}, which changes {self.images} images alike "
            f"(r {self.r:.2f})"
        )
        return f"{said}: look whether the name still fits" if self.doubtful else said


def follow(
    explanation: Explanation, earlier: Explanation, subject: TrainedSubject, encoded: Searched
) -> tuple[Explanation, tuple[Followed, ...]]:
    """Give names of an earlier explanation to attributes that do the same to the same images.

    Each named attribute of the earlier one is seen on the images that showed it there. The attributes of the new one
    that drive to the same class are turned on these images, as far as they were searched, and what changes in the
    pictures is compared. The pair that is most alike goes first; no attribute gets two names, and none that has one.

    Args:
        explanation: the new one.
        earlier: the one that it replaces.
        subject: the networks, in the new one's space.
        encoded: the images that were searched.

    Returns:
        The new explanation with names, and which went on how.
    """
    found = {(a.coordinate, a.sign, a.target_label) for a in explanation.ranking}
    kept = found if _same(explanation, earlier) else set()
    pairs = []
    for old_position, old in enumerate(earlier.ranking):
        if old.label is None or (old.coordinate, old.sign, old.target_label) in kept:
            continue
        seen = _seen(earlier, old_position, encoded)
        if len(seen) < _FEWEST:
            continue
        for position, new in enumerate(explanation.ranking):
            if new.label is None and new.target_label == old.target_label:
                pairs.append((_alike(subject, encoded, new, seen), old_position, position, len(seen)))
    attributes, went = list(explanation.ranking), list[Followed]()
    for r, old_position, position, images in sorted(pairs, key=lambda pair: -pair[0]):
        label = earlier.ranking[old_position].label
        if label is None or r < DOUBTFUL or any(f.position == position or f.label == label for f in went):
            continue
        followed = Followed(label=label, position=position, r=r, images=images)
        went.append(followed)
        note = attributes[position].note
        if followed.doubtful:
            doubt = f"The name was given to an attribute that changed pictures only nearly so (r {r:.2f})."
            note = doubt if note is None else f"{note} {doubt}"
        attributes[position] = replace(attributes[position], label=label, note=note)
    ranking = replace(explanation.ranking, attributes=tuple(attributes))
    return replace(explanation, ranking=ranking), tuple(went)


def _same(one: Explanation, other: Explanation) -> bool:
    """Whether a coordinate of the one is the same of the other; then names go on by themselves."""
    return one.snapshot.get("sha256") == other.snapshot.get("sha256") and one.space.to_json() == other.space.to_json()


def _seen(earlier: Explanation, position: int, encoded: Searched) -> dict[int, Float[ndarray, "h w c"]]:
    """What an attribute changed, by the image's row among those searched now; the same photograph, of the same size."""
    images = {image.id: image for image in earlier.images}
    seen = {}
    for changed in earlier.counterfactuals:
        if changed.role != "shows" or changed.attributes != (position,) or changed.image not in encoded.ids:
            continue
        row, image = encoded.ids.index(changed.image), images[changed.image]
        if image.original is not None and np.array_equal(to_pictures(encoded.pair(row)[0])[0], image.original):
            seen[row] = changed.picture.astype(np.float64) - image.reconstruction
    return seen


def _alike(
    subject: TrainedSubject, encoded: Searched, attribute: Attribute, seen: dict[int, Float[ndarray, "h w c"]]
) -> float:
    """Correlation, over all pixels of all images, of what an attribute changes with what was seen."""
    rows = torch.tensor(list(seen), device=encoded.s.device)
    s = encoded.s[rows]
    before, after = (to_pictures(subject.draw(each)).astype(np.float64) for each in (s, subject.moved(s, [attribute])))
    ours, theirs = (after - before).ravel(), np.stack(list(seen.values())).ravel()
    scale = ours.std() * theirs.std()
    return float(((ours - ours.mean()) * (theirs - theirs.mean())).mean() / scale) if scale > 0 else 0.0
