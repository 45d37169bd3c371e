"""Listening: a port that is taken, an address that cannot be, what is said, and what is missing."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
import uvicorn

from stylex.core.errors import ConfigError
from stylex.core.progress import Event, Found
from stylex.ui import serving
from stylex.ui.serving import check_installed, serve_studio


@pytest.fixture
def served(monkeypatch, read_studio):
    """Serve without serving: what was said, and where it would have listened."""
    said: list[Event] = []
    sockets: list[tuple[Any, ...]] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: places.append(sockets[0].getsockname()))
    places = sockets

    def serve(**options: Any) -> tuple[str, int]:
        serve_studio(read_studio, open_browser=False, listener=said.append, **options)
        event = said[-1]
        assert isinstance(event, Found)
        return event.message, places[-1][1]

    return serve


def test_the_next_free_port_is_taken_and_said(served) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        message, port = served(host="127.0.0.1", port=taken)
        assert port != taken
        assert message == f"explorer: http://127.0.0.1:{port}/  (Ctrl-C ends it)"


def test_answers_are_sent_at_once() -> None:
    async def nodelay() -> int:
        arrived: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        async def came(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            arrived.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with serving.listen("127.0.0.1", 0) as listening:
            async with await asyncio.start_server(came, sock=listening):
                _, writer = await asyncio.open_connection(*listening.getsockname())
                try:
                    return await arrived
                finally:
                    writer.close()

    assert asyncio.run(nodelay()), "the kernel would hold the end of an answer back, for 40 ms"


def test_a_token_is_asked_for_where_others_can_reach_it(served) -> None:
    message, port = served(host="0.0.0.0", port=0)
    assert f"http://127.0.0.1:{port}/?token=" in message
    assert len(message.split("token=")[1].split()[0]) >= 32
    assert served(host="0.0.0.0", port=0)[0].split("token=")[1] != message.split("token=")[1]


def test_behind_a_proxy_a_token_is_asked_for(served) -> None:
    message, port = served(host="127.0.0.1", port=0, root_path="/user/me/proxy/8600/")
    assert f"http://127.0.0.1:{port}/user/me/proxy/8600/?token=" in message
    for wrong in ("lab", "/a//b", "/a?b", "/a\n", "//evil.example", "/é"):
        with pytest.raises(ConfigError, match="expected a path like /lab/explorer"):
            served(host="127.0.0.1", port=0, root_path=wrong)


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [("127.0.0.1", 70000, "no port 70000"), ("127.0.0.1", -1, "no port"), ("203.0.113.7", 8600, "give another host")],
)
def test_an_address_that_cannot_be(served, host, port, words) -> None:
    with pytest.raises(ConfigError, match=words):
        served(host=host, port=port)


def test_what_is_not_installed_is_said_with_the_remedy(monkeypatch) -> None:
    check_installed()
    monkeypatch.setattr(serving, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs starlette and uvicorn; install them: pip install starlette uvicorn"):
        check_installed()
