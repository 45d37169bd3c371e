"""Many viewers of one explorer: how long a turned knob takes, what fails, and whether the server's memory grows.

    python benchmarks/load.py --viewers 200 --minutes 10 --json
    python benchmarks/load.py --viewers 50 --minutes 2 --run runs/shoes

The server is a process of its own, set up as ``stylex explore`` does; the viewers are sockets of this one. A viewer
does what the page does in a browser: it opens the page over six connections; then, again and again, sets the slider
of one of sixteen knobs to a new place, waits for the picture (**this wait is what is measured**), asks as the page does
once a knob rests for the same knobs on six other images and, if the knob is another one, for its strip of seven
pictures, and looks at it all for ``--think`` seconds on average (half to one and a half times that). After eight turns
it takes another knob, now and then it leaves the old one turned, after twenty-four it opens another image. Meanwhile
one more viewer brings a picture every few seconds, some send one at a byte a second, and some send far too much:
1 GB as declared, or chunks without an end. These must be refused, or bounded, while the others are served.

Then ``--saturated`` viewers turn knobs without any pause: what the server draws at its limit, and the processor time
that it takes for each turn, which a busy machine disturbs less.

Memory (resident, of the server; Linux) is read every 30 seconds. It grows if the line through the last two thirds of
these values rises by more than ``--growth`` of their mean (5%) from end to end; its caches are full after a minute or
two, so a shorter run says little. Exit code 1: an error, growth, or a 95% above
``--p95`` milliseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import multiprocessing
import os
import random
import resource
import struct
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

KNOBS = 16
TURNS_OF_A_KNOB, TURNS_OF_AN_IMAGE = 8, 24
PAGE = ("/viewer.css", "/viewer.js", "/explore.js", "/http_source.js", "/api/describe", "/api/images")
REST_SECONDS = 0.22
"""After so long the page takes a knob to be at rest."""
PATIENCE_SECONDS = 60
"""Of a viewer, who then counts as an error."""


def main() -> int:
    """Measure; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--think", type=float, default=1.5, help="seconds that a viewer looks at a picture, on average")
    parser.add_argument("--run", help="a run or snapshot ('demo': what comes with the package); else random weights")
    parser.add_argument("--resolution", type=int, default=64, help="of the random weights")
    parser.add_argument("--saturated", type=int, default=32, help="viewers without any pause, in the second part")
    parser.add_argument("--saturated-seconds", type=float, default=20.0)
    parser.add_argument("--p95", type=float, default=400.0, help="milliseconds that 95%% of the turns may take")
    parser.add_argument("--growth", type=float, default=0.05, help="of the memory that is taken for growth")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="that the server draws with")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 16 * options.viewers + 1024)), hard))
    with serving(options.run, options.resolution, options.threads) as (port, pid):
        crowd, memory = asyncio.run(_crowd(options, port, pid))
        before = processor(pid)
        limit = asyncio.run(_saturated(options, port))
        spent, end = processor(pid) - before, resident(pid)
    result = {
        "viewers": options.viewers,
        "minutes": options.minutes,
        "think_s": options.think,
        "threads": options.threads,
        "cpus": os.cpu_count(),
        **crowd.summary(60 * options.minutes),
        "memory_mib": [round(mib, 1) for mib in memory],
        "memory_end_mib": round(end, 1),
        "memory_growth": round(growth(memory), 4),
        f"saturated_{options.saturated}": {
            **limit.summary(options.saturated_seconds),
            "server_processor_ms": round(1000 * spent / max(1, len(limit.times["knob"])), 2),
        },
    }
    for name, value in result.items():
        print(f"{name}: {json.dumps(value)}")
    faults = [f"{count} x {what}" for what, count in (crowd.errors + limit.errors).items()]
    p95 = result["lanes"]["knob"]["p95_ms"]
    if p95 > options.p95:
        faults.append(f"95% of the turns took up to {p95:.0f} ms")
    if result["memory_growth"] > options.growth:
        faults.append(f"memory grew by {100 * result['memory_growth']:.1f}%")
    print(f"{len(faults)} faults" + "".join(f"\n  {fault}" for fault in faults))
    if options.json:
        print(json.dumps(result))
    return 1 if faults else 0


# The server.


