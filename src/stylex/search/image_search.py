"""What drives the classifier's decision on one image: single attributes, and those that turn it together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from stylex.classifiers.classifier import WithOpposite
from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.explanation import Counterfactual, Explanation
from stylex.core.numbers import KEY
from stylex.core.progress import Alarm, Found
from stylex.core.verdict import agreement_level, agreement_verdict
from stylex.data.images import to_pictures
from stylex.search.class_search import TOGETHER, in_unit, quality, what_moves
from stylex.search.classes import Workplace
from stylex.search.config import SearchConfig
from stylex.search.counterfactual import effect_alone, independent, subset
from stylex.search.effects import Measuring, measure_effects
from stylex.search.encoding import Encoded
from stylex.search.pictures import Change, Easel, images_of, render, strips_of
from stylex.search.subject import TrainedSubject
from stylex.search.task import Task


def explain_image(
    subject: TrainedSubject,
    encoded: Encoded,
    config: SearchConfig,
    *,
    target: int | None,
    settings: Mapping[str, Any],
    at: Workplace | None = None,
) -> Explanation:
    """What drives the classifier's decision on one image.

    Args:
        subject: the networks, in the space that the config's method searches.
        encoded: the image, alone.
        config: how to search.
        target: class to drive to; None: the most probable one that it is not predicted (of several labels: the
            least certain one, turned over, which may be the absence of one that is predicted; of a number: both up and
            down, half of the attributes each way).
        settings: to be written into the explanation.
        at: where.

    Raises:
        SearchError: a class that cannot be searched for.
    """
    assert len(encoded.ids) == 1
    at = at or Workplace()
    numbers = subject.numbers
    if target is None and numbers is None:
        subject, encoded, target = _nearest(subject, encoded)
    targets = [0, subject.classifier.k - 1] if target is None else [target]
    effects = measure_effects(
        subject,
        encoded.s,
        image_ids=encoded.ids,
        indices=subject.indices,
        how=Measuring(shift_range=config.shift_range, folder=at.folder),
        listener=at.listener,
    )
    tasks = [Task.of(subject, encoded.s, effects, goal) for goal in targets]
    task, each = tasks[0], -(-config.attributes // len(tasks))
    alone = [independent(one, 0, num=each) for one in tasks]
    together = [subset(one, 0, budget=TOGETHER) for one in tasks]
    said = [
        finding for pair in zip(alone, together, strict=True) for finding in (pair[0].finding, pair[1].ranking.finding)
    ]
    if task.predicted(encoded.logits[0].cpu().numpy()) and not task.predicted(encoded.logits_rec[0].cpu().numpy()):
        said.insert(
            0, f"The photograph is predicted {task.name!r} already; what follows moves its reconstruction only."
        )
    for sentence in said:
        at.listener(Found(message=sentence))
    # One list of knobs, by what each does alone: the strongest, then those that only the subset uses, which are weaker.
    knobs = []
    for one, single, both in zip(tasks, alone, together, strict=True):
        listed = {(a.coordinate, a.sign) for a in single}
        only_together = [a for a in both.ranking if (a.coordinate, a.sign) not in listed]
        knobs += [*single, *(replace(a, effect=effect_alone(one, 0, a)) for a in only_together)]
    knobs.sort(key=lambda attribute: -attribute.effect)
    places = {(a.coordinate, a.sign, a.target): i for i, a in enumerate(knobs)}
    changes = [
        Change(role="independent", row=0, attributes=[attribute], positions=(i,), target=attribute.target)
        for i, attribute in enumerate(knobs)
    ]
    for both in together:
        path = [places[a.coordinate, a.sign, a.target] for a in both.ranking]
        for step in (path[:n] for n in range(1, len(path) + 1)):
            applied = [knobs[i] for i in step]
            changes.append(
                Change(role="subset", row=0, attributes=applied, positions=tuple(step), target=applied[0].target)
            )
    easel = Easel(subject, encoded)
    counterfactuals = render(easel, changes)
    knobs = [_beside_rebuilding(knob, cf, encoded) for knob, cf in zip(knobs, counterfactuals, strict=False)]
    figures = quality(subject, encoded)
    cautions = (
        []
        if figures["agreement"] == 1
        else [_UNFAITHFUL if numbers is None else _FAR.format(numbers.amount(numbers.scale[task.target] / 2))]
    )
    kept, other = (subject.snapshot.figures.get(name) for name in ("agreement", "agreement_other"))
    if kept is not None and agreement_level(kept, other) != "good":
        cautions.append(f"Over the training's held-out images: {agreement_verdict(kept, other)}")
    for caution in cautions:
        at.listener(Alarm(message=caution))
    ranking = AttributeRanking(
        attributes=tuple(knobs),
        strategy="independent+subset",
        images=1,
        explained=float(np.mean([one.flipped for one in together])),
        finding=" ".join(said),
    )
    return Explanation(
        scope="image",
        title=f"What decides between this image and {task.name}"
        if numbers is None
        else f"{what_moves(numbers, targets)} on this image",
        labels=tuple(subject.labels),
        output=subject.output,
        ranking=ranking if numbers is None else in_unit(ranking, numbers),
        images=images_of(easel, [0]),
        counterfactuals=counterfactuals,
        figures=figures,
        settings={**settings, **({} if numbers is None else {KEY: numbers.to_json()})},
        snapshot={"path": str(subject.snapshot.path), "sha256": subject.snapshot.sha256},
        space=subject.space,
        notes=tuple(cautions),
        strips=strips_of(easel, ranking, counterfactuals, at.listener),
    )


def _beside_rebuilding(attribute: Attribute, changed: Counterfactual, encoded: Encoded) -> Attribute:
    """The attribute, with a note where it changes what rebuilding has changed in the photograph."""
    before, after = (to_pictures(x[:1])[0].astype(np.float64) for x in (encoded.x, encoded.x_rec))
    own, rebuilt = changed.picture.astype(np.float64) - after, after - before
    cosine = float((own * rebuilt).sum() / max(np.linalg.norm(own) * np.linalg.norm(rebuilt), 1e-9))
    if abs(cosine) < _ALIKE:
        return attribute
    does = "goes on with" if cosine > 0 else "takes back"
    note = (
        f"In part this {does} what rebuilding changed (cosine {cosine:+.2f}): it may be about the reconstruction, not "
        "about the photograph."
    )
    return replace(attribute, note=note)


_ALIKE = 0.3
"""Cosine of an attribute's change and rebuilding's, as pixels, from which on it is said."""


def _nearest(subject: TrainedSubject, encoded: Encoded) -> tuple[TrainedSubject, Encoded, int]:
    """The nearest other decision, with the classifier and the logits that know it."""
    before = encoded.logits_rec[0].cpu().numpy()
    if subject.output == "softmax":
        return subject, encoded, int(np.argsort(-before)[1])
    target = int(np.abs(before).argmin())
    if before[target] < 0:
        return subject, encoded, target
    classifier = WithOpposite(subject.classifier, target)
    extended = replace(
        encoded, logits=classifier.extended(encoded.logits), logits_rec=classifier.extended(encoded.logits_rec)
    )
    return TrainedSubject.of(subject.snapshot, classifier, torgb=subject.torgb), extended, classifier.own


_FAR = (
    "The number that the classifier tells of the reconstruction differs by more than half a standard deviation ({}) "
    "from that of the image itself, so what moves the reconstruction need not explain the image."
)
_UNFAITHFUL = (
    "The classifier decides differently on the reconstruction than on the image itself, so what moves the "
    "reconstruction need not explain the image."
)
