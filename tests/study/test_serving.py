"""Serving a study: links for its address, one server a study, and addresses that cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import uvicorn

from stylex.core.errors import ConfigError, StoreError
from stylex.core.lock import sole_writer
from stylex.core.progress import Alarm, Event, Found
from stylex.store.study import LINKS, read_tokens
from stylex.study.serving import serve_folder


@pytest.fixture
def served(monkeypatch, made):
    """Serve without serving: the folder, and what was said."""
    folder, _ = made()
    said: list[Event] = []
    ports: list[int] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: ports.append(sockets[0].getsockname()[1]))

    def serve(**given: Any) -> tuple[Path, list[Event], int]:
        options: dict[str, Any] = {"host": "127.0.0.1", "port": 0, "address": None, "root_path": "", **given}
        serve_folder(folder, listener=said.append, **options)
        return folder, said, ports[-1]

    return serve


def test_links_are_written_for_the_address(served) -> None:
    folder, said, port = served()
    assert said == [Found(message=f"study: http://127.0.0.1:{port}/  (links: {folder / LINKS}; Ctrl-C ends it)")]
    tokens = read_tokens(folder)
    assert (folder / LINKS).read_text().splitlines()[1] == f"1,http://127.0.0.1:{port}/r/{tokens[0]}/"
    served(address="https://study.example.org/lab/", root_path="/lab")
    assert f",https://study.example.org/lab/r/{tokens[0]}/" in (folder / LINKS).read_text()
    assert read_tokens(folder) == tokens


def test_who_serves_for_others_is_told_to_say_his_address(served) -> None:
    _, said, _ = served(host="0.0.0.0")
    assert isinstance(said[0], Alarm)
    assert "give address what raters reach it by" in said[0].message


def test_one_server_a_study(served, made) -> None:
    folder, _, _ = served()
    with sole_writer(folder, verb="study serve"), pytest.raises(StoreError, match="is being written by `stylex study"):
        served()


@pytest.mark.parametrize(
    "given",
    [{"address": "study.example.org"}, {"address": "https://x y/"}, {"address": "javascript:1"}, {"root_path": "lab"},
     {"port": -1}],
)  # fmt: skip
def test_an_address_that_cannot_be(served, given) -> None:
    with pytest.raises(ConfigError):
        served(**given)
