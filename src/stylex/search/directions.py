"""Directions in w that change one thing each: independent components of the encoder's latents.

Single style coordinates of a briefly trained generator move several things at once and each of them little, while w
holds what varies between images almost linearly. Things that vary independently of each other are found there as
independent components, without labels and without the classifier.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from stylex.core.errors import SearchError
from stylex.core.wording import option
from stylex.models.snapshot import Snapshot
from stylex.models.steered import Directions

INDEPENDENT, RANDOM = "independent", "random"
"""Names of the two sets of directions: those that are searched, and those to compare with."""

_MOST = 32
"""Components looked for at most."""
_PER_COMPONENT = 10
"""Latents needed for each component."""
_FEWEST = 20
_HELD = 0.9
"""Principal directions that are looked at together hold at least so much of the latents' variance."""
_BEYOND = 6
"""Principal directions that are tried in vain before the search for their number ends."""
_FAINT = 0.05
"""Principal directions of w with less than this fraction of the first one's deviation are not looked at."""
_AGAIN = 0.9
"""Two components are the same one when their correlation is this or more."""
_RANDOM = 64
_SPLITS = 3
"""How often the images are split into halves to see what comes out again of each."""
_STEPS = 200
_SWEEPS = 6
_ANGLES = 45
_NEAR = np.linspace(-0.45, 0.45, 31)
"""Angles (radians) by which a component is turned by itself."""
_GAIN = 1e-3
"""A turn that lowers the entropy by less is noise."""
_TURN = 0.85
"""A component that is turned by itself must stay this close to where it was."""
_CLEAR = 0.07
"""A component whose entropy is so much below a normal one's (nats) has a shape of its own, and so a definite place."""
_NORMAL = 0.5 * np.log(2 * np.pi * np.e)


def independent(snapshot: Snapshot, *, seed: int = 0) -> Snapshot:
    """The snapshot with ICA directions in w as its knobs, and random ones to compare with.

    Raises:
        SearchError: the snapshot keeps no latents, or too few.
    """
    latents = _kept(snapshot)
    found = independent_directions(latents, seed=seed)
    return snapshot.steered([found, random_directions(latents, found, seed=seed)])


def at_random(snapshot: Snapshot, *, seed: int = 0) -> Snapshot:
    """The snapshot with random directions in w as its knobs, in the part of w that the ICA directions span.

    Raises:
        SearchError: the snapshot keeps no latents, or too few.
    """
    latents = _kept(snapshot)
    return snapshot.steered([random_directions(latents, independent_directions(latents, seed=seed), seed=seed)])


def _kept(snapshot: Snapshot) -> Float[ndarray, "n w_dim"]:
    if snapshot.latents is None:
        raise SearchError(
            f"{snapshot.path} keeps no latents to find directions in (an older or imported snapshot); search single "
            f"coordinates ({option('method', 'attfind')}), or train to a new snapshot"
        )
    return snapshot.latents


