"""What drives the classifier towards a class, over many images: searched for, put to the test, and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.errors import SearchError
from stylex.core.explanation import Explanation
from stylex.core.figures import Flips, flip_figures
from stylex.core.numbers import KEY, Numbers
from stylex.core.progress import Alarm, Found, Listener
from stylex.core.verdict import agreement_level, agreement_verdict
from stylex.core.wording import option
from stylex.metrics.agreement import agreement
from stylex.search.choosing import spread
from stylex.search.classes import ClassSearch, Workplace, search_classes
from stylex.search.config import SearchConfig
from stylex.search.counterfactual import DRAWS, flip_rate, random_control
from stylex.search.decision import predicted
from stylex.search.duplicates import without_duplicates
from stylex.search.encoding import Searched
from stylex.search.lost import not_drawn
from stylex.search.pictures import SHOWN, SHOWN_TUNED, Easel, show_class, strips_of
from stylex.search.realism import keep_realistic
from stylex.search.render import Critic
from stylex.search.subject import TrainedSubject
from stylex.search.task import Task

TOGETHER = 10
"""Attributes moved together to test whether they suffice."""


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
            f"the classifier has {len(labels)} labels; say which one to explain with {option('target')}, one of "
            f"{known}; `stylex classes` explains every one"
        )
    found = search_classes(
        subject, encoded, config, targets, source=source, num=max(config.attributes, TOGETHER), at=at
    )
    if found is None:
        return None
    return explanation_of(
        subject,
        encoded,
        config,
        found,
        kept=Kept(figures=quality(subject, encoded), undrawn=not_drawn(subject, encoded, targets)),
        settings=settings,
        looks=Looks(shown=SHOWN_TUNED if tune else SHOWN, tune=tune),
        listener=at.listener,
    )


@dataclass(frozen=True, kw_only=True)
class Looks:
    """How much an explanation shows, and how long chance is asked.

    Attributes:
        shown: images to show each attribute on.
        strips: whether attributes are turned from end to end, for sliders.
        tune: draw the images that are shown by copies of the generator tuned to each of them.
        draws: random directions beside the attributes.
        moved: images on which attributes are moved together, evenly taken; None: all.
    """

    shown: int = SHOWN
    strips: bool = True
    tune: bool = False
    draws: int = DRAWS
    moved: int | None = None


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What rebuilding keeps of the images.

    Attributes:
        figures: how alike images and reconstructions are (``quality``).
        undrawn: what decides and is not in the rebuilt pictures, in sentences.
    """

    figures: Mapping[str, float]
    undrawn: Sequence[str] = ()


def explanation_of(
    subject: TrainedSubject,
    encoded: Searched,
    config: SearchConfig,
    found: ClassSearch,
    *,
    kept: Kept,
    settings: Mapping[str, Any],
    looks: Looks,
    listener: Listener,
) -> Explanation:
    """What was found, in words and pictures.

    Args:
        subject, encoded, config, settings: as in ``explain_class``.
        found: the search.
        kept: what rebuilding keeps of the images.
        looks: how much is shown.
        listener: hears the progress.
    """
    labels, tune, source = subject.labels, looks.tune, found.tasks[0].source
    rankings = list(found.rankings)
    if config.realism is not None:
        rankings = [
            keep_realistic(task, ranking, _critic(subject), threshold=config.realism).ranking
            for task, ranking in zip(found.tasks, rankings, strict=True)
        ]
    if config.selection != "together":  # there each was chosen for what it adds
        rankings = [without_duplicates(task, each) for task, each in zip(found.tasks, rankings, strict=True)]
    measured = [
        _sufficiency(subject, encoded, each, task, looks) for task, each in zip(found.tasks, rankings, strict=True)
    ]
    flips = tuple(each for each in measured if each is not None)
    figures, undrawn = dict(kept.figures), kept.undrawn
    for each in flips:
        figures |= flip_figures(each)
    ranking = _joined(rankings, config.attributes, subject.numbers)
    listener(Found(message=ranking.finding))
    easel = Easel(subject, encoded, tunes=tune, listener=listener)
    ranking, images, counterfactuals = show_class(
        easel, found.tasks, found.rows, ranking, shown=looks.shown, listener=listener
    )
    numbers = subject.numbers
    strips = strips_of(easel, ranking, counterfactuals, listener) if looks.strips else ()
    tuned = [easel.what_tuning_did(counterfactuals, ranking)] if tune and counterfactuals else []
    for sentence in tuned:
        listener(Found(message=sentence))
    for sentence in undrawn:
        listener(Alarm(message=sentence))
    title = "What drives this classifier towards " + " and ".join(task.name for task in found.tasks)
    if numbers is not None:
        title = what_moves(numbers, [task.target for task in found.tasks])
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
    said = _once([ranking.finding for ranking in rankings])
    named = sum(len(ranking) for ranking in rankings)
    distinct = len({attribute.coordinate for ranking in rankings for attribute in ranking})
    if distinct < named:
        both = "drives towards one class when it is turned up and towards the other when it is turned down"
        both = both if numbers is None else "raises the number turned one way and lowers it turned the other way"
        said.append(f"A knob that {both} is listed once: {distinct} in all.")
    if listed < distinct:
        said.append(f"The first {listed} are listed.")
    return " ".join(said)


def _once(findings: list[str]) -> list[str]:
    """Findings whose last sentences are the same (of two classes, what directions account for): these come once."""
    backwards = zip(*(reversed(finding) for finding in findings), strict=False)
    shared = "".join(letters[0] for letters in takewhile(lambda letters: len(set(letters)) == 1, backwards))[::-1]
    _, begun, common = shared.partition(". ")
    if len(findings) == 1 or not begun:
        return findings
    return [*(finding.removesuffix(common).rstrip() for finding in findings), common]


def _sufficiency(
    subject: TrainedSubject, encoded: Searched, ranking: AttributeRanking, task: Task, looks: Looks
) -> Flips | None:
    """Fraction of images whose decision turns to the target when attributes move together, beside random ones."""
    s = encoded.s
    if task.source is not None:
        starts = predicted(encoded.logits_rec.cpu().numpy(), task.source, subject.output)
        s = s[torch.from_numpy(starts).to(s.device)]
    if looks.moved is not None and looks.moved < len(s):
        s = s[torch.from_numpy(spread(len(s), looks.moved)).to(s.device)]
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
    control = random_control(subject, s, top, task.target, indices=subject.indices, draws=looks.draws)
    return Flips(
        target_label=task.name,
        top=fractions,
        random=float(control.fractions.mean()),
        random_std=float(control.fractions.std()),
        images=control.images,
    )
