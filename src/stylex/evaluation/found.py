"""The attributes to evaluate: read from an explanation, or searched for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from jaxtyping import Int64
from numpy import ndarray

from stylex.classifiers import Classifier
from stylex.core.attribute import Attribute
from stylex.core.errors import EvaluationError, StylexError
from stylex.core.explanation import Explanation
from stylex.core.progress import Alarm, Listener, silent
from stylex.core.stylespace import StyleCoordinate
from stylex.data.archive import ImageSet
from stylex.evaluation.options import Options
from stylex.search.choosing import choose_to_search
from stylex.search.classes import Workplace, search_classes
from stylex.search.effects import Effects, shortlist
from stylex.search.encoding import encode_set
from stylex.search.subject import TrainedSubject

_OWN_CANDIDATES = 200
"""Coordinates that attributes for one image are looked for among, where a search has measured which are strong."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Found:
    """Attributes to evaluate, and the images that they were found on.

    Attributes:
        rankings: of each target, best first.
        shown: all of them in the order of showing, no coordinate twice.
        images: names of the images searched.
        pool: the images that these were chosen of; None: not known.
        nothing: why nothing was found towards a class, of each of which that is so.
        strong: flat indices of the coordinates that moved the classifier most in the search; None: not known.
    """

    rankings: Mapping[int, tuple[Attribute, ...]]
    shown: tuple[Attribute, ...]
    images: frozenset[str]
    pool: ImageSet | None = None
    nothing: tuple[str, ...] = ()
    strong: Int64[ndarray, " m"] | None = None


def found_in(explanation: Explanation, images: frozenset[str]) -> Found:
    """The attributes of an explanation that were found on these images.

    Raises:
        EvaluationError: it explains one image.
    """
    if explanation.scope != "class":
        raise EvaluationError(
            "this explanation is of one image, and what holds of one image cannot be tested on others; give one that "
            "`stylex find` wrote"
        )
    ranking = explanation.ranking.attributes
    targets = dict.fromkeys(attribute.target for attribute in ranking)
    rankings = _recorded(explanation) or {t: tuple(a for a in ranking if a.target == t) for t in targets}
    return Found(rankings=rankings, shown=tuple(ranking), images=images)


def _recorded(explanation: Explanation) -> dict[int, tuple[Attribute, ...]]:
    """What moves towards each class, as the search recorded it; nothing in an explanation older than that.

    A knob that drives to one class up and to another down is listed once, but moves towards both.
    """
    ranking, space = explanation.ranking.attributes, explanation.space
    recorded = explanation.settings.get("rankings")
    if not ranking or not isinstance(recorded, Mapping):
        return {}
    try:
        rankings = {
            int(target): tuple(
                replace(
                    ranking[0],
                    coordinate=space.coordinate(space.index(StyleCoordinate(layer, channel))),
                    sign=sign,
                    target=int(target),
                    target_label=explanation.labels[int(target)],
                    effect=float(effect),
                    significance=None,
                    tested=None,
                    label=None,
                    note=None,
                )
                for layer, channel, sign, effect in rows
                if sign in (-1, 1)
            )
            for target, rows in recorded.items()
        }
    except (TypeError, ValueError, IndexError, KeyError, StylexError) as error:
        raise EvaluationError(f"the explanation's record of its rankings is damaged ({error}); find again") from error
    return {target: attributes for target, attributes in rankings.items() if attributes}


def searched_images(
    explanation: Explanation, classifier: Classifier, held_out: ImageSet, fingerprint: str, listener: Listener = silent
) -> frozenset[str]:
    """Names of the held-out images that an explanation was found on.

    They are recorded; for an explanation older than that, the choice is repeated from its settings.
    """
    settings = explanation.settings
    if isinstance(settings.get("searched"), list):
        return frozenset(str(name) for name in settings["searched"])
    if settings.get("verb") != "find" or not isinstance(settings.get("images"), int):
        listener(
            Alarm(message="the explanation does not say which images it was found on; some of them may be measured")
        )
        return frozenset()
    if settings.get("data_fingerprint") != fingerprint:
        return frozenset()  # found on other images altogether
    labels = classifier.spec.labels
    to, start = (_position(settings.get(name), labels) for name in ("target", "source"))
    return frozenset(choose_to_search(classifier, held_out, settings["images"], target=to, source=start).names)


def _position(name: Any, labels: Sequence[str]) -> int | None:
    """A label by its name or number, as ``find`` takes it."""
    if not isinstance(name, str):
        return None
    return labels.index(name) if name in labels else int(name)


def find(
    subject: TrainedSubject, images: ImageSet, targets: Sequence[int], options: Options, *, listener: Listener = silent
) -> Found:
    """Search for the attributes of each target.

    Raises:
        SearchError: there are no images.
    """
    aimed = targets[0] if len(targets) == 1 else None
    chosen = choose_to_search(subject.classifier, images, options.searched, target=aimed)
    config = replace(options.search, attributes=options.attributes, search="exact")
    found = search_classes(subject, encode_set(subject, chosen), config, targets, at=Workplace(listener=listener))
    assert found is not None
    rankings = {task.target: ranking.attributes for task, ranking in zip(found.tasks, found.rankings, strict=True)}
    effects = found.tasks[0].effects
    return Found(
        rankings=rankings,
        shown=in_turn(rankings),
        images=frozenset(chosen.names),
        pool=images,
        nothing=tuple(ranking.finding for ranking in found.rankings if not ranking.attributes),
        strong=shortlist(effects, _OWN_CANDIDATES) if isinstance(effects, Effects) else None,
    )


def in_turn(rankings: Mapping[int, tuple[Attribute, ...]]) -> tuple[Attribute, ...]:
    """The best of each target, then the second best, ...; no coordinate twice."""
    shown: list[Attribute] = []
    for rank in range(max((len(ranking) for ranking in rankings.values()), default=0)):
        for ranking in rankings.values():
            if rank < len(ranking) and all(ranking[rank].coordinate != a.coordinate for a in shown):
                shown.append(ranking[rank])
    return tuple(shown)
