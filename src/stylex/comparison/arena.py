"""The arena: what every method is given, and what it hands back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from stylex.core.attribute import Attribute
from stylex.core.errors import EvaluationError
from stylex.core.wording import option
from stylex.models.snapshot import Snapshot
from stylex.search.config import MethodName
from stylex.search.decision import margins, predicted
from stylex.search.encoding import Encoded
from stylex.search.methods import METHODS, Latents
from stylex.search.subject import TrainedSubject

FEWEST = 4
"""Images to be changed without which nothing can be compared."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Cases:
    """Images to be changed, each towards a class that neither it nor its rebuilt picture is predicted yet.

    Every method begins at the rebuilt picture.

    Attributes:
        names: of the images.
        x, x_rec: photographs and rebuilt pictures in [-1, 1].
        logits, logits_rec: what the classifier says of both.
        s: style vectors, in single coordinates.
        targets: the class that each is driven to.
    """

    names: tuple[str, ...]
    x: Float[Tensor, "n c h w"]
    x_rec: Float[Tensor, "n c h w"]
    logits: Float[Tensor, "n k"]
    logits_rec: Float[Tensor, "n k"]
    s: Float[Tensor, "n s_dim"]
    targets: Int64[ndarray, " n"]

    def __len__(self) -> int:
        return len(self.targets)

    @classmethod
    def of(cls, subject: TrainedSubject, e: Encoded, targets: Sequence[int]) -> Cases:
        """Each image towards each of the classes that it can be driven to.

        Raises:
            EvaluationError: that is none of them, or too few.
        """
        said = [e.logits.cpu().numpy(), e.logits_rec.cpu().numpy()]
        rows = {t: np.flatnonzero(~np.any([predicted(p, t, subject.output) for p in said], axis=0)) for t in targets}
        picked = np.concatenate(list(rows.values()))
        if len(picked) == 0:
            names = ", ".join(subject.labels[t] for t in targets)
            raise EvaluationError(
                f"all of {len(e.ids)} images are predicted {names} already, as photographs or rebuilt; give images of "
                "other classes"
            )
        if len(picked) < FEWEST:
            names = ", ".join(subject.labels[t] for t in targets)
            raise EvaluationError(
                f"{len(picked)} of {len(e.ids)} images are not predicted {names} yet, as photographs and rebuilt; "
                f"expected {FEWEST} or more to compare on: measure more images ({option('measured', 4 * len(e.ids))})"
            )
        at = torch.from_numpy(picked).to(e.x.device)
        return cls(
            names=tuple(e.ids[i] for i in picked),
            x=e.x[at],
            x_rec=e.x_rec[at],
            logits=e.logits[at],
            logits_rec=e.logits_rec[at],
            s=e.s[at],
            targets=np.repeat(list(rows), [len(own) for own in rows.values()]),
        )

    def turned(self, logits: Float[ndarray, "n k"], subject: TrainedSubject) -> Float[ndarray, " n"]:
        """1 where logits predict the case's target, else 0."""
        return np.array(
            [predicted(row, int(t), subject.output) for row, t in zip(logits, self.targets, strict=True)], dtype=float
        )

    def margin(self, logits: Float[Tensor, "n k"], rows: slice, subject: TrainedSubject) -> Float[Tensor, " n"]:
        """How far some cases' targets stand above the decision boundary, with a gradient."""
        return margins(logits, torch.from_numpy(self.targets[rows]).to(logits.device), subject.output)


@dataclass(frozen=True, eq=False, kw_only=True)
class Arena:
    """What a method may use.

    Attributes:
        subject: the networks in single coordinates, with a classifier that counts its calls.
        pool: encoded images to fit on; none of them is a case.
        cases: what is to be changed.
        targets: the classes, in order.
        attributes: how many a ranking may have towards each class.
        seed: of everything random.
        latents: latents of images, for families of directions.
        snapshots: those prepared so far, by the method that they are for.
    """

    subject: TrainedSubject
    pool: Encoded
    cases: Cases
    targets: Sequence[int]
    attributes: int
    seed: int
    latents: Latents
    snapshots: dict[MethodName, Snapshot] = field(default_factory=dict)

    def steered(self, name: MethodName) -> tuple[TrainedSubject, Encoded, Float[Tensor, "n s_dim"]]:
        """The subject in a method's space, the pool in it, and the cases' style vectors in it."""
        if name not in self.snapshots:
            self.snapshots[name] = METHODS[name].prepare(self.subject.snapshot, self.latents, self.subject.classifier)
        snapshot = self.snapshots[name]
        if snapshot is self.subject.snapshot:
            return self.subject, self.pool, self.cases.s
        subject = TrainedSubject.of(snapshot, self.subject.classifier)
        pool = replace(self.pool, s=subject.styles(self.pool.x, self.pool.logits))
        return subject, pool, subject.styles(self.cases.x, self.cases.logits)


@dataclass(frozen=True, eq=False, kw_only=True)
class Knobs:
    """A method's attributes, for measures that look at each of them alone.

    Attributes:
        subject: in whose space they are.
        s: the cases' style vectors in it.
        rankings: of each class, best first.
    """

    subject: TrainedSubject
    s: Float[Tensor, "n s_dim"]
    rankings: Mapping[int, Sequence[Attribute]]


@dataclass(frozen=True, eq=False, kw_only=True)
class Moves:
    """What a method that changes pictures hands back.

    Attributes:
        draw: the cases' pictures, each changed by a strength of its own; 1 is the method's own size, 0 nothing.
        sized: it has a size of its own.
        said: for each case what was moved, in a word or two.
        knobs: its attributes, where it has several to choose from.
        choosing: seconds, and pictures shown to the classifier, that went into choosing for the cases.
    """

    draw: Callable[[Float[Tensor, " n"]], Float[Tensor, "n c h w"]]
    sized: bool = True
    said: Sequence[str] = ()
    knobs: Knobs | None = None
    choosing: tuple[float, int] = (0.0, 0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Heat:
    """What a heat-map method hands back.

    Attributes:
        maps: of the cases' photographs, 0 or more: where the answer that they have comes from.
    """

    maps: Callable[[], Float[Tensor, "n h w"]]


def straight(subject: TrainedSubject, s: Float[Tensor, "n s_dim"], end: Float[Tensor, "n s_dim"]) -> Moves:
    """The move from style vectors to others, by a part of the way or beyond."""
    step = end - s
    return Moves(draw=lambda strength: subject.draw(s + strength.to(s)[:, None] * step))
