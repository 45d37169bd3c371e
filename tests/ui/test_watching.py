"""The page of a training: read only, told only to whom it may be, beside a training and within it."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient
from tests.store.test_runs import made
from tests.training.conftest import discs

import stylex
from stylex.core.errors import ConfigError, StoreError
from stylex.core.lock import sole_writer
from stylex.core.progress import Event, Found, Tick
from stylex.ui import watching
from stylex.ui.guard import COOKIE
from stylex.ui.serving import serve_watch, watched
from stylex.ui.watching import build_watch_app

HOME = "http://127.0.0.1:8700"


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The page of ``tmp_path / "run"``, read anew for each who asks."""
    monkeypatch.setattr(watching, "_FRESH_S", -1.0)
    with TestClient(build_watch_app(tmp_path / "run"), base_url=HOME) as client:
        yield client


def test_before_the_beginning_and_after(client: TestClient, tmp_path: Path) -> None:
    assert client.get("/api/run").json()["run"] is None
    run = made(tmp_path / "run")
    told = client.get("/api/run").json()
    assert (told["name"], told["run"]["state"], told["panels"]) == ("run", "stopped", [500])
    assert told["curves"]["pixel"][-1] == [1000, 0.001]
    assert told["curves"]["held_out/agreement"] == [[500, 0.75]]
    assert "for 75.0% of the images (with another image's reconstruction for 50.0%)" in told["verdict"]
    with sole_writer(run, verb="train"):
        assert client.get("/api/run").json()["run"]["state"] == "training"
        with open(run / "stats.jsonl", "a") as file:
            file.write(json.dumps({"nimg": 1100, "images_per_s": 5.0, "pixel": 2.0, "total_nimg": 2000}) + "\n")
        now = client.get("/api/run").json()
    assert (now["run"]["nimg"], now["run"]["left_s"]) == (1100, 180)


def test_panels_are_looked_up_and_nothing_else_is(client: TestClient, tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    (run / "secret.png").write_bytes(b"secret")
    panel = client.get("/api/panels/500.png")
    assert (panel.content, panel.headers["content-type"]) == (b"a panel", "image/png")
    for path in ("/api/panels/501.png", "/api/panels/../secret.png", "/stats.jsonl", "/api/panels/secret.png", "/run"):
        assert client.get(path).status_code == 404
    assert client.post("/api/run").status_code == 405


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/")
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"
    for name in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        answer = client.get(f"/{name}")
        assert answer.status_code == 200
        assert "http" not in re.sub(r"http://www.w3.org/2000/svg", "", answer.text), name
    assert not re.search(r"style=|<script>|\bon\w+=", page.text)


def test_only_this_machine_is_told(client: TestClient, tmp_path: Path) -> None:
    assert client.get("/api/run", headers={"host": "elsewhere.example"}).status_code == 403
    assert client.get("/api/run", headers={"origin": "http://elsewhere.example"}).status_code == 403
    with TestClient(build_watch_app(tmp_path / "run", token="abc"), base_url=HOME) as asked:
        assert asked.get("/api/run").status_code == 401
        assert asked.get("/?token=abc").status_code == 200
        assert COOKIE in asked.cookies
        assert asked.get("/api/run").status_code == 200


def test_watching_touches_nothing(client: TestClient, tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    for path in ("/", "/api/run", "/api/panels/500.png"):
        client.get(path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert run.is_dir()


def test_a_log_that_cannot_be_read_is_told_and_not_a_fault(client: TestClient, tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    (run / "stats.jsonl").unlink()
    (run / "stats.jsonl").mkdir()
    told = client.get("/api/run").json()
    assert told["run"]["state"] == "damaged"
    assert "stats.jsonl cannot be read" in told["run"]["trouble"]


def test_within_a_program_it_is_there_for_as_long_as_the_block(tmp_path: Path) -> None:
    run, heard = made(tmp_path / "run"), list[Event]()
    with watched(run, port=0, open_browser=False, listener=heard.append):
        where = address_in(heard)
        told = asked(where)
        assert (told["within"], told["run"]["state"]) == (True, "stopped")
    with pytest.raises(urllib.error.URLError):
        asked(where)


def address_in(heard: list[Event]) -> str:
    (found,) = (e.message for e in heard if isinstance(e, Found) and e.message.startswith("watch: "))
    return found.split()[1]


def asked(where: str) -> Any:
    with urllib.request.urlopen(f"{where}api/run", timeout=20) as answer:
        return json.loads(answer.read())


def test_mistakes_are_told_before_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match="holds no run"):
        stylex.watch(tmp_path / "none")
    with pytest.raises(ConfigError, match="there is no port 99999"):
        serve_watch(tmp_path, host="127.0.0.1", port=99999, open_browser=False)
    monkeypatch.setattr("stylex.ui.serving.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="the page of a training needs starlette and uvicorn"):
        stylex.watch(tmp_path / "none")


@pytest.mark.integration
def test_a_training_shows_itself_while_it_runs(tmp_path: Path) -> None:
    discs(tmp_path / "discs.zip")
    stylex.fit_classifier(tmp_path / "discs.zip", tmp_path / "classifier", epochs=1)
    heard: list[Event] = []
    seen: list[Any] = []

    def hear(event: Event) -> None:
        heard.append(event)
        if isinstance(event, Tick) and event.nimg < event.total_nimg:
            seen.append(asked(address_in(heard)))

    stylex.train(
        data=tmp_path / "discs.zip", classifier=tmp_path / "classifier", out=tmp_path / "run", preset="tiny-16",
        kimg=1.2, watch=True, no_browser=True, listener=hear,
    )  # fmt: skip
    assert seen[-1]["run"]["state"] == "training"
    assert seen[-1]["run"]["total_nimg"] == 1200
    assert "pixel" in seen[-1]["curves"]
    assert stylex.runs(tmp_path)[0].state == "finished"
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(address_in(heard))
