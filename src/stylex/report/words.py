"""An explanation in plain words: names, sentences, and when not to trust it. Text only, no pictures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.explanation import Counterfactual, Explanation
from stylex.core.numbers import Numbers
from stylex.core.verdict import Level, agreement_level, agreement_verdict, classifier_remark

_FEW_IMAGES = 30
_SIGNIFICANT = 0.05
_WEAK = 0.2
"""Of the strongest attribute's effect."""


def name_of(ranking: AttributeRanking, position: int) -> str:
    """The person's name for an attribute, or ``Attribute 1`` for the first, with what it changes where known."""
    attribute = ranking[position]
    known = "" if attribute.meaning is None else f", goes with {attribute.meaning.descriptor}"
    return attribute.label or f"Attribute {position + 1}{known}"


def technical(attribute: Attribute) -> str:
    """The coordinate with its direction, as the search writes it: ``b16.conv0:7+``."""
    return f"{attribute.coordinate}{'+' if attribute.sign > 0 else '-'}"


def percent(value: float) -> str:
    """A fraction as a percentage that says 0% and 100% only when it is so."""
    for digits in (0, 1, 2):
        text = f"{100 * value:.{digits}f}"
        if float(text) not in (0, 100) or value in (0, 1):
            return f"{text}%"
    return "under 0.01%" if value < 0.5 else "over 99.99%"


def signed(value: float) -> str:
    """Two decimals with the sign that typography uses."""
    return f"{value:+.2f}".replace("-", "−")


def answer(probabilities: NDArray[np.float32], explanation: Explanation, target: int) -> str:
    """What the classifier answers: the likeliest class; of several labels, whether it sees the target; or a number."""
    if (numbers := Numbers.of(explanation)) is not None:
        return numbers.said(float(probabilities[target]), target)
    if explanation.output == "softmax":
        return explanation.labels[int(probabilities.argmax())]
    label = explanation.labels[target]
    return label if probabilities[target] >= 0.5 else f"not {label}"


def flips(cf: Counterfactual, explanation: Explanation) -> bool:
    """Whether the change makes the target the answer, or no longer so, or moves a number by as much as counts."""
    before = explanation.image(cf.image).reconstruction_probabilities
    if (numbers := Numbers.of(explanation)) is not None:
        return abs(_moved(cf, explanation, numbers)) >= numbers.by
    label = explanation.labels[cf.target]
    return (answer(before, explanation, cf.target) == label) != (
        answer(cf.probabilities, explanation, cf.target) == label
    )


def along(p: float, explanation: Explanation, target: int) -> float:
    """Where that lies on its scale, from 0 to 1: a probability, or a number between the ends of its own."""
    numbers = Numbers.of(explanation)
    return p if numbers is None else numbers.along(p, target)


def place(p: float, explanation: Explanation, target: int) -> str:
    """What stands on a picture: the target's probability, or the classifier's number."""
    numbers = Numbers.of(explanation)
    return f"{p:.3f}" if numbers is None else numbers.said(p, target)


def about(explanation: Explanation, target: int) -> str:
    """What that is of: ``P(ankle boot)``, or ``age``."""
    numbers = Numbers.of(explanation)
    return f"P({explanation.labels[target]})" if numbers is None else numbers.names[target]


def effect(attribute: Attribute, explanation: Explanation) -> str:
    """An attribute's effect with its sign: in logits, or as the change of the classifier's number in its unit."""
    numbers = Numbers.of(explanation)
    if numbers is None:
        return signed(attribute.effect)
    return numbers.amount(-attribute.effect if numbers.falls(attribute.target) else attribute.effect, sign="+")


def _moved(cf: Counterfactual, explanation: Explanation, numbers: Numbers) -> float:
    """By how much, in its unit, the change moves a number towards the target."""
    before = explanation.image(cf.image).reconstruction_logits
    return numbers.effect(float(cf.logits[cf.target]) - float(before[cf.target]), cf.target)


def rise(cf: Counterfactual, explanation: Explanation) -> float:
    """How much the change raises the target's probability; negative where it lowers it."""
    before = explanation.image(cf.image).reconstruction_probabilities
    return float(cf.probabilities[cf.target]) - float(before[cf.target])


def turned_back(cf: Counterfactual, explanation: Explanation) -> bool:
    """Whether the attribute is shown turned the other way: its logit moves against the attribute's effect."""
    before = explanation.image(cf.image).reconstruction_logits
    moved = float(cf.logits[cf.target]) - float(before[cf.target])
    attribute = explanation.ranking[cf.attributes[0]]
    return len(cf.attributes) == 1 and cf.target == attribute.target and moved * attribute.effect < 0


