"""Durations as the benchmarks tell them: on the wall, and in processor time, which neighbours disturb less."""

from __future__ import annotations

import time
from typing import NamedTuple


class Seconds(NamedTuple):
    """A duration on the wall and in processor time."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> Seconds:
        """Both clocks."""
        return cls(time.perf_counter(), time.process_time())

    def since(self, start: Seconds) -> Seconds:
        """What passed between two readings."""
        return Seconds(self.wall - start.wall, self.cpu - start.cpu)

    def times(self, factor: float) -> Seconds:
        """So many of them."""
        return Seconds(self.wall * factor, self.cpu * factor)
