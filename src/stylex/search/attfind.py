"""AttFind: from effects to the few attributes that drive a class.

Two families: ``attfind`` is the paper's Algorithm 1 with a test of significance; ``notebook_*`` repeat what the
official notebook does, pick for pick. Both work on a finished table of effects and need no network.

Source: Lang et al., "Explaining in Style", ICCV 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int64
from numpy import ndarray

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.errors import SearchError
from stylex.core.stylespace import StyleSpace
from stylex.search.decision import Output, margin, predicted
from stylex.search.effects import Effects, EffectTable

Explained = Literal["flip", "effect", "cumulative"]
"""When an image counts as explained; see ``attfind``."""

EXPLAINED_DEFAULTS: dict[Explained, float] = {"flip": 0.0, "effect": 0.3, "cumulative": 1.0}
"""The threshold, in logits, that each rule takes when none is given."""

NOISE_FLOOR = 0.05
"""Mean effects below this many logits are taken for nothing: they move a probability by about 0.01 at most."""

_AT_ONCE = 2**24
"""Effects worked on at once."""

FEWEST_TO_TEST = 5
"""With fewer images, no pattern of signs is rare enough (2^-4 > 0.05) to call an effect significant."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What every ranking asks: which class to drive to, from which images, and in which words to answer."""

    effects: EffectTable
    target: int
    space: StyleSpace
    labels: Sequence[str]
    output: Output
    source: int | None

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

    @property
    def name(self) -> str:
        """The target's."""
        return self.labels[self.target]

    @property
    def source_name(self) -> str | None:
        """The source's, if there is one."""
        return None if self.source is None else self.labels[self.source]

    @property
    def not_target(self) -> ndarray:
        """Mask of the images whose reconstruction is not predicted the target (but the source, if there is one)."""
        rows = ~predicted(self.effects.base_logits, self.target, self.output)
        if self.source is not None:
            rows &= predicted(self.effects.base_logits, self.source, self.output)
        return rows

    def attribute(self, sign: int, column: int, effect: float, significance: float | None = None) -> Attribute:
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
        )

    def ranking(
        self, attributes: Sequence[Attribute], strategy: str, *, images: int, explained: float, nothing: str
    ) -> AttributeRanking:
        """Single coordinates as a ranking, with its finding in words."""
        where = f"{images} image" + ("" if images == 1 else "s")
        if attributes:
            top = max(attributes, key=lambda a: a.effect)
            knobs = "1 attribute raises" if len(attributes) == 1 else f"{len(attributes)} attributes raise"
            finding = f"{knobs} the logit of {self.name!r} on {where}; {top.name} most, by {top.effect:.2f} on average"
            if top.effect < NOISE_FLOOR:
                finding += f", which is next to nothing (below {NOISE_FLOOR})"
            finding += f"; {explained:.0%} of the images count as explained."
        else:
            finding = f"Nothing moves the classifier towards {self.name!r}: {nothing}"
        return AttributeRanking(
            attributes=tuple(attributes), strategy=strategy, images=images, explained=explained, finding=finding
        )


