"""Turn a knob as the explorer's page does: ``PYTHON .ci/turn.py STYLEX EXPLANATION``; says what that changed.

Starts the explorer on the demo, asks for pictures of one image with a knob turned both ways and at rest, and stops.
Needs nothing but Python, so that the environment under test is the explorer's alone.
"""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import subprocess
import sys
import time
from typing import Any
from urllib.request import Request, urlopen

PATIENCE_S = 120.0
INTERRUPTED = 130


def main() -> int:
    """Exit with 1 where the picture did not change, or the explorer did not end well."""
    stylex, explanation = sys.argv[1:]
    command = [stylex, "explore", "demo", "--explanation", explanation, "--no-browser", "--port", "0"]
    told_at_once = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=told_at_once
    ) as explorer:
        try:
            assert explorer.stdout is not None
            said = ""
            for line in explorer.stdout:
                said += line
                if (found := re.search(r"http://127\.0\.0\.1:\d+", line)) is not None:
                    break
            else:
                return 1
            what, changed = one_turn(found.group())
            sys.stdout.write(f"{what}\n")
        finally:
            explorer.send_signal(signal.SIGINT)
            explorer.communicate(timeout=PATIENCE_S)
    return 0 if changed and explorer.returncode == INTERRUPTED else 1


def one_turn(address: str) -> tuple[str, bool]:
    """What the first knob does to the first image, turned both ways and at rest; and whether the pictures differ."""
    described = asked(f"{address}/api/describe")
    images: list[dict[str, Any]] = []
    while not images:  # they are read while the page is open
        time.sleep(0.1)
        images = asked(f"{address}/api/images?after=0")["images"]
    image, knob = images[0]["id"], described["knobs"][0]
    ways = (1.0, -1.0, 0.0)
    turns = [{"image": image, "knobs": {"0": way}} for way in ways]
    body = json.dumps({"viewer": "newcomer", "lane": "knob", "turns": turns}).encode()
    request = Request(f"{address}/api/frames", body, {"Content-Type": "application/json"})
    with urlopen(request, None, PATIENCE_S) as drawn:
        answer = drawn.read()
    (length,) = struct.unpack_from("<I", answer)
    header, pixels = json.loads(answer[4 : 4 + length]), answer[4 + length :]
    size = header["width"] * header["height"] * header["channels"]
    pictures = {pixels[begin : begin + size] for begin in range(0, len(pixels), size)}
    told = (f"{frame[0]:.0%} at {way:+g}" for way, frame in zip(ways, header["frames"], strict=True))
    return f"{knob['technical']} on {image}: {described['labels'][0]} {', '.join(told)}", len(pictures) == len(ways)


def asked(address: str) -> Any:
    """The JSON at an address."""
    with urlopen(address, None, PATIENCE_S) as answer:
        return json.load(answer)


if __name__ == "__main__":
    sys.exit(main())
