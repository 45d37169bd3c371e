"""Calls of a service, told before a search and counted in it: the demo's classifier behind HTTP."""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import stylex
from stylex.core.progress import Event, Found

pytestmark = pytest.mark.integration
DEMO = Path(stylex.__file__).parent / "demo_data"


@pytest.fixture
def service() -> Iterator[str]:
    """The address of a server around the demo's classifier, which answers with its logits."""
    classifier, one_at_a_time = stylex.load_classifier(DEMO / "classifier"), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            pngs = [base64.b64decode(each["b64"]) for each in body["instances"]]
            pictures = np.stack([np.asarray(Image.open(io.BytesIO(png))) for png in pngs])
            with one_at_a_time, torch.no_grad():
                logits = classifier.logits(torch.from_numpy(pictures)[:, None] / 127.5 - 1)
            content = json.dumps({"predictions": logits.tolist()}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/predict"
        server.shutdown()


def test_a_service_gets_the_attributes_that_its_classifier_gets_here(service: str, tmp_path: Path) -> None:
    heard: list[Event] = []

    def found(classifier: str | Path, out: str) -> stylex.Explanation:
        return stylex.find(
            DEMO / "snapshot",
            data=DEMO / "shoes.zip",
            classifier=classifier,
            images=40,
            attributes=3,
            out=tmp_path / out,
            listener=heard.append,
        )

    here, there = found(DEMO / "classifier", "here"), found(service, "there")
    assert len(here.ranking) > 0
    for mine, theirs in zip(here.ranking, there.ranking, strict=True):
        assert (mine.coordinate, mine.sign, mine.target) == (theirs.coordinate, theirs.sign, theirs.target)
        assert theirs.effect == pytest.approx(mine.effect, abs=0.05)  # pictures are sent in 8 bits
    assert any("no gradient" in note for note in there.notes)
    assert not any("no gradient" in note for note in here.notes)
    said = "\n".join(event.message for event in heard if isinstance(event, Found))
    numbers = re.search(r"about ([\d,]+) calls.*called for ([\d,]+) images", said, re.DOTALL)
    assert numbers is not None
    expected, called = (int(number.replace(",", "")) for number in numbers.groups())
    assert called <= expected <= 1.2 * called
