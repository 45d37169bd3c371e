"""The table of methods: what each moves, and how it ranks what was measured. Whoever searches looks here.

A new ranking or a new family of directions is a file of its own and a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from jaxtyping import Float
from numpy import ndarray

from stylex.classifiers.classifier import Classifier
from stylex.core.attribute import AttributeRanking
from stylex.core.errors import ConfigError, SearchError
from stylex.core.progress import Listener
from stylex.core.stylespace import StyleSpace
from stylex.core.wording import option
from stylex.models.snapshot import Snapshot
from stylex.search import directions, eigenfind, ganalyze
from stylex.search.attfind import attfind
from stylex.search.claims import claim
from stylex.search.config import MethodName, SearchConfig
from stylex.search.localisation import with_its_place
from stylex.search.notebook import binary_combined, notebook_ranking
from stylex.search.stylespace_ranking import standing_out, stylespace_ranking
from stylex.search.task import Task
from stylex.search.together import together

Latents = Callable[[], Float[ndarray, "n w_dim"]]
"""Latents of images; encoded when they are asked for."""
Prepare = Callable[[Snapshot, Latents, Classifier], Snapshot]
"""Gives a snapshot what is moved; a family of directions may be found by asking the classifier."""
Ranking = Callable[[Task, int, Listener], AttributeRanking]
"""Ranks a task: at most so many attributes; the listener hears of a long one."""


@dataclass(frozen=True, kw_only=True)
class Method:
    """A way to search.

    Attributes:
        about: a sentence for a person.
        prepare: gives a snapshot what is moved (directions as further style values), or leaves it as it is.
        layer: the StyleSpace layer of what is moved then; None: single style coordinates.
        rankings: by what ``--selection`` names; ``attfind``, its default, is each method's own.
        few: a quick search measures its moves on some images, instead of some moves.
    """

    about: str
    prepare: Prepare = lambda snapshot, latents, classifier: snapshot
    layer: str | None = None
    rankings: Mapping[str, Ranking]
    few: bool = False


def _notebook(task: Task, num: int, _: Listener) -> AttributeRanking:
    if len(task.labels) == 2 and task.output == "softmax":
        return binary_combined(task, num=num)
    return notebook_ranking(task, num=num)


def _standing_out(task: Task, num: int, _: Listener) -> AttributeRanking:
    scores = standing_out(
        task.drawn[1].cpu().numpy(), task.effects.base_logits, task.target, space=task.space, output=task.output
    )
    ranking, (subject, s) = stylespace_ranking(task, scores, num=num), task.drawn
    return replace(ranking, attributes=tuple(with_its_place(attribute, subject, s) for attribute in ranking))


_TOGETHER: Mapping[str, Ranking] = {"together": lambda task, num, listener: together(task, num=num, listener=listener)}

METHODS: Mapping[MethodName, Method] = {
    "directions": Method(
        about="ICA directions in w, along which images vary independently; only those with a significant effect",
        prepare=lambda snapshot, latents, classifier: directions.independent(snapshot),
        layer=directions.INDEPENDENT,
        rankings={"attfind": lambda task, num, _: claim(task, num=num), **_TOGETHER},
    ),
    "attfind": Method(
        about="single style coordinates, as published",
        rankings={
            "attfind": lambda task, num, _: attfind(task, num=num, restart=True),
            "notebook": _notebook,
            **_TOGETHER,
        },
    ),
    "eigenfind": Method(
        about="the 20 directions in w that change the generator's styles most, ranked by mean effect",
        prepare=lambda snapshot, latents, classifier: eigenfind.along_eigenvectors(snapshot, latents()),
        layer=eigenfind.EIGEN,
        rankings={"attfind": lambda task, num, _: eigenfind.eigenfind(task, num=num), **_TOGETHER},
        few=True,
    ),
    "sefa": Method(
        about="the 20 eigenvectors of the generator's unit-normalised style weights, ranked by mean effect; a baseline",
        prepare=lambda snapshot, latents, classifier: eigenfind.along_eigenvectors(snapshot, latents(), rows="unit"),
        layer=eigenfind.SEFA,
        rankings={"attfind": lambda task, num, _: eigenfind.eigenfind(task, num=num), **_TOGETHER},
        few=True,
    ),
    "ganalyze": Method(
        about="one direction in w for each class, trained to raise the classifier's log odds; a baseline",
        prepare=lambda snapshot, latents, classifier: ganalyze.along_trained(snapshot, latents(), classifier),
        layer=ganalyze.TRAINED,
        rankings={"attfind": lambda task, num, _: ganalyze.ganalyze(task)},
    ),
    "stylespace": Method(
        about="style coordinates in which the class's images stand out; a baseline that never asks the classifier",
        rankings={"attfind": _standing_out},
    ),
    "random": Method(
        about="random directions in w, put to the same test as ICA directions; a baseline that shows what passes it",
        prepare=lambda snapshot, latents, classifier: directions.at_random(snapshot),
        layer=directions.RANDOM,
        rankings={"attfind": lambda task, num, _: claim(task, num=num), **_TOGETHER},
    ),
}


def method(name: str) -> Method:
    """The row of that name.

    Raises:
        SearchError: there is none.
    """
    for known, row in METHODS.items():
        if known == name:
            return row
    raise SearchError(f"there is no method {name!r}; the methods are {', '.join(METHODS)}")


def suited(name: MethodName | Literal["auto"], snapshot: Snapshot) -> MethodName:
    """The method itself; ``auto``: directions, but single coordinates where the generator is given the answer.

    There the answer may draw causes that w does not hold, which directions in w would miss; single coordinates are the
    published search.
    """
    if name != "auto":
        return name
    return "attfind" if snapshot.generator.synthesis.c_dim else "directions"


def method_for(config: SearchConfig) -> Method:
    """The row that a search's settings ask for.

    Raises:
        SearchError: there is none.
        ConfigError: it does not take one of the settings.
    """
    row = method(config.method)
    given = None
    if config.selection not in row.rankings:
        given = option("selection", config.selection)
        others = [name for name, other in METHODS.items() if config.selection in other.rankings]
    elif config.torgb and row.layer is not None:
        given, others = option("torgb", True), [name for name, other in METHODS.items() if other.layer is None]
    if given is not None:
        raise ConfigError(
            f"{given} is not for {option('method', config.method)}: leave it out, or add "
            f"{' or '.join(option('method', other) for other in others)}"
        )
    return row


def method_of(space: StyleSpace) -> MethodName:
    """The method that gives a snapshot this space; ``attfind`` where it has no directions.

    Raises:
        SearchError: none does.
    """
    names = [layer.name for layer in space.layers if layer.kind == "direction"]
    if not names:
        return "attfind"
    for name, row in METHODS.items():
        if row.layer == names[0]:
            return name
    raise SearchError(f"the explanation moves along {', '.join(names)}, which no method of this stylex finds")


def prepared_as(space: StyleSpace, snapshot: Snapshot, classifier: Classifier) -> Snapshot:
    """A snapshot in the space that an explanation was made in; itself if that has no directions.

    Raises:
        SearchError: the directions are of a kind that cannot be found again, or differ.
    """

    def latents() -> Float[ndarray, "n w_dim"]:
        if snapshot.latents is None:
            raise SearchError(
                f"{snapshot.path} keeps no latents to find the explanation's directions in; look at its report, or "
                "find again with single coordinates"
            )
        return snapshot.latents

    prepared = METHODS[method_of(space)].prepare(snapshot, latents, classifier)
    if prepared.space.to_json() != space.to_json():
        raise SearchError(
            f"the explanation's directions are not those that {snapshot.path} gives; find again with this stylex"
        )
    return prepared
