"""One image's own explanation, and how often attributes together turn the decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from numpy import ndarray
from torch import Tensor

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.errors import SearchError
from stylex.core.numbers import Numbers
from stylex.metrics.significance import NOISE_FLOOR
from stylex.search.controls import length_of, random_direction
from stylex.search.decision import predicted, reach, turned
from stylex.search.greedy import greedy
from stylex.search.subject import Subject
from stylex.search.task import Task

DRAWS = 20
"""Random directions that attributes are compared with."""


def independent(task: Task, row: int, *, num: int = 5, floor: float = NOISE_FLOOR) -> AttributeRanking:
    """The single attributes that drive one image most, each to be shown alone.

    Args:
        task: measured effects, and what to drive to.
        row: the image's position in them.
        num: attributes wanted; a coordinate appears once, in its better direction.
        floor: smallest effect, in logits, that counts.

    Returns:
        The ranking; ``explained`` is 1 where at least one of them turns the decision alone.

    Source: Lang et al., ICCV 2021, section 3.4 (independent selection).
    """
    attributes = _strongest(task, row, num, floor)
    base = task.effects.base_logits[row]
    flips = [task.turns(base, base + _effect(task, row, a)).item() for a in attributes]
    name, image = task.name, task.effects.image_ids[row]
    if task.numbers is not None:
        finding = _said_alone(task, task.numbers, image, attributes, sum(flips), floor)
    elif task.predicted(base):
        finding = f"Image {image!r} is predicted {name!r} already"
        finding += (
            f"; {len(attributes)} attributes make it more so." if attributes else ", and nothing makes it more so."
        )
    elif attributes:
        finding = (
            f"The strongest alone raises the logit of {name!r} by {attributes[0].effect:.2f} on {image!r}; "
            f"{sum(flips)} of {len(flips)} attributes turn the decision alone."
        )
    else:
        finding = (
            f"Nothing moves the classifier towards {name!r} on image {image!r}: "
            f"no single coordinate raises its logit by more than {floor:g}."
        )
    return AttributeRanking(
        attributes=tuple(attributes), strategy="independent", images=1, explained=float(any(flips)), finding=finding
    )


def _said_alone(
    task: Task, numbers: Numbers, image: str, attributes: Sequence[Attribute], moved: int, floor: float
) -> str:
    """What single attributes do to a number."""
    if not attributes:
        least = numbers.amount(numbers.effect(floor, task.target))
        return f"{_nothing(numbers, task.target, image)}: no single coordinate moves it by more than {least}."
    count, by = len(attributes), numbers.amount(numbers.by)
    return (
        f"The strongest alone {numbers.moves(attributes[0].effect, task.target)} on {image!r}; {moved} of {count} "
        f"{'attribute' if count == 1 else 'attributes'} {'moves' if moved == 1 else 'move'} it by {by} or more alone."
    )


def _nothing(numbers: Numbers, target: int, image: str) -> str:
    return f"Nothing {'lowers' if numbers.falls(target) else 'raises'} {numbers.names[target]} on image {image!r}"


@dataclass(frozen=True, eq=False, kw_only=True)
class Subset:
    """Attributes that turn one image's decision together, and the way there.

    Attributes:
        ranking: the attributes in the order in which they were added; each effect is what its addition did to the
            target's logit.
        path: logits, ``[added + 1, k]``: of the reconstruction, then after each addition.
        flipped: whether the decision turned.
    """

    ranking: AttributeRanking
    path: Float32[ndarray, "steps k"]
    flipped: bool


@torch.inference_mode()
def subset(task: Task, row: int, *, budget: int = 10, candidates: int = 64, min_gain: float = 1e-3) -> Subset:
    """Add attributes together, greedily, until the decision turns or the budget ends.

    Each step renders every candidate on top of those already added and takes the one that raises the decision's
    margin most (the target's logit against the best other one; with ``sigmoid``, the target's logit).

    Args:
        task: single effects, which choose the candidates, what to drive to, and the subject that draws.
        row: the image's position in them.
        budget: most attributes to add.
        candidates: how many of the strongest single attributes are tried at each step.
        min_gain: smallest rise of the margin, in logits, that counts.

    Source: Lang et al., ICCV 2021, section 3.4 (subset selection). That candidates are scored anew at each step is
    our reading; the paper does not say, and effects do not add up exactly.
    """
    subject, s = task.drawn
    own = s[row : row + 1]
    start = subject.logits(own)

    def reached(chosen: Sequence[Attribute], added: Sequence[Attribute]) -> Float[ndarray, " added"]:
        tried = torch.cat([subject.moved(own, [*chosen, attribute]) for attribute in added])
        return _reach(task, subject.logits(tried), start)

    chosen = greedy(
        _strongest(task, row, candidates, 0.0),
        reached,
        start=float(_reach(task, start, start)[0]),
        num=budget,
        excludes=lambda added, other: added.coordinate == other.coordinate,
        least=min_gain,
        enough=0.0,
    )
    path = subject.logits(torch.cat([subject.moved(own, chosen[:n]) for n in range(len(chosen) + 1)]))
    gains = np.diff(path[:, task.target])
    chosen = [replace(attribute, effect=float(gain)) for attribute, gain in zip(chosen, gains, strict=True)]
    flipped = bool(task.turns(path[0], path[-1]))
    name, image = task.name, task.effects.image_ids[row]
    together = "1 attribute" if len(chosen) == 1 else f"{len(chosen)} attributes together"
    why = "the budget ended" if len(chosen) == budget else "nothing more raises it"
    names = ", ".join(attribute.name for attribute in chosen)
    rise = float(path[-1][task.target] - path[0][task.target])
    if (numbers := task.numbers) is not None:
        moved = f"{together} {numbers.moves(rise, task.target, many=len(chosen) > 1)} on {image!r}"
        short = f", less than the {numbers.amount(numbers.by)} that count; {why.replace('raises', 'moves')}."
        finding = f"{moved}: {names}." if flipped else f"{moved}{short}"
        finding = finding if chosen else f"{_nothing(numbers, task.target, image)}."
    elif not chosen:
        finding = (
            f"Image {image!r} is predicted {name!r} already."
            if flipped
            else f"Nothing moves the classifier towards {name!r} on image {image!r}."
        )
    elif flipped:
        finding = f"{together} turn{'s' if len(chosen) == 1 else ''} image {image!r} into {name!r}: {names}."
    else:
        finding = (
            f"{together} raise{'s' if len(chosen) == 1 else ''} the logit of {name!r} by {rise:.2f} on {image!r}, "
            f"which does not turn the decision; {why}."
        )
    ranking = AttributeRanking(
        attributes=tuple(chosen), strategy="subset", images=1, explained=float(flipped), finding=finding
    )
    return Subset(ranking=ranking, path=path, flipped=flipped)


def _reach(task: Task, logits: Float[ndarray, "n k"], start: Float[ndarray, "1 k"]) -> Float[ndarray, " n"]:
    # How far beyond the decision boundary, or beyond the change of a number that is asked for; 0 or above: turned.
    if task.output == "regression":
        return np.asarray(logits[:, task.target] - start[:, task.target] - task.by)
    return reach(logits, task.target, task.output)


@dataclass(frozen=True, eq=False, kw_only=True)
class FlipRate:
    """How often moving attributes together makes the classifier predict the target.

    Attributes:
        fraction: of the images not predicted the target before; nan if there were none.
        images: how many those were.
        effect: mean change of the target's logit on them.
    """

    fraction: float
    images: int
    effect: float


def flip_rate(subject: Subject, s: Float[Tensor, "n s_dim"], attributes: Sequence[Attribute], target: int) -> FlipRate:
    """Move all the attributes together, on every image not predicted the target, and count who flips.

    Source: Lang et al., ICCV 2021 ("sufficiency": the top 10 attributes together).
    """
    start, before = _not_yet(subject, s, target)
    return _flips(subject, before, subject.moved(start, attributes), target)


@dataclass(frozen=True, eq=False, kw_only=True)
class RandomControl:
    """What random directions do, moved as far as attributes are.

    Attributes:
        fractions: of the images flipped, for each direction drawn.
        images: how many images could flip.
    """

    fractions: Float[ndarray, " draws"]
    images: int


def random_control(
    subject: Subject,
    s: Float[Tensor, "n s_dim"],
    attributes: Sequence[Attribute],
    target: int,
    *,
    indices: Int64[ndarray, " m"] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> RandomControl:
    """Move every image as far as the attributes together move it, but along random directions, and count who flips.

    A direction mixes all the coordinates that were searched, also the attributes' own: what a search has rejected
    would be an easy opponent. As far: by the same Euclidean length, in standard deviations; extremes may be passed.

    Args:
        subject, s, attributes, target: as in ``flip_rate``.
        indices: the coordinates to mix: those of the search (default: the convolutions' part of ``s``).
        draws: directions; each moves all images.
        seed: of the directions.
    """
    pool = subject.space.indices(include_torgb=False) if indices is None else indices
    start, before = _not_yet(subject, s, target)
    length = length_of(subject.space, subject.moved(start, attributes) - start)[:, None]
    random = np.random.default_rng(seed)
    fractions = []
    for _ in range(draws):
        step = torch.from_numpy(random_direction(subject.space, pool, random)).to(start)
        fractions.append(_flips(subject, before, start + length * step, target).fraction)
    return RandomControl(fractions=np.array(fractions), images=len(start))


def _not_yet(subject: Subject, s: Tensor, target: int) -> tuple[Tensor, ndarray]:
    # The style vectors whose pictures are not predicted the target, with the logits of those pictures.
    if len(s) == 0:
        raise SearchError("no images were given to flip; give at least one")
    logits = subject.logits(s)
    rows = np.flatnonzero(~predicted(logits, target, subject.output))
    return s[torch.from_numpy(rows).to(s.device)], logits[rows]


def _flips(subject: Subject, before: ndarray, moved: Tensor, target: int) -> FlipRate:
    if len(moved) == 0:
        return FlipRate(fraction=float("nan"), images=0, effect=float("nan"))
    after = subject.logits(moved)
    return FlipRate(
        fraction=float(turned(before, after, target, subject.output, subject.by).mean()),
        images=len(moved),
        effect=float((after - before)[:, target].mean()),
    )


def _strongest(task: Task, row: int, num: int, floor: float) -> list[Attribute]:
    # An image's best coordinates for the target, each in its better direction.
    table = task.effects.of(np.array([row])).table(task.target)[0]
    sign, best = table.argmax(axis=0), table.max(axis=0)
    order = [int(c) for c in np.argsort(-best, kind="stable")[:num] if best[c] > floor]
    return [replace(task.attribute(int(sign[c]), c, float(best[c])), source_label=None) for c in order]


def effect_alone(task: Task, row: int, attribute: Attribute) -> float:
    """What an attribute alone does to the target's logit of one image."""
    return float(_effect(task, row, attribute)[task.target])


def _effect(task: Task, row: int, attribute: Attribute) -> ndarray:
    column = task.effects.position(task.space.index(attribute.coordinate))
    return np.asarray(task.effects.change(int(attribute.sign > 0), column)[row])
