"""A direction between groups: where images lie that a person marked, and what takes an image from one to the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray

from stylex.bias.ends import MARKED, ends_of
from stylex.core.attribute import Attribute
from stylex.core.errors import DataError, SearchError
from stylex.core.stylespace import StyleCoordinate
from stylex.core.wording import option
from stylex.data.archive import ImageSet
from stylex.data.descriptors import Descriptors
from stylex.models.steered import Directions
from stylex.search.choosing import AT_ONCE, spread
from stylex.search.directions import whitened
from stylex.search.encoding import encoder_latents
from stylex.search.subject import TrainedSubject

PRINCIPAL = "principal"
"""Name of the set of directions that random ones are mixed from: the principal axes of the latents."""

_RIDGE = 0.3
"""Added to the latents' covariance before it is inverted, as a fraction of its mean variance."""
_FEWEST = 3
"""Images on either side that a label needs, for a difference between them."""
_UNMARKED = 5000
"""Images beside the marked ones that the difference between groups is measured on, at most."""
_AXES = 32
_FOLDS = 5
_ROUNDS = 3
"""How often the reading is fitted anew to what it read of the unmarked images: a few marks tell little of a mean."""
_DRAWN = 64
WEAK = 0.8
"""Marks that are read right less often than this are too uncertain to balance groups by."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Marked:
    """A direction along which the marked groups differ, and how well it tells them apart.

    Attributes:
        subject: the networks, with the direction as a knob.
        attribute: that knob, towards the images that are marked high.
        high: of each marked training image, by its name, on which side it is.
        right: share of the marked images that are read right by a fit without them; the mean over label and side.
        by_chance: the same, with the marks of each label exchanged at random.
        counts: of each label, how many images are marked high and low.
    """

    subject: TrainedSubject
    attribute: Attribute
    high: Mapping[str, bool]
    right: float
    by_chance: float
    counts: Mapping[str, tuple[int, int]]


def column_of(descriptors: Descriptors, named: str | None) -> int:
    """Which column is meant: the one called so, before the ``=`` of two words; the only one where nothing is said.

    Raises:
        DataError: there is none, or several.
    """
    names = descriptors.names
    found = [i for i, name in enumerate(names) if named is None or named in (name, name.split("=")[0])]
    if len(found) == 1:
        return found[0]
    said = "no descriptor was chosen" if named is None else f"there is no descriptor {named[:80]!r}"
    raise DataError(f"{said}; the table has {', '.join(names)[:500]}: give {option('descriptor')} one of these")


def marked_direction(
    subject: TrainedSubject, images: ImageSet, descriptors: Descriptors, named: str | None = None, *, seed: int = 0
) -> Marked:
    """The direction in w along which marked images of one label differ.

    A linear reading is fitted to the marks with the label held fixed (Fisher's discriminant, so that what goes with the
    label alone counts for nothing), reads the side of all images, and is fitted to these, a few times. The direction is
    the mean difference between the two sides within labels, over all images: what a discriminant weighs is not what
    changes. A step of 1 leads from one side's mean to the other's; place 0 lies halfway.

    Args:
        subject: the networks, in their own space.
        images: the archive; of its training images the table knows some.
        descriptors: what is known of images. Of a binary column the larger value is high, of numbers those above the
            median.
        named: the column; None: the only one.
        seed: of the division into folds, and of the exchanged marks.

    Raises:
        DataError: the table has no such column, knows none of the training images, or these have no labels.
        SearchError: too few are marked, or the two sides go with the labels without exception.

    Source: Fisher 1936; fitting again to what was read (self-training): Scudder 1965; that a discriminant's weights
        are not the pattern that it reads: Haufe et al. 2014.
    """
    column = column_of(descriptors, named)
    training = images.split("train")
    if training.labels is None:
        raise DataError(f"{images.path} has no labels to hold fixed; prepare it from class folders or with labels")
    rows, values = descriptors.of(training.names, training.files)
    known = np.isfinite(values[:, column])
    rows, value = rows[known], values[known, column]
    high = value > (0.5 if descriptors.binary[column] else np.median(value))
    rest = np.setdiff1d(np.arange(len(training)), rows)
    rest = rest[spread(len(rest), min(len(rest), _UNMARKED))]
    own, m = np.concatenate([rows, rest]), len(rows)
    label = np.unique(training.labels, axis=0, return_inverse=True)[1].reshape(-1)[own]
    name = descriptors.names[column]
    counts = _counts(training, rows, high)
    _check(name, label[:m], high, counts)
    w = _latents(subject, training.subset(own))
    right, by_chance = _quality(w, high, label, np.random.default_rng([seed, 19]))
    reading, cut, sides = _reading(w, label, np.arange(m), high)
    basis = _difference(w, sides, label)
    step = float(reading @ basis)
    if step <= 0:
        raise SearchError(f"the images marked by {name} do not differ from the others in what the generator draws")
    projection = reading / step
    # At place 0 the reading is halfway: w moved along the direction from the mean to there.
    centre = w.mean(axis=0) + (cut / step - float(projection @ w.mean(axis=0))) * basis
    _, axes, moves = whitened(w, min(_AXES, len(w)))
    layers = [
        Directions.observed(PRINCIPAL, w, projection=axes, basis=moves, centre=centre),
        Directions.observed(MARKED, w, projection=projection[None], basis=basis[None], centre=centre),
    ]
    steered = TrainedSubject.of(subject.snapshot.steered(layers), subject.classifier)
    return Marked(
        subject=steered,
        attribute=_aimed(steered, training, name),
        high=dict(zip(training.subset(rows).names, high.tolist(), strict=True)),
        right=right,
        by_chance=by_chance,
        counts=counts,
    )


def _counts(training: ImageSet, rows: Int64[ndarray, " m"], high: Bool[ndarray, " m"]) -> dict[str, tuple[int, int]]:
    texts = [text or "none" for text in training.subset(rows).label_texts()]
    sides = {text: [own for own, each in zip(high.tolist(), texts, strict=True) if each == text] for text in texts}
    return {text: (sum(sides[text]), len(sides[text]) - sum(sides[text])) for text in sorted(sides)}


def _check(
    name: str, label: Int64[ndarray, " m"], high: Bool[ndarray, " m"], counts: Mapping[str, tuple[int, int]]
) -> None:
    fewest = [min(int(high[label == each].sum()), int((~high[label == each]).sum())) for each in np.unique(label)]
    if max(fewest, default=0) < _FEWEST:
        said = "; ".join(f"{text} {up} and {down}" for text, (up, down) in counts.items())
        raise SearchError(
            f"of {name} the marked images of each label, on its side and on the other, are: {said}. Of one label at "
            f"least, {_FEWEST} on either side are needed: mark more images of the rarer kind"
        )


@torch.inference_mode()
def _latents(subject: TrainedSubject, images: ImageSet) -> Float[ndarray, "n w_dim"]:
    starts = range(0, len(images), AT_ONCE)
    batches = (images.batch(range(start, min(start + AT_ONCE, len(images)))) for start in starts)
    return encoder_latents(subject, batches).astype(np.float64)


def _difference(
    w: Float[ndarray, "n w_dim"], high: Bool[ndarray, " n"], label: Int64[ndarray, " n"]
) -> Float[ndarray, " w_dim"]:
    """The mean of the one side less that of the other within each label, surer ones counting more."""
    total, weights = np.zeros(w.shape[1]), 0.0
    for each in np.unique(label):
        up, down = w[(label == each) & high], w[(label == each) & ~high]
        if len(up) and len(down):
            weight = len(up) * len(down) / (len(up) + len(down))
            total, weights = total + weight * (up.mean(axis=0) - down.mean(axis=0)), weights + weight
    return total / max(weights, 1e-12)


def _discriminant(
    w: Float[ndarray, "n w_dim"], high: Bool[ndarray, " n"], label: Int64[ndarray, " n"]
) -> tuple[Float[ndarray, " w_dim"], float]:
    """Weights that tell the sides apart within labels, and where the reading is halfway between them."""
    centred = w.copy()
    for each in np.unique(label):
        for side in (True, False):
            rows = (label == each) & (high == side)
            centred[rows] -= centred[rows].mean(axis=0) if rows.any() else 0.0
    covariance = centred.T @ centred / len(w)
    ridge = _RIDGE * np.trace(covariance) / len(covariance) + 1e-12
    weights = np.linalg.solve(covariance + ridge * np.eye(len(covariance)), _difference(w, high, label))
    read = w @ weights
    return weights, float((np.median(read[high]) + np.median(read[~high])) / 2)


def _reading(
    w: Float[ndarray, "n w_dim"], label: Int64[ndarray, " n"], marks: Int64[ndarray, " m"], high: Bool[ndarray, " m"]
) -> tuple[Float[ndarray, " w_dim"], float, Bool[ndarray, " n"]]:
    """The discriminant of all images, begun with the marked ones; and the sides of all, those as they were marked."""
    weights, cut = _discriminant(w[marks], high, label[marks])
    for done in range(_ROUNDS + 1):
        sides = np.asarray(w @ weights > cut)
        sides[marks] = high
        if done < _ROUNDS:
            weights, cut = _discriminant(w, sides, label)
    return weights, cut, sides


def _quality(
    w: Float[ndarray, "n w_dim"], high: Bool[ndarray, " m"], label: Int64[ndarray, " n"], random: np.random.Generator
) -> tuple[float, float]:
    """How often marks are read right by a fit without them, and as often with the marks exchanged within labels."""
    exchanged = high.copy()
    for each in np.unique(label[: len(high)]):
        own = np.flatnonzero(label[: len(high)] == each)
        exchanged[own] = exchanged[random.permutation(own)]
    return _read_right(w, high, label, random), _read_right(w, exchanged, label, random)


def _read_right(
    w: Float[ndarray, "n w_dim"], high: Bool[ndarray, " m"], label: Int64[ndarray, " n"], random: np.random.Generator
) -> float:
    """The mean over label and side; of few marks of a kind, what chance gives is less than a half."""
    group = 2 * label[: len(high)] + high
    fold = np.empty(len(high), dtype=np.int64)
    for each in np.unique(group):
        own = random.permutation(np.flatnonzero(group == each))
        fold[own] = np.arange(len(own)) % _FOLDS
    right = np.zeros(len(high))
    for k in range(_FOLDS):
        out, fit = np.flatnonzero(fold == k), np.flatnonzero(fold != k)
        weights, cut, _ = _reading(w, label, fit, high[fit])
        right[out] = (w[out] @ weights > cut) == high[out]
    return float(np.mean([right[group == each].mean() for each in np.unique(group)]))


def _aimed(subject: TrainedSubject, training: ImageSet, name: str) -> Attribute:
    """The knob, with the class that the classifier answers more surely at its end."""
    attribute = Attribute(
        coordinate=StyleCoordinate(MARKED, 0),
        sign=1,
        shift_range=1.0,
        target=0,
        target_label=subject.labels[0],
        effect=0.0,
        label=name,
    )
    x = training.batch(spread(len(training), min(len(training), _DRAWN))).to(subject.device)
    ends = ends_of(subject.styles(x, subject.classifier.logits(x)), attribute, subject.space)
    change = (subject.logits(ends.up) - subject.logits(ends.down)).mean(axis=0)
    target = int(change.argmax())
    return replace(attribute, target=target, target_label=subject.labels[target], effect=float(change[target]))
