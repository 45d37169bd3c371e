"""How progress looks: bars with an ETA on a terminal, plain lines without control characters elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Protocol, cast, runtime_checkable

from stylex.core.progress import (
    Alarm,
    Done,
    Event,
    Found,
    Listener,
    SnapshotWritten,
    Started,
    Step,
    Tick,
)

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID


@runtime_checkable
class Stream(Protocol):
    """What progress is written to: ``sys.stderr``, or anything with as much of a text file."""

    def write(self, text: str, /) -> int:
        """Write."""
        ...

    def flush(self) -> None:
        """Send it on."""
        ...

    def isatty(self) -> bool:
        """Whether a person looks at a terminal."""
        ...


@contextmanager
def listener_for(stream: Stream, *, quiet: bool) -> Iterator[Listener]:
    """What hears the library while a command runs: bars if ``stream`` is a terminal; warnings only when ``quiet``."""
    if quiet:
        lines = Lines(stream)
        yield lambda event: lines(event) if isinstance(event, Alarm) else None
    elif stream.isatty():
        from rich.console import Console

        with _bars(Console(file=cast(IO[str], stream))) as progress:
            yield Bars(progress)
    else:
        yield Lines(stream)


def _bars(console: Console) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}", markup=False),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[figures]}", markup=False),
        console=console,
    )


class Bars:
    """Bars on a terminal; what is worth keeping is printed above them."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.running: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        match event:
            case Started(task=task, total=total, unit=unit, done=done):
                self._forget(task)
                self.running[task] = self.progress.add_task(task, total=total, completed=done, unit=unit, figures="")
            case Step(task=task, done=done, figures=figures):
                if task in self.running:
                    self.progress.update(self.running[task], completed=done, figures=_figures(figures))
            case Tick(nimg=nimg, total_nimg=total):
                if "train" not in self.running:
                    self(Started(task="train", total=total, unit="images", done=nimg))
                self.progress.update(self.running["train"], completed=nimg, figures=f"{event.images_per_s:.0f}/s")
                self._say(_tick(event))
            case Done(task=task):
                self._forget(task)
                self._say(_words(event))
            case _:
                self._say(_words(event), style="bold yellow" if isinstance(event, Alarm) else None)

    def _forget(self, task: str) -> None:
        if task in self.running:
            self.progress.remove_task(self.running.pop(task))

    def _say(self, text: str | None, style: str | None = None) -> None:
        if text:
            self.progress.console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


class Lines:
    """Plain lines: the beginning and the end of every piece of work, and now and then how far it is."""

    every_s = 10.0

    def __init__(self, stream: Stream, clock: Callable[[], float] = time.monotonic) -> None:
        self.stream, self.clock = stream, clock
        self.running: dict[str, tuple[Started, float]] = {}
        self.said_at = 0.0

    def __call__(self, event: Event) -> None:
        """Hear an event."""
        now = self.clock()
        match event:
            case Started(task=task):
                self.running[task] = (event, now)
                self.said_at = now
                self._say(_started(event))
            case Step(task=task):
                if task in self.running and now - self.said_at >= self.every_s:
                    self.said_at = now
                    self._say(_step(event, *self.running[task], now=now))
            case Tick():
                self.said_at = now
                self._say(_tick(event))
            case Done(task=task):
                self.running.pop(task, None)
                self._say(_words(event))
            case _:
                self._say(_words(event))

    def _say(self, text: str | None) -> None:
        if text:
            print(text, file=self.stream, flush=True)


def _started(event: Started) -> str:
    amount = f"{event.total:,} {event.unit}" if event.total is not None else event.unit
    return f"{event.task}: {amount}" + (f", {event.done:,} already done" if event.done else "")


def _step(event: Step, started: Started, since: float, *, now: float) -> str:
    if started.total is None:
        how_far = f"{event.done:,} {started.unit}"
    else:
        left = max(started.total - event.done, 0)
        rate = (event.done - started.done) / max(now - since, 1e-9)
        eta = f", {duration(left / rate)} left" if rate > 0 else ""
        how_far = f"{event.done:,}/{started.total:,} {started.unit} ({_percent(event.done, started.total)}){eta}"
    return "  ".join(x for x in (f"{event.task}: {how_far}", _figures(event.figures)) if x)


def _tick(event: Tick) -> str:
    eta = (event.total_nimg - event.nimg) / event.images_per_s if event.images_per_s > 0 else float("inf")
    return "  ".join(
        x
        for x in (
            f"kimg {event.nimg / 1000:.1f}/{event.total_nimg / 1000:g} ({_percent(event.nimg, event.total_nimg)})",
            f"{duration(eta)} left",
            f"{event.images_per_s:.0f} images/s",
            _figures(event.figures),
        )
        if x
    )


def _words(event: Event) -> str | None:
    match event:
        case SnapshotWritten(nimg=nimg, path=path, figures=figures):
            return "  ".join(x for x in (f"snapshot at kimg {nimg / 1000:g}: {path}", _figures(figures)) if x)
        case Found(message=message):
            return message
        case Alarm(message=message):
            return f"warning: {message}"
        case Done(task=task, path=path):
            return None if path is None else f"{task}: done, {path}"
        case _:
            return None


def _figures(figures: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items())


def _percent(done: int, total: int) -> str:
    return f"{100 * done / total:.0f}%" if total else "100%"


def duration(seconds: float) -> str:
    """``42 s``, ``3 min 20 s``, ``2 h 05 min``; ``?`` when it cannot be told."""
    if not seconds < 1e7:
        return "?"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
