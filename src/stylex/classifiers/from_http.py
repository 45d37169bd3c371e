"""``http://HOST:PORT/PATH``: a server as a black box, asked over the network with nothing but pictures.

Options stand behind the address, ``http://127.0.0.1:8080/predict,body=image,rate=10``:

- ``body``: ``json`` (not given): ``{"instances": [{"b64": PNG}, ...]}``, as TensorFlow Serving and KServe take it; or
  ``image``: one PNG a request.
- ``batch``: images of one JSON body (32); ``rate``: requests a second, at most; ``timeout``: seconds that an answer may
  take (30); ``retries``: after a failure that may pass (4); ``cache``: a file to keep answers in; ``token``: the
  environment variable whose value is sent as a bearer token.

Answers are JSON: a row of numbers for each image, in the order of the labels, or an object of numbers by label, or a
list of objects ``{"label": ..., "score": ...}``; alone, or under ``predictions``, ``probabilities``, ``outputs``,
``scores`` or ``logits``. Only the address that was given is called: no redirect is followed, and no proxy used.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import os
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from jaxtyping import Float32, UInt8
from numpy import ndarray
from PIL import Image

from stylex.classifiers.black_box import BlackBox
from stylex.classifiers.named import Named
from stylex.classifiers.spec import ClassifierSpec
from stylex.core.errors import ClassifierError
from stylex.core.reference import reason
from stylex.core.untrusted import parse_json
from stylex.core.wording import option

_PASSES = (408, 425, 429, 500, 502, 503, 504)
"""Answers after which the same request may succeed later."""
_WAIT_S, _LONGEST_WAIT_S = 0.5, 60.0
_UNDER = ("predictions", "probabilities", "outputs", "scores", "logits")
_ANSWER_BYTES, _NUMBER_BYTES = 2**16, 256
"""An answer may have so many bytes, and so many more for each number that is expected."""


class _Failed(Exception):
    """A request without an answer, after which another one may get it; ``after_s``: the server's own wish."""

    def __init__(self, why: str, after_s: float = 0.0) -> None:
        super().__init__(why)
        self.after_s = after_s


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How a server is asked; the module's head says what the options are."""

    body: str = "json"
    batch: int = 32
    rate: float = 0.0
    timeout: float = 30.0
    retries: int = 4
    cache: str | None = None
    token: str | None = None

    @classmethod
    def parse(cls, given: Named) -> Asking:
        """Read the options.

        Raises:
            ClassifierError: one that cannot be meant.
        """
        values: dict[str, Any] = dict(given.options)
        try:
            values |= {key: int(values[key]) for key in ("batch", "retries") if key in values}
            values |= {key: float(values[key]) for key in ("rate", "timeout") if key in values}
            asking = cls(**values)
            if asking.body not in ("json", "image"):
                raise ValueError(f"body is {asking.body!r}, expected json or image")
            if not (1 <= asking.batch <= 4096 and 0 <= asking.retries <= 20):
                raise ValueError("batch lies in 1..4096, retries in 0..20")
            if not (0 <= asking.rate < 1e6 and 0 < asking.timeout <= 3600):
                raise ValueError("rate is requests a second, timeout seconds up to 3600")
        except ValueError as error:
            raise ClassifierError(f"{given.text[:200]!r} cannot be meant: {error}") from None
        return asking