@contextmanager
def serving(run: str | None, size: int, threads: int, *, paper: bool = False) -> Any:
    """The explorer in a process of its own; gives its port and its process id."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    server = context.Process(target=_serve, args=(theirs, run, size, threads, paper))
    server.start()
    theirs.close()
    try:
        yield ours.recv(), server.pid
    finally:
        server.terminate()
        server.join(timeout=20)


def _serve(pipe: Pipe, run: str | None, size: int, threads: int, paper: bool) -> None:
    import torch
    from explore_latency import given_studio, random_studio

    from stylex.core.progress import Event, Found
    from stylex.ui.serving import serve_studio

    torch.set_num_threads(threads)
    studio = random_studio(size, paper=paper) if run is None else given_studio(run)

    def told(event: Event) -> None:
        if isinstance(event, Found):
            pipe.send(int(event.message.split("127.0.0.1:")[1].split("/")[0]))

    serve_studio(studio, host="127.0.0.1", port=0, open_browser=False, listener=told)


def resident(pid: int) -> float:
    """The resident memory of a process, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def processor(pid: int) -> float:
    """The processor time that a process has had, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def growth(memory: list[float]) -> float:
    """How far the line through the last two thirds of the values rises, as a fraction of their mean."""
    last = np.array(memory[len(memory) // 3 :])
    if len(last) < 3:
        return 0.0
    slope = np.polyfit(np.arange(len(last)), last, 1)[0]
    return float(slope * (len(last) - 1) / last.mean())


# What is counted.


@dataclass
class Tally:
    """What the viewers met."""

    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    counts: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def summary(self, seconds: float) -> dict[str, Any]:
        """Milliseconds and counts."""
        lanes = {
            lane: {
                "answers": len(times),
                "per_second": round(len(times) / seconds, 1),
                **{f"p{q}_ms": round(float(np.percentile(times, q)), 1) for q in (50, 95, 99)},
            }
            for lane, times in sorted(self.times.items())
            if times
        }
        return {"lanes": lanes, "counts": dict(sorted(self.counts.items())), "errors": dict(self.errors)}


class Line:
    """One connection of a browser, opened anew where the server has closed it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, path: str, body: bytes | None = None, *, kind: str = "application/json") -> tuple[int, bytes]:
        """Status and body of the answer."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            for again in (True, False):
                fresh = self.streams is None
                reader, writer = self.streams or await asyncio.open_connection("127.0.0.1", self.port)
                self.streams = reader, writer
                try:
                    writer.write(head(path, None if body is None else len(body), kind) + (body or b""))
                    return await answer(reader)
                except (ConnectionError, asyncio.IncompleteReadError):
                    # Idle connections are closed by the server; a browser asks once more over a new one.
                    self.close()
                    if fresh or not again:
                        raise
        raise AssertionError

    def close(self) -> None:
        """Hang up."""
        if self.streams is not None:
            self.streams[1].close()
        self.streams = None


def head(path: str, length: int | None, kind: str) -> bytes:
    """The beginning of a request; without a length, of one in chunks."""
    lines = [f"{'GET' if length is None and kind != 'chunks' else 'POST'} {path} HTTP/1.1", "Host: localhost"]
    if kind == "chunks":
        lines += ["Content-Type: application/octet-stream", "Transfer-Encoding: chunked"]
    elif length is not None:
        lines += [f"Content-Type: {kind}", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body of an answer."""
    given = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(given.split("content-length: ")[1].split("\r\n")[0]) if "content-length: " in given else 0
    return int(given.split()[1]), await reader.readexactly(length)


# Viewers.


