"""Where a style coordinate acts: the same part of the picture on most images, or no part of its own."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from stylex.core.attribute import Attribute
from stylex.search.lost import ninths, place_names
from stylex.search.shifts import statistics_of
from stylex.search.subject import Subject

_STEP = 0.05
"""Half of the difference that stands for a derivative, in standard deviations of the coordinate."""
_MOST, _AHEAD = 0.5, 0.25
_LOOKED_AT = 32


@torch.inference_mode()
def gradient_maps(subject: Subject, s: Float[Tensor, "n s_dim"], index: int) -> Float[Tensor, "n 1 h w"]:
    """How much each pixel changes for a standard deviation of one style value: the size of its derivative.

    Args:
        subject: what draws.
        s: style vectors of images.
        index: flat index of the value.
    """
    step = _STEP * float(statistics_of(subject.space).std[index])
    ends = []
    for way in (step, -step):
        moved = s.clone()
        moved[:, index] += way
        ends.append(subject.draw(moved))
    return (ends[0] - ends[1]).abs().sum(dim=1, keepdim=True) / (2 * _STEP)


def localised(parts: Int64[Tensor, " n"], regions: int) -> int | None:
    """The part of the picture that a coordinate acts in; None where there is no such part.

    It is the strongest one on more than half of the images, and on a quarter of them more than any other part.

    Args:
        parts: on each image, the part in which the coordinate acts most.
        regions: how many parts there are.

    Source: Wu, Lischinski & Shechtman, "StyleSpace Analysis", CVPR 2021 (locally active channels, by gradient maps and
        a segmentation). The parts are given, so that a segmentation may give them where there is one.
    """
    if len(parts) == 0:
        return None
    often = torch.bincount(parts, minlength=regions).double() / len(parts)
    first, second = often.topk(2).values.tolist()
    return int(often.argmax()) if first > _MOST and first - second > _AHEAD else None


def with_its_place(attribute: Attribute, subject: Subject, s: Float[Tensor, "n s_dim"]) -> Attribute:
    """The attribute with a note that says in which ninth of the picture it acts; as it is, if in none of its own."""
    maps = gradient_maps(subject, s[:_LOOKED_AT], subject.space.index(attribute.coordinate))
    drawn = maps[maps.flatten(1).sum(dim=1) > 0]
    part = localised(ninths(drawn), len(place_names()))
    if part is None:
        return attribute
    return replace(attribute, note=f"It acts in one part of the picture: {place_names()[part]}.")
