"""How many images attributes turn together: as data, and as named figures."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Flips:
    """How many images change their answer to a class when attributes are moved together.

    Attributes:
        target_label: name of the class.
        top: number of attributes moved together -> fraction of the images that turn, ascending.
        random: mean of the same fraction over the most attributes' random controls; None: not measured.
        random_std: its standard deviation over them; None: not measured, or not known.
        images: how many images were turned; None: not known.
    """

    target_label: str
    top: Mapping[int, float]
    random: float | None = None
    random_std: float | None = None
    images: int | None = None

    @property
    def count(self) -> int:
        """The largest number of attributes that was moved together."""
        return max(self.top)


def flip_figures(flips: Flips) -> dict[str, float]:
    """The same as named figures, for a reader who looks numbers up by name."""
    label = flips.target_label
    figures = {f"flips_top{count}_to_{label}": fraction for count, fraction in flips.top.items()}
    if flips.images is not None:
        figures[f"flip_images_to_{label}"] = float(flips.images)
    if flips.random is not None:
        figures[f"random_flips_equal_length_to_{label}"] = flips.random
    if flips.random_std is not None:
        figures[f"random_flips_equal_length_std_to_{label}"] = flips.random_std
    return figures


def flips_in(figures: Mapping[str, float]) -> tuple[Flips, ...]:
    """The flips among the figures of a folder that was written before it held them as data, one entry a class.

    Of two random controls (older folders have one of equal range, too) the one that does better: the harder comparison.
    """
    top: dict[str, dict[int, float]] = {}
    for name, value in figures.items():
        match = re.fullmatch(r"flips_top(\d+)_to_(.+)", name, re.DOTALL)
        if match and math.isfinite(value):
            top.setdefault(match[2], {})[int(match[1])] = value
    found = []
    for label, counts in top.items():
        controls = {way: figures.get(f"random_flips_equal_{way}_to_{label}", math.nan) for way in ("range", "length")}
        way = max((way for way in controls if math.isfinite(controls[way])), key=controls.__getitem__, default=None)
        images = figures.get(f"flip_images_to_{label}", math.nan)
        found.append(
            Flips(
                target_label=label,
                top=dict(sorted(counts.items())),
                random=None if way is None else controls[way],
                random_std=figures.get(f"random_flips_equal_{way}_std_to_{label}"),
                images=int(images) if math.isfinite(images) else None,
            )
        )
    return tuple(found)