@dataclass
class Viewer:
    """One browser with the page open."""

    name: str
    port: int
    images: list[str]
    tally: Tally
    chance: random.Random

    def __post_init__(self) -> None:
        self.image, self.knob, self.turned = self.chance.choice(self.images), self.chance.randrange(KNOBS), {}
        self.lines: list[Line] = []
        self.resting: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """The page, its files and the pictures of an image, over as many connections as a browser opens."""
        await self._got("open", "/")
        await asyncio.gather(*(self._got("open", path) for path in PAGE))
        await self.look_at(self.image)

    async def look_at(self, image: str) -> None:
        """Open an image: its knobs are at rest."""
        self.image, self.turned = image, {}
        paths = [f"/api/images/{image}", *(f"/api/images/{image}/{state}.png" for state in ("original", "rebuilt"))]
        await asyncio.gather(*(self._got("open", path) for path in paths))

    async def turn(self) -> None:
        """Set the slider to another place, and wait for the picture."""
        self.turned[str(self.knob)] = round(self.chance.uniform(-1, 1), 3)
        await self._frames("knob", [{"image": self.image, "knobs": dict(self.turned)}])

    async def browse(self, think: float, until: float) -> None:
        """Turn knobs and look at pictures."""
        await asyncio.sleep(self.chance.uniform(0, min(4 * think, until - time.monotonic())))
        await self.open()
        turns = 0
        while time.monotonic() < until:
            other = turns % TURNS_OF_A_KNOB == 0
            if turns and turns % TURNS_OF_AN_IMAGE == 0:
                await self.look_at(self.chance.choice(self.images))
            elif turns and other:
                if self.chance.random() < 0.5:
                    self.turned.pop(str(self.knob), None)
                self.knob = self.chance.randrange(KNOBS)
            await self.turn()
            turns += 1
            pause = think * self.chance.uniform(0.5, 1.5)
            self._rest(strip=other, within=pause)
            await asyncio.sleep(pause)
        await self.leave()

    async def hurry(self, until: float) -> None:
        """Turn knobs without any pause."""
        turns = 0
        while time.monotonic() < until:
            await self.turn()
            turns += 1
            if turns % TURNS_OF_A_KNOB == 0:
                self.turned, self.knob = {}, self.chance.randrange(KNOBS)
        await self.leave()

    async def leave(self) -> None:
        """Close the page, whatever is still to come."""
        for task in self.resting:
            task.cancel()
        await asyncio.gather(*self.resting, return_exceptions=True)
        for line in self.lines:
            line.close()

    def _rest(self, *, strip: bool, within: float) -> None:
        """What the page asks for when a knob rests; it waits for no earlier such answer."""
        if within <= REST_SECONDS:
            return
        turned, at = dict(self.turned), self.images.index(self.image)
        others = [self.images[(at + i) % len(self.images)] for i in range(1, 7)]
        asked = {"others": [{"image": image, "knobs": turned} for image in others]}
        if strip:
            places = [turned | {str(self.knob): place / 3} for place in range(-3, 4)]
            asked["strip"] = [{"image": self.image, "knobs": knobs} for knobs in places]

        async def ask(lane: str, turns: list[dict[str, Any]]) -> None:
            await asyncio.sleep(REST_SECONDS)
            await self._frames(lane, turns)

        for lane, turns in asked.items():
            task = asyncio.create_task(ask(lane, turns))
            self.resting.add(task)
            task.add_done_callback(self.resting.discard)

    async def _frames(self, lane: str, turns: list[dict[str, Any]]) -> None:
        body = {"viewer": self.name, "lane": lane, "turns": turns, "draft": True}
        data = await self._got(lane, "/api/frames", json.dumps(body).encode())
        if data:
            told = json.loads(data[4 : 4 + struct.unpack("<I", data[:4])[0]])
            if len(told["frames"]) != len(turns):
                self.tally.errors[f"{lane}: {len(told['frames'])} frames of {len(turns)}"] += 1

    async def _got(self, lane: str, path: str, body: bytes | None = None) -> bytes | None:
        line = self.lines.pop() if self.lines else Line(self.port)
        began = time.perf_counter()
        try:
            status, data = await line.ask(path, body)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.tally.errors[f"{lane}: {type(error).__name__}"] += 1
            line.close()
            return None
        except asyncio.CancelledError:
            line.close()
            raise
        self.lines.append(line)
        if status == 200:
            self.tally.times[lane].append(1000 * (time.perf_counter() - began))
            return data
        if status == 204 and lane in ("strip", "others"):
            self.tally.counts[f"{lane}: replaced by a newer one"] += 1
        else:
            self.tally.errors[f"{lane}: status {status}"] += 1
        return None


# Uploads.


async def bring(port: int, tally: Tally, until: float) -> None:
    """Bring a picture every few seconds."""
    line, noise = Line(port), np.random.default_rng(0)
    while time.monotonic() < until:
        buffer = io.BytesIO()
        Image.fromarray(noise.integers(0, 255, (200, 200, 3), np.uint8)).save(buffer, "PNG")
        began = time.perf_counter()
        status, _ = await line.ask("/api/images?name=mine", buffer.getvalue(), kind="application/octet-stream")
        if status == 201:
            tally.times["upload"].append(1000 * (time.perf_counter() - began))
        else:
            tally.errors[f"upload: status {status}"] += 1
        await asyncio.sleep(5)
    line.close()


