"""The fewest knobs that turn the answer on one image, and how that is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Margins = Callable[[Sequence[Mapping[int, float]]], NDArray[np.float32]]
"""For each setting of the knobs, how far the target is ahead; at least 0 where the answer is the target."""


def fewest(knobs: Sequence[int], margins: Margins) -> tuple[dict[int, float], bool]:
    """The fewest of some knobs that turn the answer, and whether they do.

    Knobs are chosen one by one, each for what it adds to those chosen before it, all the way up or down; what has
    become needless then is left out.
    """
    pool = [(knob, fraction) for knob in dict.fromkeys(knobs) for fraction in (1.0, -1.0)]
    chosen: dict[int, float] = {}
    best = float(margins([{}])[0])
    while best < 0 and pool:
        reached = margins([{**chosen, knob: fraction} for knob, fraction in pool])
        place = int(np.argmax(reached))
        if reached[place] <= best:
            break
        best = float(reached[place])
        knob, fraction = pool[place]
        chosen[knob] = fraction
        pool = [other for other in pool if other[0] != knob]
    for knob in list(chosen)[:-1]:
        rest = {other: fraction for other, fraction in chosen.items() if other != knob}
        if best >= 0 and margins([rest])[0] >= 0:
            chosen = rest
    return chosen, best >= 0


def said(count: int, label: str, flipped: bool) -> str:
    """What so many knobs did, in a sentence."""
    if count == 0:
        return f"The answer is {label} already." if flipped else f"None of these knobs brings it nearer to {label}."
    many = "One knob turns" if count == 1 else f"{count} knobs together turn"
    if flipped:
        return f"{many} the answer to {label}."
    return f"Even {'this knob does' if count == 1 else f'{count} knobs together do'} not turn the answer to {label}."