def what_it_does(attribute: Attribute, shown: Sequence[Counterfactual], explanation: Explanation) -> str:
    """A sentence like: Turning this up raises P(ankle boot) by 0.41 on average; it flips 6 of 10 images shown.

    Up is the way that the attribute goes, as on its slider, whatever the sign of its coordinate.
    """
    turning = "Turning this up"
    if not shown:
        numbers = Numbers.of(explanation)
        what = f"the score of {attribute.target_label}" if numbers is None else numbers.names[attribute.target]
        moves = f"{what} by {effect(attribute, explanation)}"
        return f"{turning} moves {moves} on average."
    mean = sum(rise(cf, explanation) for cf in shown) / len(shown)
    flipped = sum(flips(cf, explanation) for cf in shown)
    if (numbers := Numbers.of(explanation)) is not None:
        change = sum(_moved(cf, explanation, numbers) for cf in shown) / len(shown)
        rises = (change >= 0) != (shown[0].target == len(numbers.names) - 1)  # the last label is the fall of a number
        many = f"on average, and by {numbers.amount(numbers.by)} or more on {flipped} of {len(shown)} images shown"
        end = many if len(shown) > 1 else f"(a change of {numbers.amount(numbers.by)} counts)"
        what = numbers.names[shown[0].target]
        return f"{turning} {'raises' if rises else 'lowers'} {what} by {numbers.amount(abs(change))} {end}."
    verb, target = "raises" if mean >= 0 else "lowers", attribute.target_label
    by = f"{abs(mean):.2f}" if abs(mean) >= 0.1 else f"{abs(mean):.3f}"
    if len(shown) == 1:
        end = "and the answer changes" if flipped else "but the answer stays the same"
        return f"{turning} {verb} P({target}) by {by}, {end}."
    return f"{turning} {verb} P({target}) by {by} on average; it flips {flipped} of {len(shown)} images shown."


def is_weak(attribute: Attribute, strongest: float, *, claimed: bool) -> bool:
    """Whether an attribute is folded away: much weaker than the strongest, or perhaps chance; never one with a name."""
    chance = not claimed or (attribute.significance or 0.0) > _SIGNIFICANT
    return attribute.label is None and (chance or abs(attribute.effect) < _WEAK * strongest)


def rebuilding(explanation: Explanation) -> str | None:
    """What rebuilding did to the image that is explained, before any knob was turned; None without its photograph."""
    if explanation.scope != "image" or not explanation.images:
        return None
    image = explanation.images[0]
    if image.original is None or image.probabilities is None:
        return None
    target = explanation.ranking[0].target if explanation.ranking.attributes else int(image.probabilities.argmax())
    before, after = float(image.probabilities[target]), float(image.reconstruction_probabilities[target])
    pixels = np.abs(image.original.astype(np.float64) - image.reconstruction).mean() / 255
    numbers = Numbers.of(explanation)
    was, became = (f"{p:.2f}" if numbers is None else numbers.said(p, target) for p in (before, after))
    return (
        f"Rebuilding alone took {about(explanation, target)} from {was} to {became} and changed pixels by "
        f"{percent(round(float(pixels), 3))} of their range on average: what it changed is not what the knobs did."
    )


def how_it_was_measured(attribute: Attribute, explanation: Explanation) -> str:
    """The technical facts of an attribute, in a line."""
    moves = "raises" if attribute.effect >= 0 else "lowers"
    facts = [f"{moves} the score (logit) of {attribute.target_label} by {abs(attribute.effect):.2f}"]
    if (numbers := Numbers.of(explanation)) is not None:
        facts = [f"moves {numbers.names[attribute.target]} by {effect(attribute, explanation)}"]
    if explanation.scope == "class" and explanation.ranking.images > 1:
        facts[0] += " on average over the images it was found on"
    if attribute.source_label is not None:
        facts.append(f"starting from {attribute.source_label}")
    facts.append(_distance(attribute.shift_range))
    if attribute.significance is not None:
        value, which = attribute.significance, attribute.tested or "p"
        facts.append(f"{which} < 0.001" if value < 0.001 else f"{which} = {value:.3f}")
    if attribute.meaning is not None:
        facts.append(f"goes with {attribute.meaning}")
    text = "; ".join(facts) + "."
    return text[0].upper() + text[1:]


def _distance(shift_range: float) -> str:
    if shift_range > 1:
        return f"moved {shift_range:g} times the way to the most extreme value observed"
    if shift_range == 1:
        return "moved to the most extreme value observed"
    return f"moved {percent(shift_range)} of the way to the most extreme value observed"


# Measurements.


@dataclass(frozen=True)
class Check:
    """One thing that speaks for or against the explanation."""

    level: Level
    text: str


def checks(explanation: Explanation) -> list[Check]:
    """What the measurements say about trusting the explanation, the gravest first."""
    found = [*_faithful(explanation), *_sufficient(explanation), *_sound(explanation)]
    if remark := classifier_remark(explanation.settings):
        found.append(Check("warning", remark))
    order = ("warning", "care", "good")
    return sorted(found, key=lambda check: order.index(check.level))


