"""Two versions of a classifier, measured by one generator: what became of each attribute's weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from numpy import ndarray
from torch import Tensor

from stylex.bias.ends import Ends, ends_of, is_high, on_photographs, random_ends
from stylex.classifiers.classifier import Classifier
from stylex.classifiers.labels import positions_of
from stylex.core.attribute import Attribute
from stylex.core.audited import Audit, AuditedAttribute, Group, Versus
from stylex.core.errors import EvaluationError
from stylex.core.evaluation import Interval
from stylex.core.progress import Done, Listener, Started, Step, silent
from stylex.data.archive import ImageSet
from stylex.metrics.groups import FEWEST, worst_group
from stylex.metrics.interval import bootstrap, mean_interval
from stylex.search.choosing import AT_ONCE, KEPT_BACK
from stylex.search.decision import log_odds
from stylex.search.encoding import Encoded, encode_set
from stylex.search.subject import TrainedSubject

TASK = "audit"
"""Name of this work in progress events."""

_DRAWS = 4


@dataclass(frozen=True, eq=False, kw_only=True)
class Versions:
    """Two versions of a classifier, and what they are called."""

    before: Classifier
    after: Classifier
    names: tuple[str, str]

    def answers(self, x: Float[Tensor, "n c h w"]) -> tuple[Float32[ndarray, "n k"], Float32[ndarray, "n k"]]:
        """The logits of both."""
        return _logits(self.before, x), _logits(self.after, x)


@torch.inference_mode()
def _logits(classifier: Classifier, x: Float[Tensor, "n c h w"]) -> Float32[ndarray, "n k"]:
    return np.asarray(torch.cat([classifier.logits(part).float() for part in x.split(AT_ONCE)]).cpu().numpy())


def audit_versions(
    subject: TrainedSubject,
    versions: Versions,
    images: ImageSet,
    attributes: Sequence[Attribute],
    *,
    seed: int = 0,
    listener: Listener = silent,
) -> Audit:
    """Measure every attribute in both versions, on the same images turned the same way.

    Args:
        subject: the networks, conditioned on what their own classifier says.
        versions: the classifiers, of the same labels.
        images: held-out images that the attributes were not found on.
        attributes: in the order of their numbers.
        seed: of the random directions.
        listener: hears a ``Step`` for each attribute.

    Raises:
        EvaluationError: too few images, or the versions have other labels.
    """
    if len(images) < KEPT_BACK:
        raise EvaluationError(f"{len(images)} images are left to measure on; an audit needs {KEPT_BACK} or more")
    if versions.before.spec.labels != versions.after.spec.labels:
        raise EvaluationError(
            f"the two versions know other labels: {', '.join(versions.before.spec.labels[:5])} and "
            f"{', '.join(versions.after.spec.labels[:5])}; give two versions of one classifier"
        )
    listener(Started(task=TASK, total=len(attributes), unit="attributes"))
    encoded, random = encode_set(subject, images), np.random.default_rng([seed, 11])
    known = _Labelled.of(versions, images, encoded.x)
    measured = []
    for number, attribute in enumerate(attributes, start=1):
        measured.append(_measured(subject, versions, encoded, known, (number, attribute), random))
        listener(Step(task=TASK, done=number))
    listener(Done(task=TASK))
    notes = () if isinstance(known, _Labelled) else (f"{known[0].upper()}{known[1:]}.",)
    return Audit(
        before=versions.names[0],
        after=versions.names[1],
        labels=versions.before.spec.labels,
        images=len(images),
        attributes=tuple(measured),
        accuracy=_versus(*(rows.mean(axis=1) for rows in known.right)) if isinstance(known, _Labelled) else None,
        notes=notes,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Labelled:
    """On which labels each version is right.

    Attributes:
        labels: class numbers ``[n]``, or ``[n, k]`` of 0 and 1 in the classifier's order.
        right: of each version, 0 or 1: ``[n, 1]``, or ``[n, k]`` for several labels.
    """

    labels: Int64[ndarray, "*shape"]
    right: tuple[Float[ndarray, "n m"], Float[ndarray, "n m"]]

    @classmethod
    def of(cls, versions: Versions, images: ImageSet, x: Float[Tensor, "n c h w"]) -> _Labelled | str:
        """None of it where the archive's labels are not the classifiers': a sentence that says so."""
        if images.labels is None:
            return "the archive has no labels: accuracy was not measured"
        spec = versions.before.spec
        known = positions_of(spec, images.label_names, images.labels)
        if isinstance(known, str):
            return known
        several = images.labels.ndim == 2
        if several and len(known) != spec.k:
            return "the archive has not all of the classifier's labels: its accuracy was not measured"
        labels = images.labels[:, np.argsort(known)] if several else known[images.labels]

        def right(logits: ndarray) -> ndarray:
            hits = (logits > 0) == (labels == 1) if several else (logits.argmax(axis=1) == labels)[:, None]
            return np.asarray(hits, dtype=np.float64)

        before, after = versions.answers(x)
        return cls(labels=labels, right=(right(before), right(after)))

    def of_target(self, target: int) -> tuple[Int64[ndarray, " n"], list[Float[ndarray, " n"]]]:
        """A number for each image's label, and on which images each version is right: about the target, of several."""
        if self.labels.ndim == 2:
            return self.labels[:, target], [rows[:, target] for rows in self.right]
        return self.labels, [rows[:, 0] for rows in self.right]


