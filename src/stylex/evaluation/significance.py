"""Does each attribute do more than a random coordinate moved equally far?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int64
from numpy import ndarray

from stylex.core.attribute import Attribute
from stylex.core.evaluation import Interval
from stylex.evaluation.sheet import Sheet
from stylex.evaluation.subject import comparable, random_attributes, random_coordinates
from stylex.metrics.interval import mean_interval
from stylex.metrics.significance import FEWEST_TO_TEST, benjamini_hochberg, sign_flip
from stylex.search.claims import SMALL
from stylex.search.decision import margin
from stylex.search.shifts import apply_attributes

LARGEST_RATE = 0.05
"""False discovery rate among the attributes that are called significant."""

SMALLEST_CHANGE = 0.05
"""An attribute is called significant if it would also move the probability of an image on the decision
boundary by so much, on average. (On the images themselves, a classifier that is sure hides what drives it.)"""

_RANDOM_TESTED = 20


def measure(sheet: Sheet) -> None:
    """Each attribute beside a random coordinate moved equally far, image by image; the same for random ones."""
    random, pool = np.random.default_rng(sheet.options.seed), comparable(sheet.subject, sheet.found.shown)
    tests = [_test(sheet, attribute, pool, random) for attribute in sheet.found.shown]
    for i, (test, q) in enumerate(zip(tests, _rates(tests), strict=True)):
        sheet.attributes[i] = replace(
            sheet.attributes[i],
            effect=test.effect,
            random_effect=test.random_effect,
            change=test.change,
            p=test.p,
            q=q,
            claimed=_significant(test, q),
        )
    known = [a.claimed for a in sheet.attributes if a.claimed is not None]
    sheet.add(
        "significance.claimed",
        float(np.mean(known)) if known else float("nan"),
        note=f"fraction of {len(known)} attributes: false discovery rate {LARGEST_RATE:g}, {_least(sheet)} or more",
    )
    others = random_attributes(sheet.subject.space, pool, sheet.found.shown, _RANDOM_TESTED, random)
    controls = [_test(sheet, attribute, pool, random) for attribute in others]
    significant = [_significant(test, q) for test, q in zip(controls, _rates(controls), strict=True)]
    sheet.add(
        "significance.random_claimed",
        float(np.mean([is_so is True for is_so in significant])) if significant else float("nan"),
        note=f"the same of {len(significant)} random coordinates, for comparison: small is good",
    )


def _least(sheet: Sheet) -> str:
    if (numbers := sheet.numbers) is None:
        return f"probability on the boundary moved by {SMALLEST_CHANGE:g}"
    return f"number moved by {numbers.amount(numbers.effect(SMALL, numbers.asked))}"


@dataclass(frozen=True, kw_only=True)
class _Test:
    effect: Interval | None
    random_effect: float | None
    change: float | None
    p: float | None
    enough: bool = False


def _test(sheet: Sheet, attribute: Attribute, pool: Int64[ndarray, " r"], random: np.random.Generator) -> _Test:
    """One attribute's effect on images that are not of the target yet, beside another coordinate's on each."""
    _, s, rows = sheet.starts(attribute.target)
    base, target = sheet.base[rows], attribute.target
    if len(s) == 0:
        return _Test(effect=None, random_effect=None, change=None, p=None)
    after = sheet.subject.logits(apply_attributes(s, [attribute], sheet.subject.space))
    control = sheet.subject.logits(random_coordinates(s, [attribute], sheet.subject.space, pool, random))
    effect, beside = (after - base)[:, target].astype(np.float64), (control - base)[:, target].astype(np.float64)
    tested = len(s) >= FEWEST_TO_TEST
    p = sign_flip(effect - beside, seed=sheet.options.seed) if tested else None
    if (numbers := sheet.numbers) is not None:
        unit = numbers.effect(1.0, target)
        return _Test(
            effect=mean_interval(effect * unit, seed=sheet.options.seed),
            random_effect=float(beside.mean()) * unit,
            change=None,
            p=p,
            enough=bool(effect.mean() >= SMALL),
        )
    rise = margin(after.astype(np.float64), target, sheet.output) - margin(base, target, sheet.output)
    change = float((0.5 * np.tanh(0.5 * rise)).mean())
    return _Test(
        effect=mean_interval(effect, seed=sheet.options.seed),
        random_effect=float(beside.mean()),
        change=change,
        p=p,
        enough=change >= SMALLEST_CHANGE,
    )


def _rates(tests: Sequence[_Test]) -> list[float | None]:
    """The q-value of each test, over all that could be made."""
    known = [i for i, test in enumerate(tests) if test.p is not None]
    q = benjamini_hochberg(np.array([test.p for test in tests if test.p is not None], dtype=np.float64))
    out: list[float | None] = [None] * len(tests)
    for i, value in zip(known, q.tolist(), strict=True):
        out[i] = value
    return out


def _significant(test: _Test, q: float | None) -> bool | None:
    return None if q is None else q <= LARGEST_RATE and test.enough
