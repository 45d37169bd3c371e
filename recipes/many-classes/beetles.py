"""Draw beetles of 200 classes, 32 px, in colour: OUT/train/<class>/ and OUT/test/<class>/, and one sheet of some.

A class is a combination of five parts, each with a name: the colour of the wing cases, their marks, the outline, the
colour of the head, and the length of the antennae. Of 648 combinations 200 are drawn by a seed, so that a class has
neighbours that differ from it in one part only, but not in every part. Within a class everything else is chance: where
the beetle lies and how large it is, which way it looks, shades, light and ground.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from PIL import Image

SIZE = 32
_FINE = 3
"""Points a pixel, along each side."""

PARTS: dict[str, tuple[str, ...]] = {
    "colour": ("red", "yellow", "green", "blue", "violet", "brown"),
    "marks": ("plain", "spotted", "striped", "banded", "tipped", "rimmed"),
    "outline": ("round", "oval", "narrow"),
    "head": ("black-headed", "white-headed", "orange-headed"),
    "antennae": ("short-horned", "long-horned"),
}
"""What a beetle is made of, and what each part may be."""

_COLOURS = ((0.82, 0.16, 0.14), (0.93, 0.80, 0.20), (0.25, 0.62, 0.24), (0.20, 0.38, 0.82), (0.58, 0.26, 0.68),
            (0.50, 0.32, 0.18))  # fmt: skip
_HEADS = ((0.08, 0.07, 0.08), (0.96, 0.95, 0.92), (0.97, 0.56, 0.14))
_OUTLINES = ((0.56, 0.58), (0.42, 0.62), (0.29, 0.66))
"""Half the width and half the length."""


def classes(number: int = 200, seed: int = 0) -> list[tuple[int, ...]]:
    """The classes, each by the number of the value of each part; of a smaller number the first ones."""
    every = list(itertools.product(*(range(len(values)) for values in PARTS.values())))
    if not 2 <= number <= len(every):
        raise SystemExit(f"{number} classes: there are {len(every)} combinations, so give 2 to {len(every)}")
    order = np.random.default_rng(seed).permutation(len(every))
    return [every[i] for i in order[:number]]


def name_of(parts: Sequence[int]) -> str:
    """What a class is called, such as ``red spotted oval black-headed long-horned``."""
    return " ".join(values[part] for values, part in zip(PARTS.values(), parts, strict=True))


def parts_of(name: str) -> tuple[int, ...]:
    """The parts of the class of this name."""
    return tuple(values.index(word) for values, word in zip(PARTS.values(), name.split(), strict=True))


def draw(parts: Sequence[int], numbers: Sequence[int], seed: int = 0) -> UInt8[ndarray, "n h w 3"]:
    """Beetles of one class; the same numbers give the same chance, whatever the class.

    Args:
        parts: the number of the value of each part.
        numbers: of the images.
        seed: of all that is chance.
    """
    colour, marks, outline, head, antennae = parts
    chance = np.array([np.random.default_rng([seed, int(i)]).standard_normal(16) for i in numbers]).clip(-2, 2)
    at = ((np.arange(SIZE * _FINE) + 0.5) / (SIZE * _FINE) * 2 - 1).astype(np.float32)
    across, down = np.meshgrid(at, at)
    place = chance[:, :, None, None].astype(np.float32)
    angle, scale = 0.16 * place[:, 0], 1 + 0.06 * place[:, 1]
    moved_x, moved_y = across - 0.06 * place[:, 2], down - 0.06 * place[:, 3]
    x = (np.cos(angle) * moved_x + np.sin(angle) * moved_y) / scale
    y = (np.cos(angle) * moved_y - np.sin(angle) * moved_x) / scale - 0.22

    shade = 0.05 * place[:, 4:7].transpose(0, 2, 3, 1)
    ground = np.array((0.80, 0.76, 0.68), np.float32) + 0.05 * place[:, 7:10].transpose(0, 2, 3, 1)
    grain = 0.03 * np.sin(9 * across + 3 * place[:, 10]) * np.sin(7 * down + 3 * place[:, 11])
    picture = ground + grain[..., None]
    wide, long = _OUTLINES[outline]

    def lay(inside: Float[ndarray, "n a b"], tint: Float[ndarray, "*n 3"]) -> None:
        nonlocal picture
        picture = np.where(inside[..., None], tint, picture)

    dark = np.array((0.12, 0.10, 0.10), np.float32) + 0.03 * place[:, 12, ..., None]
    side = np.abs(x)
    for leg, lean in ((-0.28, -0.12), (0.02, 0.04), (0.30, 0.18)):
        on = (np.abs(y - leg - lean * (side - wide * 0.8)) < 0.035) & (side < wide + 0.20) & (side > 0.1)
        lay(on, dark)
    reach = (0.20, 0.62)[antennae]
    top = -long - 0.14
    bent = top - (side - 0.10) * (0.55 if antennae else 1.0)
    lay((np.abs(y - bent) < 0.055) & (side > 0.08) & (side < 0.08 + reach), dark)
    lay((x / 0.22) ** 2 + ((y + long + 0.06) / 0.20) ** 2 < 1, np.array(_HEADS[head], np.float32) + 0.5 * shade)
    radius = (side / wide) ** 2 + (y / long) ** 2
    body = radius < 1
    light = 0.10 * (1 - radius).clip(0, 1)[..., None]
    lay(body, np.array(_COLOURS[colour], np.float32) + shade + light)
    if marks == 1:
        for spot_x, spot_y in ((0.46, -0.38), (0.52, 0.10), (0.36, 0.52)):
            lay(body & ((side - spot_x * wide) ** 2 + (y - spot_y * long) ** 2 < 0.105**2), dark)
    elif marks == 2:
        lay(body & (np.abs(side - 0.50 * wide) < 0.16 * wide), dark)
    elif marks == 3:
        lay(body & (np.abs(y - 0.02) < 0.13), dark)
    elif marks == 4:
        lay(body & (y > 0.42 * long), dark)
    elif marks == 5:
        lay(body & (radius > 0.60), dark)
    lay(body & (side < 0.022), 0.5 * dark)
    picture = picture * (1 + 0.06 * place[:, 13, ..., None])
    whole = picture.reshape(len(chance), SIZE, _FINE, SIZE, _FINE, 3).mean(axis=(2, 4))
    return (whole.clip(0, 1) * 255).round().astype(np.uint8)


def main() -> None:
    """Write the photographs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--classes", type=int, default=200, help="how many")
    parser.add_argument("--train", type=int, default=60, help="images of a class to train on")
    parser.add_argument("--test", type=int, default=10, help="images of a class to search and measure on")
    parser.add_argument("--sheet", type=Path, help="draw only a sheet of the first classes, into this PNG file")
    options = parser.parse_args()
    chosen = classes(options.classes)
    if options.sheet:
        rows = [np.concatenate(list(draw(parts, range(8), seed=1 + k)), axis=1) for k, parts in enumerate(chosen[:12])]
        sheet = Image.fromarray(np.concatenate(rows))
        sheet.resize((3 * sheet.width, 3 * sheet.height), Image.Resampling.NEAREST).save(options.sheet)
        return
    for k, parts in enumerate(chosen):
        for part, first, count in (("train", 0, options.train), ("test", options.train, options.test)):
            folder = options.out / part / name_of(parts)
            folder.mkdir(parents=True, exist_ok=True)
            for i, image in zip(range(count), draw(parts, range(first, first + count), seed=1 + k), strict=True):
                Image.fromarray(image).save(folder / f"{k:03d}-{first + i:03d}.png")


if __name__ == "__main__":
    main()
