"""The viewer in a notebook: over an explanation's strips, or live over a studio. Plain HTML where widgets are off."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

from stylex.core.errors import ConfigError
from stylex.core.explanation import Explanation
from stylex.core.studio import Studio
from stylex.report.inline import html
from stylex.report.knobs import strip_data, viewer_file, viewer_script

_INSTALL = "pip install anywidget starlette"


class Still:
    """What a cell shows where no widget can run."""

    def __init__(self, page: str) -> None:
        self.page = page

    def _repr_html_(self) -> str:
        return self.page


def show(explanation: Explanation) -> Any:
    """The explanation with its knobs; a table with pictures where there are no strips, or no widgets."""
    data, still = strip_data(explanation), html(explanation)
    if data is None:
        return Still(still)
    try:
        kind = _widget()
    except ConfigError:
        return Still(f"{still}<p>Knobs to turn need <code>{_INSTALL}</code>.</p>")
    return kind(still, strips=json.dumps(data, separators=(",", ":")))


def explore(studio: Studio, ended: Callable[[], None] = lambda: None) -> Any:
    """The explorer in a cell, over a live studio; ``ended`` is called when it has been closed.

    Raises:
        ConfigError: anywidget or the explorer's packages are not installed.
    """
    kind = _widget()
    try:
        channel = Channel(studio, ended)
    except ImportError:
        raise ConfigError(f"the explorer needs starlette; install it with: {_INSTALL}") from None
    still = f"<p>{studio.title}: knobs are live in a running notebook with widgets.</p>"
    return kind(still, channel=channel)


class Channel:
    """The explorer's server without a port: requests come as messages of the notebook, in a loop of its own."""

    def __init__(self, studio: Studio, ended: Callable[[], None] = lambda: None) -> None:
        from stylex.ui.server import build_app

        self._ended = ended
        self._app = build_app(studio)
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._gate, self._closed = threading.Lock(), False
        self._asked: set[Future[tuple[int, str, bytes]]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stylex notebook", daemon=True)
        self._thread.start()
        begun: Future[None] = Future()
        self._life = asyncio.run_coroutine_threadsafe(self._live(begun), self._loop)
        begun.result(timeout=60)

    async def _live(self, begun: Future[None]) -> None:
        async with self._app.router.lifespan_context(self._app):
            begun.set_result(None)
            await self._end.wait()

    def ask(self, method: str, path: str, kind: str = "", body: bytes = b"") -> tuple[int, str, bytes]:
        """Status, type and bytes of the server's answer to a request; 503 after ``close``."""
        with self._gate:
            if self._closed:
                return 503, "text/plain; charset=utf-8", b"The explorer was closed. Show it again to go on."
            answer = asyncio.run_coroutine_threadsafe(self._ask(method, path, kind, body), self._loop)
            self._asked.add(answer)
        try:
            return answer.result()
        finally:
            self._asked.discard(answer)

    async def _ask(self, method: str, path: str, kind: str, body: bytes) -> tuple[int, str, bytes]:
        parts = urlsplit(path)
        headers = {"host": "localhost", "content-type": kind, "content-length": str(len(body))}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote(parts.path),
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers.items() if value],
            "client": None,
            "server": None,
        }
        status, answered, pieces = 500, "", [b""]

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            nonlocal status, answered
            if message["type"] == "http.response.start":
                status = message["status"]
                answered = dict(message["headers"]).get(b"content-type", b"").decode("latin-1")
            else:
                pieces.append(message.get("body", b""))

        with suppress(Exception):  # answered with 500 and plain words by then
            await self._app(scope, receive, send)
        return status, answered, b"".join(pieces)

    def close(self) -> None:
        """Answer what was asked already, and stop drawing and reading."""
        with self._gate:
            self._closed = True
        wait(self._asked.copy(), timeout=60)  # whoever asked before would wait for ever
        self._loop.call_soon_threadsafe(self._end.set)
        self._life.result(timeout=20)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()
        self._ended()


@cache
def _widget() -> Any:
    """The widget's class.

    Raises:
        ConfigError: anywidget is not installed.
    """
    try:
        import anywidget
        import traitlets
    except ImportError:
        raise ConfigError(f"knobs in a notebook need anywidget; install it with: {_INSTALL}") from None

    class Widget(anywidget.AnyWidget):
        """The viewer in a cell."""

        _esm = viewer_script("strip_source.js", "http_source.js") + "\n" + viewer_file("widget.js")
        _css = viewer_file("viewer.css")
        strips = traitlets.Unicode("").tag(sync=True)

        def __init__(self, still: str, *, channel: Channel | None = None, strips: str = "") -> None:
            super().__init__(strips=strips)
            self._still, self._channel = still, channel
            if channel is not None:
                self.on_msg(self._answer)

        def _answer(self, _: Any, message: dict[str, Any], buffers: list[Any]) -> None:
            assert self._channel is not None
            body = bytes(buffers[0]) if buffers else b""
            status, kind, data = self._channel.ask(message["method"], message["path"], message["type"], body)
            self.send({"id": message["id"], "status": status, "type": kind}, [data])

        def _repr_mimebundle_(self, **options: Any) -> Any:
            bundle: Any = super()._repr_mimebundle_(**options) or {}
            data, about = bundle if isinstance(bundle, tuple) else (bundle, {})
            return {**data, "text/html": self._still}, about

        def close(self) -> None:
            """Take the widget away, and stop what draws for it."""
            if self._channel is not None:
                self._channel.close()
                self._channel = None
            super().close()

    return Widget
