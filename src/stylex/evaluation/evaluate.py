"""The evaluation from end to end: attributes found on some held-out images, everything measured on others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from stylex.core.errors import EvaluationError
from stylex.core.evaluation import Evaluation
from stylex.core.numbers import KEY
from stylex.core.progress import Alarm, Done, Started, Step
from stylex.core.wording import option
from stylex.data.archive import ImageSet
from stylex.evaluation import (
    account,
    attack,
    follows,
    lost,
    observer,
    own,
    photograph,
    preservation,
    realism,
    reason,
    reconstruction,
    significance,
    sparsity,
    stability,
    sufficiency,
)
from stylex.evaluation.found import Found, find
from stylex.evaluation.options import FEWEST_IMAGES, PARTS, Inputs, Options
from stylex.evaluation.sheet import Sheet
from stylex.evaluation.subject import calls
from stylex.search.choosing import choose_to_search
from stylex.search.encoding import encode_set
from stylex.search.subject import TrainedSubject

TASK = "evaluate"
"""Name of this work in progress events."""

MEASURES: Mapping[str, Callable[[Sheet], None]] = {
    "reconstruction": reconstruction.measure,
    "reason": reason.measure,
    "lost": lost.measure,
    "follows": follows.measure,
    "realism": realism.measure,
    "sufficiency": sufficiency.measure,
    "account": account.measure,
    "photograph": photograph.measure,
    "preservation": preservation.measure,
    "own": own.measure,
    "attack": attack.measure,
    "significance": significance.measure,
    "sparsity": sparsity.measure,
    "observer": observer.measure,
    "stability": stability.measure,
}
"""How each of ``PARTS`` is measured; none needs another."""

_WITHOUT_ATTRIBUTES = frozenset({"reconstruction", "reason", "lost", "follows", "realism"})
"""What is measured also where nothing was found."""

_MOST_TARGETS = 10


def evaluate_subject(
    subject: TrainedSubject,
    inputs: Inputs,
    options: Options,
    *,
    found: Found | None = None,
    settings: Mapping[str, Any],
) -> Evaluation:
    """Measure everything that is not left out.

    Args:
        subject: the networks.
        inputs: images, targets and instruments.
        options: what to measure and how.
        found: attributes that are there already; None: search on every second held-out image.
        settings: to be written into the evaluation.

    Raises:
        EvaluationError: too few images are left to measure on.
    """
    began, listener = time.perf_counter(), inputs.listener
    against = inputs.against is not None
    parts = [part for part in PARTS if part not in options.without and (part != "stability" or against)]
    listener(Started(task=TASK, total=1 + len(parts), unit="parts"))
    searches = found is None
    found, rest = _divided(subject, inputs, options, found)
    search_seconds, search_calls = time.perf_counter() - began, calls(subject)
    measured = encode_set(subject, choose_to_search(subject.classifier, rest, options.measured, target=None))
    sheet = Sheet(subject, inputs, found, measured, options)
    if not found.shown:
        why = " ".join(found.nothing) or "Nothing was found that moves the classifier."
        sheet.notes.append(f"{why} So there are no attributes to measure.")
    listener(Step(task=TASK, done=1))
    for done, part in enumerate(parts, start=2):
        if found.shown or part in _WITHOUT_ATTRIBUTES:
            MEASURES[part](sheet)
        listener(Step(task=TASK, done=done))
    shown = "images that the classifier was shown"
    sheet.add("cost.seconds", time.perf_counter() - began)
    sheet.add("cost.classifier_calls", float(calls(subject)), note=shown)
    if searches:
        sheet.add("cost.seconds_of_search", search_seconds)
        sheet.add("cost.classifier_calls_of_search", float(search_calls), note=shown)
    listener(Done(task=TASK))
    for note in sheet.alarms:
        listener(Alarm(message=note))
    return Evaluation(
        title="How far this explanation can be trusted",
        labels=subject.classifier.spec.labels,
        searched=len(found.images),
        measured=len(measured.ids),
        measures=tuple(sheet.measures),
        attributes=tuple(sheet.attributes),
        settings={**settings, **({} if subject.numbers is None else {KEY: subject.numbers.to_json()})},
        snapshot={"path": str(subject.snapshot.path), "sha256": subject.snapshot.sha256},
        notes=tuple(sheet.notes + sheet.alarms),
    )


def _divided(subject: TrainedSubject, inputs: Inputs, options: Options, found: Found | None) -> tuple[Found, ImageSet]:
    """The attributes, and the held-out images that are left to measure on."""
    held_out, targets = inputs.held_out, inputs.targets
    if found is not None:
        rest = held_out.subset(np.array([name not in found.images for name in held_out.names], dtype=np.bool_))
        _enough(len(rest), len(found.images))
        return found, rest
    if len(targets) > _MOST_TARGETS:
        raise EvaluationError(
            f"the classifier has {len(targets)} labels, and each takes a search of its own; say which one to "
            f"evaluate with {option('target')}, one of {', '.join(subject.classifier.spec.labels[:5])}, ..."
        )
    pool, rest = (held_out.subset(np.arange(start, len(held_out), 2)) for start in (0, 1))
    _enough(len(rest), len(pool))
    return find(subject, pool, targets, options, listener=inputs.listener), rest


def _enough(left: int, searched: int) -> None:
    if left < FEWEST_IMAGES:
        raise EvaluationError(
            f"{left} held-out images are left to measure on beside the {searched} searched; expected {FEWEST_IMAGES} "
            f"or more: search on fewer, such as {option('images', max((left + searched) // 2, 1))} in find (or, "
            "without an explanation, here), or give an archive with more test images"
        )
