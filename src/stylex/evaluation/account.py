"""How much of how the classifier's answers on photographs differ do the attributes account for?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from stylex.core.attribute import Attribute
from stylex.core.evaluation import About
from stylex.evaluation.sheet import Sheet
from stylex.metrics.accounted import accounted
from stylex.metrics.interval import bootstrap
from stylex.search.choosing import spread
from stylex.search.controls import random_direction
from stylex.search.decision import log_odds
from stylex.search.shifts import statistics_of, towards

_TURNED = 64
"""Images turned to measure what a step does, at most."""
_RANDOM = 16
"""Random directions, of which as many as there are attributes are taken again and again."""
_DRAWS = 50
_FAR = 2.0
"""So many standard deviations random directions are turned each way."""


def measure(sheet: Sheet) -> None:
    """R2 of the photographs' log odds by each image's places along the attributes and what a step along them does.

    Nothing is fitted to the answers (``accounted``). Beside it: as many random directions among the coordinates that
    were searched.
    """
    subject, s = sheet.subject, sheet.measured.s
    said = sheet.measured.logits.cpu().numpy()
    turned = s[torch.from_numpy(spread(len(s), min(len(s), _TURNED))).to(s.device)]
    random = np.random.default_rng([sheet.options.seed, 7])
    steps = random_direction(subject.space, subject.indices, random, _RANDOM)
    std = statistics_of(subject.space).std.astype(np.float64)
    inverse = np.where(std > 0, std, np.inf) ** -2
    at_random = s.cpu().numpy().astype(np.float64) @ (steps * inverse).T
    shifts = torch.from_numpy(_FAR * steps).to(turned)
    ends_at_random = [[subject.logits(turned + way * shift) for way in (-1, 1)] for shift in shifts]
    for target, ranking in sheet.found.rankings.items():
        if not ranking:
            continue
        once = list({a.coordinate: a for a in ranking}.values())  # one way or the other, a place is one
        answers = log_odds(said, target, sheet.output).astype(np.float64)
        columns = [subject.space.index(a.coordinate) for a in once]
        places, slopes = s[:, columns].double().cpu().numpy(), _slopes(sheet, turned, once, target)
        control = np.array([_between(sheet, ends, target) / (2 * _FAR) for ends in ends_at_random])
        for top in sheet.tops(len(once)):
            about = About("account", "attributes", target=sheet.labels[target], top=top)
            of = partial(_of_rows, places[:, :top], slopes[:top], answers)
            note = "R2: 1 is all of it; of the log odds on the photographs, without a fit"
            sheet.add(about, bootstrap(of, len(s), seed=sheet.options.seed), images=len(s), note=note)
        count = min(len(once), _RANDOM)
        drawn = [random.choice(_RANDOM, size=count, replace=False) for _ in range(_DRAWS)]
        values = [accounted(at_random[:, some], control[some], answers) for some in drawn]
        about = About("account", "random", target=sheet.labels[target], top=count)
        note = f"as many random directions, {_DRAWS} times: standard deviation {np.std(values):.2f}"
        sheet.add(about, float(np.mean(values)), images=len(s), note=note)


def _slopes(
    sheet: Sheet, s: Float[Tensor, "n s_dim"], attributes: Sequence[Attribute], target: int
) -> Float[ndarray, " m"]:
    """What a step of 1 along each attribute's coordinate does to the log odds, on average between its two ends."""
    statistics, slopes = statistics_of(sheet.subject.space), []
    for attribute in attributes:
        i = sheet.subject.space.index(attribute.coordinate)
        ends = []
        for extreme in (statistics.minimum[i], statistics.maximum[i]):
            moved = s.clone()
            moved[:, i] = towards(s[:, i], torch.tensor(extreme).to(s), attribute.shift_range)
            ends.append(sheet.subject.logits(moved))
        width = attribute.shift_range * float(statistics.maximum[i] - statistics.minimum[i])
        slopes.append(_between(sheet, ends, target) / width if width > 0 else 0.0)
    return np.array(slopes)


def _between(sheet: Sheet, ends: Sequence[Float[ndarray, "n k"]], target: int) -> float:
    """How much higher the log odds are at the second end, on average."""
    low, high = (log_odds(logits, target, sheet.output).mean(dtype=np.float64) for logits in ends)
    return float(high - low)


def _of_rows(
    places: Float[ndarray, "n m"], slopes: Float[ndarray, " m"], answers: Float[ndarray, " n"], rows: ndarray
) -> float:
    return accounted(places[rows], slopes, answers[rows])
