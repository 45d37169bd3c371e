"""Long work asked for by a viewer, with its progress, to be cancelled: one search at a time, and beside it one fit."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from stylex.core.errors import StylexError
from stylex.core.progress import Event, Started, Step
from stylex.core.studio import OwnKnobs, Studio, StudioImage
from stylex.ui.drawing import Busy

_REMEMBERED = 64
_ALIVE = ("waiting", "running")

Kind = Literal["search", "fit"]


class _Cancelled(Exception):
    pass


@dataclass(eq=False)
class Job:
    """A search or a fit, and how far it is.

    Attributes:
        id, kind, image: what it is, and of which image.
        state, done, total: how far.
        found, fitted: what a search, or a fit, came to.
        error: why it failed.
        askers: viewers that wait for it; who cancels it takes one away.
        stop: ends it.
        ended: its thread computes no more.
    """

    id: str
    kind: Kind = "search"
    image: str = ""
    state: Literal["waiting", "running", "done", "cancelled", "failed"] = "waiting"
    done: int = 0
    total: int = 0
    found: OwnKnobs | None = None
    fitted: StudioImage | None = None
    error: str | None = None
    askers: int = 1
    stop: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def hear(self, event: Event) -> None:
        """Be the listener of the work, and end it where that was asked for."""
        if self.stop.is_set():
            raise _Cancelled
        if isinstance(event, Started):
            self.total = event.total or 0
        elif isinstance(event, Step):
            self.done = event.done

    def cancel(self) -> None:
        """One viewer waits for it no longer; it ends when none does."""
        self.askers -= 1
        if self.askers <= 0:
            self.stop.set()

    def to_json(self) -> dict[str, Any]:
        """How far it is."""
        return {"job": self.id, "state": self.state, "done": self.done, "total": self.total, "error": self.error}


class Searching:
    """Runs searches one after another, and fits one after another, each in a thread of its own."""

    most_waiting = 8

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._turns: dict[Kind, threading.Lock] = {"search": threading.Lock(), "fit": threading.Lock()}

    def start(self, image: str, target: int | None, *, fitted: bool = False) -> Job:
        """Begin to search an image's own attributes.

        Raises:
            Busy: many searches are waiting already.
        """

        def work(job: Job) -> None:
            job.found = self._studio.search(image, target, job.hear, fitted=fitted)

        return self._begin("search", image, work)

    def fit(self, image: str) -> Job:
        """Begin to fit a copy of the generator to an image's photograph, or wait for the fit that is under way.

        Raises:
            Busy: many fits are waiting already.
        """

        def work(job: Job) -> None:
            there = self._studio.images.get(image)
            job.fitted = there if there and there.fitted else self._studio.fit(image, job.hear)

        for job in self._jobs.values():
            if (job.kind, job.image) == ("fit", image) and job.state in _ALIVE and not job.stop.is_set():
                job.askers += 1
                return job
        return self._begin("fit", image, work)

    def get(self, job_id: str) -> Job | None:
        """The job of that id, if it is remembered."""
        return self._jobs.get(job_id)

    def close(self, timeout: float = 10.0) -> None:
        """End them all, and wait for that: a thread that computes while the process ends aborts it.

        Args:
            timeout: seconds to wait for all of them; each ends at its next step.
        """
        for job in self._jobs.values():
            job.stop.set()
        until = time.monotonic() + timeout
        for job in self._jobs.values():
            job.ended.wait(max(0.0, until - time.monotonic()))

    def _begin(self, kind: Kind, image: str, work: Callable[[Job], None]) -> Job:
        if sum(job.kind == kind and job.state in _ALIVE for job in self._jobs.values()) >= self.most_waiting:
            raise Busy
        job = Job(secrets.token_hex(8), kind, image)
        self._jobs[job.id] = job
        finished = [old for old, other in self._jobs.items() if other.state not in _ALIVE]
        for old in finished[: max(0, len(self._jobs) - _REMEMBERED)]:
            del self._jobs[old]
        threading.Thread(target=self._run, args=(job, work), name=f"stylex {kind}", daemon=True).start()
        return job

    def _run(self, job: Job, work: Callable[[Job], None]) -> None:
        with self._turns[job.kind]:
            try:
                if job.stop.is_set():
                    raise _Cancelled
                job.state = "running"
                work(job)
                job.state = "done"
            except _Cancelled:
                job.state = "cancelled"
            except StylexError as error:
                job.error, job.state = str(error), "failed"
            except Exception as error:  # shown in the page, where a person waits for it
                job.error, job.state = f"the {job.kind} broke off ({type(error).__name__})", "failed"
            finally:
                job.ended.set()
