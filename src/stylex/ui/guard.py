"""Who may talk to the server: this machine's own browser on this server's own pages, or who knows the token."""

from __future__ import annotations

import asyncio
import hmac
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stylex.core.wording import option

COOKIE = "stylex-token"
MOST_BYTES = 64 * 1024
"""Of a request that is no upload."""
BODY_SECONDS = 60.0
"""A request must have arrived whole within these."""

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class Guard:
    """Checks every request before the application sees it, and puts the safe headers on every answer.

    Args:
        app: the application.
        token: what a request must know (in a cookie, set by opening ``/?token=...``); None: nothing, but its Host
            must then be this machine, so that no foreign name can be pointed at it (DNS rebinding).
        upload: the one path whose body may be larger, and how many bytes.
        root_path: the path at which a proxy shows the server, as ``/lab/explorer``; it may send it along or leave it
            out. A proxy has an origin of its own, so that the browser's word (Sec-Fetch-Site) stands for it.
        links: all that is worth guarding stands behind paths that hold a secret each, so that nothing else is asked
            for, and any name of this machine will do: who knows the path is welcome, nobody else can guess it.
    """

    def __init__(
        self, app: ASGIApp, *, token: str | None, upload: tuple[str, int], root_path: str = "", links: bool = False
    ) -> None:
        assert token is not None or links or not root_path, "behind a proxy, anybody may come"
        self.app, self.token, self.upload, self.root_path, self.links = app, token, upload, root_path, links

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await self.app(scope, receive, send)
            return

        if self.root_path and scope["path"] == self.root_path:
            await RedirectResponse(f"{self.root_path}/")(scope, receive, send)
            return
        if self.root_path and scope["path"].startswith(f"{self.root_path}/"):
            scope = {**scope, "path": scope["path"].removeprefix(self.root_path)}
        started = False

        async def send_safely(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *((k.lower().encode(), v.encode()) for k, v in _HEADERS.items() if k.lower().encode() not in own),
                ]
            await send(message)

        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        refusal = None if self.links else self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send_safely)
            return
        most = self.upload[1] if scope["path"] == self.upload[0] else MOST_BYTES
        declared = headers.get("content-length", "0")
        if not declared.isdecimal() or int(declared) > most:
            await _too_large(most).answer(scope, receive, send_safely)
            return
        read, coming, until = 0, True, asyncio.get_running_loop().time() + BODY_SECONDS

        async def receive_bounded() -> Message:
            nonlocal read, coming
            # Behind the body comes only word that the client has gone, for which there is no hurry.
            try:
                async with asyncio.timeout_at(until if coming else None):
                    message = await receive()
            except TimeoutError:
                raise _Cut(f"This did not arrive within {BODY_SECONDS:.0f} seconds.", 408) from None
            coming = coming and message.get("more_body", False)
            read += len(message.get("body", b""))
            if read > most:
                raise _too_large(most)
            return message

        try:
            await self.app(scope, receive_bounded, send_safely)
        except _Cut as cut:
            if not started:
                await cut.answer(scope, receive, send_safely)

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> Response | None:
        """What a request is refused with; None where it is welcome."""
        host = headers.get("host", "")
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            name = ""
        if self.token is None and not is_loopback(name):
            return _refused(
                f"this server answers to this machine's own name only, not to {host[:80]!r}; open it as localhost or "
                f"127.0.0.1, or start it with {option('host', '0.0.0.0')} for other machines, or behind a proxy with "
                f"{option('root_path')}: it then asks for a token",
                403,
            )
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site", "none")
        own = site == "same-origin" if self.root_path else origin and urlsplit_or_none(origin) == host.lower()
        if origin is not None and not own:
            return _refused("a page of another site may not use this server", 403)
        opened = scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate" and scope["method"] == "GET"
        if site not in ("none", "same-origin") and not opened:
            return _refused("a page of another site may not use this server", 403)
        if self.token is None:
            return None
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        if scope["path"] == "/" and given and _equal(given, self.token):
            answer = RedirectResponse("./", status_code=303)
            answer.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
            return answer
        if not _equal(_cookie(headers), self.token):
            return _refused("open the address with its token, as the command printed it", 401)
        return None


def address(host: str, port: int, token: str | None, root_path: str = "") -> str:
    """Where to go with a browser."""
    shown = "127.0.0.1" if host in ("0.0.0.0", "::", "") else f"[{host}]" if ":" in host else host
    return f"http://{shown}:{port}{root_path}/" + (f"?{urlencode({'token': token})}" if token else "")


def urlsplit_or_none(origin: str) -> str | None:
    """Host and port of an origin of the web; None for any other (``null``, an extension's)."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in ("http", "https") else None


class _Cut(Exception):
    """A request that is not read to its end; the answer closes the connection, or the rest would still be sent."""

    def __init__(self, why: str, status: int) -> None:
        self.answer = JSONResponse({"error": why}, status_code=status, headers={"Connection": "close"})


def _equal(a: str, b: str) -> bool:
    return hmac.compare_digest(a.encode(), b.encode())


def _cookie(headers: dict[str, str]) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", ""))
    except CookieError:
        return ""
    return cookie[COOKIE].value if COOKIE in cookie else ""


def _refused(why: str, status: int) -> Response:
    return JSONResponse({"error": f"Refused: {why}."}, status_code=status)


def _too_large(most: int) -> _Cut:
    size = f"{most // 2**20} MiB" if most >= 2**20 else f"{most // 1024} KiB"
    return _Cut(f"This is larger than the {size} that are allowed.", 413)
