"""What an analysis of a study holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from stylex.core.evaluation import Interval
from stylex.core.study import Answer, Asked, Item, Kind


@dataclass(frozen=True, kw_only=True)
class Row:
    """An answer beside what was asked.

    Attributes:
        asked, item, answer: what was asked, and said.
        side: of the item, that was chosen, whatever side the rater saw it on; of a ``sort``.
        correct: whether the right side was chosen, or the word typed that was asked for; None where nothing is right.
        left_out: whether the rater failed too many checks.
    """

    asked: Asked
    item: Item
    answer: Answer
    side: int | None
    correct: bool | None
    left_out: bool

    @property
    def chosen(self) -> int | None:
        """The attribute that was chosen; of a ``sort``."""
        return None if self.side is None else self.item.subjects[self.side]

    @property
    def subject(self) -> int | None:
        """The attribute that the answer is about; None of a word to be typed."""
        if not self.item.subjects:
            return None
        return self.item.subjects[self.item.truth or 0]


@dataclass(frozen=True, kw_only=True)
class Raters:
    """Who took part.

    Attributes:
        invited, began, finished, stopped, withdrew: how many; who stopped has answered some, which count.
        left_out: numbers of those who failed more than ``most_failed`` checks.
        checks: the share of checks passed by all who answered any.
    """

    invited: int
    began: int
    finished: int
    stopped: int
    withdrew: int
    left_out: tuple[int, ...]
    checks: Interval


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """How well pictures were sorted.

    Attributes:
        about: a method, an attribute of it, or a control.
        answers, raters: how many.
        accuracy: of all answers alike, with Wilson's interval.
        of_raters: mean of the raters' own accuracies, with an interval over raters.
        p: that guessing does as well, by flipping the signs of raters' distances from one half; nan where not tested.
        p_corrected: after Holm, over all that are tested together.
        alpha: agreement in what was chosen, right or wrong; nan of one attribute, whose right answers are all alike.
        seconds: median of an answer.
    """

    about: str
    answers: int
    raters: int
    accuracy: Interval
    of_raters: Interval
    p: float = math.nan
    p_corrected: float = math.nan
    alpha: float = math.nan
    seconds: float = math.nan


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Two methods, by the raters who saw both.

    Attributes:
        one, other: the methods.
        raters: how many saw both.
        accuracy: the first's less the second's, mean over raters.
        p, p_corrected: that there is none, two-sided, by flipping signs; after Holm, over all pairs.
    """

    one: str
    other: str
    raters: int
    accuracy: Interval
    p: float
    p_corrected: float


@dataclass(frozen=True, kw_only=True)
class Described:
    """What was said of an attribute.

    Attributes:
        subject: its position.
        raters: how many said something.
        words: the commonest words, with the share of raters who used each.
        shared: share of pairs of raters with a word in common.
        seconds: median of an answer.
    """

    subject: int
    raters: int
    words: tuple[tuple[str, float], ...]
    shared: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Worded:
    """What was said of a method's attributes.

    Attributes:
        method: its name.
        task: ``describe``, or ``clinical``: what clinicians said.
        alpha: agreement in words (distance of Jaccard).
        shared: share of pairs of raters with a word in common, of one attribute.
        by_accident: the same of two different attributes.
        common: attributes with a word that at least half of the raters used.
        collisions: pairs of attributes whose commonest word is the same.
        attributes: one by one.
    """

    method: str
    task: Kind
    alpha: float
    shared: float
    by_accident: float
    common: int
    collisions: int
    attributes: tuple[Described, ...]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What clinicians think of a method or an attribute.

    Attributes:
        about: its name.
        subject: the attribute's position; None of a method.
        answers: how many.
        plausible, implausible: shares of yes and of no, with Wilson's intervals; the rest is not sure.
        alpha: agreement over pictures.
        seconds: median of an answer.
    """

    about: str
    subject: int | None
    answers: int
    plausible: Interval
    implausible: Interval
    alpha: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """All that a study says.

    Attributes:
        title: of the study.
        most_failed: checks that a rater may fail.
        raters: who took part.
        methods: how well each method's pictures were sorted.
        controls: what passes by accident, beside them.
        attributes: how well each attribute was told, by its position.
        differences: between methods.
        words: what was said, by method.
        judged: what clinicians said, by method and attribute.
        notes: what to know.
    """

    title: str
    most_failed: int
    raters: Raters
    methods: tuple[Sorted, ...]
    controls: tuple[Sorted, ...]
    attributes: Mapping[int, Sorted]
    differences: tuple[Difference, ...]
    words: tuple[Worded, ...]
    judged: tuple[Judged, ...]
    notes: tuple[str, ...] = field(default=())
