"""What drives the classifier towards a class, over many images: measure, rank, show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64
from numpy import ndarray
from torch import Tensor

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.errors import SearchError
from stylex.core.explanation import Explanation
from stylex.core.figures import Flips, flip_figures
from stylex.core.numbers import KEY, Numbers
from stylex.core.progress import Alarm, Found, Listener, silent
from stylex.core.verdict import agreement_level, agreement_verdict
from stylex.core.wording import option
from stylex.metrics.agreement import agreement
from stylex.models.processes import Processes
from stylex.search.choosing import few
from stylex.search.config import SearchConfig
from stylex.search.counterfactual import flip_rate, random_control
from stylex.search.decision import predicted
from stylex.search.duplicates import without_duplicates
from stylex.search.effects import Measuring, stream_effects
from stylex.search.encoding import Searched
from stylex.search.lost import not_drawn
from stylex.search.methods import method_for
from stylex.search.pictures import SHOWN, SHOWN_TUNED, Easel, show_class, strips_of
from stylex.search.realism import keep_realistic
from stylex.search.render import Critic
from stylex.search.screen import Screened, Screening, screen
from stylex.search.subject import TrainedSubject
from stylex.search.task import Task
from stylex.search.together import CANDIDATES

_EXACT_PICTURES = 500_000
"""A search is exact, unless asked, while it draws no more pictures than this: some minutes on two cores at 32 px."""

TOGETHER = 10
"""Attributes moved together to test whether they suffice."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Workplace:
    """Where a search works: its folder for measured effects, other processes, and who hears of it.

    Attributes:
        folder: keep measured effects here, to go on after an interruption.
        processes: who else measures effects (into the same folder).
        listener: hears the progress.
    """

    folder: Path | None = None
    processes: Processes = field(default_factory=Processes)
    listener: Listener = silent


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassSearch:
    """What a search found.

    Attributes:
        tasks: one for each class driven to, with its measured effects.
        rankings: of each task.
        rows: the images that were measured, as positions among those given.
        screened: what a screen kept, if one was used.
    """

    tasks: tuple[Task, ...]
    rankings: tuple[AttributeRanking, ...]
    rows: Int64[ndarray, " r"]
    screened: Screened | None


def search_classes(
    subject: TrainedSubject,
    encoded: Searched,
    config: SearchConfig,
    targets: Sequence[int],
    *,
    source: int | None = None,
    num: int | None = None,
    at: Workplace | None = None,
) -> ClassSearch | None:
    """Measure effects once, and rank them for each target.

    Args:
        subject: the networks, in the space that the config's method searches.
        encoded: the images to search on.
        config: how to search.
        targets: classes to drive to.
        source: start only from images predicted this class.
        num: attributes of each target (default: the config's).
        at: where.

    Returns:
        What was found; of several processes the first one's only, as the others end when all is measured.

    Raises:
        SearchError: a class that cannot be searched for.
        ConfigError: the method does not take one of the settings.
    """
    at, method = at or Workplace(), method_for(config)
    num = num or config.attributes
    indices, screened, rows = subject.indices, None, np.arange(len(encoded.s))
    blind = not subject.classifier.gradient
    if blind and config.search == "screened" and not method.few:
        raise SearchError(
            f"{option('search', 'screened')} screens by gradients, and the classifier gives none; give "
            f"{option('search', 'exact')}, with fewer images where that is much"
        )
    large = not blind and 2 * len(indices) * len(encoded.s) > _EXACT_PICTURES
    if method.few:
        if config.search == "screened":
            rows = few(encoded.logits_rec.cpu().numpy(), targets, subject.output, source=source)
    elif config.search == "screened" or (config.search == "auto" and large):
        how = Screening(
            shift_range=config.shift_range,
            top=CANDIDATES if config.selection == "together" else num,
            recall=config.recall,
            precision=config.precision,
        )
        screened = screen(subject, encoded.s, targets, source=source, indices=indices, how=how, listener=at.listener)
        at.listener(Found(message=f"{screened.note}."))
    s = encoded.s[torch.from_numpy(rows).to(encoded.s.device)]
    effects = stream_effects(
        subject,
        s,
        image_ids=[encoded.ids[row] for row in rows],
        indices=indices if screened is None else screened.indices,
        how=Measuring(
            shift_range=config.shift_range,
            precision=config.precision if screened is None else "float32",
            classes=sorted({*targets, *(() if source is None else (source,))}),
            folder=at.folder,
            processes=at.processes,
        ),
        listener=at.listener,
    )
    if not at.processes.first:
        return None
    tasks = tuple(
        replace(Task.of(subject, s, effects, target, source), threshold=config.threshold) for target in targets
    )
    ranking = method.rankings[config.selection]
    return ClassSearch(
        tasks=tasks, rankings=tuple(ranking(task, num, at.listener) for task in tasks), rows=rows, screened=screened
    )