async def drip(port: int, tally: Tally, until: float) -> None:
    """Send a picture at a byte a second, again and again."""
    while time.monotonic() < until:
        async with _connected(port) as (reader, writer):
            writer.write(head("/api/images", 100_000, "application/octet-stream"))
            waiting = asyncio.create_task(answer(reader))
            while not waiting.done() and time.monotonic() < until:
                writer.write(b"\x89")
                await asyncio.wait([waiting], timeout=1)
            _refused(waiting, "slow upload", {408}, tally, waiting.done())


async def flood(port: int, tally: Tally, until: float, *, declared: bool) -> None:
    """Send a gigabyte, declared or in chunks, again and again."""
    piece = b"\0" * 2**16
    told = f"huge upload, {'declared' if declared else 'in chunks'}"
    while time.monotonic() < until:
        async with _connected(port) as (reader, writer):
            kind = "application/octet-stream" if declared else "chunks"
            writer.write(head("/api/images", 2**30 if declared else None, kind))
            waiting, sent = asyncio.create_task(answer(reader)), 0
            with suppress(ConnectionError):
                while not waiting.done() and sent < 2**30 and time.monotonic() < until:
                    writer.write(piece if declared else b"%x\r\n%s\r\n" % (len(piece), piece))
                    await writer.drain()
                    sent += len(piece)
            await asyncio.wait([waiting], timeout=5)
            _refused(waiting, told, {413}, tally, time.monotonic() < until)
            tally.counts[f"{told}: most MiB sent"] = max(tally.counts[f"{told}: most MiB sent"], sent // 2**20)
        await asyncio.sleep(5)


def _refused(waiting: asyncio.Task[Any], what: str, right: set[int], tally: Tally, ended: bool) -> None:
    if not waiting.done():
        waiting.cancel()
        if ended:
            tally.errors[f"{what}: no answer"] += 1
    elif waiting.exception() is not None:  # the connection was cut while more was being sent
        tally.counts[f"{what}: cut off"] += 1
    else:
        status = waiting.result()[0]
        (tally.counts if status in right else tally.errors)[f"{what}: status {status}"] += 1


@asynccontextmanager
async def _connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


# The two parts.


async def _crowd(options: argparse.Namespace, port: int, pid: int) -> tuple[Tally, list[float]]:
    seconds, tally = 60 * options.minutes, Tally()
    until, images, memory = time.monotonic() + seconds, await _images(port), [resident(pid)]

    async def watch() -> None:
        every = min(30.0, seconds / 10)
        while time.monotonic() + every < until + 0.5:
            await asyncio.sleep(every)
            memory.append(resident(pid))
            print(f"{time.monotonic() - until + seconds:.0f} s: {memory[-1]:.0f} MiB, {dict(tally.errors)}", flush=True)

    viewers = [
        Viewer(f"viewer {i}", port, images, tally, random.Random(f"{options.seed} {i}")) for i in range(options.viewers)
    ]
    await asyncio.gather(
        watch(),
        bring(port, tally, until),
        *(drip(port, tally, until) for _ in range(4)),
        *(flood(port, tally, until, declared=declared) for declared in (True, False)),
        *(viewer.browse(options.think, until) for viewer in viewers),
    )
    return tally, memory


async def _saturated(options: argparse.Namespace, port: int) -> Tally:
    tally, until, images = Tally(), time.monotonic() + options.saturated_seconds, await _images(port)
    viewers = [
        Viewer(f"hurried {i}", port, images, tally, random.Random(f"{options.seed} hurried {i}"))
        for i in range(options.saturated)
    ]
    await asyncio.gather(*(viewer.hurry(until) for viewer in viewers))
    return tally


async def _images(port: int) -> list[str]:
    """Ids of the images that are there; not of those that viewers bring, which go again."""
    line = Line(port)
    _, data = await line.ask("/api/images")
    line.close()
    return [image["id"] for image in json.loads(data)["images"] if not image["own"]]


if __name__ == "__main__":
    sys.exit(main())