class Server:
    """One address, asked about batches of pictures; connections are kept open."""

    def __init__(self, url: str, labels: Sequence[str], outputs: int, asking: Asking) -> None:
        # Closed with the server itself, in whatever order its parts are let go.
        self._open: list[http.client.HTTPConnection] = []
        weakref.finalize(self, _close_all, self._open)
        self._url, self._labels, self._outputs, self._asking = url, tuple(labels), outputs, asking
        parts = urlsplit(url)
        self._host, self._port, self._secure = parts.hostname or "", parts.port, parts.scheme == "https"
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._next = 0.0
        self._headers = {"Accept": "application/json", "User-Agent": "stylex"}
        if asking.token is not None:
            if not (secret := os.environ.get(asking.token)):
                raise ClassifierError(f"token names the environment variable {asking.token!r}, which is not set")
            self._headers["Authorization"] = f"Bearer {secret}"

    def __call__(self, pictures: UInt8[ndarray, "n h w c"]) -> Float32[ndarray, "n k"]:
        """The answers, a row each.

        Raises:
            ClassifierError: there is no answer, or one that cannot be read.
        """
        pngs = [_png(picture) for picture in pictures]
        if self._asking.body == "image":
            return np.concatenate([self._rows(self._asked(png, "image/png", 1), 1) for png in pngs])
        body = json.dumps({"instances": [{"b64": base64.b64encode(png).decode()} for png in pngs]}).encode()
        return self._rows(self._asked(body, "application/json", len(pngs)), len(pngs))

    def _asked(self, body: bytes, kind: str, images: int) -> bytes:
        for attempt in range(self._asking.retries + 1):
            if (wait := self._next - time.monotonic()) > 0:
                time.sleep(wait)
            if self._asking.rate:
                self._next = time.monotonic() + 1 / self._asking.rate
            try:
                return self._once(body, kind, images)
            except _Failed as failure:
                self._close()
                if attempt == self._asking.retries:
                    raise ClassifierError(
                        f"{self._url} gave no answer in {attempt + 1} tries: {failure}; see that the server runs and "
                        "takes such images, or give it more time (timeout=..., retries=...)"
                    ) from None
                time.sleep(min(_LONGEST_WAIT_S, max(failure.after_s, _WAIT_S * 2**attempt)))
        raise AssertionError("the last try answers or raises")

    def _once(self, body: bytes, kind: str, images: int) -> bytes:
        most = _ANSWER_BYTES + _NUMBER_BYTES * images * self._outputs
        if not self._open:
            self._open.append(self._connected())
        connection = self._open[0]
        late = threading.Event()
        try:
            if connection.sock is None:
                connection.connect()
            with _shut_after(self._asking.timeout, connection.sock, late):
                connection.request("POST", self._path, body, {**self._headers, "Content-Type": kind})
                answer = connection.getresponse()
                content = answer.read(most + 1)
                answer.close()
        except (OSError, http.client.HTTPException) as error:
            over = late.is_set() or isinstance(error, TimeoutError)
            raise _Failed(f"no answer within {self._asking.timeout:g} s" if over else reason(error)) from None
        if late.is_set():
            raise _Failed(f"no whole answer within {self._asking.timeout:g} s")
        if len(content) > most:
            self._close()
            raise ClassifierError(
                f"{self._url} answered with more than {most:,} bytes for {images} image(s); expected JSON with "
                f"{self._outputs} numbers for each"
            )
        if 300 <= answer.status < 400:
            self._close()
            raise ClassifierError(
                f"{self._url} sends elsewhere (status {answer.status}), and no other address is called than the one "
                "given; give the address itself"
            )
        if answer.status in _PASSES:
            raise _Failed(f"status {answer.status}", _seconds(answer.getheader("Retry-After")))
        if answer.status != 200:
            self._close()
            said = content[:200].decode("utf-8", "replace")
            said = "".join(letter if letter.isprintable() else " " for letter in said)
            raise ClassifierError(
                f"{self._url} refused the request with status {answer.status}: {said!r}; see which body it takes "
                "(body=json or body=image)"
            )
        return content

    def _connected(self) -> http.client.HTTPConnection:
        if self._secure:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._asking.timeout, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._asking.timeout)

    def _close(self) -> None:
        _close_all(self._open)

    def _rows(self, content: bytes, images: int) -> Float32[ndarray, "n k"]:
        try:
            found = parse_json(content)
            if isinstance(found, Mapping):
                found = next((found[key] for key in _UNDER if key in found), found)
            alone = images == 1 and not (isinstance(found, list) and len(found) == 1 and not _is_number(found[0]))
            if images == 1 and isinstance(found, list) and found and all(_scored(each) for each in found):
                alone = True
            rows = [found] if alone else found
            if not isinstance(rows, list) or len(rows) != images:
                raise ValueError(f"expected {images} rows")
            return np.array([self._row(row) for row in rows], dtype=np.float32)
        except (ValueError, OverflowError) as error:
            raise ClassifierError(
                f"the answer of {self._url} for {images} image(s) cannot be read: {error}; expected JSON with "
                f"{self._outputs} numbers for each image, as {{'predictions': [[...], ...]}}"
            ) from None

    def _row(self, row: Any) -> list[float]:
        if isinstance(row, list) and row and all(_scored(each) for each in row):
            row = {each["label"]: each["score"] for each in row}
        if isinstance(row, Mapping):
            if missing := [label for label in self._labels if label not in row]:
                raise ValueError(f"no number for the label {missing[0]!r}")
            row = [row[label] for label in self._labels]
        if not isinstance(row, list) or not all(_is_number(value) for value in row):
            raise ValueError("a row is no list of numbers")
        if len(row) not in (self._outputs, 1) or (len(row) == 1 and len(self._labels) > 2):
            raise ValueError(f"a row has {len(row)} numbers for {len(self._labels)} labels")
        return [float(value) for value in row]


def load(given: Named, spec: ClassifierSpec | None) -> tuple[BlackBox, ClassifierSpec]:
    """The server at an address.

    Raises:
        ClassifierError: an address or options that cannot be meant, or a spec that is missing or does not fit.
    """
    asking, url = Asking.parse(given), given.text.partition(":")[0] + ":" + given.name
    try:
        parts = urlsplit(url)
        meant = bool(parts.hostname) and parts.port != 0 and url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        meant = False
    if not meant or parts.username is not None or parts.fragment:
        raise ClassifierError(
            f"the address {url[:200]!r} cannot be called; expected http://HOST:PORT/PATH, with a password, if one is "
            "needed, in an environment variable that token=NAME names"
        )
    if spec is None:
        raise ClassifierError(
            f"a server does not say what it takes; give {option('classifier_spec')}, a JSON file with labels, "
            "input_size, channels and output"
        )
    if any(spec.mean) or set(spec.std) != {1.0}:
        raise ClassifierError(
            "the spec of a server has mean or std, but it is sent pictures; leave them out, it prepares them itself"
        )
    outputs = 1 if spec.output == "single-logit" else spec.k
    box = BlackBox(
        Server(url, spec.labels, outputs, asking),
        labels=spec.labels,
        input_size=spec.input_size,
        channels=spec.channels,
        output=spec.output,
        batch=asking.batch,
        cache=asking.cache,
        name=url,
    )
    return box, box.spec


def _png(picture: UInt8[ndarray, "h w c"]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _close_all(connections: list[http.client.HTTPConnection]) -> None:
    while connections:
        connections.pop().close()


@contextmanager
def _shut_after(seconds: float, connected: socket.socket, late: threading.Event) -> Iterator[None]:
    """A server that sends a byte now and then must end too: after so long its socket is shut, and ``late`` is set.

    (The connection itself lets go of its socket where the server closes it at the end of the answer.)
    """

    def shut() -> None:
        late.set()
        with suppress(OSError):
            connected.shutdown(socket.SHUT_RDWR)

    alarm = threading.Timer(seconds, shut)
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 6 else 0.0


def _scored(each: Any) -> bool:
    return isinstance(each, Mapping) and set(each) == {"label", "score"} and isinstance(each["label"], str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
