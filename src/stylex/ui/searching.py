"""Long work asked for by a viewer: one search at a time, with its progress, to be cancelled."""

from __future__ import annotations

import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Literal

from stylex.core.errors import StylexError
from stylex.core.progress import Event, Started, Step
from stylex.core.studio import OwnKnobs, Studio
from stylex.ui.drawing import Busy

_REMEMBERED = 64


class _Cancelled(Exception):
    pass


@dataclass(eq=False)
class Job:
    """A search and how far it is."""

    id: str
    state: Literal["waiting", "running", "done", "cancelled", "failed"] = "waiting"
    done: int = 0
    total: int = 0
    found: OwnKnobs | None = None
    error: str | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def hear(self, event: Event) -> None:
        """Be the listener of the search, and end it where that was asked for."""
        if self.stop.is_set():
            raise _Cancelled
        if isinstance(event, Started):
            self.total = event.total or 0
        elif isinstance(event, Step):
            self.done = event.done

    def to_json(self) -> dict[str, Any]:
        """How far it is."""
        return {"job": self.id, "state": self.state, "done": self.done, "total": self.total, "error": self.error}


class Searching:
    """Runs searches one after another, each in a thread of its own."""

    most_waiting = 8

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._turn = threading.Lock()

    def start(self, image: str, target: int | None) -> Job:
        """Begin to search an image's own attributes.

        Raises:
            Busy: many searches are waiting already.
        """
        if sum(job.state in ("waiting", "running") for job in self._jobs.values()) >= self.most_waiting:
            raise Busy
        job = Job(secrets.token_hex(8))
        self._jobs[job.id] = job
        while len(self._jobs) > _REMEMBERED:
            self._jobs.popitem(last=False)
        threading.Thread(target=self._run, args=(job, image, target), name="stylex search", daemon=True).start()
        return job

    def get(self, job_id: str) -> Job | None:
        """The job of that id, if it is remembered."""
        return self._jobs.get(job_id)

    def close(self) -> None:
        """End them all."""
        for job in self._jobs.values():
            job.stop.set()

    def _run(self, job: Job, image: str, target: int | None) -> None:
        with self._turn:
            try:
                if job.stop.is_set():
                    raise _Cancelled
                job.state = "running"
                job.found = self._studio.search(image, target, job.hear)
                job.state = "done"
            except _Cancelled:
                job.state = "cancelled"
            except StylexError as error:
                job.error, job.state = str(error), "failed"
            except Exception as error:  # shown in the page, where a person waits for it
                job.error, job.state = f"the search broke off ({type(error).__name__})", "failed"
