"""Which directions an explanation may claim: those whose effect is neither chance nor negligible."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.metrics.significance import benjamini_hochberg, sign_flip
from stylex.search.decision import log_odds
from stylex.search.task import Task

FALSE_DISCOVERIES = 0.05
"""Expected fraction of chance findings among what is claimed."""
SMALL = 0.15
"""An effect below this fraction of the log odds' deviation over the images is negligible."""
LEAST = math.log(2)
"""So is one that does not even double the odds, which takes an even chance to two in three."""


def claim(task: Task, *, num: int | None = None) -> AttributeRanking:
    """Rank the directions that drive the classifier towards a class, strongest first, and leave out all others.

    Each direction, each way, is tested on the images not predicted the target: is the mean change of the target's log
    odds above zero (sign flips; false discovery rate over all tests), is it more than negligible, and does the opposite
    way not raise the target as well, by half as much or more?

    Args:
        task: measured effects of the directions, and what to drive to.
        num: attributes wanted at most (default: all that can be claimed).

    Returns:
        Attributes with ``significance``, the q-value. An image counts as explained if one of them alone turns it.

    Source: Benjamini & Hochberg 1995 (false discovery rate).
    """
    searched, m, name, target, output = task.searched, len(task.effects.indices), task.name, task.target, task.output
    n = len(searched)
    least = max(LEAST, SMALL * float(log_odds(task.effects.base_logits, target, output).std())) if n else LEAST
    before = log_odds(searched.base_logits, target, output)

    def change_of_odds(sign: int, column: int) -> Float[ndarray, " n"]:
        after = log_odds(searched.base_logits + searched.change(sign, column), target, output)
        return np.asarray(after - before, dtype=np.float64)

    changes = np.array([[change_of_odds(sign, column) for column in range(m)] for sign in (0, 1)])
    mean = changes.mean(axis=2) if n else np.zeros((2, m))
    p = np.array([[sign_flip(changes[sign, i]) if mean[sign, i] > 0 else 1.0 for i in range(m)] for sign in (0, 1)])
    q = benjamini_hochberg(p.ravel()).reshape(2, m)
    claimed = (q <= FALSE_DISCOVERIES) & (mean >= least) & (mean[::-1] <= mean / 2)
    order = [move for move in np.argsort(-mean.ravel(), kind="stable") if claimed.ravel()[move]]
    attributes: list[Attribute] = []
    turned = np.zeros(n, dtype=bool)
    for move in order[:num]:
        sign, column = divmod(int(move), m)
        turned |= task.turned(sign, column)
        effect = float(searched.change(sign, column)[:, target].mean(dtype=np.float64))
        attributes.append(task.attribute(sign, column, effect, float(q[sign, column])))
    fraction = float(turned.mean()) if n else 0.0
    finding = (
        f"{len(attributes)} of {m} directions {'drive' if len(attributes) > 1 else 'drives'} the classifier "
        f"towards {name!r}; "
        f"{'one or another of them' if len(attributes) > 1 else 'it'} alone turns {fraction:.0%} of {n} images."
        if attributes
        else f"Nothing found: none of {m} directions drives the classifier towards {name!r} on {n} images "
        f"(none raises its log odds by {least:.2g} or more on average)."
    )
    return AttributeRanking(
        attributes=tuple(attributes), strategy="directions", images=n, explained=fraction, finding=finding
    )
