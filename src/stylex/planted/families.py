"""Families of drawings: what is drawn from which factors, and the rule that decides the label."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from stylex.core.errors import DataError
from stylex.planted.factors import LESION, check_kind

_LESION = 0.2
"""Radius of the largest lesion; the picture is 2 wide."""
_GOLD = np.array([0.98, 0.88, 0.25], np.float32)
_SCATTER = 0.12
"""How far a pattern of dots is moved by chance, as a fraction of its field."""


class Frame(NamedTuple):
    """Pixel centres in [-1, 1] (``h w``, y upwards) and the width of a pixel in these units."""

    x: Float[ndarray, "h w"]
    y: Float[ndarray, "h w"]
    pixel: float


Draw = Callable[[Frame, Mapping[str, Float[ndarray, " n"]], Float[ndarray, "n chance"]], Float[ndarray, "n h w 3"]]


@dataclass(frozen=True, kw_only=True)
class Family:
    """One kind of drawing.

    Attributes:
        name: of the family.
        factors: names of the factors, each in 0..1; how they are distributed is the images' kind (``factors.KINDS``).
        rule: weight of each factor in the rule that decides the label.
        spurious: the factor that has no weight in the rule but goes with the label.
        dots: the cause that is a pattern of dots, or one lesion.
        labels: names of the label 0 and 1.
        draw: factors by name, and chance -> pictures in 0..1.
    """

    name: str
    factors: tuple[str, ...]
    rule: Mapping[str, float]
    spurious: str
    dots: str
    labels: tuple[str, str]
    draw: Draw

    @property
    def causes(self) -> tuple[str, ...]:
        """The factors that a classifier of biased images can go by: those of the rule, and the spurious one."""
        return (*self.rule, self.spurious)


def planted_family(name: str, kind: str = "uniform") -> Family:
    """The family of that name, as it is drawn from factors of that kind: with ``local``, one lesion for its dots.

    Raises:
        DataError: there is no such family, or no such kind.
    """
    check_kind(kind)
    if name not in FAMILIES:
        raise DataError(f"no planted family {name!r}; there are {', '.join(FAMILIES)}")
    family = FAMILIES[name]
    if kind != "local":
        return family

    def local(factor: str) -> str:
        return LESION if factor == family.dots else factor

    return replace(
        family,
        factors=tuple(local(factor) for factor in family.factors),
        rule={local(factor): weight for factor, weight in family.rule.items()},
        dots=LESION,
    )


def _column(values: Float[ndarray, " n"]) -> Float[ndarray, "n 1 1"]:
    return values[:, None, None]


def _between(low: float, high: float, fraction: Float[ndarray, " n"]) -> Float[ndarray, "n 1 1"]:
    return _column(low + (high - low) * fraction)


def _mix(a: ndarray, b: ndarray, fraction: ndarray) -> ndarray:
    # Colours n h w 3 (or 3 numbers), one over the other.
    mixed: ndarray = a + (b - a) * fraction[..., None]
    return mixed


def _coverage(inside: ndarray, pixel: float) -> ndarray:
    # How much of a pixel lies inside, from the distance to the edge (positive inside): anti-aliased at any size.
    return (0.5 + inside / pixel).clip(0, 1)


def _texture(frame: Frame, chance: Float[ndarray, "n chance"], low: float, high: float) -> Float[ndarray, "n h w"]:
    """Smooth noise of unit variance: a sum of random waves, so that it is the same at any size."""
    waves = chance.reshape(len(chance), -1, 4)
    out = np.zeros((len(chance), *frame.x.shape), np.float32)
    for i in range(waves.shape[1]):
        along, across, phase, length = (_column(waves[:, i, j]) for j in range(4))
        norm = np.sqrt(along**2 + across**2) + 1e-6
        frequency = low + (high - low) / (1 + np.exp(-length))
        out += np.sin(frequency * (frame.x * along + frame.y * across) / norm + 3 * phase)
    return out * np.float32((2 / waves.shape[1]) ** 0.5)


def _uniform(chance: ndarray) -> ndarray:
    # From standard normal numbers.
    return 1 / (1 + np.exp(-1.702 * chance))


def _quasi_random(chance: Float[ndarray, "n 2"], count: int) -> Float[ndarray, "n count 2"]:
    """Points in the unit square that keep apart from each other, however many of the first ones are taken.

    All are moved together a little, by chance.
    """
    # Source: the R2 sequence, Roberts 2018: multiples of the powers of the plastic number's inverse.
    steps = np.arange(count)[:, None] * np.array([0.7548776662466927, 0.5698402909980532])
    points: ndarray = ((_SCATTER * _uniform(chance)[:, None, :] + steps) % 1).astype(np.float32)
    return points


def _dots(
    x: ndarray, y: ndarray, at: Float[ndarray, "n count 2"], amount: ndarray, radius: float, pixel: float
) -> ndarray:
    """Fraction of each pixel under dots that come one after another as ``amount`` rises from 0 to 1."""
    count = at.shape[1]
    bare = np.ones(x.shape, np.float32)
    for i in range(count):
        size = radius * np.sqrt((_column(amount) * count - i).clip(0, 1))
        inside = size - np.sqrt((x - _column(at[:, i, 0])) ** 2 + (y - _column(at[:, i, 1])) ** 2)
        bare *= 1 - _coverage(inside, pixel) * (size > 0)
    return 1 - bare


_LEAF_FACTORS = ("width", "length", "tilt", "tip", "yellow", "spots", "veins", "background")


def _draw_leaves(
    frame: Frame, factor: Mapping[str, Float[ndarray, " n"]], chance: Float[ndarray, "n chance"]
) -> ndarray:
    angle = _between(-0.7, 0.7, factor["tilt"])
    x, y = frame.x - 0.05 * _column(chance[:, 0]).clip(-2, 2), frame.y - 0.05 * _column(chance[:, 1]).clip(-2, 2)
    v, u = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    length, width = _between(0.60, 0.96, factor["length"]), _between(0.28, 0.64, factor["width"])
    t = (u / length).clip(-1, 1)

    def outline(t: ndarray) -> ndarray:
        upper = t.clip(0, None)
        pointed, blunt = (1 - upper) * (1 + 0.4 * upper), np.sqrt(1 - upper**4)
        profile: ndarray = np.where(
            t > 0, blunt + (pointed - blunt) * _column(factor["tip"]), np.sqrt(1 - t.clip(None, 0) ** 2)
        )
        return profile

    across = width * outline(t)
    inside = np.minimum(across - np.abs(v), length - np.abs(u))
    blade = _coverage(inside, frame.pixel)

    warm, cool = np.array([0.80, 0.66, 0.50], np.float32), np.array([0.50, 0.62, 0.80], np.float32)
    ground = _mix(cool, warm, np.broadcast_to(_column(factor["background"]), blade.shape))
    ground = ground * (1 + 0.04 * _texture(frame, chance[:, 8:32], 3, 14))[..., None]
    green, yellow = np.array([0.16, 0.46, 0.15], np.float32), np.array([0.82, 0.74, 0.18], np.float32)
    colour = _mix(green, yellow, np.broadcast_to(_column(factor["yellow"]), blade.shape))
    colour = colour * (1 + 0.05 * _texture(frame, chance[:, 32:64], 4, 18))[..., None]
    # A midrib, and side veins that leave it upwards.
    midrib = _coverage(0.035 - np.abs(v), frame.pixel)
    side = np.abs(((u - 0.8 * np.abs(v)) / 0.3 + 0.1 * _column(_uniform(chance[:, 2]))) % 1 - 0.5) * 0.3
    veins = np.maximum(midrib, 0.8 * _coverage(0.035 - side, frame.pixel)) * _between(0.0, 0.65, factor["veins"])
    colour = _mix(colour, np.array([0.92, 0.95, 0.80], np.float32), veins)
    brown = np.array([0.30, 0.15, 0.08], np.float32)
    # Brown spots one after another, or one lesion anywhere.
    local = LESION in factor
    at = _uniform(chance[:, None, 66:68]) if local else _quasi_random(chance[:, 64:66], 10)
    heights = 0.78 * (2 * at[:, :, 1:] - 1)
    at = np.concatenate([0.8 * (2 * at[:, :, :1] - 1) * width * outline(heights), heights * length], axis=2)
    marks = _dots(v, u, at, factor[LESION if local else "spots"], _LESION if local else 0.105, frame.pixel)
    colour = _mix(colour, brown, 0.9 * marks)
    light = 1 + 0.05 * _column(chance[:, 3]).clip(-2, 2) + 0.05 * _column(chance[:, 4]).clip(-2, 2) * frame.x
    pictures: ndarray = _mix(ground, colour, blade) * light[..., None]
    return pictures


_CELL_FACTORS = (
    "size", "elongation", "nucleus", "chromatin", "position", "granules", "membrane", "hue", "stain",
)  # fmt: skip


def _draw_cells(
    frame: Frame, factor: Mapping[str, Float[ndarray, " n"]], chance: Float[ndarray, "n chance"]
) -> ndarray:
    x, y = frame.x - 0.05 * _column(chance[:, 0]).clip(-2, 2), frame.y - 0.05 * _column(chance[:, 1]).clip(-2, 2)
    stretch = np.exp(_between(-0.32, 0.32, factor["elongation"]))
    a, b = x / stretch, y * stretch
    angle, distance = np.arctan2(b, a), np.sqrt(a**2 + b**2)
    wave = 0.03 * np.sin(3 * angle + 3 * _column(chance[:, 2])) + 0.02 * np.sin(5 * angle + 3 * _column(chance[:, 3]))
    radius = _between(0.54, 0.84, factor["size"]) * (1 + wave)
    body = _coverage(radius - distance, frame.pixel)

    pale, violet = np.array([0.93, 0.93, 0.84], np.float32), np.array([0.78, 0.72, 0.90], np.float32)
    ground = _mix(pale, violet, np.broadcast_to(_column(factor["stain"]), body.shape))
    ground = ground * (1 + 0.03 * _texture(frame, chance[:, 8:32], 4, 20))[..., None]
    pink, blue = np.array([0.90, 0.55, 0.60], np.float32), np.array([0.45, 0.66, 0.84], np.float32)
    colour = _mix(pink, blue, np.broadcast_to(_column(factor["hue"]), body.shape))
    colour = colour * (1 + 0.04 * _texture(frame, chance[:, 32:64], 5, 22))[..., None]
    if LESION not in factor:
        at = _quasi_random(chance[:, 64:66], 14)
        turn, reach = (
            2 * np.pi * at[:, :, 0],
            _between(0.54, 0.84, factor["size"])[:, :, 0] * (0.66 + 0.16 * at[:, :, 1]),
        )
        at = np.stack([reach * np.cos(turn), reach * np.sin(turn)], axis=2)
        grains = _dots(a, b, at, factor["granules"], 0.085, frame.pixel)
        colour = _mix(colour, _GOLD, 0.9 * grains)
    ring = _coverage(0.055 - np.abs(radius - 0.05 - distance), frame.pixel)
    colour = _mix(colour, np.array([0.30, 0.12, 0.25], np.float32), ring * _between(0.0, 0.85, factor["membrane"]))
    aside = _between(-0.16, 0.16, factor["position"])
    bumps = 1 + 0.08 * np.sin(2 * angle + 3 * _column(chance[:, 4]))
    core = _between(0.13, 0.31, factor["nucleus"]) * bumps - np.sqrt((a - aside) ** 2 + b**2)
    light, dark = np.array([0.62, 0.45, 0.72], np.float32), np.array([0.14, 0.06, 0.30], np.float32)
    inner = _mix(light, dark, np.broadcast_to(_column(factor["chromatin"]), body.shape))
    inner = inner * (1 + 0.06 * _texture(frame, chance[:, 66:90], 8, 26))[..., None]
    colour = _mix(colour, inner, _coverage(core, frame.pixel))
    if LESION in factor:  # anywhere in the cell, over its nucleus too
        place = _uniform(chance[:, 90:92])
        turn, reach = 2 * np.pi * place[:, :1], _between(0.54, 0.84, factor["size"])[:, 0] * 0.75 * place[:, 1:] ** 0.5
        at = np.stack([reach * np.cos(turn), reach * np.sin(turn)], axis=2)
        colour = _mix(colour, _GOLD, 0.9 * _dots(a, b, at, factor[LESION], _LESION, frame.pixel))
    light_in_all = 1 + 0.04 * _column(chance[:, 5]).clip(-2, 2) + 0.04 * _column(chance[:, 6]).clip(-2, 2) * frame.y
    pictures: ndarray = _mix(ground, colour, body) * light_in_all[..., None]
    return pictures


FAMILIES: Mapping[str, Family] = {
    "leaves": Family(
        name="leaves",
        factors=_LEAF_FACTORS,
        rule={"spots": 1.0, "yellow": 0.7, "width": -0.45},
        spurious="background",
        dots="spots",
        labels=("healthy", "sick"),
        draw=_draw_leaves,
    ),
    "cells": Family(
        name="cells",
        factors=_CELL_FACTORS,
        rule={"nucleus": 1.0, "granules": 0.7, "membrane": -0.45},
        spurious="stain",
        dots="granules",
        labels=("resting", "active"),
        draw=_draw_cells,
    ),
}
"""The kinds of drawings, by name."""