def independent_directions(w: Float[ndarray, "n w_dim"], *, seed: int = 0) -> Directions:
    """Independent components of latents.

    The latents' principal directions are made equally long and turned until they depend on each other as little as can
    be. How many principal directions to take is decided by what can be found again: the number at which the components
    that come out alike of every half of the images have the most shape of their own (how far their entropy is below a
    normal one's), long ones counting more. It is never so small that most of what varies between images is left out: of
    few latents little can be found again, and the least number would win. Fourth moments choose that number and give a
    start; entropies, which outliers and bent factors mislead less, decide the rest.

    Components are uncorrelated at first. Then each is turned to where its own entropy is least, since causes may go
    together (a background with a disease). Moving along one leaves the others as they are where these are clearly not
    normal; nearly normal ones are estimated badly, and holding them fixed would add their errors to the move.

    Args:
        w: latents of images.
        seed: of the start and the halves; the same numbers give the same directions.

    Returns:
        As many directions as there are components, the most varied pictures' first. A step of 1 is a standard
        deviation of the component.

    Raises:
        SearchError: too few latents.

    Source: Hyvarinen & Oja 2000 (FastICA, symmetric, kurtosis); Learned-Miller & Fisher 2003 (pairwise turns by
        entropies of spacings); Vasicek 1976 (that entropy); finding components again: Himberg et al. 2004.
    """
    n = len(w)
    if n < _FEWEST:
        raise SearchError(
            f"{n} latents are too few to find ICA directions in; expected {_FEWEST} or more: train on more "
            f"images, or search single coordinates ({option('method', 'attfind')})"
        )
    white, projection, basis = whitened(w.astype(np.float64), min(_MOST, n // _PER_COMPONENT))
    random = np.random.default_rng(seed)
    # Neither what comes out again nor entropies need more than single precision.
    rough = white.astype(np.float32)
    halves = [rough[half] for _ in range(_SPLITS) for half in np.array_split(random.permutation(n), 2)]
    held = np.square(basis).sum(axis=1).cumsum() / w.astype(np.float64).var(axis=0).sum()
    fewest = min(white.shape[1], int((held < _HELD).sum()) + 1)
    best, most = _rotation(white[:, :fewest], seed), 0.0
    for m in range(max(2, fewest), white.shape[1] + 1):
        turned = _rotation(white[:, :m], seed)
        again = np.min([np.abs(turned @ _rotation(half[:, :m], seed + 1).T).max(axis=1) for half in halves], axis=0)
        shape = (_NORMAL - _entropies(white[:, :m] @ turned.T)) * np.linalg.norm(turned @ basis[:m], axis=1)
        found = float(shape[again >= _AGAIN].sum())
        if found > most:
            best, most = turned, found
        if m > len(best) + _BEYOND:
            break
    m = len(best)
    best = _each_by_itself(rough[:, :m], _least_entropies(rough[:, :m], best))
    projection, basis = best @ projection[:m], _moves(white[:, :m] @ best.T, white[:, :m]) @ basis[:m]
    order = np.argsort(-np.linalg.norm(basis, axis=1), kind="stable")
    return Directions.observed(INDEPENDENT, w.astype(np.float64), projection=projection[order], basis=basis[order])


def random_directions(w: Float[ndarray, "n w_dim"], among: Directions, *, seed: int = 0) -> Directions:
    """Directions turned at random in the same part of w, to compare with."""
    turns = np.random.default_rng([seed, 1]).standard_normal((_RANDOM, len(among)))
    turns /= np.linalg.norm(turns, axis=1, keepdims=True)
    projection, basis = turns @ among.projection, turns @ among.basis
    # A step of 1 is a standard deviation here too.
    scale = (w.astype(np.float64) @ projection.T).std(axis=0)[:, None]
    return Directions.observed(RANDOM, w.astype(np.float64), projection=projection / scale, basis=basis * scale)


def whitened(w: Float[ndarray, "n w_dim"], most: int) -> tuple[ndarray, ndarray, ndarray]:
    """At most so many principal components of unit variance ``[n, m]``; the ways there and back ``[m, w_dim]``."""
    centred = w - w.mean(axis=0)
    variance, vectors = np.linalg.eigh(centred.T @ centred / len(w))
    deviation = np.sqrt(variance.clip(0))[::-1]
    m = min(most, max(1, int((deviation > _FAINT * deviation[0]).sum())))
    vectors, deviation = vectors.T[::-1][:m], deviation[:m, None]
    # The sign of an eigenvector is the library's choice: make its largest entry positive.
    largest = np.abs(vectors).argmax(axis=1)
    vectors = vectors * np.sign(vectors[np.arange(m), largest])[:, None]
    projection = vectors / deviation
    return centred @ projection.T, projection, vectors * deviation


def _rotation(white: Float[ndarray, "n m"], seed: int) -> Float[ndarray, "m m"]:
    """The rotation under which the columns are most independent."""
    n, m = white.shape
    start, _ = np.linalg.qr(np.random.default_rng([seed, m]).standard_normal((m, m)))
    turned: ndarray = start.astype(white.dtype)
    for _ in range(_STEPS):
        y = white @ turned.T
        u, _, v = np.linalg.svd((y * y * y).T @ white / n - 3 * turned)
        before, turned = turned, u @ v
        if np.abs((turned * before).sum(axis=1)).min() > 1 - 1e-5:
            break
    return turned


def _entropies(y: Float[ndarray, "n m"]) -> Float[ndarray, " m"]:
    """Of each column, in nats, from the spacings of its ordered values."""
    n = len(y)
    apart = max(1, int(n**0.5))
    ordered = np.sort(y, axis=0)
    spacings = np.maximum(ordered[apart:] - ordered[:-apart], np.finfo(y.dtype).tiny)
    return np.asarray(np.log(spacings * ((n + 1) / apart)).mean(axis=0, dtype=np.float64))


def _clear(y: Float[ndarray, "n m"]) -> Bool[ndarray, " m"]:
    return np.asarray(_entropies(y) < _NORMAL - _CLEAR)


def _least_entropies(white: Float[ndarray, "n m"], start: Float[ndarray, "m m"]) -> Float[ndarray, "m m"]:
    """A rotation with a smaller sum of the columns' entropies: pairs of rows are turned in their plane."""
    rows, angles = start.copy(), np.linspace(0, np.pi / 2, _ANGLES, endpoint=False)
    cosine, sine = np.cos(angles).astype(white.dtype), np.sin(angles).astype(white.dtype)
    y = white @ rows.T.astype(white.dtype)
    for _ in range(_SWEEPS):
        moved = False
        for i, j in combinations(range(len(rows)), 2):
            first, second = (np.outer(y[:, i], a) + np.outer(y[:, j], b) for a, b in ((cosine, sine), (-sine, cosine)))
            total = _entropies(first) + _entropies(second)
            k = int(total.argmin())
            if total[k] < total[0] - _GAIN:
                y[:, i], y[:, j] = first[:, k], second[:, k]
                rows[[i, j]] = np.array([[cosine[k], sine[k]], [-sine[k], cosine[k]]]) @ rows[[i, j]]
                moved = True
        if not moved:
            break
    return rows


def _each_by_itself(white: Float[ndarray, "n m"], rows: Float[ndarray, "m m"]) -> Float[ndarray, "m m"]:
    """The same rows, each turned by itself to where its entropy is least nearby. One that leaves its place is kept."""
    turned = rows.copy()
    for j, start in enumerate(rows):
        row = start
        for _ in range(_SWEEPS):
            before = row
            for other in np.delete(rows, j, axis=0):
                across = other - (other @ row) * row
                across /= np.linalg.norm(across)
                tried = np.outer(np.cos(_NEAR), row) + np.outer(np.sin(_NEAR), across)
                entropy = _entropies(white @ tried.T.astype(white.dtype))
                k = int(entropy.argmin())
                if entropy[k] < entropy[len(_NEAR) // 2] - _GAIN:
                    row = tried[k]
            if row is before:
                break
        if row @ start > _TURN:
            turned[j] = row
    return turned


def _moves(places: Float[ndarray, "n m"], of: Float[ndarray, "n m"]) -> Float[ndarray, "m m"]:
    """What goes with a step of each component, all clear ones beside it held (least squares)."""
    clear = _clear(places)
    moves = np.empty((places.shape[1], of.shape[1]))
    for j in range(len(moves)):
        held = np.flatnonzero(clear & (np.arange(len(clear)) != j))
        moves[j] = np.linalg.lstsq(places[:, [j, *held]], of, rcond=None)[0][0]
    return moves
