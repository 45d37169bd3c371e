"""One thread that draws for everybody: requests batched together, stale ones dropped, knobs before strips."""

from __future__ import annotations

import threading
import time
from collections import deque
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
MOST_WAITING = 512
"""Requests that wait; more are sent away."""
_PATIENCE_S = 0.12
"""How long a strip may keep a knob waiting."""

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
    frames: list[Frame] = field(default_factory=list)


class Drawing:
    """Draws turns in a thread of its own.

    Of one viewer and lane only the newest request is drawn. Several viewers' knobs are drawn in one pass; strips and
    galleries are drawn in pieces, so short that a knob waits little for them.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._waiting: deque[_Job] = deque()
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
        job = _Job((viewer, lane), turns, draft, Future())
        with self._news:
            stale = [other for other in self._waiting if other.key == job.key]
            for other in stale:
                self._waiting.remove(other)
                _answer(other, None)
            if len(self._waiting) >= MOST_WAITING:
                raise Busy
            self._waiting.append(job)
            self._news.notify()
        return job.future

    def close(self) -> None:
        """Stop; what is waiting gets no answer."""
        with self._news:
            self._closed = True
            for job in self._waiting:
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
            self._draw(jobs)
            count = sum(len(turns) for _, turns in jobs)
            self._seconds_each += 0.3 * ((time.perf_counter() - began) / count - self._seconds_each)

    def _wanted(self) -> bool:
        """Whether anybody waits; who has gone is forgotten."""
        for job in [job for job in self._waiting if job.future.cancelled()]:
            self._waiting.remove(job)
        return bool(self._waiting)

    def _next(self) -> list[tuple[_Job, Sequence[Turn]]]:
        """What to draw now: all the knobs that fit, or else a piece of the oldest strip."""
        chosen: list[tuple[_Job, Sequence[Turn]]] = []
        room = MOST_ROWS
        for job in [job for job in self._waiting if job.key[1] == "knob"]:
            if chosen and (len(job.turns) > room or job.draft != chosen[0][0].draft):
                continue
            self._waiting.remove(job)
            chosen.append((job, job.turns))
            room -= len(job.turns)
        if not chosen:
            job = self._waiting[0]
            piece = max(1, min(MOST_ROWS, round(_PATIENCE_S / max(self._seconds_each, 1e-4))))
            rest = job.turns[len(job.frames) :]
            chosen.append((job, rest[:piece]))
        return chosen

    def _draw(self, jobs: list[tuple[_Job, Sequence[Turn]]]) -> None:
        try:
            # Drawn together are only drafts, or only exact pictures.
            frames = self._studio.render([turn for _, turns in jobs for turn in turns], draft=jobs[0][0].draft)
        except Exception as error:
            if len(jobs) > 1:  # one viewer's mistake is not the others'
                for one in jobs:
                    self._draw([one])
            else:
                self._finish(jobs[0][0], error)
            return
        for job, turns in jobs:
            job.frames += frames[: len(turns)]
            del frames[: len(turns)]
            if len(job.frames) == len(job.turns):
                self._finish(job, None)

    def _finish(self, job: _Job, error: Exception | None) -> None:
        with self._news:
            if job in self._waiting:
                self._waiting.remove(job)
        _answer(job, job.frames if error is None else error)


def _answer(job: _Job, answer: Answer | Exception) -> None:
    # Its viewer may have gone (cancelled), or asked anew while this was drawn (answered).
    with suppress(InvalidStateError):
        if isinstance(answer, Exception):
            job.future.set_exception(answer)
        else:
            job.future.set_result(answer)