def explain_class(
    subject: TrainedSubject,
    encoded: Searched,
    config: SearchConfig,
    *,
    target: int | None,
    source: int | None = None,
    settings: Mapping[str, Any],
    tune: bool = False,
    at: Workplace | None = None,
) -> Explanation | None:
    """What drives the classifier towards a class, over many images.

    Args:
        subject: the networks, in the space that the config's method searches.
        encoded: the images to search on (``Encoded``, or of any number ``Streamed``).
        config: how to search.
        target: class to drive to; None with two classes: both, the best attributes of each in turn.
        source: start only from images predicted this class.
        settings: to be written into the explanation.
        tune: draw the images that are shown by copies of the generator tuned to each of them.
        at: where.

    Returns:
        The explanation; of several processes the first one's only, as the others end when all is measured.

    Raises:
        SearchError: a class that cannot be searched for.
    """
    at, labels = at or Workplace(), subject.labels
    targets = (0, 1) if target is None else (target,)
    if target is None and (len(labels) != 2 or subject.output == "sigmoid"):
        known = ", ".join(labels[:5]) + (", ..." if len(labels) > 5 else "")
        raise SearchError(
            f"the classifier has {len(labels)} labels; say which one to explain with {option('target')}, one of {known}"
        )
    found = search_classes(
        subject, encoded, config, targets, source=source, num=max(config.attributes, TOGETHER), at=at
    )
    if found is None:
        return None
    rankings = list(found.rankings)
    if config.realism is not None:
        rankings = [
            keep_realistic(task, ranking, _critic(subject), threshold=config.realism).ranking
            for task, ranking in zip(found.tasks, rankings, strict=True)
        ]
    if config.selection != "together":  # there each was chosen for what it adds
        rankings = [without_duplicates(task, each) for task, each in zip(found.tasks, rankings, strict=True)]
    figures = quality(subject, encoded)
    measured = [_sufficiency(subject, encoded, each, task) for task, each in zip(found.tasks, rankings, strict=True)]
    flips = tuple(each for each in measured if each is not None)
    for each in flips:
        figures |= flip_figures(each)
    ranking = _joined(rankings, config.attributes, subject.numbers)
    at.listener(Found(message=ranking.finding))
    easel = Easel(subject, encoded, tunes=tune, listener=at.listener)
    ranking, images, counterfactuals = show_class(
        easel, found.tasks[0], found.rows, ranking, shown=SHOWN_TUNED if tune else SHOWN, listener=at.listener
    )
    numbers = subject.numbers
    strips = strips_of(easel, ranking, counterfactuals, at.listener)
    tuned = [easel.what_tuning_did(counterfactuals, ranking)] if tune and counterfactuals else []
    for sentence in tuned:
        at.listener(Found(message=sentence))
    undrawn = not_drawn(subject, encoded, targets)
    for sentence in undrawn:
        at.listener(Alarm(message=sentence))
    title = "What drives this classifier towards " + " and ".join(task.name for task in found.tasks)
    if numbers is not None:
        title = what_moves(numbers, targets)
    helpers = [_HELPERS] if config.selection == "together" and len(ranking) > 1 else []
    return Explanation(
        scope="class",
        title=title if source is None else f"{title}, starting from {labels[source]}",
        labels=tuple(labels),
        output=subject.output,
        ranking=ranking if numbers is None else in_unit(ranking, numbers),
        images=images,
        counterfactuals=counterfactuals,
        figures=figures,
        flips=flips,
        settings={
            **settings,
            "rankings": _recorded(found.tasks, rankings),
            **({} if numbers is None else {KEY: numbers.to_json()}),
        },
        snapshot={"path": str(subject.snapshot.path), "sha256": subject.snapshot.sha256},
        space=subject.space,
        notes=(
            *warnings(figures),
            *undrawn,
            *tuned,
            *helpers,
            *([] if found.screened is None else [f"{found.screened.note}."]),
        ),
        strips=strips,
    )


def what_moves(numbers: Numbers, targets: Sequence[int]) -> str:
    """The title of an explanation of a number."""
    verb = "raises and lowers" if len(targets) > 1 else "lowers" if numbers.falls(targets[0]) else "raises"
    return f"What {verb} {numbers.names[targets[0]]}"


