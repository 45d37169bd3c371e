"""Verdicts: from which number on a measure speaks for an explanation, or against it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from stylex.core.evaluation import Interval

Level = Literal["good", "care", "warning"]

GOOD_AGREEMENT = 0.95
"""From here on, reconstructions keep the classifier's answers."""

LOW_AGREEMENT = 0.9
"""Below this, part of what drives the classifier may be missing from the reconstructions."""


_NO_BETTER = 0.05
"""By so much a reconstruction must keep the answer more often than another image's does, to say anything."""

MUCH_LOST = 0.1
"""From this fraction of photographs on, what decides them and is not drawn is reported."""

ACCOUNTED = 0.1
"""Least fraction of the variance of the photographs' log odds that claims account for together. Of classifiers
overfitted to coin flips they account for 0.063 at most (eight, on shoes and leaves), of real ones for 0.38 to 0.94."""


def agreement_level(agreement: float, other: float | None = None) -> Level:
    """What the fraction of reconstructions with the photograph's answer says about trusting an explanation.

    Args:
        agreement: the fraction.
        other: the same with other images' reconstructions, where it is known.
    """
    if _is_by_chance(other):
        return "warning"
    if agreement >= GOOD_AGREEMENT:
        return "good"
    return "warning" if agreement < LOW_AGREEMENT else "care"


def _is_by_chance(other: float | None) -> bool:
    return other is not None and other >= LOW_AGREEMENT


def agreement_verdict(agreement: float, other: float | None = None, *, of_a_domain: bool = False) -> str:
    """The same in a sentence, for the end of a training, of a search and of an evaluation, and for a report.

    Args:
        agreement, other: the fractions.
        of_a_domain: the images may be all of one class, as those of another domain often are.
    """
    said = f"The classifier says the same of photograph and reconstruction for {agreement:.1%} of the images"
    if other is not None:
        said += f" (with another image's reconstruction for {other:.1%})"
    if of_a_domain and other is not None and other >= agreement - _NO_BETTER:
        return f"{said}: it gives nearly all images of this domain one answer, so that this says little."
    if _is_by_chance(other):
        return (
            f"{said}: it gives nearly all images one answer, so that this says little; take images of all classes, and "
            "check its spec."
        )
    if agreement_level(agreement) == "good":
        return f"{said}."
    if agreement_level(agreement) == "care":
        return f"{said}: part of what drives it may be missing; a longer training helps."
    return f"{said}: train longer before believing anything else."


def lost_level(turned: Interval, other: Interval) -> Level:
    """What it says that photographs get another answer when only their most decisive tenth is drawn anew.

    Args:
        turned: the fraction that does.
        other: the fraction that does by chance, when another part or another image's change is taken.
    """
    if turned.value < MUCH_LOST:
        return "good"
    return "warning" if turned.low >= MUCH_LOST and turned.low > other.high else "care"


def classifier_remark(settings: Mapping[str, Any]) -> str | None:
    """What every page says where the networks were trained with another classifier than the one explained.

    Args:
        settings: of an explanation or an evaluation; ``other_classifier`` is true, false, or null where a classifier
            without weights cannot be told from another; ``explains_other`` is true where an explanation is shown, or
            measured, with another classifier than it was found with.
    """
    if settings.get("explains_other") is True:
        return "The attributes were found with another classifier than the one that answers here."
    if settings.get("other_classifier", False) is None:
        return (
            "Whether this is the classifier that the networks were trained with is not known: it shows no weights, and "
            "the snapshot keeps no answers of the other."
        )
    if settings.get("other_classifier", False) is not True:
        return None
    return (
        "This is not the classifier that the networks were trained with: what drives it may be missing from the "
        "reconstructions, and nothing here is about that other one."
    )
