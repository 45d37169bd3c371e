"""check_labels: whether a classifier knows the classes of the images that it is to be explained on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from stylex.classifiers.black_box import meter_of
from stylex.classifiers.classifier import Classifier
from stylex.classifiers.small import LabelledRows
from stylex.classifiers.spec import ClassifierSpec

MEASURED = 1_000
"""Images that the classifier is asked about, at most."""
_SECONDS = 20.0
"""After so long, what was seen is enough; other ways to prepare an image get as long again."""
_TRIED = 200
"""Images on which other ways to prepare an image are tried, at most."""
_AT_ONCE = 32
_GOOD = 0.9
"""Nothing is suspected of a classifier that is right this often."""
_NO_BETTER = 0.1
"""Near chance: not even so much of the way from chance to always right."""
_FITS_BETTER = 0.25
"""Another order of the labels, or another way to prepare the image, must be right so much more often."""
_FEWEST = 8
"""Of fewer images nothing is concluded."""

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True, kw_only=True)
class LabelCheck:
    """How well a classifier knows an archive's labels.

    Attributes:
        said: a sentence with the accuracy.
        warnings: what looks wrong with the spec, each with its remedy.
    """

    said: str
    warnings: tuple[str, ...]


def check_labels(
    classifier: Classifier,
    batch: Callable[[NDArray[np.int64]], Tensor],
    rows: LabelledRows,
    names: Sequence[str] | None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> LabelCheck:
    """Compare a classifier's answers with the labels of some images, and say what makes it look wrongly described.

    Args:
        classifier: what to ask.
        batch: gives the images of some indices, ``n c h w`` in [-1, 1].
        rows: the images and their labels; up to a thousand are taken, as many as twenty seconds allow.
        names: of the labels; None where the archive has numbers only.
        clock: seconds.
    """
    spec = classifier.spec
    warnings = _one_for_three(spec)
    known = positions_of(spec, names, rows.labels)
    if isinstance(known, str):
        return LabelCheck(said=known, warnings=tuple(warnings))
    order = np.random.default_rng(0).permutation(len(rows.indices))[:MEASURED]

    def asked(asked_as: Classifier, positions: NDArray[np.int64], seconds: float) -> _Answers:
        answers = list(_answers(asked_as, batch, rows.indices[positions], until=clock() + seconds, clock=clock))
        logits = np.concatenate(answers)
        return _Answers(logits=logits, labels=rows.labels[positions[: len(logits)]], known=known)

    def tried(other: ClassifierSpec) -> float:
        return asked(Classifier(classifier.model, other), order[:_TRIED], _SECONDS / 4).balanced

    own = asked(classifier, order, _SECONDS)
    n = len(own.logits)
    warnings += _squashed(spec, own.logits)
    if n < _FEWEST or own.balanced >= _GOOD:
        return LabelCheck(said=own.said, warnings=tuple(warnings))
    enough = max(_FITS_BETTER, 3 / np.sqrt(min(n, _TRIED)))
    fits = _better_prepared(spec, tried) if meter_of(classifier) is None else None  # a black box is given pictures
    right, permuted = own.best_order()
    if fits is not None and fits[0] - own.balanced >= enough and fits[0] >= right:
        warnings.append(
            f"the classifier is right on {own.balanced:.0%} of the images as its spec stands, but on {fits[0]:.0%} "
            f"with {fits[1]}: correct the spec"
        )
    elif right - own.balanced >= enough:
        ordered = [spec.labels[i] for i in permuted[:10]] + ["..."] * (len(permuted) > 10)
        warnings.append(
            f"the classifier's labels look exchanged: it is right on {own.balanced:.0%} of the images as its spec "
            f"orders them, on {right:.0%} in the order {', '.join(ordered)}: "
            "correct labels in the spec"
        )
    elif own.balanced < own.chance + max(_NO_BETTER * (1 - own.chance), 1 / np.sqrt(n)):
        warnings.append(
            f"the classifier hardly does better than guessing ({own.balanced:.0%} right over the classes, by chance "
            f"{own.chance:.0%}){own.monotony(spec)}: check labels, value_range, mean and std in its spec, and whether "
            "it tells apart what the archive's labels say; else noise would be explained"
        )
    return LabelCheck(said=own.said, warnings=tuple(warnings))


@dataclass(frozen=True, eq=False, kw_only=True)
class _Answers:
    """What a classifier says of labelled images.

    Attributes:
        logits: ``[n, k]``.
        labels: ``[n]`` class numbers, or ``[n, m]`` of 0 and 1.
        known: the classifier's label for each of the archive's.
    """

    logits: NDArray[np.float32]
    labels: NDArray[np.int64]
    known: NDArray[np.int64]

    @property
    def hits(self) -> Float[NDArray[np.float64], "m k"]:
        """How often each of the classifier's labels holds for each of the archive's; nan for those without images."""
        m, k = len(self.known), self.logits.shape[1]
        table = np.full((m, k), np.nan)
        if self.labels.ndim == 1:
            answers = self.logits.argmax(axis=1)
            for label in np.unique(self.labels):
                table[label] = np.bincount(answers[self.labels == label], minlength=k) / (self.labels == label).sum()
            return table
        yes = self.logits > 0
        for label in range(m):
            there = self.labels[:, label] == 1
            if there.any() and not there.all():
                table[label] = (yes[there].mean(axis=0) + 1 - yes[~there].mean(axis=0)) / 2
        return table

    @property
    def balanced(self) -> float:
        """Accuracy, each label with the same weight."""
        own = self.hits[np.arange(len(self.known)), self.known]
        return float(np.nanmean(own)) if np.isfinite(own).any() else float("nan")

    @property
    def chance(self) -> float:
        """What one who does not look gets."""
        if self.labels.ndim == 2:
            return 0.5
        present = len(np.unique(self.labels))
        return 1 / (present if present > 1 else self.logits.shape[1])

    @property
    def said(self) -> str:
        """The accuracy in a sentence."""
        if self.labels.ndim == 1:
            right = float((self.logits.argmax(axis=1) == self.known[self.labels]).mean())
        else:
            right = float(((self.logits[:, self.known] > 0) == (self.labels == 1)).mean())
        balanced = self.balanced
        each = f", {balanced:.1%} over the labels in equal parts" if abs(balanced - right) >= 0.02 else ""
        return f"the classifier is right on {right:.1%} of {len(self.logits)} of the archive's labelled images{each}"

    def best_order(self) -> tuple[float, list[int]]:
        """Balanced accuracy if the classifier's labels were ordered as fits best, and that order of them."""
        hits = self.hits
        there = np.isfinite(hits).all(axis=1)
        if not there.any():
            return float("nan"), []
        labels, outputs = linear_sum_assignment(-hits[there])
        order = list(range(hits.shape[1]))
        places = dict(zip(outputs.tolist(), self.known[there][labels].tolist(), strict=True))
        left = [label for label in order if label not in places.values()]
        return float(hits[there][labels, outputs].mean()), [
            places[output] if output in places else left.pop(0) for output in order
        ]

    def monotony(self, spec: ClassifierSpec) -> str:
        """That one answer is given to nearly all images, if so."""
        if self.labels.ndim == 2:
            return ""
        counts = np.bincount(self.logits.argmax(axis=1), minlength=spec.k)
        often = counts.max() / counts.sum()
        return f" and says {spec.labels[int(counts.argmax())]!r} of {often:.0%} of them" if often >= 0.95 else ""


