"""The explorer's server: the viewer's files, and a small JSON interface over a core ``Studio``.

Nothing of the client is ever a path: files of the page are a fixed table, images are looked up by id. Bodies are
bounded (``guard``), drawing is one thread's (``drawing``), long work is a job (``searching``).
"""

from __future__ import annotations

import asyncio
import json
import struct
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import resources
from typing import Any, Final

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stylex.core.errors import StylexError
from stylex.core.explanation import Picture
from stylex.core.studio import Flip, Frame, Knob, Studio, StudioImage, Turn
from stylex.report.figures import encode
from stylex.report.knobs import image_detail, image_row, knob_row, numbers, numbers_row
from stylex.ui.drawing import Busy, Drawing, Lane
from stylex.ui.exchange import HANDLERS, json_body
from stylex.ui.export import TYPES, Kind, export
from stylex.ui.guard import Guard
from stylex.ui.searching import Job, Searching

MAX_UPLOAD = 20 * 2**20
"""Bytes of a person's own picture."""
MOST_ARRIVING = 8 * MAX_UPLOAD
"""Bytes of pictures that are on their way, or wait to be read, at once."""
FITS_BY_ITSELF_S = 20.0
"""A person's own picture is fitted at once where that takes no longer, by an estimate."""
MAX_TURNS = 16
"""Pictures asked for at once."""
_MAX_KNOBS = 64
_LANES: Final[tuple[Lane, ...]] = ("knob", "strip", "others")
_FILES = {
    "index.html": "text/html; charset=utf-8",
    "viewer.js": "text/javascript; charset=utf-8",
    "http_source.js": "text/javascript; charset=utf-8",
    "explore.js": "text/javascript; charset=utf-8",
    "viewer.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def build_app(studio: Studio, *, token: str | None = None, root_path: str = "") -> Starlette:
    """The application: give it to any ASGI server. It reads the studio's images in the background."""
    return _Server(studio).app(token, root_path)


class _Server:
    def __init__(self, studio: Studio) -> None:
        self.studio = studio
        self.drawing = Drawing(studio)
        self.searching = Searching(studio)
        self.closing = threading.Event()
        self.trouble: str | None = None
        self.arriving = 0
        self.reading, self.measuring = asyncio.Semaphore(2), asyncio.Lock()
        static = resources.files("stylex.ui") / "static"
        self.files = {name: (static / name).read_bytes() for name in _FILES}

    def app(self, token: str | None, root_path: str) -> Starlette:
        routes = [
            Route("/", self.page),
            Route("/{name}", self.file),
            Route("/api/describe", self.describe),
            Route("/api/images", self.images, methods=["GET"]),
            Route("/api/images", self.add, methods=["POST"]),
            Route("/api/images/{image}", self.image),
            Route("/api/images/{image}/fit", self.measure_fit, methods=["GET"]),
            Route("/api/images/{image}/{state}.png", self.picture),
            Route("/api/frames", self.frames, methods=["POST"]),
            Route("/api/flip", self.flip, methods=["POST"]),
            Route("/api/search", self.search, methods=["POST"]),
            Route("/api/fit", self.fit, methods=["POST"]),
            Route("/api/jobs/{job}", self.job, methods=["GET"]),
            Route("/api/jobs/{job}", self.cancel, methods=["DELETE"]),
            Route("/api/knobs/{knob:int}", self.knob, methods=["POST"]),
            Route("/api/export", self.export, methods=["POST"]),
        ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(Guard, token=token, upload=("/api/images", MAX_UPLOAD), root_path=root_path)],
            exception_handlers={**HANDLERS, Busy: _busy},
            lifespan=self.lifespan,
        )

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        reader = threading.Thread(target=self._read, name="stylex reading", daemon=True)
        reader.start()
        yield
        self.closing.set()
        self.searching.close()
        self.drawing.close()
        reader.join(timeout=10)  # a thread that computes while the process ends aborts it

    def _read(self) -> None:
        try:
            while not self.closing.is_set() and self.studio.load_more():
                pass
        except StylexError as error:
            self.trouble = str(error)

    # The page.

    async def page(self, request: Request) -> Response:
        return Response(self.files["index.html"], media_type=_FILES["index.html"])

    async def file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self.files:
            raise HTTPException(404, "there is no such file")
        return Response(self.files[name], media_type=_FILES[name])

    # What there is.

    async def describe(self, request: Request) -> Response:
        studio = self.studio
        return JSONResponse(
            {
                "title": studio.title,
                "labels": list(studio.labels),
                "output": studio.output,
                "numbers": numbers_row(studio.numbers),
                "resolution": studio.resolution,
                "channels": studio.channels,
                "notes": list(studio.notes),
                "remark": studio.remark,
                "first": studio.first,
                "repeat": dict(studio.repeat),
                "knobs": _knobs(studio.knobs),
                "features": {
                    "combine": True,
                    "upload": {"bytes": MAX_UPLOAD},
                    "search": True,
                    "fit": {"by_itself": FITS_BY_ITSELF_S},
                    "flip": True,
                    "rename": True,
                    "hide": True,
                    "export": list(TYPES),
                },
            }
        )

    async def images(self, request: Request) -> Response:
        """The images from position ``after`` on, as many as are ready."""
        try:
            after = max(0, int(request.query_params.get("after", "0")))
        except ValueError:
            raise HTTPException(400, "after must be a whole number") from None
        ready = list(self.studio.images.values())
        return JSONResponse(
            {
                "images": [self._row(image) for image in ready[after:]],
                "next": len(ready),
                "coming": 0 if self.trouble else self.studio.coming,
                "trouble": self.trouble,
            }
        )

    async def image(self, request: Request) -> Response:
        image = self._find(request.path_params["image"])
        return JSONResponse(self._row(image) | image_detail(image))

    async def picture(self, request: Request) -> Response:
        image, state = self._find(request.path_params["image"]), request.path_params["state"]
        picture: Picture | None = {"original": image.original, "rebuilt": image.rebuilt.picture}.get(state)
        if picture is None:
            raise HTTPException(404, "there is no such picture")
        return Response(_png(picture), media_type="image/png", headers={"Cache-Control": "private, max-age=600"})

    # What can be done.

    async def frames(self, request: Request) -> Response:
        body = await json_body(request)
        viewer, lane, rows = body.get("viewer"), body.get("lane"), body.get("turns")
        draft = body.get("draft", False)
        if not isinstance(viewer, str) or not 1 <= len(viewer) <= 64:
            raise HTTPException(400, "viewer must be a short text")
        if lane not in _LANES:
            raise HTTPException(400, f"lane must be one of {', '.join(_LANES)}")
        if not isinstance(draft, bool):
            raise HTTPException(400, "draft must be true or false")
        if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_TURNS:
            raise HTTPException(400, f"turns must be a list of 1 to {MAX_TURNS}")
        turns = [_turn(row) for row in rows]
        drawn = asyncio.wrap_future(self.drawing.ask(viewer, lane, turns, draft=draft))
        gone = asyncio.ensure_future(_gone_away(request))
        await asyncio.wait((drawn, gone), return_when=asyncio.FIRST_COMPLETED)
        if not drawn.done():
            drawn.cancel()
            raise ClientDisconnect
        gone.cancel()
        frames = drawn.result()
        if frames is None:
            return Response(status_code=204)  # a newer request made this one pointless
        return Response(_packed(frames, self.studio.resolution), media_type="application/octet-stream")

    async def add(self, request: Request) -> Response:
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/octet-stream":
            raise HTTPException(415, "send the picture's bytes as application/octet-stream")
        name = request.query_params.get("name", "own picture")
        data = bytearray()
        try:
            # A slow one keeps nobody waiting; only what has come takes room.
            async for piece in request.stream():
                data += piece
                self.arriving += len(piece)
                if self.arriving > MOST_ARRIVING:
                    raise Busy
            async with self.reading:
                image = await run_in_threadpool(self.studio.add, name, bytes(data))
        finally:
            self.arriving -= len(data)
        return JSONResponse(self._row(image) | {"notes": list(image.notes)}, status_code=201)

    async def flip(self, request: Request) -> Response:
        body = await json_body(request)
        knobs = body.get("knobs")
        if not isinstance(knobs, list) or len(knobs) > _MAX_KNOBS or not all(_is_whole(knob) for knob in knobs):
            raise HTTPException(400, "knobs must be a list of whole numbers")
        image, target, fitted = _text(body, "image"), _target(body), _is_fitted(body)
        flip = await run_in_threadpool(self.studio.flip, image, target, knobs, fitted=fitted)
        return JSONResponse(_flip(flip))

    async def search(self, request: Request) -> Response:
        body = await json_body(request)
        image, target = _text(body, "image"), _target(body)
        self._find(image)
        return JSONResponse(self._told(self.searching.start(image, target, fitted=_is_fitted(body))), status_code=202)

    async def fit(self, request: Request) -> Response:
        image = self._find(_text(await json_body(request), "image"))
        return JSONResponse(self._told(self.searching.fit(image.id)), status_code=202)

    async def measure_fit(self, request: Request) -> Response:
        """About how many seconds a fit would take."""
        image, seconds = self._find(request.path_params["image"]), self.studio.fit_seconds
        if seconds is None:
            async with self.measuring:  # the others wait here, and take no thread
                seconds = await run_in_threadpool(self.studio.measure_fit, image.id)
        return JSONResponse({"seconds": round(seconds, 2)})

    async def job(self, request: Request) -> Response:
        job = self.searching.get(request.path_params["job"])
        if job is None:
            raise HTTPException(404, "there is no such work")
        return JSONResponse(self._told(job))

    def _told(self, job: Job) -> dict[str, Any]:
        # Also the answer to its start: a short search may have ended by then.
        answer = job.to_json()
        if answer["state"] == "done" and job.fitted is not None:
            answer |= {"image": self._row(job.fitted) | image_detail(job.fitted)}
        elif answer["state"] == "done":
            assert job.found is not None
            answer |= {
                "found": {
                    "knobs": list(job.found.knobs),
                    "flip": _flip(job.found.flip),
                    "finding": job.found.finding,
                },
                "all_knobs": _knobs(self.studio.knobs),
            }
        return answer

    async def cancel(self, request: Request) -> Response:
        job = self.searching.get(request.path_params["job"])
        if job is None:
            raise HTTPException(404, "there is no such work")
        job.cancel()
        return JSONResponse(job.to_json())

    async def knob(self, request: Request) -> Response:
        body, knob = await json_body(request), request.path_params["knob"]
        label, hidden = body.get("label", ""), body.get("hidden")
        if "label" in body and not (label is None or isinstance(label, str)):
            raise HTTPException(400, "label must be a text or null")
        if "hidden" in body and not isinstance(hidden, bool):
            raise HTTPException(400, "hidden must be true or false")
        if "label" in body:
            await run_in_threadpool(self.studio.rename, knob, label)
        if isinstance(hidden, bool):
            await run_in_threadpool(self.studio.hide, knob, hidden)
        return JSONResponse({"knobs": _knobs(self.studio.knobs)})

    async def export(self, request: Request) -> Response:
        body = await json_body(request)
        kind: Kind | None = next((k for k in TYPES if k == body.get("kind")), None)
        if kind is None:
            raise HTTPException(400, f"kind must be one of {', '.join(TYPES)}")
        data = await run_in_threadpool(export, self.studio, kind, _turn(body))
        return Response(
            data, media_type=TYPES[kind], headers={"Content-Disposition": f'attachment; filename="stylex.{kind}"'}
        )

    def _row(self, image: StudioImage) -> dict[str, Any]:
        return image_row(image, places=self.studio.numbers is not None)

    def _find(self, image: str) -> StudioImage:
        found = self.studio.images.get(image)
        if found is None:
            raise HTTPException(404, "there is no such image")
        return found


