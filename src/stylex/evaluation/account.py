"""How much of how the classifier's answers on photographs differ do the attributes account for?"""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from numpy import ndarray

from stylex.core.evaluation import About
from stylex.evaluation.sheet import Sheet
from stylex.metrics.accounted import accounted, accounted_at_random
from stylex.metrics.interval import bootstrap
from stylex.search.choosing import spread
from stylex.search.controls import random_direction
from stylex.search.decision import first_answers, in_reach, log_odds
from stylex.search.shifts import extremes, statistics_of, towards

_TURNED = 64
"""Images turned to measure what a step does, at most."""
_RANDOM = 16
"""Random directions, of which mixtures are taken, as many as there are attributes."""
_FAR = 2.0
"""So many standard deviations random directions are turned each way."""


def measure(sheet: Sheet) -> None:
    """R2 of the photographs' log odds by each image's places along the attributes and what a step along them does.

    Nothing is fitted to the answers (``accounted``). Of many classes a step is measured on images that have the target
    in reach, as the search does. Beside it: as many random directions among the coordinates that were searched.
    """
    subject, s = sheet.subject, sheet.measured.s
    said, space, statistics = sheet.measured.logits.cpu().numpy(), subject.space, statistics_of(subject.space)
    steps = random_direction(space, subject.indices, np.random.default_rng([sheet.options.seed, 7]), _RANDOM)
    inverse = np.where(statistics.std > 0, statistics.std, np.inf).astype(np.float64) ** -2
    places_at_random = s.cpu().numpy().astype(np.float64) @ (steps * inverse).T

    @cache
    def ends(coordinate: int, shift_range: float, of: int | None) -> tuple[Float32[ndarray, "r k"], ...]:
        # Several targets share what does not depend on them.
        start = s[torch.from_numpy(_rows(sheet, of)).to(s.device)]
        drawn = []
        for extreme in extremes(space, start)[:, coordinate]:
            moved = start.clone()
            moved[:, coordinate] = towards(start[:, coordinate], extreme, shift_range)
            drawn.append(subject.logits(moved))
        return tuple(drawn)

    @cache
    def ends_at_random(step: int, of: int | None) -> tuple[Float32[ndarray, "r k"], ...]:
        start = s[torch.from_numpy(_rows(sheet, of)).to(s.device)]
        shift = torch.from_numpy(_FAR * steps[step]).to(s)
        return tuple(subject.logits(start + way * shift) for way in (-1, 1))

    for target, ranking in sheet.found.rankings.items():
        of = None if first_answers(said.shape[1], sheet.output) is None else target
        if not ranking or len(_rows(sheet, of)) == 0:
            continue

        def rise(ends: tuple[Float32[ndarray, "r k"], ...], target: int = target) -> float:
            low, high = (log_odds(logits, target, sheet.output).mean(dtype=np.float64) for logits in ends)
            return float(high - low)

        once = list({a.coordinate: a for a in ranking}.values())  # one way or the other, a place is one
        columns = [space.index(a.coordinate) for a in once]
        width = np.array([a.shift_range for a in once]) * (statistics.maximum - statistics.minimum)[columns]
        rises = [rise(ends(column, a.shift_range, of)) for column, a in zip(columns, once, strict=True)]
        slopes = np.array(rises) / np.where(width > 0, width, np.inf)
        places, answers = s[:, columns].double().cpu().numpy(), log_odds(said, target, sheet.output).astype(np.float64)
        for top in sheet.tops(len(once)):
            value = bootstrap(
                partial(_of_rows, places[:, :top], slopes[:top], answers), len(s), seed=sheet.options.seed
            )
            note = "R2: 1 is all of it; of the log odds on the photographs, without a fit"
            sheet.add(About("account", "attributes", sheet.labels[target], top), value, images=len(s), note=note)
        steep = np.array([rise(ends_at_random(step, of)) for step in range(_RANDOM)]) / (2 * _FAR)
        values = accounted_at_random(places_at_random, steep, answers, count=len(once), seed=sheet.options.seed)
        note = f"as many random directions, {len(values)} times: standard deviation {values.std():.2f}"
        about = About("account", "mixtures", sheet.labels[target], len(once))
        sheet.add(about, float(values.mean()), images=len(s), note=note)


def _rows(sheet: Sheet, target: int | None) -> Int64[ndarray, " r"]:
    """Images that are turned to measure a step, spread over those that have the target in reach."""
    rows = np.arange(len(sheet.base))
    if target is not None:
        rows = rows[in_reach(sheet.base, target, sheet.output)]
    return np.asarray(rows[spread(len(rows), min(len(rows), _TURNED))])


def _of_rows(
    places: Float[ndarray, "n m"], slopes: Float[ndarray, " m"], answers: Float[ndarray, " n"], rows: ndarray
) -> float:
    return accounted(places[rows], slopes, answers[rows])