def _faithful(e: Explanation) -> list[Check]:
    """Do the reconstructions keep what the classifier sees?"""
    out = []
    agreement, error = e.figures.get("agreement", math.nan), e.figures.get("probability_error", math.nan)
    if e.scope == "image":
        for image in e.images:
            if image.probabilities is None:
                continue
            target = e.ranking[0].target if e.ranking.attributes else 0
            both = (image.probabilities, image.reconstruction_probabilities)
            said, of_it = (answer(p, e, target) for p in both)
            if (numbers := Numbers.of(e)) is not None:
                near = numbers.is_near(float(both[0][target]), float(both[1][target]), target)
                out.append(_told(said, of_it, numbers.amount(numbers.scale[target] / 2), near=near))
            elif said == of_it:
                out.append(Check("good", f"The classifier says {said} of the photograph and of its reconstruction."))
            else:
                out.append(
                    Check(
                        "warning",
                        f"The classifier says {said} of the photograph but {of_it} of its reconstruction. What moves "
                        "the reconstruction need not be what decides about the photograph.",
                    )
                )
    elif math.isnan(agreement):
        out.append(Check("care", "It was not measured whether the reconstructions keep the classifier's answers."))
    else:
        out.append(verdict(e))
    if math.isfinite(error) and error > 0.05:
        out.append(
            Check(
                "warning" if error > 0.1 else "care",
                f"Probabilities of photograph and reconstruction differ by {error:.2f} on average; take changes of "
                "about that size as noise.",
            )
        )
    return out


def _told(said: str, of_it: str, half: str, *, near: bool) -> Check:
    """What it says that a classifier tells these numbers of a photograph and of its reconstruction."""
    text = f"The classifier tells {said} of the photograph and {of_it} of its reconstruction"
    if near:
        return Check("good", f"{text}: less than half a standard deviation ({half}) apart.")
    return Check(
        "warning",
        f"{text}, more than half a standard deviation ({half}) apart. What moves the reconstruction need not be what "
        "decides about the photograph.",
    )


def verdict(e: Explanation) -> Check:
    """The first thing to know of a class's explanation, in the words of the training and the search."""
    kept = e.figures["agreement"], e.figures.get("agreement_other")
    said = agreement_verdict(*kept)
    if (numbers := Numbers.of(e)) is not None and {"correlation", "answer_error"} <= e.figures.keys():
        said += " " + numbers_kept(e.figures, numbers)
    return Check(agreement_level(*kept), said)


def numbers_kept(figures: Mapping[str, float], numbers: Numbers) -> str:
    """How near a regression's numbers on photograph and reconstruction are, beside another image's reconstruction."""
    near = numbers.amount(numbers.scale[0] / 2)
    half = f"The same is a number that differs by half a standard deviation, {near}, at most"
    own, other = (
        numbers.amount(numbers.effect(figures.get(name, math.nan), 0))
        for name in ("answer_error", "answer_error_other")
    )
    if "answer_error_other" not in figures:  # of one image
        return f"{half}; it differs by {own} from that on the reconstruction."
    return (
        f"{half}; on average it differs by {own} from that on the reconstruction, from that on another image's by "
        f"{other} (correlation {figures['correlation']:.2f})."
    )


def _sufficient(e: Explanation) -> list[Check]:
    """Do the attributes drive the classifier, and better than chance?"""
    out, numbers = [], Numbers.of(e)
    flips, enough = ("flip", "") if numbers is None else ("move", f" by {numbers.amount(numbers.by)} or more")
    for flip in e.flips:
        top, many = (
            flip.top[flip.count],
            f"the best {flip.count} attributes" if flip.count > 1 else "the best attribute",
        )
        together = f"{many} together" if flip.count > 1 else many
        if flip.random is not None and flip.random >= 0.5 * top:
            out.append(
                Check(
                    "warning",
                    f"Towards {flip.target_label}, random changes of the same size {flips} {percent(flip.random)} of "
                    f"the images{enough}, {together} {percent(top)}: hardly more than chance.",
                )
            )
        elif top < 0.5:
            out.append(
                Check(
                    "care",
                    f"Towards {flip.target_label}, {together} {flips} only {percent(top)} of the images{enough}: "
                    "the classifier also uses something that is not shown here.",
                )
            )
        elif flip.random is not None:
            out.append(
                Check(
                    "good",
                    f"Towards {flip.target_label}, {together} {flips} {percent(top)} of the images{enough}; "
                    f"as many random changes of the same size {flips} {percent(flip.random)}.",
                )
            )
    return out


def _sound(e: Explanation) -> list[Check]:
    """Was enough looked at, and within what was observed?"""
    out = []
    if e.scope == "class" and e.ranking.attributes and e.ranking.images < _FEW_IMAGES:
        out.append(Check("care", f"The attributes were found on only {e.ranking.images} images; more would be safer."))
    for which in ("p", "q"):
        names = [
            name_of(e.ranking, i)
            for i, a in enumerate(e.ranking)
            if (a.significance or 0.0) > _SIGNIFICANT and (a.tested or "p") == which
        ]
        if names:
            out.append(Check("care", f"Could be chance ({which} above {_SIGNIFICANT}): {', '.join(names)}."))
    names = [name_of(e.ranking, i) for i, a in enumerate(e.ranking) if a.shift_range > 1]
    if names:
        out.append(Check("care", f"Moved further than anything observed, so partly invented: {', '.join(names)}."))
    return out