def attfind(
    effects: EffectTable,
    target: int,
    *,
    space: StyleSpace,
    labels: Sequence[str],
    output: Output = "softmax",
    source: int | None = None,
    num: int = 10,
    explained: Explained = "flip",
    threshold: float | None = None,
    restart: bool = False,
    floor: float = NOISE_FLOOR,
    alpha: float = 0.05,
    permutations: int = 1000,
    seed: int = 0,
) -> AttributeRanking:
    """Choose the attributes that drive images to the target class: Algorithm 1 of the paper.

    Over the images not predicted the target, take the coordinate and direction of the largest mean effect on the
    target's logit; drop the images that it explains; repeat on the rest. A coordinate whose mean effect is positive
    both ways is passed over (it does not turn one thing up or down), and a coordinate is taken once.

    When is an image explained? The paper leaves its per-attribute threshold open, and a number of logits means
    something else for every classifier. The default, ``flip``, asks what the person asks: do the attributes chosen
    so far, together, change the decision? (Their effects on all logits are added up, which is exact for a linear
    system and a good guess elsewhere; ``counterfactual.flip_rate`` renders it.) The others are ``effect`` (the
    paper's: one attribute raises the target's logit by ``threshold``) and ``cumulative`` (the notebook's: the
    attributes' raises add up to ``threshold``).

    Args:
        effects: measured effects.
        target: class to drive to.
        space: layout, to name coordinates.
        labels: the class names.
        output: whether one class or several labels are predicted; with ``sigmoid``, an image is searched on while
            the target's probability is below 0.5.
        source: start from images predicted this class only (one-vs-one).
        num: attributes wanted.
        explained, threshold: the rule, and its threshold in logits (``flip``: the margin to reach).
        restart: when every image is explained and attributes are still wanted, go on with all images and the
            coordinates left; otherwise stop there.
        floor: smallest mean effect, in logits, that counts.
        alpha: largest p-value that counts. The p-value is a sign-flip permutation test of the mean effect over all
            the images searched, corrected for having looked at every coordinate and direction. With fewer than 5
            images it is not tested.
        permutations, seed: of that test.

    Returns:
        The ranking, best first; each attribute's effect is its mean over all images searched. Empty when nothing
        moves the classifier, and then ``finding`` says what the best was.

    Raises:
        SearchError: classes or labels that do not fit the effects.
    """
    task = Task(effects=effects, target=target, space=space, labels=labels, output=output, source=source)
    limit = EXPLAINED_DEFAULTS[explained] if threshold is None else threshold
    searched = effects.of(task.not_target)
    n, m = len(searched), len(effects.indices)
    if n == 0:
        whose = "all images are" if source is None else f"no image is predicted {task.source_name!r}, or all are"
        nothing = f"{whose} predicted so already; give images of other classes."
        return task.ranking([], "attfind", images=0, explained=0.0, nothing=nothing)
    table = searched.table(target).reshape(n, 2 * m)
    overall = _mean(table)
    p = significance(table, permutations=permutations, seed=seed) if n >= FEWEST_TO_TEST else None
    usable = np.ones(2 * m, dtype=bool) if p is None else p <= alpha

    attributes: list[Attribute] = []
    remaining, ever = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
    logits = searched.base_logits.astype(np.float64)
    raised = np.zeros(n)
    while len(attributes) < num and m:
        if not remaining.any():
            if not restart:
                break
            remaining[:] = True
            logits, raised = searched.base_logits.astype(np.float64), np.zeros(n)
        mean = _mean(table, remaining).reshape(2, m)
        mean[:, (mean > 0).all(axis=0)] = 0
        mean[~usable.reshape(2, m)] = 0
        sign, column = divmod(int(mean.argmax()), m)
        if mean[sign, column] <= floor:
            break
        pick = sign * m + column
        attributes.append(task.attribute(sign, column, float(overall[pick]), None if p is None else float(p[pick])))
        usable[[column, m + column]] = False
        logits += searched.change(sign, column)
        raised += np.maximum(table[:, pick], 0)
        now = {
            "flip": margin(logits, target, output) >= limit,
            "effect": table[:, pick] >= limit,
            "cumulative": raised >= limit,
        }[explained]
        ever |= now
        remaining &= ~now
    return task.ranking(
        attributes, "attfind", images=n, explained=float(ever.mean()), nothing=_why_nothing(overall, p, n, floor, alpha)
    )


