"""Where an attribute becomes a shift of style vectors: nobody else adds to ``s``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from stylex.core.attribute import Attribute
from stylex.core.errors import SearchError
from stylex.core.stylespace import StyleSpace, StyleStatistics


def statistics_of(space: StyleSpace) -> StyleStatistics:
    """What was observed of the space.

    Raises:
        SearchError: nothing was observed yet, so that no extreme is known to move to.
    """
    if space.statistics is None:
        raise SearchError(
            "this StyleSpace has no observed minimum and maximum; expected a finished snapshot: train to a snapshot, "
            "or observe the styles of some images first (StyleStatistics.observe)"
        )
    return space.statistics


def extremes(space: StyleSpace, like: Tensor) -> Float[Tensor, "2 s_dim"]:
    """The observed minimum (row 0) and maximum (row 1) of every style value, on the device of ``like``."""
    statistics = statistics_of(space)
    return torch.stack([torch.tensor(statistics.minimum), torch.tensor(statistics.maximum)]).to(like)


def towards(value: Float[Tensor, "*n"], extreme: Float[Tensor, "*#n"], shift_range: float) -> Float[Tensor, "*n"]:
    """Move a value by a fraction of its way to an extreme; 1 is the extreme itself, 0 the value itself."""
    # A weighted sum of the two would miss the value itself by rounding at 0, and the extreme at 1.
    if shift_range == 1:
        return extreme.expand_as(value)
    return value + shift_range * (extreme - value)


def apply_attributes(
    s: Float[Tensor, "n s_dim"],
    attributes: Sequence[Attribute],
    space: StyleSpace,
    *,
    fractions: Sequence[float] | None = None,
) -> Float[Tensor, "n s_dim"]:
    """Move every row of ``s`` by the attributes, one after another.

    Args:
        s: style vectors; they are left as they are.
        attributes: what to move. An attribute moves its coordinate by ``shift_range`` of the way from the
            row's own value to the observed extreme of its sign.
        space: layout and observations.
        fractions: how much of each attribute's shift to take (default: all of it). Negative: as far the other
            way, towards the opposite extreme.

    Raises:
        SearchError: an attribute's coordinate is not in the space, or nothing was observed of the space.
    """
    bounds = extremes(space, s)
    moved = s.clone()
    for attribute, fraction in zip(attributes, fractions or [1.0] * len(attributes), strict=True):
        try:
            i = space.index(attribute.coordinate)
        except KeyError:
            raise SearchError(
                f"the attribute moves {attribute.coordinate}, which this StyleSpace does not have; "
                "use the snapshot that the attribute was found with"
            ) from None
        up = (attribute.sign > 0) == (fraction >= 0)
        moved[:, i] = towards(moved[:, i], bounds[int(up), i], attribute.shift_range * abs(fraction))
    return moved


def reversed_attribute(attribute: Attribute, *, effect: float) -> Attribute:
    """The same coordinate moved the other way, with the effect that has on the same target."""
    return replace(attribute, sign=-1 if attribute.sign > 0 else 1, effect=effect, significance=None, tested=None)
