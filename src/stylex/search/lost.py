"""Lost causes: what decides on the photograph and is not in the rebuilt picture, whatever answer that gets.

A generator that is trained for the classifier's answer can keep it without drawing what it came from: the glasses are
gone, and something else says what they said. So the answer alone does not tell. What does is a photograph of which
only the part that decides is drawn anew: if the rebuilt picture shows there what the photograph shows, the answer
stays.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from numpy import ndarray
from torch import Tensor

from stylex.classifiers.classifier import Classifier, opposite_name
from stylex.core.verdict import lost_level
from stylex.metrics.interval import mean_interval
from stylex.metrics.lost import contributions, laid_over, most_decisive
from stylex.metrics.reason import decisiveness, smooth_gradients
from stylex.search.choosing import spread
from stylex.search.encoding import Searched
from stylex.search.subject import TrainedSubject

_AT_ONCE = 64
LOOKED_AT = 64
"""Images looked at in a search, at most: evidence takes many passes of the classifier."""
_GROUPS, _EXAMPLES = 3, 4
_ROWS, _COLUMNS = ("upper", "middle", "lower"), ("left", "middle", "right")


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One decision of a classifier: which of all classes; of several labels, whether one is there.

    Attributes:
        answers: what can be decided.
        label: the label that it is about; None: all classes.
    """

    answers: tuple[str, ...]
    label: int | None = None

    def of(self, logits: Float[Tensor, "n k"]) -> Float[Tensor, "n answers"]:
        """A logit for each answer."""
        if self.label is None:
            return logits
        own = logits[:, self.label]
        return torch.stack([own, torch.zeros_like(own)], dim=1)


def decisions(classifier: Classifier, targets: Sequence[int]) -> tuple[Decision, ...]:
    """The decisions that an explanation towards these classes is about."""
    labels = classifier.spec.labels
    if classifier.activation == "softmax":
        return (Decision(answers=labels),)
    if classifier.activation == "regression":
        return ()

    def opposite(name: str) -> str:
        return next((label for label in labels if opposite_name(label) == name), opposite_name(name))

    return tuple(Decision(answers=(labels[t], opposite(labels[t])), label=t) for t in targets)


@dataclass(frozen=True, eq=False, kw_only=True)
class Pairs:
    """Photographs with their rebuilt pictures, and which way a decision's margin rises in both.

    Attributes:
        ids: names.
        x, x_rec: photographs and rebuilt pictures in [-1, 1].
        said, said_rec: a logit for each answer, of both.
        slope, slope_rec: smoothed gradients of the margin of the photograph's decision.
    """

    ids: Sequence[str]
    x: Float[Tensor, "n c h w"]
    x_rec: Float[Tensor, "n c h w"]
    said: Float[Tensor, "n k"]
    said_rec: Float[Tensor, "n k"]
    slope: Float[Tensor, "n c h w"]
    slope_rec: Float[Tensor, "n c h w"]

    @classmethod
    def of(
        cls,
        classifier: Classifier,
        decision: Decision,
        ids: Sequence[str],
        x: Float[Tensor, "n c h w"],
        x_rec: Float[Tensor, "n c h w"],
    ) -> Pairs | None:
        """Ask a classifier; None where it gives no gradient to the image."""
        if not classifier.gradient:
            return None
        said, said_rec = (answers(classifier, decision, pictures) for pictures in (x, x_rec))
        slopes = []
        for pictures in (x, x_rec):
            parts = [
                _slope(classifier, decision, part, own)
                for part, own in zip(pictures.split(_AT_ONCE), said.split(_AT_ONCE), strict=True)
            ]
            known = [part for part in parts if part is not None]
            if len(known) < len(parts):
                return None
            slopes.append(torch.cat(known))
        if not any(slope.any() for slope in slopes):
            return None  # such as of a classifier that rounds
        return cls(ids=ids, x=x, x_rec=x_rec, said=said, said_rec=said_rec, slope=slopes[0], slope_rec=slopes[1])