# From the client.


async def _gone_away(request: Request) -> None:
    """Returns when the client has left."""
    if (await request.receive())["type"] != "http.disconnect":
        await asyncio.Event().wait()  # a transport that cannot tell


def _turn(row: Any) -> Turn:
    if not isinstance(row, dict) or not isinstance(row.get("knobs"), dict):
        raise HTTPException(400, "a turn is an object with an image and knobs")
    knobs = row["knobs"]
    if len(knobs) > _MAX_KNOBS:
        raise HTTPException(400, f"at most {_MAX_KNOBS} knobs can be turned at once")
    turned: dict[int, float] = {}
    for name, fraction in knobs.items():
        number = isinstance(fraction, int | float) and not isinstance(fraction, bool) and abs(fraction) <= 100
        if not (name.isascii() and name.isdecimal() and len(name) < 6 and number):
            raise HTTPException(400, "knobs must be whole numbers with fractions between -100 and 100")
        turned[int(name)] = float(fraction)
    return Turn(image=_text(row, "image"), knobs=turned, fitted=_is_fitted(row))


def _is_fitted(body: Mapping[str, Any]) -> bool:
    fitted = body.get("fitted", False)
    if not isinstance(fitted, bool):
        raise HTTPException(400, "fitted must be true or false")
    return fitted


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not 1 <= len(value) <= 200:
        raise HTTPException(400, f"{name} must be a text")
    return value


