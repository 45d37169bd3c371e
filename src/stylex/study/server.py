"""The study's server: raters' pages over one ledger. Behind each secret link is one rater, and nothing else is told.

Whatever a browser sends is checked against what it was asked; pictures are looked up by name, in memory. An answer is
on the disk before the browser hears that it is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from stylex.core.errors import StoreError
from stylex.core.study import LONGEST_WORDS, Answer, Flicker, Study, problem_of
from stylex.store.answers import Ledger
from stylex.store.study import read_picture, read_study, read_tokens
from stylex.ui.exchange import HANDLERS, json_body
from stylex.ui.guard import MOST_BYTES, Guard

_FILES = {
    "study.js": ("stylex.study", "text/javascript; charset=utf-8"),
    "study.css": ("stylex.study", "text/css; charset=utf-8"),
    "viewer.css": ("stylex.ui", "text/css; charset=utf-8"),
    "icon.svg": ("stylex.ui", "image/svg+xml"),
}


def build_study_app(folder: str | Path, *, root_path: str = "") -> Starlette:
    """The application: give it to any ASGI server, in one process.

    Raises:
        StoreError: the study, its links, its pictures or its answers cannot be read.
    """
    folder = Path(folder)
    study, tokens = read_study(folder), read_tokens(folder)
    if len(tokens) != len(study.orders):
        raise StoreError(f"{folder} has {len(tokens)} links for {len(study.orders)} raters; make the study again")
    names = dict.fromkeys(name for flicker in study.flickers for name in (flicker.before, flicker.after))
    pictures = {name.rpartition("/")[2]: read_picture(folder, name) for name in names}
    return _Server(study, Ledger(folder, study), dict(zip(tokens, range(len(tokens)), strict=True)), pictures).app(
        root_path
    )


class _Server:
    def __init__(self, study: Study, ledger: Ledger, raters: Mapping[str, int], pictures: Mapping[str, bytes]) -> None:
        self.study, self.ledger, self.raters, self.pictures = study, ledger, raters, pictures
        # One thread writes: two would wait for each other.
        self.desk = ThreadPoolExecutor(1, "stylex answers")
        self.files = {name: _static(room, name) for name, (room, _) in _FILES.items()}
        self.index = _static("stylex.study", "index.html")

    def app(self, root_path: str) -> Starlette:
        routes = [
            Route("/", self.nowhere),
            Route("/{name}", self.file),
            Route("/r/{token}", self.beside),
            Route("/r/{token}/", self.page),
            Route("/r/{token}/state", self.state),
            Route("/r/{token}/pictures/{name}", self.picture),
            Route("/r/{token}/consent", self.consent, methods=["POST"]),
            Route("/r/{token}/answer", self.answer, methods=["POST"]),
            Route("/r/{token}/withdraw", self.withdraw, methods=["POST"]),
        ]
        return Starlette(
            routes=routes,
            middleware=[Middleware(Guard, token=None, links=True, upload=("", MOST_BYTES), root_path=root_path)],
            exception_handlers=HANDLERS,
            lifespan=self.lifespan,
        )

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        with self.ledger, self.desk:
            yield

    # The page.

    async def nowhere(self, request: Request) -> Response:
        raise HTTPException(404, "this is a study; open the link that you were given")

    async def file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self.files:
            raise HTTPException(404, "there is no such file")
        return Response(self.files[name], media_type=_FILES[name][1])

    async def page(self, request: Request) -> Response:
        known = request.path_params["token"] in self.raters
        return Response(self.index, status_code=200 if known else 404, media_type="text/html; charset=utf-8")

    async def beside(self, request: Request) -> Response:
        self._rater(request)
        # Told relative to the address, whatever a proxy calls it: some mail programs cut the slash at a link's end.
        return RedirectResponse(f"./{request.path_params['token']}/")

    async def picture(self, request: Request) -> Response:
        self._rater(request)
        data = self.pictures.get(request.path_params["name"])
        if data is None:
            raise HTTPException(404, "there is no such picture")
        return Response(data, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})

    # What a rater does.

    async def state(self, request: Request) -> Response:
        return await self._told(self._rater(request))

    async def consent(self, request: Request) -> Response:
        rater = self._rater(request)
        await self._at_the_desk(self.ledger.consent, rater)
        return await self._told(rater)

    async def answer(self, request: Request) -> Response:
        rater, body = self._rater(request), await json_body(request)
        place, seconds = body.get("place"), body.get("seconds")
        order = self.study.orders[rater]
        if type(place) is not int or not 0 <= place < len(order):
            raise HTTPException(400, "place must be that of a question")
        said = {key: body.get(key) for key in ("side", "words", "plausible")}
        problem = problem_of(self.study.items[order[place].item], seconds=seconds, **said)
        if problem is not None:
            raise HTTPException(400, problem)
        answer = Answer(rater=rater, place=place, seconds=float(seconds), **said)  # type: ignore[arg-type]
        kept = await self._at_the_desk(self.ledger.keep, answer)
        if not kept and place not in (await self._at_the_desk(self.ledger.state_of, rater))[2]:
            raise HTTPException(409, "answers are kept of those who agreed to take part and have not taken it back")
        return await self._told(rater)

    async def withdraw(self, request: Request) -> Response:
        rater = self._rater(request)
        await self._at_the_desk(self.ledger.withdraw, rater)
        return await self._told(rater)

    async def _at_the_desk(self, work: Any, *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.desk, work, *given)

    def _rater(self, request: Request) -> int:
        rater = self.raters.get(request.path_params["token"])
        if rater is None:
            raise HTTPException(404, "nobody has this link; open the one that you were given, to its last letter")
        return rater

    async def _told(self, rater: int) -> Response:
        """Where a rater stands, and what is asked next."""
        consented, withdrawn, answered = await self._at_the_desk(self.ledger.state_of, rater)
        order = self.study.orders[rater]
        place = next((place for place in range(len(order)) if place not in answered), None)
        phase = "withdrawn" if withdrawn else "consent" if not consented else "done" if place is None else "question"
        state: dict[str, Any] = {
            "title": self.study.title,
            "phase": phase,
            "done": len(answered),
            "total": len(order),
        }
        if phase == "consent":
            state["consent"] = self.study.consent
        if phase == "question":
            assert place is not None
            state["question"] = self._question(rater, place)
        return JSONResponse(state)

    def _question(self, rater: int, place: int) -> dict[str, Any]:
        """What the page shows: pictures and what to do, and nothing that tells methods, attributes or purposes."""
        asked = self.study.orders[rater][place]
        item = self.study.items[asked.item]
        rows = item.examples[::-1] if asked.flipped else item.examples
        following = self.study.items[self.study.orders[rater][place + 1].item] if self._goes_on(rater, place) else None
        return {
            "place": place,
            "kind": item.kind,
            "word": item.word,
            "examples": [self._shown(row) for row in rows],
            "picture": None if item.picture is None else self._shown([item.picture])[0],
            "longest": LONGEST_WORDS,
            "next": [] if following is None or following.picture is None else self._shown([following.picture]),
        }

    def _goes_on(self, rater: int, place: int) -> bool:
        return place + 1 < len(self.study.orders[rater])

    def _shown(self, places: Sequence[int]) -> list[dict[str, str]]:
        return [_names(self.study.flickers[place]) for place in places]


def _names(flicker: Flicker) -> dict[str, str]:
    return {"before": flicker.before, "after": flicker.after}


def _static(room: str, name: str) -> bytes:
    return (resources.files(room) / "static" / name).read_bytes()
