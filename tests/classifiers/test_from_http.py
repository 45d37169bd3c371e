"""A server as a classifier: how it is asked, and how little it is trusted."""

from __future__ import annotations

import base64
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import stylex.classifiers.from_http as from_http
from stylex.classifiers import Classifier, ClassifierSpec, load_classifier
from stylex.core.errors import ClassifierError

SPEC = ClassifierSpec(labels=("dark", "bright"), input_size=16, channels=3, output="probabilities")


def said(images: NDArray[np.uint8]) -> list[list[float]]:
    bright = images.mean(axis=(1, 2, 3)) / 255
    return [[1 - float(b), float(b)] for b in bright]


class Server(ThreadingHTTPServer):
    """Answers as ``answer`` says, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[bytes] = []
        self.headers: list[Any] = []
        self.answer: Callable[[Handler, bytes], None] = predictions
        threading.Thread(target=self.serve_forever, daemon=True, kwargs={"poll_interval": 0.01}).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/predict"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: clients that hang up are what is tested."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.bodies.append(body)
        self.server.headers.append(self.headers)
        self.server.answer(self, body)

    def do_GET(self) -> None:
        raise AssertionError("nothing but POST is asked")

    def send(self, content: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


def picture(png: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(png)))


def predictions(handler: Handler, body: bytes) -> None:
    pngs = [base64.b64decode(each["b64"]) for each in json.loads(body)["instances"]]
    handler.send(json.dumps({"predictions": said(np.stack([picture(png) for png in pngs]))}).encode())


def constant(content: bytes, status: int = 200, **headers: str) -> Callable[[Handler, bytes], None]:
    return lambda handler, body: handler.send(content, status, **headers)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(from_http, "_WAIT_S", 0.001)
    with Server() as running:
        yield running
        running.shutdown()


def opened(server: Server, options: str = "", spec: ClassifierSpec | None = SPEC) -> Classifier:
    return load_classifier(server.address + options, spec)


def expected(x: Tensor) -> Tensor:
    return torch.tensor(said(((x + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()))


def test_a_batch_is_one_request(server: Server, x: Tensor) -> None:
    classifier = opened(server, ",batch=3")
    torch.testing.assert_close(classifier.probabilities(classifier.logits(x)), expected(x))
    assert [len(json.loads(body)["instances"]) for body in server.bodies] == [3, 1]
    assert not classifier.gradient


def test_a_picture_is_one_request(server: Server, x: Tensor) -> None:
    server.answer = lambda handler, body: handler.send(json.dumps(said(picture(body)[None])[0]).encode())
    classifier = opened(server, ",body=image")
    torch.testing.assert_close(classifier.probabilities(classifier.logits(x)), expected(x))
    assert len(server.bodies) == 4
    assert server.headers[0]["Content-Type"] == "image/png"


def test_grey_pictures_are_sent_as_such(server: Server, x: Tensor) -> None:
    server.answer = lambda handler, body: handler.send(json.dumps(said(picture(body)[None, :, :, None])).encode())
    grey = ClassifierSpec(labels=SPEC.labels, input_size=16, channels=1, output="probabilities")
    classifier = opened(server, ",body=image", grey)
    torch.testing.assert_close(classifier.probabilities(classifier.logits(x[:, :1])), expected(x[:, :1]))


@pytest.mark.parametrize(
    "answer",
    [
        "[[0.2, 0.8]]",
        "[0.2, 0.8]",
        '{"predictions": [[0.2, 0.8]]}',
        '{"outputs": [{"bright": 0.8, "dark": 0.2}]}',
        '{"bright": 0.8, "dark": 0.2, "unknown": 7}',
        '[{"label": "bright", "score": 0.8}, {"label": "dark", "score": 0.2}]',
        '[[{"label": "bright", "score": 0.8}, {"label": "dark", "score": 0.2}]]',
        '{"probabilities": [0.8]}',
    ],
)
def test_answers_are_read_in_the_usual_forms(server: Server, x: Tensor, answer: str) -> None:
    server.answer = constant(answer.encode())
    classifier = opened(server)
    torch.testing.assert_close(classifier.probabilities(classifier.logits(x[:1])), torch.tensor([[0.2, 0.8]]))


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"<html>", "cannot be read"),
        (b"[[0.2, 0.8], [0.1, 0.9]]", "cannot be read"),
        (b"[[0.2, 0.5, 0.3]]", "3 numbers for 2 labels"),
        (b'[["a", "b"]]', "no list of numbers"),
        (b"[[true, false]]", "no list of numbers"),
        (b'{"bright": 0.8}', "no number for the label 'dark'"),
        (b"[[NaN, 1]]", "not finite"),
        (b"[[1" + b"0" * 400 + b", 1]]", "cannot be read|not finite"),
        (b"[" * 100_00, "nested too deeply|cannot be read"),
        (b'{"predictions": null}', "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_an_answer_that_cannot_be_read_is_one_line(server: Server, x: Tensor, answer: bytes, says: str) -> None:
    server.answer = constant(answer)
    with pytest.raises(ClassifierError, match=says) as caught:
        opened(server).logits(x[:1])
    assert "\n" not in str(caught.value)


def test_an_answer_of_any_size_is_not_read(server: Server, x: Tensor) -> None:
    server.answer = constant(b"[" + b" " * 200_000)
    with pytest.raises(ClassifierError, match="answered with more than"):
        opened(server).logits(x[:1])


def test_nobody_else_is_called(server: Server, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server() as other:
        monkeypatch.setenv("http_proxy", other.address)
        for status in (301, 302, 307, 308):
            server.answer = constant(b"", status, Location=other.address)
            with pytest.raises(ClassifierError, match="no other address is called than the one given"):
                opened(server).logits(x[:1])
        other.shutdown()
        assert other.bodies == []


def test_what_may_pass_is_tried_again(server: Server, x: Tensor) -> None:
    statuses = [503, 429, 200]

    def answer(handler: Handler, body: bytes) -> None:
        status = statuses.pop(0)
        predictions(handler, body) if status == 200 else handler.send(b"", status, Retry_After="0")

    server.answer = answer
    opened(server).logits(x)
    assert len(server.bodies) == 3
    server.answer = constant(b"busy", 503)
    with pytest.raises(ClassifierError, match="no answer in 3 tries: status 503"):
        opened(server, ",retries=2").logits(x)
    server.answer = constant(b"what\nis\x1b[31m this", 400)
    with pytest.raises(ClassifierError, match="refused the request with status 400: 'what is"):
        opened(server).logits(x)


def test_a_connection_that_was_closed_is_opened_again(server: Server, x: Tensor) -> None:
    def answer(handler: Handler, body: bytes) -> None:
        predictions(handler, body)
        handler.close_connection = True

    server.answer = answer
    classifier = opened(server)
    classifier.logits(x)
    classifier.logits(-x)
    with pytest.raises(ClassifierError, match="no answer in 1 tries"):
        load_classifier(f"http://127.0.0.1:{_free_port()}/,retries=0", SPEC).logits(x)


@pytest.mark.parametrize(
    ("at_once", "drops"),
    [(b"", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100), (b"HTTP/1.0 200 OK\r\n\r\n", b" " * 100)],
    ids=["its heads", "an answer without an end"],
)
def test_a_server_that_takes_its_time_is_left(server: Server, x: Tensor, at_once: bytes, drops: bytes) -> None:
    def drip(handler: Handler, body: bytes) -> None:
        with suppress(OSError):
            handler.wfile.write(at_once)
            for letter in drops:
                handler.wfile.write(bytes([letter]))
                time.sleep(0.2)

    server.answer = drip
    began = time.monotonic()
    with pytest.raises(ClassifierError, match=r"no (whole )?answer within 0\.2 s"):
        opened(server, ",timeout=0.2,retries=0").logits(x)
    assert time.monotonic() - began < 10  # of the 20 and more that it takes


def test_requests_keep_their_distance(server: Server, x: Tensor) -> None:
    began = time.monotonic()
    opened(server, ",rate=20,batch=1").logits(x)
    assert time.monotonic() - began >= 0.15


def test_answers_are_kept(server: Server, x: Tensor, tmp_path: Path) -> None:
    for _ in range(2):
        opened(server, f",cache={tmp_path}/answers").logits(x)
    assert len(server.bodies) == 1


def test_a_secret_is_taken_from_the_environment(server: Server, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ClassifierError, match="'MY_TOKEN', which is not set"):
        opened(server, ",token=MY_TOKEN")
    monkeypatch.setenv("MY_TOKEN", "secret")
    opened(server, ",token=MY_TOKEN").logits(x)
    assert server.headers[0]["Authorization"] == "Bearer secret"


@pytest.mark.parametrize(
    ("reference", "spec", "says"),
    [
        ("http://user:word@127.0.0.1/", SPEC, "cannot be called"),
        ("http:///predict", SPEC, "cannot be called"),
        ("http://127.0.0.1:99999/", SPEC, "cannot be called"),
        ("http://127.0.0.1/a b", SPEC, "cannot be called"),
        ("http://127.0.0.1/a\r\nX: y", SPEC, "cannot be called"),
        ("http://127.0.0.1/,body=xml", SPEC, "expected json or image"),
        ("http://127.0.0.1/,batch=many", SPEC, "cannot be meant"),
        ("http://127.0.0.1/,rate=-1", SPEC, "cannot be meant"),
        ("http://127.0.0.1/,timeout=nan", SPEC, "cannot be meant"),
        ("http://127.0.0.1/", None, "classifier_spec"),
        (
            "http://127.0.0.1/",
            ClassifierSpec(labels=("a", "b"), input_size=8, channels=3, mean=(0.5,)),
            "has mean or std",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_line(reference: str, spec: ClassifierSpec | None, says: str) -> None:
    with pytest.raises(ClassifierError, match=says) as caught:
        load_classifier(reference, spec)
    assert "\n" not in str(caught.value)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