def _measured(
    subject: TrainedSubject,
    versions: Versions,
    encoded: Encoded,
    known: _Labelled | str,
    numbered: tuple[int, Attribute],
    random: np.random.Generator,
) -> AuditedAttribute:
    number, attribute = numbered
    ends = ends_of(encoded.s, attribute, subject.space)
    target, output = attribute.target, subject.output

    def seen(pictures: Ends) -> tuple[list[ndarray], list[ndarray]]:
        """The swing of the target's log odds, and where the answers differ: of each version."""
        pairs = list(zip(versions.answers(pictures.up), versions.answers(pictures.down), strict=True))
        swings = [_odds(up, target, output) - _odds(down, target, output) for up, down in pairs]
        return swings, [_differ(up, down, target, output).astype(np.float64) for up, down in pairs]

    rebuilt = Ends(up=subject.draw(ends.up), down=subject.draw(ends.down))
    weight, flips = seen(rebuilt)
    weight_photograph, flips_photograph = seen(on_photographs(subject, encoded.x, encoded.x_rec, ends))
    controls = []
    for _ in range(_DRAWS):
        beside = random_ends(subject, encoded.s, ends, random)
        controls.append(seen(Ends(up=subject.draw(beside.up), down=subject.draw(beside.down))))
    sizes = [float(np.mean([np.abs(swings[i]) for swings, _ in controls])) for i in (0, 1)]
    turned = [float(np.mean([differ[i] for _, differ in controls])) for i in (0, 1)]
    groups, worst = _groups(subject, encoded, known, attribute) if isinstance(known, _Labelled) else ((), None)
    return AuditedAttribute(
        number=number,
        name=attribute.name,
        target_label=attribute.target_label,
        weight=_versus(*weight),
        weight_photograph=_versus(*weight_photograph),
        kept=bootstrap(lambda rows: _ratio(weight[1][rows].mean(), weight[0][rows].mean()), len(encoded.s)),
        flips=_versus(*flips),
        flips_photograph=_versus(*flips_photograph),
        random_weight=(sizes[0], sizes[1]),
        random_flips=(turned[0], turned[1]),
        worst=worst,
        groups=groups,
    )


def _groups(
    subject: TrainedSubject, encoded: Encoded, known: _Labelled, attribute: Attribute
) -> tuple[tuple[Group, ...], Versus | None]:
    """Accuracy by label and the attribute's place, and where it is worst."""
    s = encoded.s.cpu().numpy()
    high = is_high(s, attribute, subject.space, s)
    labels, (before, after) = known.of_target(attribute.target)
    several = known.labels.ndim == 2
    groups = []
    for label in np.unique(labels).tolist():
        name = subject.labels[attribute.target if several else label]
        for place in (True, False):
            rows = (labels == label) & (high == place)
            if rows.any():
                groups.append(
                    Group(
                        label=f"not {name}" if several and not label else name,
                        place="high" if place else "low",
                        images=int(rows.sum()),
                        accuracy=_versus(before[rows], after[rows]),
                    )
                )
    if max((group.images for group in groups), default=0) < FEWEST:
        return tuple(groups), None
    of = 2 * labels + high
    worst = Versus(
        before=worst_group(before, of),
        after=worst_group(after, of),
        difference=worst_group(after, of, before=before),
    )
    return tuple(groups), worst


def _versus(before: Float[ndarray, " n"], after: Float[ndarray, " n"]) -> Versus:
    return Versus(before=mean_interval(before), after=mean_interval(after), difference=_difference(before, after))


def _difference(before: Float[ndarray, " n"], after: Float[ndarray, " n"]) -> Interval:
    """The mean difference over the same images.

    Where yes and no (1 and 0) differ nowhere, or everywhere alike, so small a share may still do otherwise as has the
    exact interval of a fraction.
    """
    difference = after - before
    if (difference != difference[0]).any():
        return mean_interval(difference)
    value = float(difference[0])
    binary = bool(np.isin(before, (0, 1)).all() and np.isin(after, (0, 1)).all())
    unseen = 1 - 0.025 ** (1 / len(difference)) if binary else 0.0
    return Interval(value=value, low=max(value - unseen, min(value, -1.0)), high=min(value + unseen, max(value, 1.0)))


def _odds(logits: Float32[ndarray, "n k"], target: int, output: str) -> Float[ndarray, " n"]:
    return log_odds(logits.astype(np.float64), target, "sigmoid" if output == "sigmoid" else "softmax")


def _differ(a: Float32[ndarray, "n k"], b: Float32[ndarray, "n k"], target: int, output: str) -> Bool[ndarray, " n"]:
    if output == "softmax":
        return np.asarray(a.argmax(axis=1) != b.argmax(axis=1))
    return np.asarray((a[:, target] >= 0) != (b[:, target] >= 0))


def _ratio(a: float, b: float) -> float:
    return a / b if b else float("nan")