def _target(body: Mapping[str, Any]) -> int | None:
    target = body.get("target")
    if target is not None and not _is_whole(target):
        raise HTTPException(400, "target must be a whole number or null")
    return target


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**6


# To the client.


def _knobs(knobs: tuple[Knob, ...]) -> list[dict[str, Any]]:
    return [knob_row(position, knob) for position, knob in enumerate(knobs)]


def _flip(flip: Flip) -> dict[str, Any]:
    return {
        "knobs": {str(knob): fraction for knob, fraction in flip.knobs.items()},
        "target": flip.target,
        "flipped": flip.flipped,
        "sentence": flip.sentence,
    }


def _png(picture: Picture) -> bytes:
    return encode(picture, "png")


def _packed(frames: list[Frame], side: int) -> bytes:
    """Length of the header (4 bytes, little-endian), a JSON header, then the pixels of all frames, row by row.

    A small frame has no probabilities, and half the width and height of the others.
    """
    header = json.dumps(
        {
            "width": side,
            "height": side,
            "channels": frames[0].picture.shape[2],
            "frames": [numbers(frame.probabilities) for frame in frames],
            "drafts": [frame.draft for frame in frames],
            "small": [frame.small for frame in frames],
            "fitted": [frame.fitted for frame in frames],
        }
    ).encode()
    pixels = [np.ascontiguousarray(frame.picture).tobytes() for frame in frames]
    return b"".join([struct.pack("<I", len(header)), header, *pixels])


def _busy(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "Too much to do at once; try again in a moment."}, status_code=503)
