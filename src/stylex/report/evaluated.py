"""An evaluation in plain words, for the report: what was found on images that the search had not seen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from stylex.core.attribute import AttributeRanking
from stylex.core.evaluation import Evaluation, Interval, Measure
from stylex.core.numbers import Numbers
from stylex.core.verdict import ACCOUNTED, agreement_level, lost_level
from stylex.report.words import Check, name_of, percent, technical

_TOLD_APART = 0.8
_HALF = 0.5
_FOLLOWS = 0.95
_CARRIED = 0.8
_TIMES = 2


@dataclass(frozen=True)
class Row:
    """A measure as the page's table shows it."""

    what: str
    value: str
    reach: str
    images: str
    remark: str


@dataclass(frozen=True)
class Evaluated:
    """The evaluation as the page shows it.

    Attributes:
        searched, measured: how many images attributes were found on, and measured on.
        checks: what it comes to, the gravest first.
        parts: every number, by part.
        attributes: of each attribute its name and its numbers in words.
        notes: sentences to read it by.
    """

    searched: int
    measured: int
    checks: list[Check]
    parts: list[tuple[str, list[Row]]]
    attributes: list[tuple[str, str]]
    notes: list[str]


def evaluated(evaluation: Evaluation, ranking: AttributeRanking) -> Evaluated:
    """The words and numbers for the page, with the ranking's names for the attributes that are in it."""
    names = {technical(a): name_of(ranking, i) for i, a in enumerate(ranking)}
    order = ("warning", "care", "good")
    return Evaluated(
        searched=evaluation.searched,
        measured=evaluation.measured,
        checks=sorted(_checks(evaluation), key=lambda check: order.index(check.level)),
        parts=[(part, [_row(measure) for measure in measures]) for part, measures in evaluation.parts()],
        attributes=[
            (names.get(a.name, a.name), "; ".join(_facts(evaluation, i))) for i, a in enumerate(evaluation.attributes)
        ],
        notes=list(evaluation.notes),
    )


def _checks(evaluation: Evaluation) -> Iterator[Check]:
    """What the numbers say about trusting the explanation."""
    known = {measure.name: measure for measure in evaluation.measures if math.isfinite(measure.value)}
    numbers = Numbers.within(evaluation.settings, evaluation.labels)
    if agreement := known.get("reconstruction.agreement"):
        other = known.get("reconstruction.agreement_other")
        beside = "" if other is None else f"; with another photograph's reconstruction for {percent(other.value)}"
        yield Check(
            agreement_level(agreement.value, None if other is None else other.value),
            f"The reconstruction gets the same answer as the photograph for {_about(agreement)} of {agreement.images} "
            f"photographs that were never trained on{beside}.{_numbers_kept(known, numbers)}",
        )
    if (same := known.get("reason.same")) and (other := known.get("reason.same_other")):
        unlike = (same.low or 0) > (other.high or 0)
        yield Check(
            "good" if unlike and same.value >= _TIMES * other.value else "care" if unlike else "warning",
            f"What the classifier looks at is alike on photograph and rebuilt picture by {_number(same.value)} "
            f"(1: the same); with another image's rebuilt picture by {_number(other.value)}.",
        )
    controls = [known[name] for name in ("lost.turned_other", "lost.turned_mixed") if name in known]
    if (turned := known.get("lost.turned")) and controls:
        other = max(controls, key=lambda measure: measure.value)
        yield Check(
            lost_level(_interval(turned), _interval(other)),
            f"When only the most decisive tenth of a photograph is drawn anew, {_about(turned)} of {turned.images} get "
            f"another answer, {percent(other.value)} by chance: what is beyond chance decides and is not drawn.",
        )
    if (own := known.get("follows.w")) and (chance := known.get("follows.w_chance")):
        yield Check(
            "good" if own.value >= _FOLLOWS else "care" if (own.low or 0) > (chance.high or 0) else "warning",
            f"With another image's fine structure, {_about(own)} of the rebuilt pictures keep their answer; "
            f"{percent(chance.value)} would by chance.",
        )
    for label in evaluation.labels:
        yield from _accounted(known, label)
        yield from _turned(known, label, numbers)
        yield from _photographs(known, label, numbers)
    if (changed := known.get("preservation.perceptual")) and (chance := known.get("preservation.perceptual_random")):
        yield Check(
            "care" if (changed.low or changed.value) > chance.value else "good",
            f"An attribute changes the look of the picture by {_number(changed.value)}, a random change of the same "
            f"size by {_number(chance.value)}; compared by {changed.by}.",
        )
    claims = [a.claimed for a in evaluation.attributes if a.claimed is not None]
    if claims:
        yield Check(
            "good" if all(claims) else "care" if any(claims) else "warning",
            f"{sum(claims)} of {len(claims)} attributes do more than a random change of equal size, and enough to "
            f"matter{' near the decision' if numbers is None else ''}.",
        )
    # Among the fewest first.
    best = next((m for m in known.values() if (m.part, m.kind) == ("observer", "accuracy")), None)
    if best is not None:
        yield Check(
            "good" if best.value >= _TOLD_APART else "care",
            f"A machine that had learned the attributes from other images named the right one of "
            f"{best.top} in {_about(best)} of the cases.",
        )
    if matched := known.get("stability.matched"):
        beyond = known.get("stability.p")
        by_chance = beyond is not None and beyond.value > 0.05
        yield Check(
            "warning" if by_chance else "good" if matched.value >= _HALF else "care",
            f"A second training found {percent(matched.value)} of the attributes again"
            + (", which chance alone explains." if by_chance else "."),
        )