def in_unit(ranking: AttributeRanking, numbers: Numbers) -> AttributeRanking:
    """A ranking whose effects are changes of the number, in its unit."""
    listed = tuple(replace(a, effect=numbers.effect(a.effect, a.target)) for a in ranking)
    return replace(ranking, attributes=listed)


_HELPERS = (
    "The attributes were chosen for what each adds to those before it. The effects tell what each does alone, which "
    "may be little, or the opposite."
)


def quality(subject: TrainedSubject, encoded: Searched) -> dict[str, float]:
    """How alike images and reconstructions are, to the eye and to the classifier."""
    own = slice(subject.classifier.own)
    figures = {"pixel_l1": encoded.pixel_l1()}
    return figures | agreement(encoded.logits[:, own], encoded.logits_rec[:, own], subject.classifier.activation)


def warnings(figures: Mapping[str, float]) -> tuple[str, ...]:
    """What a reader must know before believing anything else."""
    kept = figures["agreement"], figures.get("agreement_other")
    return () if agreement_level(*kept) == "good" else (agreement_verdict(*kept),)


def _critic(subject: TrainedSubject) -> Critic:
    def critic(x: Tensor, c: Tensor) -> Tensor:
        # It was trained with the labels that the model answers itself.
        logits: Tensor = subject.snapshot.discriminator(x, c[:, : subject.classifier.own])
        return logits

    return critic


def _joined(rankings: Sequence[AttributeRanking], num: int, numbers: Numbers | None = None) -> AttributeRanking:
    """One ranking out of one for each target: in turn the best of each, no coordinate twice."""
    if len(rankings) == 1:
        listed = rankings[0].attributes[:num]
        return replace(rankings[0], attributes=listed, finding=_counted(rankings, len(listed), numbers))
    queues = [list(ranking) for ranking in rankings]
    chosen: list[Attribute] = []
    while any(queues) and len(chosen) < num:
        queues.sort(key=lambda queue: -queue[0].effect if queue else 0.0)
        for queue in queues:
            while queue and any(queue[0].coordinate == a.coordinate for a in chosen):
                queue.pop(0)
            if queue and len(chosen) < num:
                chosen.append(queue.pop(0))
    images = sum(ranking.images for ranking in rankings)
    explained = sum(ranking.explained * ranking.images for ranking in rankings) / max(images, 1)
    return AttributeRanking(
        attributes=tuple(chosen),
        strategy=rankings[0].strategy,
        images=images,
        explained=explained,
        finding=_counted(rankings, len(chosen), numbers),
    )


def _recorded(tasks: Sequence[Task], rankings: Sequence[AttributeRanking]) -> dict[str, list[list[Any]]]:
    """What moves towards each class, best first; a knob that is listed once may drive to one up, to the other down."""
    return {
        str(task.target): [[a.coordinate.layer, a.coordinate.channel, a.sign, a.effect] for a in ranking]
        for task, ranking in zip(tasks, rankings, strict=True)
    }


def _counted(rankings: Sequence[AttributeRanking], listed: int, numbers: Numbers | None) -> str:
    """The findings, and why there are fewer attributes in the list than they name, if so."""
    said = [ranking.finding for ranking in rankings]
    named = sum(len(ranking) for ranking in rankings)
    distinct = len({attribute.coordinate for ranking in rankings for attribute in ranking})
    if distinct < named:
        both = "drives towards one class when it is turned up and towards the other when it is turned down"
        both = both if numbers is None else "raises the number turned one way and lowers it turned the other way"
        said.append(f"A knob that {both} is listed once: {distinct} in all.")
    if listed < distinct:
        said.append(f"The first {listed} are listed.")
    return " ".join(said)


def _sufficiency(subject: TrainedSubject, encoded: Searched, ranking: AttributeRanking, task: Task) -> Flips | None:
    """Fraction of images whose decision turns to the target when attributes move together, beside random ones."""
    s = encoded.s
    if task.source is not None:
        starts = predicted(encoded.logits_rec.cpu().numpy(), task.source, subject.output)
        s = s[torch.from_numpy(starts).to(s.device)]
    top = ranking.attributes[:TOGETHER]
    if not top or len(s) == 0:
        return None
    fractions: dict[int, float] = {}
    for count in sorted({1, 3, len(top)}):
        if count <= len(top):
            flips = flip_rate(subject, s, top[:count], task.target)
            if flips.images == 0:
                return None
            fractions[count] = flips.fraction
    control = random_control(subject, s, top, task.target, indices=subject.indices)
    return Flips(
        target_label=task.name,
        top=fractions,
        random=float(control.fractions.mean()),
        random_std=float(control.fractions.std()),
        images=control.images,
    )
