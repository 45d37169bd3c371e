"""One thread that draws for everybody: requests batched together, stale ones dropped, knobs before strips."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from stylex.core.studio import Frame, Studio, Turn

Lane = Literal["knob", "strip", "others"]
"""``knob``: somebody is turning it now. The others wait for that."""

MOST_ROWS = 24
"""Pictures drawn at once."""
MOST_WAITING = 2048
"""Requests that wait; more are sent away."""
_PATIENCE_S = 0.12
"""How long a strip may keep a knob waiting."""
_LONG_S = 1.0
"""A strip that waited for longer is drawn beside knobs, where they leave room."""

Answer = list[Frame] | None
"""The frames; None: a newer request of the same viewer made this one pointless."""


class Busy(Exception):
    """Too many requests are waiting."""


@dataclass(eq=False)
class _Job:
    key: tuple[str, Lane]
    turns: Sequence[Turn]
    draft: bool
    future: Future[Answer]
    asked: float
    frames: list[Frame] = field(default_factory=list)

    @property
    def small(self) -> bool:
        """Whether half the size will do for now: who turns a knob asks again when it rests."""
        return self.draft and self.key[1] == "knob"


class Drawing:
    """Draws turns in a thread of its own.

    Of one viewer and lane only the newest request is drawn, in the place of those before it. Several viewers' requests
    are drawn in one pass: all that wait when it begins, as far as they fit, so that nobody waits for company. Knobs
    come first; strips and galleries are drawn in pieces, so short that a knob waits little for them.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._waiting: dict[tuple[str, Lane], _Job] = {}
        self._news = threading.Condition()
        self._closed = False
        self._seconds_each = 0.02
        self._thread = threading.Thread(target=self._run, name="stylex drawing", daemon=True)
        self._thread.start()

    def ask(self, viewer: str, lane: Lane, turns: Sequence[Turn], *, draft: bool = False) -> Future[Answer]:
        """Ask for pictures; for drafts where those are faster.

        Raises:
            Busy: too many requests are waiting.
        """
        job = _Job((viewer, lane), turns, draft, Future(), time.monotonic())
        with self._news:
            old = self._waiting.get(job.key)
            if old is not None:
                job.asked = old.asked
                _answer(old, None)
            elif len(self._waiting) >= MOST_WAITING:
                raise Busy
            self._waiting[job.key] = job
            self._news.notify()
        return job.future

    def close(self) -> None:
        """Stop; what is waiting gets no answer."""
        with self._news:
            self._closed = True
            for job in self._waiting.values():
                _answer(job, None)
            self._waiting.clear()
            self._news.notify()
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while True:
            with self._news:
                while not self._closed and not self._wanted():
                    self._news.wait()
                if self._closed:
                    return
                jobs = self._next()
            began = time.perf_counter()
            if self._draw(jobs):
                count = sum(len(turns) for _, turns in jobs)
                self._seconds_each += 0.3 * ((time.perf_counter() - began) / count - self._seconds_each)

    def _wanted(self) -> bool:
        """Whether anybody waits; who has gone is forgotten."""
        for job in [job for job in self._waiting.values() if job.future.cancelled()]:
            del self._waiting[job.key]
        return bool(self._waiting)

    def _next(self) -> list[tuple[_Job, Sequence[Turn]]]:
        """What to draw now: all the knobs that fit, or else pieces of the oldest strips."""
        chosen: list[tuple[_Job, Sequence[Turn]]] = []
        waiting, room, late = list(self._waiting.values()), MOST_ROWS, time.monotonic() - _LONG_S
        for job in (job for job in waiting if job.key[1] == "knob"):
            if chosen and (len(job.turns) > room or job.draft != chosen[0][0].draft):
                continue
            del self._waiting[job.key]
            chosen.append((job, job.turns))
            room -= len(job.turns)
        knobs = bool(chosen)
        if not knobs:
            room = max(1, min(room, round(_PATIENCE_S / max(self._seconds_each, 1e-4))))
        for job in (job for job in waiting if job.key[1] != "knob" and not (knobs and job.asked > late)):
            if room > 0 and not (chosen and job.draft != chosen[0][0].draft):
                chosen.append((job, job.turns[len(job.frames) :][:room]))
                room -= len(chosen[-1][1])
        return chosen

    def _draw(self, jobs: list[tuple[_Job, Sequence[Turn]]]) -> bool:
        """Draw and answer; whether all pictures are of full size."""
        frames: list[Frame] = []
        try:
            # Drawn together are only drafts, or only exact pictures; those that may be small are knobs, and come first.
            for small in (True, False):
                asked = [turn for job, turns in jobs if job.small == small for turn in turns]
                if asked:
                    frames += self._studio.render(asked, draft=jobs[0][0].draft, small=small)
        except Exception as error:
            if len(jobs) > 1:  # one viewer's mistake is not the others'
                for one in jobs:
                    self._draw([one])
            else:
                self._finish(jobs[0][0], error)
            return False
        full = not any(frame.small for frame in frames)
        for job, turns in jobs:
            job.frames += frames[: len(turns)]
            del frames[: len(turns)]
            if len(job.frames) == len(job.turns):
                self._finish(job, None)
        return full

    def _finish(self, job: _Job, error: Exception | None) -> None:
        with self._news:
            if self._waiting.get(job.key) is job:
                del self._waiting[job.key]
        _answer(job, job.frames if error is None else error)


def _answer(job: _Job, answer: Answer | Exception) -> None:
    # Its viewer may have gone (cancelled), or asked anew while this was drawn (answered).
    with suppress(InvalidStateError):
        if isinstance(answer, Exception):
            job.future.set_exception(answer)
        else:
            job.future.set_result(answer)
