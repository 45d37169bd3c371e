"""GANalyze: one direction in w for each class, trained so that a step along it raises what the classifier says.

A baseline. It moves the classifier as surely as anything does, and everything in the picture that goes with the class
moves at once: there is one direction, and nothing holds it to one thing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from stylex.classifiers.classifier import Classifier
from stylex.core.attribute import AttributeRanking
from stylex.core.errors import SearchError
from stylex.core.wording import option
from stylex.models.snapshot import Snapshot
from stylex.models.steered import Directions
from stylex.search.directions import whitened
from stylex.search.eigenfind import random_directions
from stylex.search.task import Task

TRAINED = "ganalyze"
"""Name of the trained directions' layer."""

_STEPS, _BATCH = 100, 16
_FAR = 2.0
"""Steps of training go up to so many standard deviations of the class's log odds, both ways."""
_RATE, _MOMENTUM, _LONGEST = 0.05, 0.9, 1.0
_BASES = 256
_MOST_CLASSES = 20


def along_trained(snapshot: Snapshot, w: Float[ndarray, "n w_dim"], classifier: Classifier) -> Snapshot:
    """The snapshot with a trained direction for each class as its knobs, and random ones to compare with.

    Raises:
        SearchError: too many classes; or the classifier gives no gradient, or is not moved by w.
    """
    return snapshot.steered([trained_directions(snapshot, w, classifier), random_directions(w)])


def trained_directions(
    snapshot: Snapshot,
    w: Float[ndarray, "n w_dim"],
    classifier: Classifier,
    *,
    steps: int = _STEPS,
    seed: int = 0,
) -> Directions:
    """For each class the direction a step of which changes its log odds by as much as was asked for.

    With z a latent in whitened coordinates, a direction t is trained to minimise
    ``(h(G(z')) - h(G(z)) - a)^2``, where z' is ``z + a t`` brought back to the length of z, a uniform in [-2, 2].
    The height h is the class's log odds in standard deviations over the latents, and not its probability as published:
    a probability near 0 or 1 has no gradient, and cannot rise by what is asked for. Lengths are kept for each latent by
    itself (the published PyTorch code keeps that of a whole batch). Latents of images, whitened, stand for the normal z
    of the source. The knob goes straight along t: what keeps the length is of second order.

    Args:
        snapshot: the networks.
        w: latents of images.
        classifier: whose answers are to move.
        steps: of training, each with 16 latents.
        seed: of latents and steps; the same numbers give the same directions.

    Returns:
        A direction for each class, in the order of the labels. A step of 1 is meant to raise its log odds by their
        standard deviation.

    Raises:
        SearchError: too many classes; or the classifier gives no gradient, or is not moved by w.

    Source: Goetschalckx, Andonian, Oliva & Isola, "GANalyze", ICCV 2019.
    """
    k = classifier.k
    if k > _MOST_CLASSES:
        raise SearchError(
            f"the classifier has {k} labels, and {option('method', TRAINED)} trains a direction for each; expected "
            f"{_MOST_CLASSES} or fewer: choose another method"
        )
    z, projection, basis = whitened(w.astype(np.float64), w.shape[1])
    heights = _Heights(snapshot, classifier, torch.from_numpy(w.mean(axis=0)).float(), torch.from_numpy(basis).float())
    latents = torch.from_numpy(z[:_BASES]).float()
    trained = descended(heights, latents, steps=steps, seed=seed).double().numpy()
    length = np.linalg.norm(trained, axis=1, keepdims=True)
    if not (length > 0).all():
        raise SearchError("the classifier gives no gradient to the picture, so no direction can be trained against it")
    return Directions.observed(
        TRAINED, w.astype(np.float64), projection=trained / length**2 @ projection, basis=trained @ basis
    )


def constrained(z: Float[Tensor, "n m"], step: Float[Tensor, "n m"]) -> Float[Tensor, "n m"]:
    """Latents after a step, each brought back to the length that it had before."""
    moved = z + step
    return moved * (z.norm(dim=1, keepdim=True) / moved.norm(dim=1, keepdim=True).clamp(min=1e-12))


