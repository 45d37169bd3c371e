"""The page of a training: its log, its panels and its held-out figures, read from the run's folder and nothing else.

It is served beside a training by a process of its own, or within the training's process by a thread.
"""

from __future__ import annotations

import threading
import time
from importlib import resources
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stylex.core.files import read_whole
from stylex.core.verdict import agreement_verdict
from stylex.store.runs import RunInfo, RunLog, is_run, panels, read_run
from stylex.ui.exchange import HANDLERS
from stylex.ui.guard import MOST_BYTES, Guard

POINTS = 400
"""Of a curve that the page draws."""
_LARGEST_PANEL = 2**26
_FRESH_S = 0.5
"""For so long a reading stands for all who ask."""
_FILES = {
    "watch.js": "text/javascript; charset=utf-8",
    "watch.css": "text/css; charset=utf-8",
    "viewer.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def build_watch_app(run: Path, *, token: str | None = None, root_path: str = "", within: bool = False) -> Starlette:
    """The application: give it to any ASGI server.

    Args:
        run: the run's folder, which may still be empty.
        token: what a request must know, as of the explorer.
        root_path: the path at which a proxy shows it.
        within: it is served by the training's own process, and ends with it.
    """
    page = _Page(run, within=within)
    return Starlette(
        routes=[
            Route("/", page.index),
            Route("/api/run", page.run),
            Route("/api/panels/{nimg:int}.png", page.panel),
            Route("/{name}", page.file),
        ],
        middleware=[Middleware(Guard, token=token, upload=("", MOST_BYTES), root_path=root_path)],
        exception_handlers=HANDLERS,
    )


class _Page:
    def __init__(self, folder: Path, *, within: bool) -> None:
        self.folder, self.within = folder, within
        self.log = RunLog(folder)
        self.lock = threading.Lock()
        self.told: tuple[float, dict[str, Any]] | None = None
        static = resources.files("stylex.ui") / "static"
        self.files = {name: (static / name).read_bytes() for name in _FILES}
        self.html = (static / "watch.html").read_bytes()

    async def index(self, request: Request) -> Response:
        return Response(self.html, media_type="text/html; charset=utf-8")

    async def file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self.files:
            raise HTTPException(404, "there is no such file")
        return Response(self.files[name], media_type=_FILES[name])

    async def run(self, request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(self.seen))

    async def panel(self, request: Request) -> Response:
        path = panels(self.folder).get(request.path_params["nimg"])
        try:
            if path is None:
                raise FileNotFoundError
            data = await run_in_threadpool(read_whole, path, largest=_LARGEST_PANEL)
        except OSError:
            raise HTTPException(404, "there is no such panel") from None
        return Response(data, media_type="image/png", headers={"Cache-Control": "private, max-age=600"})

    def seen(self) -> dict[str, Any]:
        """What the page shows, as JSON; read anew at most twice a second."""
        with self.lock:
            if self.told is None or time.monotonic() - self.told[0] > _FRESH_S:
                self.told = (time.monotonic(), self._read())
            return self.told[1]

    def _read(self) -> dict[str, Any]:
        about = {"name": self.folder.name, "folder": str(self.folder), "within": self.within}
        if not is_run(self.folder):
            return {**about, "run": None, "verdict": None, "curves": {}, "panels": []}
        info = read_run(self.folder, self.log)
        return {
            **about,
            "run": info.to_json(),
            "verdict": _verdict(info),
            "curves": self.log.curves(POINTS),
            "panels": list(panels(self.folder)),
        }


def _verdict(info: RunInfo) -> str | None:
    return None if info.agreement is None else agreement_verdict(info.agreement, info.agreement_other)
