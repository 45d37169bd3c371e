"""A black box in the explorer: how often it is asked, that this is bounded and told, and what goes on behind it."""

from __future__ import annotations

import base64
import io
import json
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn
from PIL import Image
from starlette.testclient import TestClient

import stylex
from stylex.classifiers import BlackBox
from stylex.cli import main
from stylex.core.errors import ClassifierError, ConfigError
from stylex.core.progress import Event, Found
from stylex.core.studio import Turn
from stylex.ui import notebook

pytestmark = pytest.mark.integration
HOME = "http://127.0.0.1"
LABELS = ("ankle boot", "sneaker")
REFUSED = "allow more, give fewer images, or keep its answers in a cache and go on with the same command"


def shares(images: np.ndarray) -> np.ndarray:
    """The fuller the picture, the surer of a boot."""
    bright = images.mean(axis=(1, 2, 3)) / 255
    return np.stack([bright, 1 - bright], axis=1)


def asked_of() -> BlackBox:
    return BlackBox(shares, labels=LABELS, input_size=32, channels=1)


class Server(ThreadingHTTPServer):
    """Counts the pictures that it is asked about."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        pngs = [base64.b64decode(each["b64"]) for each in body["instances"]]
        self.server.asked += len(pngs)
        pictures = np.stack([np.asarray(Image.open(io.BytesIO(png)))[..., None] for png in pngs])
        answer = json.dumps({"predictions": shares(pictures).tolist()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True, kwargs={"poll_interval": 0.01}).start()
        yield running
        running.shutdown()


@pytest.fixture
def explore(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command, with somebody at its page until Ctrl-C; gives its exit code."""
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps({"labels": LABELS, "input_size": 32, "channels": 1, "output": "probabilities"}))

    def run(at_the_page: Callable[[TestClient], None], *more: str, options: str = "") -> int:
        def sit(self: uvicorn.Server, sockets: Any) -> None:
            with TestClient(self.config.app, base_url=HOME) as client:  # type: ignore[arg-type]
                at_the_page(client)
            raise KeyboardInterrupt

        monkeypatch.setattr(uvicorn.Server, "run", sit)
        address = f"{HOME}:{server.server_port}/{options}"
        given = ["--classifier", address, "--classifier-spec", str(spec), "--other-classifier", "--images", "6"]
        return main(["explore", "demo", *given, "--no-browser", "--port", "0", "--device", "cpu", *more])

    return run


def images(client: TestClient) -> list[str]:
    """Those that were read, when all are."""
    until = time.monotonic() + 60
    while (answer := client.get("/api/images?after=0").json())["coming"] and time.monotonic() < until:
        time.sleep(0.01)
    return [image["id"] for image in answer["images"]]


def add(client: TestClient, colour: int) -> Any:
    buffer = io.BytesIO()
    Image.new("L", (32, 32), colour).save(buffer, "PNG")
    kind = {"Content-Type": "application/octet-stream"}
    return client.post(f"/api/images?name={colour}.png", content=buffer.getvalue(), headers=kind)


def frames(client: TestClient, image: str, knobs: dict[str, float]) -> Any:
    turns = [{"image": image, "knobs": knobs}]
    return client.post("/api/frames", json={"viewer": "v", "lane": "knob", "turns": turns})


def test_behind_the_bound_what_is_known_goes_on(
    explore: Callable[..., int], server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    def at_the_page(client: TestClient) -> None:
        ids = images(client)
        assert len(ids) == 6
        assert client.get("/api/images?after=0").json()["trouble"] is None
        colour = 0
        while (answer := add(client, colour)).status_code == 201:
            mine, colour = answer.json()["id"], colour + 7
        assert answer.status_code == 422
        said = answer.json()["error"]
        assert "images, and --max-calls allows 24, too few for the next" in said
        assert said.endswith(REFUSED)
        asked = server.asked
        # What needs new answers fails in one line ...
        job = client.post("/api/search", json={"image": ids[0], "target": None}).json()
        while job["state"] in ("waiting", "running"):
            time.sleep(0.02)
            job = client.get(f"/api/jobs/{job['job']}").json()
        assert job["state"] == "failed"
        assert "--max-calls allows 24" in job["error"]
        assert server.asked == asked
        # ... and what needs none goes on.
        assert add(client, 0).status_code == 201
        assert client.get(f"/api/images/{mine}").status_code == 200
        assert client.get(f"/api/images/{ids[0]}/rebuilt.png").status_code == 200
        drawn = frames(client, ids[0], {})
        assert drawn.status_code == 200
        (length,) = struct.unpack_from("<I", drawn.content)
        assert len(json.loads(drawn.content[4 : 4 + length])["frames"][0]) == 2
        assert server.asked == asked <= 24

    assert explore(at_the_page, "--max-calls", "24") == 130
    told = capsys.readouterr().err
    assert "about 12 calls of the classifier are expected" in told
    assert f"the classifier was called for {server.asked} images; " in told
    assert told.index("called for") < told.index("stylex: interrupted; the explorer has ended")
    assert "Traceback" not in told


def test_a_bound_that_the_images_alone_break_is_told_before_they_are_read(
    explore: Callable[..., int], server: Server, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def nobody(client: TestClient) -> None:
        raise AssertionError("there is no page")

    assert explore(nobody, "--max-calls", "11") == 2
    said = "this takes about 12 calls of the classifier, and --max-calls allows 11; allow more, or ask for fewer images"
    assert said in capsys.readouterr().err
    assert server.asked < 6
    assert explore(nobody, "--max-calls", "0") == 2
    assert "--max-calls is 0; expected 1 or more" in capsys.readouterr().err
    assert main(["explore", "demo", "--no-browser", "--port", "0", "--max-calls", "9"]) == 2
    assert "this classifier is computed here; leave it out" in capsys.readouterr().err


def test_with_its_answers_in_a_cache_the_explorer_opens_again_without_calls(
    explore: Callable[..., int], server: Server, tmp_path: Path
) -> None:
    cache = f",cache={tmp_path / 'answers.sqlite'}"
    seen: list[list[str]] = []
    assert explore(lambda client: seen.append(images(client)), options=cache) == 130
    asked = server.asked
    assert explore(lambda client: seen.append(images(client)), "--max-calls", "1", options=cache) == 130
    assert server.asked == asked
    assert seen[0] == seen[1] != []


def test_in_python_and_in_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("anywidget")
    heard: list[Event] = []
    box = asked_of()
    given: dict[str, Any] = {"classifier": box, "other_classifier": True, "images": 2, "device": "cpu"}
    studio = stylex.open_studio("demo", max_calls=12, listener=heard.append, **given)
    while studio.load_more():
        pass
    for image in studio.images:
        assert len(studio.render([Turn(image=image, knobs={})])[0].probabilities) == 2
    with pytest.raises(ClassifierError, match="max_calls allows 12, too few for the next"):
        studio.search(image, None, heard.append)
    with pytest.raises(ConfigError, match=r"about 4 calls .* and max_calls allows 7"):
        stylex.open_studio("demo", max_calls=7, **given | {"classifier": asked_of()})
    widget = stylex.explore("demo", max_calls=100, listener=heard.append, **given)
    assert isinstance(widget, notebook._widget())
    widget.close()
    assert isinstance(heard[-1], Found)
    assert heard[-1].message.startswith("the classifier was called for ")
