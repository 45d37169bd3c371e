"""EigenFind: a short list of directions out of the generator's own weights, tried like single coordinates.

The eigenvectors of the affine layers' weights are the directions in w that change the styles most. Twenty of them, both
ways, are some forty candidates where StyleSpace has thousands, so that a search takes seconds.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.models.generator import Synthesis
from stylex.models.snapshot import Snapshot
from stylex.models.steered import Directions, SteeredSynthesis
from stylex.search.task import Task

EIGEN, SEFA, RANDOM = "eigen", "sefa", "eigenrandom"
"""Names of the eigenvectors' layers (of plain rows, of unit rows), and of the random directions' beside them."""

Rows = Literal["plain", "unit"]
"""Whether the affine layers' rows count by their length, or all alike."""

Moves = Literal["w", "s"]
"""Whether a direction moves all styles, as a step in w does, or those of the convolutions alone."""


def eigenvectors(
    synthesis: Synthesis, w: Float[ndarray, "n w_dim"], *, num: int = 20, rows: Rows = "plain"
) -> Directions:
    """The directions in w that change the convolutions' styles most, orthogonal, the strongest first.

    Args:
        synthesis: the network whose affine layers are looked at; ToRGB layers are left out, as published.
        w: latents of images, for the range along each direction.
        num: how many.
        rows: ``unit`` brings every style value's row of weights to the same length first.

    Source: Shen & Zhou, CVPR 2021 (closed-form factorisation, in ``unit`` rows); Atad et al., "CheXplaining in Style",
    2022 (the first 20 of the plain weights). The small constant that its code adds to the weights is left out.
    """
    weights = affine_weights(synthesis, w.shape[1])
    if rows == "unit":
        weights = weights / np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-12)
    vectors = np.linalg.svd(weights, full_matrices=False)[2][:num]
    # The sign of an eigenvector is the library's choice: make its largest entry positive.
    largest = vectors[np.arange(len(vectors)), np.abs(vectors).argmax(axis=1)]
    vectors = vectors * np.sign(largest)[:, None]
    name = SEFA if rows == "unit" else EIGEN
    return Directions.observed(name, w.astype(np.float64), projection=vectors, basis=vectors)


def random_directions(w: Float[ndarray, "n w_dim"], num: int = 20, *, seed: int = 0) -> Directions:
    """As many random orthogonal directions in w, as a control."""
    drawn = np.random.default_rng([seed, 2]).standard_normal((w.shape[1], min(num, w.shape[1])))
    vectors = np.linalg.qr(drawn)[0].T
    return Directions.observed(RANDOM, w.astype(np.float64), projection=vectors, basis=vectors)


def affine_weights(synthesis: Synthesis, w_dim: int) -> Float[ndarray, "styles w_dim"]:
    """What a step in w does to each of the convolutions' styles, a row each."""
    steps = torch.cat([torch.zeros(1, w_dim), torch.eye(w_dim)]).to(next(synthesis.parameters()).device)
    given = torch.zeros(len(steps), synthesis.c_dim, device=steps.device) if synthesis.c_dim else None
    with torch.inference_mode():
        styles = synthesis.styles(steps, given)[:, : synthesis.space.conv_dim]
    return (styles[1:] - styles[0]).T.cpu().numpy().astype(np.float64)


def along_eigenvectors(
    snapshot: Snapshot,
    w: Float[ndarray, "n w_dim"],
    *,
    num: int = 20,
    rows: Rows = "plain",
    moves: Moves = "w",
    seed: int = 0,
) -> Snapshot:
    """The snapshot with its eigenvectors as knobs, and as many random directions to compare with.

    Args:
        snapshot: the networks.
        w: latents of images, for the range along each direction.
        num, rows: as in ``eigenvectors``.
        moves: ``w`` as published; ``s`` moves the convolutions' styles alone, and leaves ToRGB styles where they are.
        seed: of the random directions.
    """
    synthesis = snapshot.generator.synthesis
    found = eigenvectors(synthesis, w, num=num, rows=rows)
    steered = snapshot.steered([found, random_directions(w, num, seed=seed)])
    if moves == "s":
        network = steered.generator.synthesis
        assert isinstance(network, SteeredSynthesis)
        network.style[:, synthesis.space.conv_dim :] = 0
    return steered


def eigenfind(task: Task, *, num: int = 8) -> AttributeRanking:
    """Rank measured directions by their mean effect, and count whom each turns alone.

    Over the images not predicted the target: the mean effect of each direction, both ways; a direction that raises the
    target both ways is left out. The strongest come first, at most ``num``. An image is explained by the first of them
    that alone turns its decision.

    Args:
        task: measured effects of the directions, and what to drive to.
        num: attributes wanted.

    Source: Atad et al., "CheXplaining in Style", 2022, with three deviations. Noise is fixed, so that it is no part of
    an effect; effects are against the reconstruction, so that its error is none either; and everything is on one scale,
    the logits of the classifier as it is, where the published code trains, reconstructs and searches on three.
    Directions go to their observed extremes, not by a fixed step.
    """
    searched, name = task.searched, task.name
    n = len(searched)
    if n == 0:
        return task.ranking([], "eigenfind", images=0, explained=0.0, nothing=task.nobody)
    attributes: list[Attribute] = []
    turned = np.zeros(n, dtype=bool)
    mean = searched.table(task.target).mean(axis=0, dtype=np.float64)
    mean[:, (mean > 0).all(axis=0)] = 0
    for move in np.argsort(-mean.ravel(), kind="stable")[:num]:
        sign, column = divmod(int(move), mean.shape[1])
        if mean[sign, column] <= 0:
            break
        turned |= task.turned(sign, column)
        attributes.append(task.attribute(sign, column, float(mean[sign, column])))
    fraction = float(turned.mean())
    finding = (
        f"{len(attributes)} directions raise the logit of {name!r}; "
        f"one or another of them alone turns {fraction:.0%} of {n} images."
    )
    if not attributes:
        measured = len(task.effects.indices)
        finding = f"Nothing moves the classifier towards {name!r}: none of {measured} directions raises it."
    return AttributeRanking(
        attributes=tuple(attributes), strategy="eigenfind", images=n, explained=fraction, finding=finding
    )


def explained_alone(task: Task, ranking: AttributeRanking) -> float:
    """Fraction of the images not predicted the target that at least one of the attributes turns alone."""
    turned = np.zeros(len(task.searched), dtype=bool)
    for attribute in ranking:
        turned |= task.turned(int(attribute.sign > 0), task.effects.position(task.space.index(attribute.coordinate)))
    if len(ranking) == 0:
        return 0.0
    return float(turned.mean()) if len(turned) else float("nan")
