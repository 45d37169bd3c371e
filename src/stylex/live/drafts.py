"""What is drawn while a knob moves: in bfloat16 where a network is large, at half size where a picture takes long."""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from stylex.models.precision import has_fast_bf16, multiplications
from stylex.search.render import InBfloat16, Synthesizer

HEAVY = 10_000_000_000
"""Multiplications a picture from which on a processor draws drafts in bfloat16; some tenths of a second."""
SLOW_S = 0.1
"""From here on a picture follows a hand too late."""
_PASSES = 9


class Pace:
    """The median of the last passes, by their pictures: one disturbed pass decides nothing."""

    def __init__(self) -> None:
        self._seconds_each: deque[float] = deque(maxlen=_PASSES)

    def begin(self, draw: Callable[[], object]) -> None:
        """Measure a picture before anybody waits for one, unless something is known; the first one warms up."""
        if not self._seconds_each:
            draw()
            with self.of(1):
                draw()

    @contextmanager
    def of(self, pictures: int) -> Iterator[None]:
        """Time a pass that draws as many at full size."""
        began = time.perf_counter()
        yield
        self.took(time.perf_counter() - began, pictures)

    def took(self, seconds: float, pictures: int) -> None:
        """Note such a pass."""
        self._seconds_each.append(seconds / pictures)

    def slow(self, pictures: int) -> bool:
        """Whether as many at full size would take longer than ``SLOW_S``."""
        return bool(self._seconds_each) and statistics.median(self._seconds_each) * pictures > SLOW_S


def in_bfloat16(synthesis: Synthesizer, device: torch.device) -> Synthesizer | None:
    """The network in bfloat16, where it is worth it: by a rule and no measurement, so always the same."""
    heavy = isinstance(synthesis, torch.nn.Module) and multiplications(synthesis) >= HEAVY
    return InBfloat16(synthesis, device) if heavy and device.type == "cpu" and has_fast_bf16(device) else None
