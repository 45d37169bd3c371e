"""Which images show an attribute best: those far from where it moves to, that change visibly, and differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from stylex.core.attribute import Attribute
from stylex.core.errors import SearchError
from stylex.core.stylespace import StyleSpace
from stylex.search.decision import Output, log_odds, predicted, probabilities
from stylex.search.shifts import reversed_attribute, statistics_of
from stylex.search.task import Task

RELAXED = (0.2, 0.1, 0.05, 0.02, 0.0)
"""Changes of probability asked for, one after another, until enough images show one."""

FEWEST_TO_SHOW = 3
"""Fewer images than this do not show a rule."""

CANDIDATES_PER_IMAGE = 10
"""Images considered for each image wanted, the farthest from the extreme first."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Showing:
    """The images to show an attribute on.

    Attributes:
        attribute: what is moved; in a reversed showing, the found attribute turned round.
        rows: positions in the effects, best first.
        change: of the target's probability, one a row.
        required: the change of probability (either way) that was asked of them.
        note: a sentence where less than the usual could be asked, or shown; empty otherwise.
    """

    attribute: Attribute
    rows: Int64[ndarray, " r"]
    change: Float64[ndarray, " r"]
    required: float
    note: str


def choose_images(
    task: Task, attribute: Attribute, *, images: int = 10, turned: bool = False, min_distance: float = 0.5
) -> Showing:
    """Choose the images that show an attribute best, from the measured effects alone.

    Of the images not predicted the target (of many classes, those of which it is in reach), those whose style value is
    farthest from the extreme moved to come first. Kept are those whose target probability changes by 0.2 or more (less,
    and said so, where fewer than 3 do) and that do not resemble one already chosen.

    Args:
        task: effects measured at the attribute's own ``shift_range``, with the style vectors that were measured.
        attribute: what to show.
        images: how many to show.
        turned: show the opposite direction instead, on images that *are* predicted the target and lose it.
        min_distance: smallest distance between two shown images in s: root mean square over the convolutions' styles,
            in standard deviations (two images at random are about 1.4 apart).

    Raises:
        SearchError: the effects were not measured for this attribute.

    Source: the official notebook ("by distance", 10 candidates an image, change of 0.2, nothing below 3 images);
    that little is shown is said here, where the notebook shows nothing.
    """
    effects, space, output = task.effects, task.space, task.output
    assert task.s is not None, "images are chosen by their style vectors too"
    s = task.s.cpu().numpy()
    if attribute.shift_range != effects.shift_range:
        raise SearchError(
            f"the attribute moves by {attribute.shift_range:g} of the range, but effects were measured at "
            f"{effects.shift_range:g}; measure them at the same shift"
        )
    statistics = statistics_of(space)
    index = space.index(attribute.coordinate)
    column = effects.position(index)
    home = predicted(effects.base_logits, attribute.target, output)
    rows = np.flatnonzero(home if turned and output != "regression" else ~home)  # numbers rise and fall on all images
    if turned:
        back = effects.of(rows).change(0 if attribute.sign > 0 else 1, column)[:, attribute.target]
        attribute = reversed_attribute(attribute, effect=float(back.mean()) if len(rows) else 0.0)
    sign = int(attribute.sign > 0)
    if not turned and task.in_reach[rows].any():
        rows = rows[task.in_reach[rows]]

    extreme = (statistics.maximum if sign else statistics.minimum)[index]
    rows = rows[np.argsort(-np.abs(extreme - s[rows, index]), kind="stable")][: CANDIDATES_PER_IMAGE * images]
    base = effects.base_logits[rows].astype(np.float64)
    after = base + effects.of(rows).change(sign, column)
    change = (probabilities(after, output) - probabilities(base, output))[:, attribute.target]
    wanted = -change if turned else change

    enough = min(FEWEST_TO_SHOW, images)
    required = next((r for r in RELAXED if (wanted > r).sum() >= enough), RELAXED[-1])
    if required == 0:  # by odds, which still tell where a probability is 0 or 1 to the last digit before and after
        odds = log_odds(after, attribute.target, output) - log_odds(base, attribute.target, output)
        wanted = -odds if turned else odds
    able = np.flatnonzero(wanted > required)
    kept = _unlike(_standardized(s, space)[rows[able]], images, enough, min_distance)
    able = able[kept]

    notes = []
    if len(able) and required < RELAXED[0]:
        asked = f"at least {required:g}" if required else "at all"
        notes.append(
            f"few images change much: shown are some whose {_what(output)} changes {asked} (usually {RELAXED[0]:g})"
        )
    if len(able) < enough:
        notes.append(f"only {len(able)} of {len(home)} images show it")
    return Showing(
        attribute=attribute,
        rows=rows[able].astype(np.int64),
        change=change[able].astype(np.float64),
        required=required,
        note="; ".join(notes),
    )


def _what(output: Output) -> str:
    return "place between lowest and highest (0 to 1)" if output == "regression" else "probability"


def _standardized(s: ndarray, space: StyleSpace) -> ndarray:
    # Convolution styles in standard deviations, leaving out those that never vary.
    std = statistics_of(space).std[: space.conv_dim]
    varies = std > 0
    return np.asarray(s[:, : space.conv_dim][:, varies] / std[varies])


def _unlike(points: ndarray, wanted: int, enough: int, min_distance: float) -> list[int]:
    # Positions of the first points that are apart from each other; near ones only to have enough.
    chosen: list[int] = []
    alike: list[int] = []
    for i in range(len(points)):
        if len(chosen) == wanted:
            break
        gaps = np.sqrt(np.square(points[chosen] - points[i]).mean(axis=1)) if points.shape[1] else np.zeros(len(chosen))
        (alike if len(chosen) and gaps.min() < min_distance else chosen).append(i)
    return sorted([*chosen, *alike[: max(0, enough - len(chosen))]])
