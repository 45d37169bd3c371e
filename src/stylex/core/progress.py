"""Progress events: the library tells a listener what happens, and never prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Started:
    """A piece of work begins; ``total`` counts ``unit``s (None: unknown)."""

    task: str
    total: int | None
    unit: str
    done: int = 0


@dataclass(frozen=True, kw_only=True)
class Step:
    """``done`` of the running task's units are finished; ``figures`` are named current values."""

    task: str
    done: int
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A regular report of a training: progress in images, and the window's mean losses."""

    nimg: int
    total_nimg: int
    seconds: float
    images_per_s: float
    figures: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class SnapshotWritten:
    """A snapshot and its panel were written; ``figures`` are held-out measurements."""

    nimg: int
    path: Path
    figures: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Found:
    """The search has found something worth a line."""

    message: str


@dataclass(frozen=True, kw_only=True)
class Alarm:
    """Something looks wrong; the work goes on, and the message says what to do."""

    message: str


@dataclass(frozen=True, kw_only=True)
class Done:
    """A piece of work ended; ``path`` is what it wrote, if anything."""

    task: str
    path: Path | None = None


Event = Started | Step | Tick | SnapshotWritten | Found | Alarm | Done
Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """The listener that hears nothing."""