def positions_of(
    spec: ClassifierSpec, names: Sequence[str] | None, labels: NDArray[np.int64]
) -> NDArray[np.int64] | str:
    """The classifier's label for each of the archive's; or why they cannot be compared."""
    if labels.ndim == 2 and spec.activation == "softmax":
        return "the archive's images have several labels each, the classifier gives one: its accuracy was not measured"
    count = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1
    if names is None and count <= spec.k:
        return np.arange(count)
    if names is not None and all(name in spec.labels for name in names):
        return np.array([spec.labels.index(name) for name in names])
    theirs = f"{count} numbers" if names is None else ", ".join(names[:5])
    return (
        f"the archive's labels ({theirs}) are not the classifier's ({', '.join(spec.labels[:5])}): its accuracy was "
        "not measured"
    )


def _answers(
    classifier: Classifier,
    batch: Callable[[NDArray[np.int64]], Tensor],
    indices: NDArray[np.int64],
    *,
    until: float,
    clock: Callable[[], float],
) -> Iterator[NDArray[np.float32]]:
    device = next(classifier.buffers()).device
    for start in range(0, len(indices), _AT_ONCE):
        with torch.inference_mode():
            logits = classifier.logits(batch(indices[start : start + _AT_ONCE]).to(device))
        yield logits.float().cpu().numpy()
        if clock() >= until:
            break


