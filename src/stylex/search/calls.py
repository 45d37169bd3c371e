"""How often a search asks the classifier, told before it begins: each call of a service costs time, or money."""

from __future__ import annotations

from stylex.search.config import SearchConfig
from stylex.search.controls import DRAWS, LENGTHS, TESTED
from stylex.search.pictures import SHOWN, STRIP_FRAMES, STRIP_IMAGES
from stylex.search.subject import TrainedSubject

_TOGETHER = 3 + 20
"""Pictures of an image for what flips together: one, three and all attributes, beside random directions."""


def calls_needed(
    subject: TrainedSubject, config: SearchConfig, *, looked_at: int = 0, images: int, targets: int
) -> int:
    """About how many pictures the classifier is asked about, counted before; somewhat more than it will be.

    Args:
        subject: in the space that the config's method searches.
        config: how to search.
        looked_at: images among which those to search are chosen.
        images: how many of them are searched.
        targets: classes to drive to.
    """
    moves = 2 * len(subject.indices) * images
    tested = config.method in ("directions", "random") and config.selection == "attfind"
    controls = DRAWS * len(LENGTHS) * min(images, TESTED * targets) if tested else 0
    # With two classes an image is moved to the one that it is not predicted.
    together = _TOGETHER * images * (targets if subject.output != "softmax" else 1)
    shown = config.attributes * (SHOWN + SHOWN // 2 + STRIP_IMAGES * STRIP_FRAMES)
    return looked_at + 2 * images + moves + controls + together + shown
