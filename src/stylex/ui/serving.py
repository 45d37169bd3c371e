"""Listening: the port, the token, the browser, and the end of it all by Ctrl-C."""

from __future__ import annotations

import re
import secrets
import socket
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from stylex.core.errors import ConfigError
from stylex.core.progress import Found, Listener, silent
from stylex.core.studio import Studio
from stylex.core.wording import option

if TYPE_CHECKING:
    import uvicorn
    from starlette.applications import Starlette

_TRIES = 20
_OPEN_S = 20.0
"""A page within another program answers before these are over."""
_MOST_CONNECTIONS = 4000
"""A browser opens six, and the server closes those that nobody uses for 15 seconds."""
_OTHER_FILES = 100
"""Open files that are no connections."""


def check_installed(what: str = "the explorer") -> None:
    """Say before any work that the server cannot run.

    Raises:
        ConfigError: starlette or uvicorn is not installed.
    """
    missing = [name for name in ("starlette", "uvicorn") if find_spec(name) is None]
    if missing:
        raise ConfigError(f"{what} needs {' and '.join(missing)}; install them: pip install {' '.join(missing)}")


def tell_and_open(what: str, where: str, *, open_browser: bool, listener: Listener) -> None:
    """Say an address, and open the browser there when the server answers."""
    listener(Found(message=f"{what}: {where}  (Ctrl-C ends it)"))
    if open_browser:
        threading.Timer(0.3, webbrowser.open, [where]).start()


def serve_studio(
    studio: Studio, *, host: str, port: int, open_browser: bool, root_path: str = "", listener: Listener = silent
) -> None:
    """Serve a studio until Ctrl-C.

    Raises:
        ConfigError: the address cannot be listened at, or the root path is none.
    """
    from stylex.ui.server import build_app

    _serve("explorer", partial(build_app, studio), (host, port, root_path), open_browser, listener)


def serve_watch(
    run: Path, *, host: str, port: int, open_browser: bool, root_path: str = "", listener: Listener = silent
) -> None:
    """Show a run until Ctrl-C.

    Raises:
        ConfigError: the address cannot be listened at, or the root path is none.
    """
    from stylex.ui.watching import build_watch_app

    _serve("watch", partial(build_watch_app, run), (host, port, root_path), open_browser, listener)


def _serve(
    what: str, build: Callable[..., Starlette], at: tuple[str, int, str], open_browser: bool, listener: Listener
) -> None:
    from stylex.ui.guard import address, is_loopback

    host, port, root_path = at
    root_path = checked_root(root_path)
    token = None if is_loopback(host) and not root_path else secrets.token_urlsafe(24)
    with listen(host, port) as listening:
        where = address(host, listening.getsockname()[1], token, root_path)
        app = build(token=token, root_path=root_path)
        tell_and_open(what, where, open_browser=open_browser, listener=listener)
        server_of(app).run(sockets=[listening])


@contextmanager
def watched(run: Path, *, port: int, open_browser: bool, listener: Listener = silent) -> Iterator[None]:
    """Show a run to this machine while the block runs, from a thread beside it.

    Raises:
        ConfigError: the port cannot be listened at.
    """
    from stylex.ui.guard import address
    from stylex.ui.watching import build_watch_app

    with listen("127.0.0.1", port) as listening:
        where = address("127.0.0.1", listening.getsockname()[1], None)
        with running(build_watch_app(run, within=True), listening) as started:
            if not started:
                raise ConfigError(f"the page of {run} did not open at {where}; leave it out, or try again")
            tell_and_open("watch", where, open_browser=open_browser, listener=listener)
            yield


@contextmanager
def running(app: Starlette, listening: socket.socket) -> Iterator[bool]:
    """Serve an application from a thread while the block runs; gives whether it began."""
    server = server_of(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="stylex server", daemon=True)
    thread.start()
    try:
        until = time.monotonic() + _OPEN_S
        while not server.started and thread.is_alive() and time.monotonic() < until:
            time.sleep(0.01)
        yield server.started
    finally:
        server.should_exit = True
        thread.join(timeout=_OPEN_S)


def server_of(app: Starlette) -> uvicorn.Server:
    """The server of an application; it keeps no record of who asks."""
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, ws="none",
            timeout_graceful_shutdown=2, timeout_keep_alive=15, limit_concurrency=_room(),
            h11_max_incomplete_event_size=16384,
        )
    )  # fmt: skip


def checked_root(root_path: str) -> str:
    """The path at which a proxy shows a server, without a slash at its end.

    Raises:
        ConfigError: it is no path.
    """
    root_path = root_path.rstrip("/")
    if re.fullmatch(r"(/[\w.~@%+=:-]+)*", root_path, re.ASCII) is None:
        raise ConfigError(f"the root path is {root_path[:80]!r}; expected a path like /lab/explorer")
    return root_path


def _room() -> int:
    """How many connections can be open at once: as many as the system lets this process open files, with some over."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return _MOST_CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_CONNECTIONS + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return _MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(_MOST_CONNECTIONS, soft - _OTHER_FILES))


def listen(host: str, port: int) -> socket.socket:
    """A socket at the port, or at the first free one after it.

    Raises:
        ConfigError: there is none, or no such host.
    """
    if not 0 <= port <= 65535:
        raise ConfigError(f"there is no port {port}; expected 0 to 65535")
    refusal: OSError | None = None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for at in [port] if port == 0 else range(port, min(port + _TRIES, 65536)):
        # Of TCP by name: only then are answers sent at once, else head and body of one wait for each other (40 ms).
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((host, at))
            listening.listen(256)
            return listening
        except OSError as error:
            listening.close()
            refusal = error
    assert refusal is not None
    raise ConfigError(
        f"cannot listen at {host}:{port}: {refusal.strerror or refusal}; give another "
        f"{option('host')} or {option('port')}"
    ) from refusal