def _numbers_kept(known: dict[str, Measure], numbers: Numbers | None) -> str:
    """How near a regression's numbers on photograph and reconstruction are, beside another image's."""
    names = ("correlation", "r2", "answer_error")
    own, other = ([known.get(f"reconstruction.{name}{end}") for name in names] for end in ("", "_other"))
    if numbers is None or None in own or None in other:
        return ""
    near = numbers.amount(numbers.scale[numbers.asked] / 2)
    (r, r2, error), (r_other, _, error_other) = ([m.value for m in row if m is not None] for row in (own, other))
    return (
        f" The same is a number that differs by {near} at most; on average it differs by {numbers.amount(error)} "
        f"(correlation {r:.2f}, R2 {_number(r2)}), from that on another's by {numbers.amount(error_other)} "
        f"(correlation {r_other:.2f})."
    )


def _enough(numbers: Numbers | None) -> tuple[str, str]:
    """What images do that attributes turn, and by how much."""
    return ("turn", "") if numbers is None else ("move", f" by {numbers.amount(numbers.by)} or more")


def _all_together(measures: list[Measure]) -> Measure | None:
    """What was measured of the most attributes at once."""
    return max((m for m in measures if m.kind == "attributes"), key=lambda m: m.top or 0, default=None)


def _turned(known: dict[str, Measure], label: str, numbers: Numbers | None) -> Iterator[Check]:
    of_it = [m for m in known.values() if m.part == "sufficiency" and m.target == label]
    most = _all_together(of_it)
    if most is None:
        return
    count = most.top
    chance = max((m.value for m in of_it if m.kind == "random"), default=None)
    turn, enough = _enough(numbers)
    many = f"the best attribute {turn}s" if count == 1 else f"the best {count} attributes together {turn}"
    beside = "" if chance is None else f"; as many random changes of the same size {turn} {percent(chance)}"
    hardly = chance is not None and chance >= _HALF * most.value
    yield Check(
        "warning" if hardly else "good" if most.value >= _HALF else "care",
        f"Towards {label}, {many} {_about(most)} of {most.images} images that the search had not seen{enough}{beside}.",
    )


def _accounted(known: dict[str, Measure], label: str) -> Iterator[Check]:
    of_it = [m for m in known.values() if m.part == "account" and m.target == label]
    most = _all_together(of_it)
    chance = next((m.value for m in of_it if m.kind == "mixtures"), None)
    if most is None or chance is None:
        return
    low, many = most.value if most.low is None else most.low, "the attribute accounts"
    if most.top != 1:
        many = f"the {most.top} attributes together account"
    yield Check(
        "warning" if most.value < ACCOUNTED else "good" if most.value >= _HALF and low > chance else "care",
        f"Towards {label}, {many} for {_about(most)} of how the answers on {most.images} photographs differ; as many "
        f"random directions for {percent(chance)}.",
    )


