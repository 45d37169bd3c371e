"""Does an explanation tell the truth: scores against the factors that are known to have made the images.

What an attribute changes is read from the pictures in units of the factors' standard deviations, so that "mostly the
spots" has a number. The rule that the classifier learned is known, with its strengths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from scipy.stats import rankdata

from stylex.core.evaluation import Interval
from stylex.metrics.interval import DRAWS, bootstrap

SMALLEST_CHANGE = 0.1
"""Attributes of which no factor moves by so many standard deviations, on average, change nothing that is known."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FactorChanges:
    """What each attribute did to each image.

    Attributes:
        changes: ``[attributes, images, factors]``, after less before, in standard deviations of the factor.
        effects: ``[attributes, images]``, change of the target's logit.
        claimed: which attributes are said to drive the classifier.
        noise: mean absolute change that the reader sees of each factor where it does not change, in the same unit
            (``changes.reader_noise``).
    """

    changes: Float[ndarray, "k n f"]
    effects: Float[ndarray, "k n"]
    claimed: Bool[ndarray, " k"]
    noise: Float[ndarray, " f"]

    def __post_init__(self) -> None:
        k, n, f = self.changes.shape
        assert self.effects.shape == (k, n)
        assert self.claimed.shape == (k,)
        assert self.noise.shape == (f,)

    def of(self, rows: Int64[ndarray, " r"]) -> FactorChanges:
        """The same on some of the images."""
        return replace(self, changes=self.changes[:, rows], effects=self.effects[:, rows])


@dataclass(frozen=True, kw_only=True)
class Truth:
    """How true a ranking is, each with its interval over images.

    Attributes:
        recall: fraction of the causes that are the main factor of some attribute among the first ``top``.
        precision: fraction of those attributes whose main factor is a cause.
        purity: mean over these attributes of the main factor's mean change, as a fraction of all factors' mean absolute
            changes. Opposite changes on different images do not cancel in the latter, so they are impure.
        order: rank correlation over the causes of the strength that the attributes show with the rule's true one.
        silence: fraction of the ignored factors on which nothing is claimed.
        recall_x_purity: their product, 0 where nothing was found: what a whole explanation is scored by.
        false_claims: how many claimed attributes have an ignored factor as their main one.
        main: each attribute's main factor, -1 where it changes none.
        found: the causes that were found.
        top: how many attributes counted.
    """

    recall: Interval
    precision: Interval
    purity: Interval
    order: Interval
    silence: Interval
    recall_x_purity: Interval
    false_claims: int
    main: tuple[int, ...]
    found: tuple[int, ...]
    top: int

    def figures(self) -> dict[str, Interval]:
        """The five scores by name."""
        return {name: getattr(self, name) for name in ("recall", "precision", "purity", "order", "silence")}


def truth(
    measured: FactorChanges,
    strengths: Float[ndarray, " f"],
    causes: Sequence[int],
    *,
    top: int | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Truth:
    """Score a ranking against the causes that are known.

    An attribute stands for what it does alike on all images: its main factor is the one of the largest *mean* change.
    It is pure where nothing else happens: purity divides this mean change by the sum of the *mean absolute* changes of
    all factors, each less the reader's noise. What goes up on one image and down on the next counts against it, also
    where it is the main factor itself.

    Args:
        measured: what the attributes do, best first.
        strengths: how strongly each factor drives the rule, by intervening on the renderer: change of the logit per
            standard deviation of the factor; 0 for those that it ignores. The sign does not count.
        causes: the factors that drive the rule, the spurious one included.
        top: how many attributes count (default: twice the number of causes).
        draws, seed: of the bootstrap over images.
    """
    top = 2 * len(causes) if top is None else top
    n = measured.changes.shape[1]
    known: dict[bytes, dict[str, float]] = {}  # all scores see the same samples

    def score(name: str) -> Interval:
        def statistic(rows: ndarray) -> float:
            sample = rows.tobytes()
            if sample not in known:
                known[sample] = _scores(measured.of(rows.astype(np.int64)), strengths, causes, top)
            return known[sample][name]

        return bootstrap(statistic, n, draws=draws, seed=seed)

    main = _main_factors(measured)
    counted = set(main[:top].tolist())
    return Truth(
        recall=score("recall"),
        precision=score("precision"),
        purity=score("purity"),
        order=score("order"),
        silence=score("silence"),
        recall_x_purity=score("recall_x_purity"),
        false_claims=int((measured.claimed & (main >= 0) & ~np.isin(main, list(causes))).sum()),
        main=tuple(main.tolist()),
        found=tuple(cause for cause in causes if cause in counted),
        top=top,
    )


def _main_factors(measured: FactorChanges) -> Int64[ndarray, " k"]:
    k, n, f = measured.changes.shape
    if k == 0 or n == 0 or f == 0:
        return np.full(k, -1, dtype=np.int64)
    size = np.abs(measured.changes.mean(axis=1, dtype=np.float64))
    return np.where(size.max(axis=1) >= SMALLEST_CHANGE, size.argmax(axis=1), -1).astype(np.int64)


def _scores(
    measured: FactorChanges, strengths: Float[ndarray, " f"], causes: Sequence[int], top: int
) -> dict[str, float]:
    main = _main_factors(measured)
    size = np.abs(measured.changes.mean(axis=1, dtype=np.float64))
    counted = main[:top]
    changing = np.flatnonzero(counted >= 0)
    is_cause = np.isin(counted, list(causes))
    total = np.maximum(_without_noise(np.abs(measured.changes).mean(axis=1), measured.noise), size)
    fraction = [size[i, counted[i]] / total[i].sum() for i in changing]
    shown = np.zeros(len(causes))
    effect = np.abs(measured.effects.mean(axis=1, dtype=np.float64))
    for i in changing:
        if is_cause[i]:
            row = list(causes).index(int(counted[i]))
            shown[row] = max(shown[row], effect[i])
    ignored = [factor for factor in range(measured.changes.shape[2]) if factor not in causes]
    named = set(main[measured.claimed].tolist())
    recall = float(np.mean([cause in counted for cause in causes])) if causes else float("nan")
    purity = float(np.mean(fraction)) if fraction else float("nan")
    return {
        "recall": recall,
        "precision": float(is_cause.mean()) if len(counted) else float("nan"),
        "purity": purity,
        "recall_x_purity": recall * purity if fraction else 0.0 * recall,
        "order": _rank_correlation(shown, np.abs(strengths[list(causes)])),
        "silence": float(np.mean([factor not in named for factor in ignored])) if ignored else float("nan"),
    }


def _without_noise(size: Float[ndarray, "k f"], noise: Float[ndarray, " f"]) -> Float[ndarray, "k f"]:
    """Mean absolute changes without the reader's noise, in quadrature: exact where both are normal."""
    return np.asarray(np.sqrt((size**2 - noise**2).clip(min=0)), dtype=np.float64)


def _rank_correlation(a: Float[ndarray, " n"], b: Float[ndarray, " n"]) -> float:
    """Spearman's; nan where one side is all alike."""
    x, y = (rankdata(values) for values in (a, b))
    x, y = x - x.mean(), y - y.mean()
    scale = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / scale) if scale > 0 else float("nan")