@torch.inference_mode()
def answers(classifier: Classifier, decision: Decision, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
    """A logit for each answer, of pictures."""
    return torch.cat([decision.of(classifier.logits(part).float()) for part in x.split(_AT_ONCE)])


def _slope(classifier: Classifier, decision: Decision, x: Tensor, said: Tensor) -> Tensor | None:
    return smooth_gradients(lambda rough: decisiveness(decision.of(classifier.logits(rough).float()), said), x)


@dataclass(frozen=True, eq=False, kw_only=True)
class Lost:
    """What of each photograph decides and is not drawn, with two controls.

    ``_other``: another image's tenth is drawn anew. ``_mixed``: the image's own tenth is changed, by what drawing anew
    changes in the other image there; it tells how easily the classifier's answer turns.

    Attributes:
        ids: names of the photographs.
        answer: what is decided of each.
        where: where in the picture its most decisive tenth lies.
        estimated: how much more the margin is on the photograph than on the rebuilt picture, to first order.
        true: how much more it is.
        margin: of the decision on the photograph.
        fall, fall_other, fall_mixed: how much of it goes when the most decisive tenth is drawn anew.
        turned, turned_other, turned_mixed: whether the decision turns then.
        kept: whether the rebuilt picture gets the photograph's answer.
        restored: whether the rebuilt picture gets it, once its most decisive tenth is the photograph's.
    """

    ids: tuple[str, ...]
    answer: tuple[str, ...]
    where: tuple[str, ...]
    estimated: Float64[ndarray, " n"]
    true: Float64[ndarray, " n"]
    margin: Float64[ndarray, " n"]
    fall: Float64[ndarray, " n"]
    fall_other: Float64[ndarray, " n"]
    fall_mixed: Float64[ndarray, " n"]
    turned: Bool[ndarray, " n"]
    turned_other: Bool[ndarray, " n"]
    turned_mixed: Bool[ndarray, " n"]
    kept: Bool[ndarray, " n"]
    restored: Bool[ndarray, " n"]

    def sentences(self) -> list[str]:
        """What is decisive and not drawn, the largest groups first, with examples; nothing where it is not much."""
        out = []
        for answer in dict.fromkeys(self.answer):
            of_it = np.array([own == answer for own in self.answer])
            turned, *controls = (
                mean_interval(changes[of_it].astype(np.float64))
                for changes in (self.turned, self.turned_other, self.turned_mixed)
            )
            other = max(controls, key=lambda control: control.value)
            if lost_level(turned, other) != "warning":
                continue
            rows = np.flatnonzero(of_it & self.turned)
            places = Counter(self.where[row] for row in rows).most_common(_GROUPS)
            examples = "; ".join(f"{where}: {self._named(rows, where)}" for where, _ in places)
            kept = self.kept[rows].mean()
            whole = f"keep the answer by other means for {kept:.0%} of these" if kept > 0 else "lose the answer too"
            out.append(
                f"Decisive, but not drawn: {turned.value:.0%} of {int(of_it.sum())} photographs answered {answer!r} "
                "get another answer when only their most decisive tenth is drawn anew, "
                f"{other.value:.0%} by chance. Rebuilt as a whole they {whole}. No knob can show what is "
                f"missing there; look at {examples}."
            )
        return out

    def _named(self, rows: Int64[ndarray, " m"], where: str) -> str:
        there = sorted((row for row in rows if self.where[row] == where), key=lambda row: -self.fall[row])
        more = f" and {len(there) - _EXAMPLES} others" if len(there) > _EXAMPLES else ""
        return ", ".join(self.ids[row] for row in there[:_EXAMPLES]) + more


def not_drawn(subject: TrainedSubject, encoded: Searched, targets: Sequence[int]) -> tuple[str, ...]:
    """What decides on some of the images and is not in their rebuilt pictures, in sentences; none where it is little.

    Also none where the classifier gives no gradient to the image.
    """
    if not subject.classifier.gradient:
        return ()
    rows = spread(len(encoded.ids), min(len(encoded.ids), LOOKED_AT))
    drawn = [encoded.pair(int(row)) for row in rows]
    x, x_rec = (torch.cat(pictures) for pictures in zip(*drawn, strict=True))
    said: list[str] = []
    for decision in decisions(subject.classifier, targets):
        pairs = Pairs.of(subject.classifier, decision, [encoded.ids[row] for row in rows], x, x_rec)
        if pairs is None:
            break
        said += lost_causes(subject.classifier, decision, pairs).sentences()
    return tuple(said)


def lost_causes(classifier: Classifier, decision: Decision, pairs: Pairs, *, seed: int = 0) -> Lost:
    """Draw the most decisive tenth of each photograph anew, and see whether the decision hangs on it.

    The tenth is where the photograph speaks for its decision and the rebuilt picture does not, to first order. Beside
    it are two controls, by another image, with another answer where there is one: that one's tenth, and a change as
    large in the same tenth.

    Args:
        classifier: whom to ask.
        decision: about what.
        pairs: photographs and rebuilt pictures.
        seed: of the choice of other images.
    """
    x, x_rec = pairs.x, pairs.x_rec
    own = pairs.said.argmax(dim=1)
    others = torch.from_numpy(_others(own.cpu().numpy(), seed)).to(x.device)
    contributed = contributions(x, x_rec, pairs.slope, pairs.slope_rec)
    mask = most_decisive(contributed)
    mixed = (x + x_rec[others] - x[others]).clamp(-1, 1)
    anew, anew_other, anew_mixed, mended = (
        answers(classifier, decision, laid_over(*pictures))
        for pictures in ((x, x_rec, mask), (x, x_rec, mask[others]), (x, mixed, mask), (x_rec, x, mask))
    )
    margin = decisiveness(pairs.said, pairs.said)
    return Lost(
        ids=tuple(pairs.ids),
        answer=tuple(decision.answers[i] for i in own.tolist()),
        where=tuple(_places(mask)),
        estimated=_numbers(contributed.sum(dim=(1, 2))),
        true=_numbers(margin - decisiveness(pairs.said_rec, pairs.said)),
        margin=_numbers(margin),
        fall=_numbers(margin - decisiveness(anew, pairs.said)),
        fall_other=_numbers(margin - decisiveness(anew_other, pairs.said)),
        fall_mixed=_numbers(margin - decisiveness(anew_mixed, pairs.said)),
        turned=(anew.argmax(dim=1) != own).cpu().numpy(),
        turned_other=(anew_other.argmax(dim=1) != own).cpu().numpy(),
        turned_mixed=(anew_mixed.argmax(dim=1) != own).cpu().numpy(),
        kept=(pairs.said_rec.argmax(dim=1) == own).cpu().numpy(),
        restored=(mended.argmax(dim=1) == own).cpu().numpy(),
    )


def _others(decided: Int64[ndarray, " n"], seed: int) -> Int64[ndarray, " n"]:
    """For each image another one, drawn at random among those with another answer, or among all if there are none."""
    random, out = np.random.default_rng([seed, 8]), np.arange(len(decided))
    for row, own in enumerate(decided):
        apart = np.flatnonzero(decided != own)
        pool = apart if len(apart) else np.flatnonzero(np.arange(len(decided)) != row)
        if len(pool):
            out[row] = random.choice(pool)
    return out


def _places(mask: Float[Tensor, "n 1 h w"]) -> list[str]:
    """In which ninth of the picture most of each mask lies, in words."""
    names = place_names()
    return [names[cell] for cell in ninths(mask).tolist()]


def ninths(mask: Float[Tensor, "n 1 h w"]) -> Int64[Tensor, " n"]:
    """In which ninth of the picture most of each mask lies, row by row."""
    return torch.nn.functional.adaptive_avg_pool2d(mask, 3).flatten(1).argmax(dim=1)


def place_names() -> list[str]:
    """What the ninths of a picture are called."""
    return [f"{row} {column}" if row != column else row for row in _ROWS for column in _COLUMNS]


def _numbers(values: Float[Tensor, " n"]) -> Float64[ndarray, " n"]:
    return np.asarray(values.double().cpu().numpy())
