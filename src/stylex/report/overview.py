"""The page of all classes: one file in which a person finds a class, and goes on to its own report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stylex.core.explanation import Explanation
from stylex.core.overview import Overview, OverviewRow, Standing
from stylex.core.verdict import agreement_level, agreement_verdict
from stylex.report import words
from stylex.report.figures import enlarge
from stylex.report.filled import asset, filled, picture_uri
from stylex.store.folder import REPORT

_SHOWN = 3
_SIDE = 96
"""Of a picture in a strip, in pixels."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A picture before and after the first attribute is turned up.

    Attributes:
        before, after: the pictures, as text.
        p_before, p_after: the class's probability, in words.
        answers: what the classifier says of both.
        flips: whether the answer is the class now.
    """

    before: str
    after: str
    p_before: str
    p_after: str
    answers: tuple[str, str]
    flips: bool


def pairs_of(explanation: Explanation) -> tuple[Pair, ...]:
    """What the strongest attribute of an explanation does to a few images, for a strip."""
    images = {image.id: image for image in explanation.images}
    shown = [cf for cf in explanation.counterfactuals if cf.attributes == (0,) and cf.role != "subset"]
    pairs = []
    for cf in [cf for cf in shown if not words.turned_back(cf, explanation)][:_SHOWN]:
        image = images[cf.image]
        before, after = image.reconstruction_probabilities, cf.probabilities
        pairs.append(
            Pair(
                before=picture_uri(enlarge(image.reconstruction, _SIDE), quality=80),
                after=picture_uri(enlarge(cf.picture, _SIDE), quality=80),
                p_before=words.percent(float(before[cf.target])),
                p_after=words.percent(float(after[cf.target])),
                answers=(words.answer(before, explanation, cf.target), words.answer(after, explanation, cf.target)),
                flips=words.flips(cf, explanation),
            )
        )
    return tuple(pairs)


def row_of(explanation: Explanation, standing: Standing | None, *, label: str, folder: str) -> OverviewRow:
    """What was found of a class.

    Args:
        explanation: of the class.
        standing: what its first attribute does over all images.
        label: the class.
        folder: the explanation's, below the overview's.
    """
    ranking = explanation.ranking
    return OverviewRow(
        label=label,
        folder=folder,
        attributes=len(ranking),
        finding=ranking.finding,
        sentence=words.what_it_does(ranking[0], (), explanation) if len(ranking) else None,
        standing=standing,
    )


def overview_page(overview: Overview, pairs: Mapping[str, Sequence[Pair]]) -> str:
    """The page's HTML: pictures within, links to the classes' reports beside it; works without a server.

    Args:
        overview: what was found.
        pairs: of each class's folder, its strip.
    """
    figures = overview.figures
    kept = figures.get("agreement", math.nan), figures.get("agreement_other")
    return filled(
        "overview.html.j2",
        asset("page.css") + asset("overview.css"),
        asset("overview.js"),
        o=overview,
        pairs=pairs,
        report=REPORT,
        level=agreement_level(*kept),
        verdict=agreement_verdict(*kept),
    )
