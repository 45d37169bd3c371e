"""The attributes of one image, found while somebody waits: in pieces, so that the search can be cancelled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from stylex.classifiers.classifier import less_name
from stylex.core.attribute import AttributeRanking
from stylex.core.numbers import Numbers
from stylex.core.progress import Done, Listener, Started, Step
from stylex.search.counterfactual import Subset, independent, subset
from stylex.search.decision import Output
from stylex.search.effects import Effects, Measuring, measure_effects
from stylex.search.first_order import first_order
from stylex.search.subject import TrainedSubject
from stylex.search.task import Task

_PIECE = 48
"""Style values measured between two reports of progress: a search is cancelled within about a second."""
_MEASURED = 384
"""Of more style values than this, those are measured on one image whose gradients promise most."""


def own_attributes(
    subject: TrainedSubject, image: str, s: Float[Tensor, "1 s_dim"], target: int, listener: Listener
) -> tuple[AttributeRanking, Subset]:
    """The attributes that drive one image to the target, alone and together; an exception of the listener ends it."""
    indices = _promising(subject, s, target)
    parts: list[Effects] = []
    done = 0
    listener(Started(task="search", total=len(indices), unit="style values"))
    for piece in np.array_split(indices, max(1, round(len(indices) / _PIECE))):
        parts.append(measure_effects(subject, s, image_ids=[image], indices=piece, how=Measuring(chunk=32)))
        done += len(piece)
        listener(Step(task="search", done=done))
    effects = replace(parts[0], values=np.concatenate([part.values for part in parts], axis=2), indices=indices)
    task = Task.of(subject, s, effects, target)
    found = independent(task, 0, num=6), subset(task, 0, budget=8, candidates=32)
    listener(Done(task="search"))
    return found


def said_of_flip(count: int, label: str, flipped: bool, numbers: Numbers | None = None) -> str:
    """What so many knobs come to, in a sentence; of a number, by how much it is raised or lowered."""
    if numbers is not None:
        verb = "lower" if label == less_name(numbers.names[-1]) else "raise"
        what, by = numbers.names[-1], f"{numbers.amount(numbers.by)} or more"
        if count == 0:
            return f"None of these knobs {verb}s {what}."
        if flipped:
            return f"{f'One knob {verb}s' if count == 1 else f'{count} knobs together {verb}'} {what} by {by}."
        return f"Even {'this knob does' if count == 1 else f'{count} knobs together do'} not {verb} {what} by {by}."
    if count == 0:
        return f"The answer is {label} already." if flipped else f"None of these knobs brings it nearer to {label}."
    many = "One knob turns" if count == 1 else f"{count} knobs together turn"
    if flipped:
        return f"{many} the answer to {label}."
    return f"Even {'this knob does' if count == 1 else f'{count} knobs together do'} not turn the answer to {label}."


def other_class(p: Float[ndarray, " k"], output: Output) -> int:
    """Where to drive an image to: the likeliest other class; of several labels the least certain, turned on."""
    if output == "softmax":
        return int(np.argsort(-p)[1])
    unseen = np.flatnonzero(p < 0.5)
    return int(unseen[p[unseen].argmax()]) if len(unseen) else int(p.argmin())


def _promising(subject: TrainedSubject, s: Float[Tensor, "1 s_dim"], target: int) -> Int64[ndarray, " m"]:
    """The style values to measure on one image, in ascending order."""
    if len(subject.indices) <= _MEASURED:
        return subject.indices
    try:
        guess = first_order(subject, s, target, subject.indices)[0]
    except RuntimeError:  # a classifier without gradients
        return subject.indices
    return np.sort(subject.indices[np.argsort(-guess.max(axis=0), kind="stable")[:_MEASURED]])