def significance(
    table: Float[ndarray, "n columns"], *, permutations: int = 1000, seed: int = 0
) -> Float[ndarray, " columns"]:
    """P-value of each column's mean being above zero, corrected for the number of columns.

    If a column did nothing, each image's effect would be as likely negative as positive. So the signs of whole
    images are flipped at random (all patterns, where there are few), and a column's mean is compared with the
    *largest* of all columns' each time. Means are taken in units of the column's root mean square, which ranks as
    the t statistic does: in logits, one strong column would drown all the others.

    Source: Westfall & Young 1993 (single-step maxT); Nichols & Holmes 2002 (sign flips).
    """
    n, columns = table.shape
    if exact := 2**n <= permutations:
        flips = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    else:
        flips = np.random.default_rng(seed).choice((-1, 1), size=(permutations, n))
    flips = flips.astype(np.float32)
    largest = np.full(len(flips), -np.inf, dtype=np.float32)
    seen = np.empty(columns)
    together = max(1, min(4096, _AT_ONCE // n))
    for part in (slice(start, start + together) for start in range(0, columns, together)):
        effects = table[:, part].astype(np.float64)
        rms = np.sqrt(np.square(effects).mean(axis=0))
        unit = (effects / np.where(rms > 0, rms, 1)).astype(np.float32)
        np.maximum(largest, (flips @ unit).max(axis=1), out=largest)
        seen[part] = unit.sum(axis=0, dtype=np.float64)
    # The slack forgives rounding: a pattern of signs must not lose against itself.
    reached = len(flips) - np.searchsorted(np.sort(largest), seen - 1e-4 * n, side="left")
    return np.asarray(reached / len(flips) if exact else (reached + 1) / (len(flips) + 1))


def _mean(table: ndarray, rows: ndarray | None = None) -> Float64[ndarray, " columns"]:
    # The mean over (some) rows, a few at a time: the table may be mapped from disk.
    total, count = np.zeros(table.shape[1]), 0
    for start in range(0, len(table), step := max(1, _AT_ONCE // table.shape[1])):
        block = table[start : start + step] if rows is None else table[start : start + step][rows[start : start + step]]
        total += block.sum(axis=0, dtype=np.float64)
        count += len(block)
    return total / max(count, 1)


def _why_nothing(overall: ndarray, p: ndarray | None, n: int, floor: float, alpha: float) -> str:
    if overall.size == 0:
        return "no coordinate was measured."
    best = int(overall.argmax())
    text = f"the largest mean effect over {n} image{'' if n == 1 else 's'} is {overall[best]:.3f} logit"
    if overall[best] <= floor:
        return f"{text}, not above the floor of {floor:g}."
    if p is not None and p.min() > alpha:
        return f"{text}, which chance alone explains (smallest p {p.min():.2f}, wanted {alpha:g} or less)."
    return f"{text}, but no coordinate raises it one way only, above the floor of {floor:g} and beyond chance."


def filter_unstable(
    values: Float[ndarray, "n signs m k"], *, count: int, threshold: float = 0.3
) -> Float[ndarray, "n signs m k"]:
    """Set the effects of unstable images to zero.

    Unstable is an image of which more than ``count`` entries (over directions, coordinates and classes) move a
    logit by more than ``threshold``. Such images still count in means, with no effect.
    """
    unstable = (np.abs(values) > threshold).sum(axis=(1, 2, 3)) > count
    return np.where(unstable[:, None, None, None], np.zeros((), values.dtype), values)


def notebook_selection(
    effects: Float[ndarray, "n 2 m k"],
    target_class: int,
    num: int,
    max_image_effect: float,
    unstable_count: int = 0,
) -> Int64[ndarray, "picks 2"]:
    """Pick (sign index, coordinate) pairs as the official notebook does.

    Repeat: over the images whose picked effects do not yet add up to ``max_image_effect``, take the column of the
    largest mean positive effect. Only the picked direction of a coordinate is used up. Where the notebook goes on
    with the mean over no images, this stops; so it does when no column has a positive effect left.

    Args:
        effects: changes of logits; sign index 0 = moved to the minimum, 1 = to the maximum.
        target_class: the class whose logit is to rise.
        num: picks wanted.
        max_image_effect: accumulated effect, in logits, at which an image counts no longer.
        unstable_count: first clear images with more than this many effects beyond 0.3 logit (0: do not).
    """
    if unstable_count > 0:
        effects = filter_unstable(effects, count=unstable_count)
    return _selected(effects[..., target_class], num, max_image_effect)


def _selected(table: Float[ndarray, "n 2 m"], num: int, max_image_effect: float) -> Int64[ndarray, "picks 2"]:
    n, _, m = table.shape
    rise = np.maximum(table, 0).reshape(n, 2 * m)
    accumulated = np.zeros(n)
    picks: list[tuple[int, int]] = []
    while len(picks) < num and m:
        open_images = accumulated < max_image_effect
        if not open_images.any():
            break
        mean = rise[open_images].mean(axis=0)
        pick = int(mean.argmax())
        if mean[pick] <= 0:
            break
        picks.append(divmod(pick, m))
        accumulated += rise[:, pick]
        rise[:, pick] = 0
    return np.array(picks, dtype=np.int64).reshape(-1, 2)


def notebook_ranking(
    effects: EffectTable,
    target: int,
    *,
    space: StyleSpace,
    labels: Sequence[str],
    output: Output = "softmax",
    source: int | None = None,
    num: int = 8,
    max_image_effect: float = 0.5,
    unstable_count: int = 0,
) -> AttributeRanking:
    """The notebook's ranking of one class: against all others, or (``source``) against one.

    One-vs-all looks at all images, those predicted the target included; one-vs-one at those predicted the source.
    Arguments as of ``attfind`` and ``notebook_selection``; 0.5 logit is the notebook's own value here.

    Raises:
        SearchError: classes or labels that do not fit the effects.
    """
    task = Task(effects=effects, target=target, space=space, labels=labels, output=output, source=source)
    if unstable_count > 0:
        effects = _stable(effects, unstable_count)
    searched = effects if source is None else effects.of(task.not_target)
    picks = _selected(searched.table(target), num, max_image_effect)
    return _notebook(task, searched, picks, "notebook", max_image_effect)


def binary_combined(
    effects: EffectTable,
    target: int,
    *,
    space: StyleSpace,
    labels: Sequence[str],
    num: int = 8,
    max_image_effect: float = 1.0,
    unstable_count: int = 0,
) -> AttributeRanking:
    """The notebook's combined ranking of two classes: the same coordinates for both, moved opposite ways.

    Picks for each class on the images of the other; one list, without repeated coordinates, ordered by what a
    coordinate does over all images for one class one way and for the other class the other way.
    Arguments as of ``notebook_ranking``; 1 logit is the notebook's own value here.

    Raises:
        SearchError: not two classes, or labels that do not fit the effects.
    """
    task = Task(effects=effects, target=target, space=space, labels=labels, output="softmax", source=None)
    if len(labels) != 2:
        raise SearchError(
            f"the combined ranking is for 2 classes, but there are {len(labels)}; "
            "use a ranking of one class against the others"
        )
    if unstable_count > 0:
        effects = _stable(effects, unstable_count)
    # Directions are written as of driving to class 0 until the end.
    found: dict[int, int] = {}
    for goal in (0, 1):
        others = ~predicted(effects.base_logits, goal, "softmax")
        for sign, column in _selected(effects.of(others).table(goal), num, max_image_effect):
            found.setdefault(int(column), int(sign) if goal == 0 else 1 - int(sign))
    n, m = len(effects), len(effects.indices)
    mean = [_mean(effects.table(goal).reshape(n, 2 * m)).reshape(2, m) for goal in (0, 1)]
    order = sorted(found, key=lambda c: mean[0][found[c], c] + mean[1][1 - found[c], c], reverse=True)
    picks = [(found[c] if target == 0 else 1 - found[c], c) for c in order[:num]]
    searched = effects.of(task.not_target)
    return _notebook(
        task, searched, np.array(picks, dtype=np.int64).reshape(-1, 2), "notebook-combined", max_image_effect
    )


def _stable(effects: EffectTable, count: int) -> Effects:
    assert isinstance(effects, Effects), "unstable images are told by all their effects in memory"
    return replace(effects, values=filter_unstable(effects.values, count=count))


def _notebook(
    task: Task, searched: EffectTable, picks: ndarray, strategy: str, max_image_effect: float
) -> AttributeRanking:
    n = len(searched)
    columns = searched.table(task.target)[:, picks[:, 0], picks[:, 1]]
    effect = columns.mean(axis=0, dtype=np.float64) if n else np.zeros(len(picks))
    done = np.maximum(columns, 0).sum(axis=1) >= max_image_effect
    attributes = [
        task.attribute(sign, column, float(e)) for (sign, column), e in zip(picks.tolist(), effect, strict=True)
    ]
    nothing = (
        "there were no images to search on." if n == 0 else f"no coordinate raises its logit on any of {n} images."
    )
    return task.ranking(attributes, strategy, images=n, explained=float(done.mean()) if n else 0.0, nothing=nothing)
