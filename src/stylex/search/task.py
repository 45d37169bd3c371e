"""The task of a ranking: which class to drive to, from which images, by which measured effects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from torch import Tensor

from stylex.core.attribute import Attribute, AttributeRanking, Tested
from stylex.core.errors import SearchError
from stylex.core.numbers import Numbers
from stylex.core.stylespace import StyleSpace
from stylex.metrics.significance import NOISE_FLOOR
from stylex.search.controls import RandomBeside
from stylex.search.decision import Output, first_answers, in_reach, log_odds, predicted, turned
from stylex.search.effects import EffectTable
from stylex.search.subject import Subject


@dataclass(frozen=True, eq=False, kw_only=True)
class Task:
    """What every ranking is given: ``ranking(task) -> AttributeRanking``.

    Attributes:
        effects: measured effects of the moves to rank.
        target: class to drive to.
        space: layout, to name coordinates.
        labels: the class names.
        output: whether one class or several labels are predicted; with ``sigmoid``, an image is to be moved while the
            target's probability is below 0.5.
        by: of a regression, the change that counts as an answer turned, in standard deviations of its number.
        numbers: what a regression's numbers mean.
        source: start from images predicted this class only (one-vs-one).
        threshold: an image is explained, and left out of further choices, once one attribute raises the target's logit
            by so much, as published; None: once its answer turns. For rankings that leave images out.
        photographs: logits of the photographs themselves, row for row with ``effects``; None: those of the rebuilt ones
            stand for them.
        accounted: least fraction of the variance of the photographs' log odds that claims must account for together.
        subject, s: the networks, and the images' style vectors row for row with ``effects``, for rankings that draw.
        beside: random moves that the tasks of several classes share; None: each draws its own.

    Raises:
        SearchError: classes or labels that do not fit the effects.
    """

    effects: EffectTable
    target: int
    space: StyleSpace
    labels: Sequence[str]
    output: Output = "softmax"
    by: float = 1.0
    numbers: Numbers | None = None
    source: int | None = None
    threshold: float | None = None
    photographs: Float[ndarray, "n k"] | None = field(default=None, repr=False)
    accounted: float = 0.0
    subject: Subject | None = field(default=None, repr=False)
    s: Tensor | None = field(default=None, repr=False)
    beside: RandomBeside | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        k = self.effects.base_logits.shape[1]
        if len(self.labels) != k:
            raise SearchError(
                f"{len(self.labels)} labels were given for effects on {k} classes; give one label a class"
            )
        for name, value in (("target", self.target), ("source", self.source)):
            if value is not None and not 0 <= value < k:
                raise SearchError(
                    f"{name} class {value} does not exist; expected 0 to {k - 1} ({', '.join(self.labels)})"
                )
        if self.source == self.target:
            raise SearchError(f"source and target are both {self.name!r}; a one-vs-one search needs two classes")

    @classmethod
    def of(
        cls, subject: Subject, s: Float[Tensor, "n s_dim"], effects: EffectTable, target: int, source: int | None = None
    ) -> Task:
        """The task of driving images of a subject to a class."""
        return cls(
            effects=effects,
            target=target,
            space=subject.space,
            labels=subject.labels,
            output=subject.output,
            by=subject.by,
            numbers=subject.numbers,
            source=source,
            subject=subject,
            s=s,
        )

    @property
    def name(self) -> str:
        """The target's."""
        return self.labels[self.target]

    def driving(self, count: int) -> str:
        """What so many moves do, in words: ``drive the classifier towards 'cat'``, ``raises age``."""
        s = "s" if count == 1 else ""
        if self.numbers is None:
            return f"drive{s} the classifier towards {self.name!r}"
        return f"{'lower' if self.numbers.falls(self.target) else 'raise'}{s} {self.numbers.names[self.target]}"

    def raises(self, effect: float) -> str:
        """What a move of that effect on the log odds does, in words; of a number, in its unit."""
        if self.numbers is None:
            return f"raises its log odds by {self.amount(effect)}"
        return self.numbers.moves(effect, self.target)

    def amount(self, effect: float) -> str:
        """That effect in words, by itself."""
        if self.numbers is None:
            return f"{effect:.2g}"
        return self.numbers.amount(self.numbers.effect(effect, self.target))

    def turning(self, fraction: float) -> str:
        """How many images a move turns: ``turns 40% of``; where it is a number, ``enough`` comes after them."""
        return f"{'turns' if self.numbers is None else 'moves'} {fraction:.0%} of"

    @property
    def enough(self) -> str:
        """By how much a number must move to count: `` by 2.0 years or more``; empty where an answer turns."""
        return "" if self.numbers is None else f" by {self.numbers.amount(self.numbers.by)} or more"

    @property
    def differ(self) -> str:
        """What differs between photographs, in words."""
        answers = "answers" if self.numbers is None else "numbers"
        return f"its {answers} on {'the photographs' if self.photographs is not None else 'the rebuilt pictures'}"

    @property
    def source_name(self) -> str | None:
        """The source's, if there is one."""
        return None if self.source is None else self.labels[self.source]

    @property
    def drawn(self) -> tuple[Subject, Tensor]:
        """What draws the images, and their style vectors."""
        assert self.subject is not None, "this ranking draws; make its task of a subject"
        assert self.s is not None, "this ranking draws; give its task the style vectors"
        return self.subject, self.s

    @cached_property
    def not_target(self) -> Bool[ndarray, " n"]:
        """Mask of the images whose reconstruction is not predicted the target (but the source, if there is one)."""
        rows = ~predicted(self.effects.base_logits, self.target, self.output)
        if self.source is not None:
            rows &= predicted(self.effects.base_logits, self.source, self.output)
        return rows

    @cached_property
    def first(self) -> int | None:
        """Among how many of its first answers a class is in reach of an image; None: always, as there are few."""
        return first_answers(self.effects.base_logits.shape[1], self.output)

    @cached_property
    def in_reach(self) -> Bool[ndarray, " n"]:
        """Mask of the images of which the target is in reach."""
        return in_reach(self.effects.base_logits, self.target, self.output)

    @cached_property
    def searched(self) -> EffectTable:
        """The effects on those images."""
        return self.effects.of(self.not_target)

    def changes(self) -> Float[ndarray, "2 m n"]:
        """What each move (by sign: 0 down, 1 up) does to the target's log odds, on every image."""
        base = self.effects.base_logits
        before = log_odds(base, self.target, self.output)
        after = [
            [
                log_odds(base + self.effects.change(sign, column), self.target, self.output)
                for column in range(len(self.effects.indices))
            ]
            for sign in (0, 1)
        ]
        return np.asarray(np.array(after, dtype=np.float64) - before)

    @property
    def nobody(self) -> str:
        """Why there is no image to move."""
        whose = "all images are" if self.source is None else f"no image is predicted {self.source_name!r}, or all are"
        return f"{whose} predicted so already; give images of other classes."

    def turned(self, sign: int, column: int) -> Bool[ndarray, " n"]:
        """Whether one move alone makes the target predicted, of every image searched."""
        base = self.searched.base_logits
        return self.turns(base, base + self.searched.change(sign, column))

    def turns(self, before: Float[ndarray, "*n k"], after: Float[ndarray, "*n k"]) -> Bool[ndarray, "*n"]:
        """Whether a change of these logits to those makes the target the answer."""
        return turned(before, after, self.target, self.output, self.by)

    def predicted(self, logits: Float[ndarray, "*n k"]) -> Bool[ndarray, "*n"]:
        """Whether logits predict the target."""
        return predicted(logits, self.target, self.output)

    def attribute(
        self, sign: int, column: int, effect: float, significance: float | None = None, tested: Tested = "p"
    ) -> Attribute:
        """The move of a column of the effects, by its sign's index (0 down, 1 up)."""
        return Attribute(
            coordinate=self.space.coordinate(int(self.effects.indices[column])),
            sign=1 if sign else -1,
            shift_range=self.effects.shift_range,
            target=self.target,
            target_label=self.name,
            effect=effect,
            source_label=self.source_name,
            significance=significance,
            tested=None if significance is None else tested,
        )

    def ranking(
        self, attributes: Sequence[Attribute], strategy: str, *, images: int, explained: float, nothing: str
    ) -> AttributeRanking:
        """Single coordinates as a ranking, with its finding in words."""
        where = f"{images} image" + ("" if images == 1 else "s")
        if attributes:
            top = max(attributes, key=lambda a: a.effect)
            verb = "lower" if self.numbers is not None and self.numbers.falls(self.target) else "raise"
            knobs = f"1 attribute {verb}s" if len(attributes) == 1 else f"{len(attributes)} attributes {verb}"
            what, best = f"the logit of {self.name!r}", f"{top.effect:.2f}"
            if (numbers := self.numbers) is not None:
                what, best = numbers.names[self.target], numbers.amount(numbers.effect(top.effect, self.target))
            finding = f"{knobs} {what} on {where}, the best by {best} on average"
            if top.effect < NOISE_FLOOR:
                finding += f", which is next to nothing (below {NOISE_FLOOR})"
            finding += f"; {explained:.0%} of the images count as explained."
        else:
            finding = f"Nothing moves the classifier towards {self.name!r}: {nothing}"
        return AttributeRanking(
            attributes=tuple(attributes), strategy=strategy, images=images, explained=explained, finding=finding
        )


def mean_of(
    table: Float[ndarray, "n columns"], rows: Bool[ndarray, " n"] | None = None, *, at_once: int = 2**24
) -> Float[ndarray, " columns"]:
    """The mean over (some) rows, a few at a time: the table may be mapped from disk."""
    total, count = np.zeros(table.shape[1]), 0
    for start in range(0, len(table), step := max(1, at_once // table.shape[1])):
        block = table[start : start + step] if rows is None else table[start : start + step][rows[start : start + step]]
        total += block.sum(axis=0, dtype=np.float64)
        count += len(block)
    return total / max(count, 1)