def _photographs(known: dict[str, Measure], label: str, numbers: Numbers | None) -> Iterator[Check]:
    of_it = [m for m in known.values() if m.part == "photograph" and m.target == label]
    most = max((m.top or 0 for m in of_it), default=0)
    measured = {m.kind: m for m in of_it if m.top == most}
    if {"rebuilt", "photograph", "random_photograph"} - measured.keys():
        return
    rebuilt, laid, chance = measured["rebuilt"], measured["photograph"], measured["random_photograph"].value
    carried = laid.value >= _CARRIED * rebuilt.value and laid.value >= _HALF
    hardly, (turn, enough) = chance >= _HALF * laid.value, _enough(numbers)
    random = f"random changes of the same size {turn} {percent(chance)} of the photographs"
    yield Check(
        "warning" if hardly else "good" if carried else "care",
        f"Towards {label}, the same change laid on the photographs themselves {turn}s {_about(laid)} of {laid.images}"
        f"{enough}, where it {turn}s {percent(rebuilt.value)} of their rebuilt pictures; {random}.",
    )


def _interval(measure: Measure) -> Interval:
    low, high = (measure.value if end is None else end for end in (measure.low, measure.high))
    return Interval(value=measure.value, low=low, high=high)


def _about(measure: Measure) -> str:
    if measure.low is None or measure.high is None or not math.isfinite(measure.low + measure.high):
        return percent(measure.value)
    return f"{percent(measure.value)} ({percent(measure.low)} to {percent(measure.high)})"


def _row(measure: Measure) -> Row:
    low, high = measure.low, measure.high
    both = low is not None and high is not None and math.isfinite(low + high)
    return Row(
        what=measure.what.replace("_", " "),
        value=_number(measure.value),
        reach=f"{_number(low)} to {_number(high)}" if both else "",
        images="" if measure.images is None else str(measure.images),
        remark="; ".join(text for text in (measure.by, measure.note) if text),
    )


def _facts(evaluation: Evaluation, position: int) -> Iterator[str]:
    a = evaluation.attributes[position]
    numbers = Numbers.within(evaluation.settings, evaluation.labels)
    what = f"the score of {a.target_label}" if numbers is None else numbers.names[-1]
    falls = a.target_label == evaluation.labels[-1]

    def by(effect: float) -> str:
        if numbers is None or not math.isfinite(effect):
            return _number(effect)
        return numbers.amount(-effect if falls else effect, sign="+")

    if a.effect is not None:
        beside = "" if a.random_effect is None else f", random changes of equal size by {by(a.random_effect)}"
        yield f"moves {what} by {by(a.effect.value)}{beside}"
    if a.q is not None:
        yield ("claimed" if a.claimed else "not claimed") + f" (q = {a.q:.2g})"
    if a.flips is not None and a.flips_photograph is not None and math.isfinite(a.flips.value):
        chance = a.random_flips_photograph
        beside = "" if chance is None else f", random changes of equal size {percent(chance)}"
        yield (
            f"alone {_enough(numbers)[0]}s {percent(a.flips.value)} of the rebuilt pictures and "
            f"{percent(a.flips_photograph.value)} of the photographs{beside}"
        )
    if a.picture_change is not None and math.isfinite(a.picture_change.value):
        yield f"changes a pixel by {_number(a.picture_change.value)} of 2 on average"
    if a.area is not None and math.isfinite(a.area.value):
        yield f"changes {percent(a.area.value)} of the pixels"
    if a.recognised is not None:
        yield f"recognised in {percent(a.recognised)} of the cases"
    if a.counterpart is not None and a.similarity is not None:
        yield f"most like {a.counterpart} of the second training ({a.similarity:.2f})"


def _number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "not measured"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}".replace("-", "−")
