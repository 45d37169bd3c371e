"""The two ends of an attribute: an image turned both ways, as style vectors and laid on the photograph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from stylex.core.attribute import Attribute
from stylex.core.errors import SearchError
from stylex.core.stylespace import StyleSpace
from stylex.metrics.photograph import on_photograph
from stylex.search.controls import length_of, random_direction
from stylex.search.shifts import apply_attributes
from stylex.search.subject import TrainedSubject

MARKED = "marked"
"""Name of the layer of a direction between marked groups."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Ends:
    """Images turned both ways.

    Attributes:
        up: turned as the attribute is, towards its target.
        down: turned as far the other way.
    """

    up: Float[Tensor, "n *shape"]
    down: Float[Tensor, "n *shape"]


def ends_of(s: Float[Tensor, "n s_dim"], attribute: Attribute, space: StyleSpace) -> Ends:
    """Style vectors turned both ways, each as far as the attribute goes: to the ends of what was observed."""
    up, down = (apply_attributes(s, [attribute], space, fractions=[way]) for way in (1.0, -1.0))
    return Ends(up=up, down=down)


def places_of(
    s: Float[Tensor, "n s_dim"],
    attribute: Attribute,
    space: StyleSpace,
    others: Float[ndarray, "m s_dim"],
    random: np.random.Generator,
) -> Ends:
    """Style vectors with the attribute where it lies in other images: in one on its side, and in one on the other.

    What comes of it is as usual as the others are, where the ends are seldom seen.

    Raises:
        SearchError: the others do not differ in it.
    """
    index, high = space.index(attribute.coordinate), is_high(others, attribute, space, others)
    if high.all() or not high.any():
        raise SearchError(
            f"the images do not differ in {attribute.name}, so that there is no other side to turn them to; choose "
            "another attribute"
        )
    turned = []
    for side in (high, ~high):
        moved = s.clone()
        moved[:, index] = torch.from_numpy(random.choice(others[side, index], size=len(s))).to(s)
        turned.append(moved)
    return Ends(up=turned[0], down=turned[1])


def random_ends(
    subject: TrainedSubject,
    s: Float[Tensor, "n s_dim"],
    like: Ends,
    random: np.random.Generator,
    *,
    together: bool = False,
) -> Ends:
    """Style vectors turned both ways along a random direction, each way as far as others are.

    A direction mixes all the coordinates that were searched. As far: by the same Euclidean length in standard
    deviations.

    Args:
        subject: the networks.
        s: style vectors before they are turned.
        like: as far as these, of which one coordinate was moved.
        random: draws the directions.
        together: one direction for all images, as an attribute is; else one for each.
    """
    drawn = random_direction(subject.space, subject.indices, random, 1 if together else len(s))
    direction = torch.from_numpy(drawn).to(s)

    def moved(end: Tensor) -> Tensor:
        step = end - s  # of one coordinate, either way
        return s + (length_of(subject.space, step) * step.sum(dim=1).sign())[:, None] * direction

    return Ends(up=moved(like.up), down=moved(like.down))


def on_photographs(
    subject: TrainedSubject, x: Float[Tensor, "n c h w"], x_rec: Float[Tensor, "n c h w"], ends: Ends
) -> Ends:
    """Both turns laid on the photographs: photograph + turned - rebuilt, clipped."""
    return Ends(
        up=on_photograph(x, x_rec, subject.draw(ends.up)), down=on_photograph(x, x_rec, subject.draw(ends.down))
    )


def is_high(
    s: Float[ndarray, "n s_dim"], attribute: Attribute, space: StyleSpace, among: Float[ndarray, "m s_dim"]
) -> Bool[ndarray, " n"]:
    """The attribute's place in images: whether they lie further towards its end (``up``) than the middle of others.

    Between marked groups the middle is 0, wherever most of the others lie.
    """
    index = space.index(attribute.coordinate)
    middle = 0.0 if attribute.coordinate.layer == MARKED else np.median(among[:, index])
    return np.asarray((s[:, index] - middle) * attribute.sign > 0)