def _better_prepared(spec: ClassifierSpec, right: Callable[[ClassifierSpec], float]) -> tuple[float, str] | None:
    """The usual way to prepare an image with which the classifier is right most often, but the spec's own."""
    mean, std = _IMAGENET if spec.channels == 3 else ((0.449,), (0.226,))
    ways = {
        "value_range [0, 1], mean 0 and std 1": replace(spec, value_range=(0.0, 1.0), mean=(0.0,), std=(1.0,)),
        "value_range [-1, 1], mean 0 and std 1": replace(spec, value_range=(-1.0, 1.0), mean=(0.0,), std=(1.0,)),
        "value_range [0, 255], mean 0 and std 1": replace(spec, value_range=(0.0, 255.0), mean=(0.0,), std=(1.0,)),
        f"value_range [0, 1], mean {list(mean)} and std {list(std)}": replace(
            spec, value_range=(0.0, 1.0), mean=mean, std=std
        ),
    }
    tried = [(right(other), said) for said, other in ways.items() if not _alike(other, spec)]
    return max(tried, default=None)


def _alike(a: ClassifierSpec, b: ClassifierSpec) -> bool:
    """Whether two specs prepare an image alike, to a hundredth of its contrast."""

    def ends(spec: ClassifierSpec) -> NDArray[np.float64]:
        return (np.array(spec.value_range)[:, None] - np.array(spec.mean)) / np.array(spec.std)

    return bool(np.allclose(ends(a), ends(b), atol=0.01))


def _squashed(spec: ClassifierSpec, logits: NDArray[np.float32]) -> list[str]:
    """That what are called logits may have been through a sigmoid, too close together to be sure of it."""
    low, high = float(logits.min()), float(logits.max())
    if spec.output != "logits" or len(logits) < _FEWEST or low <= 0 or high >= 1:
        return []
    return [
        f"the classifier's outputs all lie between {low:.2g} and {high:.2g}, so that it is hardly sure of anything: if "
        "a sigmoid is applied to them already, let it answer without, or set output to multi-label-probabilities"
    ]


def _one_for_three(spec: ClassifierSpec) -> list[str]:
    """ImageNet's mean or std with one of its three numbers for all channels."""
    if spec.channels != 3:
        return []
    scale = abs(spec.value_range[1] - spec.value_range[0])
    wrong = [
        f"{name} is {given[0]:g} for all three channels, ImageNet's are {', '.join(f'{x * scale:g}' for x in usual)}"
        for name, given, usual in (("mean", spec.mean, _IMAGENET[0]), ("std", spec.std, _IMAGENET[1]))
        if len(set(given)) == 1 and any(abs(given[0] / scale - x) < 2e-3 for x in usual)
    ]
    said = f"{'; '.join(wrong)}: if the classifier was trained with these, give all three in its spec"
    return [said] if wrong else []
