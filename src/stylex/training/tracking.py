"""What every tracker of trainings hears: numbers by name and by images seen. One that fails is left alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stylex.core.errors import ConfigError, StylexError, TrainingError, first_line
from stylex.core.files import read_whole, write_whole
from stylex.core.progress import Alarm, Event, Listener, SnapshotWritten, Tick
from stylex.core.reference import package as optional
from stylex.core.untrusted import parse_json
from stylex.core.wording import option

KEPT = "trackers.json"
"""In a run's folder: by which identity each tracker knows it, so that a training that goes on is one there too."""

Tell = Callable[[Mapping[str, float], int], None]
"""Takes numbers by name, and images seen."""


def scalars_of(event: Event) -> tuple[Mapping[str, float], int] | None:
    """The numbers of a report, and at which image; None of an event without any."""
    if isinstance(event, Tick):
        losses = {f"training/{name}": value for name, value in event.figures.items()}
        return {**losses, "speed/images_per_s": event.images_per_s}, event.nimg
    if isinstance(event, SnapshotWritten):
        return {f"held_out/{name}": value for name, value in event.figures.items()}, event.nimg
    return None


@contextmanager
def telling(name: str, tell: Tell, end: Callable[[bool], None], listener: Listener) -> Iterator[Listener]:
    """A listener that also tells a tracker; the tracker hears how it ended.

    Args:
        name: of the tracker.
        tell: takes numbers.
        end: takes whether the training ended well.
        listener: hears everything as before, and once if the tracker fails, which is then told no more.
    """
    fails = False

    def hear(event: Event) -> None:
        nonlocal fails
        numbers = scalars_of(event)
        if numbers is not None and not fails:
            try:
                tell(*numbers)
            except Exception as error:  # a network, a full disk, a server that has gone: none of it is the training's
                fails = True
                why = first_line(error)[:200]
                listener(Alarm(message=f"{name} hears no more of this training ({why}); it goes on"))
        listener(event)

    well = False
    try:
        yield hear
        well = True
    finally:
        with suppress(Exception):
            end(well)


def package(name: str, extra: str) -> Any:
    """A tracker's package.

    Raises:
        ConfigError: it is not installed.
    """
    return optional(name, extra, option(extra), ConfigError)


def unreachable(extra: str, given: str, error: BaseException) -> StylexError:
    """What is said where a tracker cannot be begun with."""
    return ConfigError(
        f"{option(extra, given)} cannot be used ({type(error).__name__}: {first_line(error)[:600]}); check it, or "
        "leave it out"
    )


def known_as(run: Path, tracker: str) -> str | None:
    """By which identity a tracker knows a run; None: it does not."""
    try:
        kept = parse_json(read_whole(run / KEPT, largest=2**16))
    except (OSError, ValueError):
        return None
    identity = kept.get(tracker) if isinstance(kept, dict) else None
    return identity if isinstance(identity, str) and len(identity) <= 200 else None


def remember(run: Path, tracker: str, identity: str) -> None:
    """Keep by which identity a tracker knows a run.

    Raises:
        TrainingError: the run's folder cannot be written.
    """
    others = {name: known for name in ("mlflow", "wandb") if (known := known_as(run, name)) is not None}
    write_whole(run / KEPT, json.dumps({**others, tracker: identity}).encode(), error=TrainingError)


def flat(settings: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """Settings in settings as one table: ``schedule.kimg``."""
    table: dict[str, Any] = {}
    for name, value in settings.items():
        table |= flat(value, f"{where}{name}.") if isinstance(value, Mapping) else {f"{where}{name}": value}
    return table
