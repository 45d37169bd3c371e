"""Planted causes: drawn images whose factors are known, so that an explanation can be checked against the truth.

An image is decided by (family, seed, index): its factors, its label, and everything that is chance in it. The same
image can be drawn again with one factor changed and all else equal, and at any size.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64, UInt8
from numpy import ndarray

from stylex.core.errors import DataError
from stylex.data.archive import ArchiveIndex, write_archive
from stylex.data.images import check_resolution

_NUISANCES = 96
"""Standard normal numbers of chance that each image has, for its drawing to use."""
_CHUNK = 256
_SCATTER = 0.12
"""How far a pattern of dots is moved by chance, as a share of its field."""
_STEEPNESS = 3.0
"""Slope of the label's probability over the rule's score, which has a standard deviation of 1."""


class Frame(NamedTuple):
    """Pixel centres in [-1, 1] (``h w``, y upwards) and the width of a pixel in these units."""

    x: Float[ndarray, "h w"]
    y: Float[ndarray, "h w"]
    pixel: float


Draw = Callable[[Frame, Float[ndarray, "n f"], Float[ndarray, "n chance"]], Float[ndarray, "n h w 3"]]


@dataclass(frozen=True, kw_only=True)
class Family:
    """One kind of drawing.

    Attributes:
        name: of the family.
        factors: names of the factors, each uniform in 0..1 and independent of the others but for ``bias``.
        rule: weight of each factor in the rule that decides the label.
        spurious: the factor that has no weight in the rule but goes with the label.
        labels: names of the label 0 and 1.
        draw: factors and chance -> pictures in 0..1.
    """

    name: str
    factors: tuple[str, ...]
    rule: Mapping[str, float]
    spurious: str
    labels: tuple[str, str]
    draw: Draw

    @property
    def causes(self) -> tuple[str, ...]:
        """The factors that a classifier of biased images can go by: those of the rule, and the spurious one."""
        return (*self.rule, self.spurious)


@dataclass(frozen=True, eq=False, kw_only=True)
class Planted:
    """Images with known factors, not yet drawn.

    Attributes:
        family: what is drawn.
        seed: of factors, labels and chance.
        bias: probability that the spurious factor is drawn from the half that goes with the label.
        indices: ``n`` numbers of the images.
        factors: ``n f`` in 0..1.
        labels: ``n`` of 0 and 1, by the family's rule (shuffled, if that was asked for).
        shuffled: whether the labels are those of other images.
    """

    family: Family
    seed: int
    bias: float
    indices: Int64[ndarray, " n"]
    factors: Float[ndarray, "n f"]
    labels: Int64[ndarray, " n"]
    shuffled: bool = False

    @classmethod
    def sample(
        cls, family: str, indices: Sequence[int], *, seed: int, bias: float = 0.5, shuffled: bool = False
    ) -> Planted:
        """The images of these numbers.

        Raises:
            DataError: there is no such family, or the bias is no probability.
        """
        kind = planted_family(family)
        if not 0 <= bias <= 1:
            raise DataError(f"bias {bias}: expected a probability between 0 and 1, such as 0.5")
        numbers = np.asarray(indices, np.int64)
        rows = [_decide(kind, seed, int(i), bias) for i in numbers]
        labels = np.array([label for _, label in rows], np.int64)
        if shuffled:
            labels = labels[np.random.default_rng([seed, 1]).permutation(len(labels))]
        factors = np.array([factors for factors, _ in rows]).reshape(len(numbers), len(kind.factors))
        return cls(
            family=kind, seed=seed, bias=bias, indices=numbers, factors=factors, labels=labels, shuffled=shuffled
        )

    @classmethod
    def named(cls, names: Sequence[str]) -> Planted:
        """The images of an archive that ``write_planted`` wrote, by their names (labels unshuffled).

        Raises:
            DataError: a name is not one that was given there, or the names are of several sets.
        """
        found = [re.fullmatch(r"([a-z]+)-s(\d+)-b(\d+)-(\d{6})", name.rsplit(".", 1)[0]) for name in names]
        sets = {match and match.groups()[:3] for match in found}
        if len(sets) != 1 or None in sets:
            raise DataError(
                f"the images are called {', '.join(names[:3])}, ..., not as drawn ones are: the factors are known of "
                "images from one archive of write_planted only"
            )
        family, seed, bias = next(match.groups()[:3] for match in found if match)
        indices = [int(match[4]) for match in found if match]
        return cls.sample(family, indices, seed=int(seed), bias=int(bias) / 100)

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def names(self) -> tuple[str, ...]:
        """What the images are called."""
        return tuple(f"{self.family.name}-s{self.seed}-b{round(100 * self.bias)}-{i:06d}" for i in self.indices)

    def pictures(
        self, resolution: int, *, factors: Float[ndarray, "n f"] | None = None, rows: slice = slice(None)
    ) -> UInt8[ndarray, "n h w 3"]:
        """Draw the images, with these factors instead of their own where given.

        Args:
            resolution: side in pixels.
            factors: other factors; everything else about the images stays.
            rows: which of the images.
        """
        chance = np.array(
            [np.random.default_rng([self.seed, 2, int(i)]).standard_normal(_NUISANCES) for i in self.indices[rows]]
        )
        wanted = (self.factors if factors is None else factors)[rows]
        centres = ((np.arange(resolution) + 0.5) / resolution * 2 - 1).astype(np.float32)
        frame = Frame(*np.meshgrid(centres, -centres), 2 / resolution)
        parts = [
            self.family.draw(
                frame, wanted[at : at + _CHUNK].astype(np.float32), chance[at : at + _CHUNK].astype(np.float32)
            )
            for at in range(0, len(wanted), _CHUNK)
        ]
        return np.concatenate([(part.clip(0, 1) * 255).round().astype(np.uint8) for part in parts])

    def intervened(self, factor: str, value: float) -> Float[ndarray, "n f"]:
        """The factors, one of them set to the same value everywhere."""
        changed = self.factors.copy()
        changed[:, self.family.factors.index(factor)] = value
        return changed


def planted_family(name: str) -> Family:
    """The family of that name.

    Raises:
        DataError: there is none.
    """
    if name not in FAMILIES:
        raise DataError(f"no planted family {name!r}; there are {', '.join(FAMILIES)}")
    return FAMILIES[name]


def write_planted(
    out: Path,
    *,
    family: str,
    images: int,
    resolution: int,
    seed: int = 0,
    bias: float = 0.5,
    shuffled: bool = False,
) -> Planted:
    """Draw images into an archive, labelled by the family's rule.

    Args:
        out: the archive to write.
        family: ``leaves`` or ``cells``.
        images: how many.
        resolution: side in pixels, a power of two.
        seed: of everything.
        bias: probability that the spurious factor is drawn from the half that goes with the label.
        shuffled: give each image another one's label, so that nothing can be learnt.

    Raises:
        DataError: no such family, a size that cannot be, or the archive cannot be written.
    """
    check_resolution(resolution)
    if images < 1:
        raise DataError(f"{images} images: expected 1 or more")
    planted = Planted.sample(family, range(images), seed=seed, bias=bias, shuffled=shuffled)
    names = tuple(f"{name}.png" for name in planted.names)
    index = ArchiveIndex(
        resolution=resolution,
        channels=3,
        names=names,
        labels=[int(label) for label in planted.labels],
        label_names=planted.family.labels,
        split_keys=names,
        splits=[None] * images,
        groups=[None] * images,
        contents=[None] * images,
    )

    def pictures() -> Iterator[UInt8[ndarray, "h w 3"]]:
        for at in range(0, images, _CHUNK):
            yield from planted.pictures(resolution, rows=slice(at, at + _CHUNK))

    write_archive(out, pictures(), index)
    return planted


def _decide(family: Family, seed: int, index: int, bias: float) -> tuple[Float[ndarray, " f"], int]:
    # Factors and label of one image.
    random = np.random.default_rng([seed, 0, index])
    factors = random.random(len(family.factors))
    weights = np.array([family.rule.get(name, 0.0) for name in family.factors])
    # Uniform factors have a standard deviation of sqrt(1 / 12).
    score = float((factors - 0.5) @ weights) / (np.linalg.norm(weights) / 12**0.5)
    label = int(random.random() < 1 / (1 + np.exp(-_STEEPNESS * score)))
    spurious = family.factors.index(family.spurious)
    if random.random() < bias:
        factors[spurious] = (factors[spurious] + label) / 2
    return factors, label


def _column(values: Float[ndarray, " n"]) -> Float[ndarray, "n 1 1"]:
    return values[:, None, None]


def _between(low: float, high: float, share: Float[ndarray, " n"]) -> Float[ndarray, "n 1 1"]:
    return _column(low + (high - low) * share)


def _mix(a: ndarray, b: ndarray, share: ndarray) -> ndarray:
    # Colours n h w 3 (or 3 numbers), one over the other.
    mixed: ndarray = a + (b - a) * share[..., None]
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
    """Share of each pixel under dots that come one after another as ``amount`` rises from 0 to 1."""
    count = at.shape[1]
    bare = np.ones(x.shape, np.float32)
    for i in range(count):
        size = radius * np.sqrt((_column(amount) * count - i).clip(0, 1))
        inside = size - np.sqrt((x - _column(at[:, i, 0])) ** 2 + (y - _column(at[:, i, 1])) ** 2)
        bare *= 1 - _coverage(inside, pixel) * (size > 0)
    return 1 - bare


_LEAF_FACTORS = ("width", "length", "tilt", "tip", "yellow", "spots", "veins", "background")


def _draw_leaves(frame: Frame, factors: Float[ndarray, "n f"], chance: Float[ndarray, "n chance"]) -> ndarray:
    factor = dict(zip(_LEAF_FACTORS, factors.T, strict=True))
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
    at = _quasi_random(chance[:, 64:66], 10)
    heights = 0.78 * (2 * at[:, :, 1:] - 1)
    at = np.concatenate([0.8 * (2 * at[:, :, :1] - 1) * width * outline(heights), heights * length], axis=2)
    marks = _dots(v, u, at, factor["spots"], 0.105, frame.pixel)
    colour = _mix(colour, brown, 0.9 * marks)
    light = 1 + 0.05 * _column(chance[:, 3]).clip(-2, 2) + 0.05 * _column(chance[:, 4]).clip(-2, 2) * frame.x
    pictures: ndarray = _mix(ground, colour, blade) * light[..., None]
    return pictures


_CELL_FACTORS = (
    "size", "elongation", "nucleus", "chromatin", "position", "granules", "membrane", "hue", "stain",
)  # fmt: skip


def _draw_cells(frame: Frame, factors: Float[ndarray, "n f"], chance: Float[ndarray, "n chance"]) -> ndarray:
    factor = dict(zip(_CELL_FACTORS, factors.T, strict=True))
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
    at = _quasi_random(chance[:, 64:66], 14)
    turn, reach = 2 * np.pi * at[:, :, 0], _between(0.54, 0.84, factor["size"])[:, :, 0] * (0.66 + 0.16 * at[:, :, 1])
    at = np.stack([reach * np.cos(turn), reach * np.sin(turn)], axis=2)
    grains = _dots(a, b, at, factor["granules"], 0.085, frame.pixel)
    colour = _mix(colour, np.array([0.98, 0.88, 0.25], np.float32), 0.9 * grains)
    ring = _coverage(0.055 - np.abs(radius - 0.05 - distance), frame.pixel)
    colour = _mix(colour, np.array([0.30, 0.12, 0.25], np.float32), ring * _between(0.0, 0.85, factor["membrane"]))
    aside = _between(-0.16, 0.16, factor["position"])
    bumps = 1 + 0.08 * np.sin(2 * angle + 3 * _column(chance[:, 4]))
    core = _between(0.13, 0.31, factor["nucleus"]) * bumps - np.sqrt((a - aside) ** 2 + b**2)
    light, dark = np.array([0.62, 0.45, 0.72], np.float32), np.array([0.14, 0.06, 0.30], np.float32)
    inner = _mix(light, dark, np.broadcast_to(_column(factor["chromatin"]), body.shape))
    inner = inner * (1 + 0.06 * _texture(frame, chance[:, 66:90], 8, 26))[..., None]
    colour = _mix(colour, inner, _coverage(core, frame.pixel))
    light_in_all = 1 + 0.04 * _column(chance[:, 5]).clip(-2, 2) + 0.04 * _column(chance[:, 6]).clip(-2, 2) * frame.y
    pictures: ndarray = _mix(ground, colour, body) * light_in_all[..., None]
    return pictures


FAMILIES: Mapping[str, Family] = {
    "leaves": Family(
        name="leaves",
        factors=_LEAF_FACTORS,
        rule={"spots": 1.0, "yellow": 0.7, "width": -0.45},
        spurious="background",
        labels=("healthy", "sick"),
        draw=_draw_leaves,
    ),
    "cells": Family(
        name="cells",
        factors=_CELL_FACTORS,
        rule={"nucleus": 1.0, "granules": 0.7, "membrane": -0.45},
        spurious="stain",
        labels=("resting", "active"),
        draw=_draw_cells,
    ),
}
"""The kinds of drawings, by name."""