def descended(
    heights: Callable[[Float[Tensor, "b m"]], Float[Tensor, "b k"]],
    z: Float[Tensor, "n m"],
    *,
    steps: int = _STEPS,
    seed: int = 0,
) -> Float[Tensor, "k m"]:
    """The direction of each height, by gradient descent with momentum from nothing.

    In standard deviations of the height the curvature along its gradient is known (twice the mean of a^2), so one rate
    serves every network; it falls to nothing, so that the noise of few latents averages out.

    Args:
        heights: what latents give, a number for each class.
        z: latents of about unit variance.
        steps, seed: as in ``trained_directions``.

    Returns:
        Zeros where the heights give no gradient.

    Raises:
        SearchError: a height is the same of all latents.
    """
    random = torch.Generator().manual_seed(seed)
    with torch.inference_mode(False), torch.enable_grad():
        with torch.no_grad():
            base = torch.cat([heights(part) for part in z.split(_BATCH)])
        spread = base.std(dim=0)
        if not bool((spread > 0).all()):
            raise SearchError("what the classifier says is the same of all latents, so no direction can be trained")
        k = base.shape[1]
        directions, velocity = torch.zeros(k, z.shape[1]), torch.zeros(k, z.shape[1])
        for step in range(steps):
            rows = torch.randint(len(z), (_BATCH,), generator=random)
            classes = (torch.arange(_BATCH) + step * _BATCH) % k
            far = _FAR * (2 * torch.rand(_BATCH, generator=random) - 1)
            directions.requires_grad_()
            moved = heights(constrained(z[rows], far[:, None] * directions[classes]))
            if not moved.requires_grad:
                break
            rise = ((moved - base[rows]) / spread).gather(1, classes[:, None])[:, 0]
            share = torch.bincount(classes, minlength=k)[classes]
            (slope,) = torch.autograd.grad((torch.square(rise - far) / share).sum(), directions)
            slope = slope * (_LONGEST / slope.norm(dim=1, keepdim=True).clamp(min=_LONGEST))
            velocity = _MOMENTUM * velocity - _RATE * (1 - step / steps) * slope
            directions = (directions + velocity).detach()
    return directions.detach()


class _Heights:
    """The log odds of every class, of the pictures of whitened latents."""

    def __init__(self, snapshot: Snapshot, classifier: Classifier, centre: Tensor, basis: Tensor) -> None:
        self.snapshot, self.classifier = snapshot, classifier
        self.device = next(snapshot.generator.parameters()).device
        self.centre, self.basis = centre.to(self.device), basis.to(self.device)

    def __call__(self, z: Float[Tensor, "n m"]) -> Float[Tensor, "n k"]:
        w = self.centre + z.to(self.device) @ self.basis
        k, generator = self.classifier.own, self.snapshot.generator
        given = torch.full((len(w), k), 1 / k, device=self.device)
        logits = self.classifier.logits(generator(w, given, self.snapshot.some_maps(len(w))).clamp(-1, 1)).float().cpu()
        if self.classifier.activation == "sigmoid":
            return logits
        others = logits[:, None, :].masked_fill(torch.eye(logits.shape[1], dtype=torch.bool), -torch.inf)
        return logits - others.logsumexp(dim=2)


def ganalyze(task: Task) -> AttributeRanking:
    """The one direction that was trained for the target, upwards; its measured effect is reported, and chooses nothing.

    Args:
        task: measured effects of the trained directions, and what to drive to.
    """
    searched, n = task.searched, len(task.searched)
    if n == 0:
        return task.ranking([], TRAINED, images=0, explained=0.0, nothing=task.nobody)
    column = _column(task)
    effect = float(searched.change(1, column)[:, task.target].mean(dtype=np.float64))
    turned = float(task.turned(1, column).mean())
    return AttributeRanking(
        attributes=(task.attribute(1, column, effect),),
        strategy=TRAINED,
        images=n,
        explained=turned,
        finding=f"The direction trained towards {task.name!r} changes its logit by {effect:+.2f} on average; it alone "
        f"turns {turned:.0%} of {n} images.",
    )


def _column(task: Task) -> int:
    channels = [task.space.coordinate(int(i)).channel for i in np.asarray(task.effects.indices)]
    return channels.index(task.target)
