"""Every command killed at random moments, and in every kind of trouble: its outputs are absent or whole, always.

    python benchmarks/kills.py --kills 1000
    python benchmarks/kills.py --kills 200 --of train find --seed 3
    python benchmarks/kills.py --kills 0 --troubles 300
    python benchmarks/kills.py --kills 40 --processes

A kill is SIGKILL, SIGTERM or SIGINT at a moment drawn over the time that the command takes on tiny drawn data. After
it: the exit code is the one that is documented, what is said is one line, every visible file is one that was there
before or one that the command writes when it is left alone, to the last byte; and the same command again ends well
with the same files (of a training: the same state, bit for bit) and leaves nothing hidden anywhere. Troubles are a
file that grows too large, a full disk, a folder that may not be written, one that is removed under way, too few file
handles, too little memory: one line and exit code 2, or done.

Commands run in copies of this process, which has imported everything already, so that one costs about a second;
``--processes`` starts each anew, as a shell does. The same seed draws the same moments.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from stylex.cli import main as command_line

TINY = """ --preset tiny-16 --kimg 0.064 --schedule.tick-nimg 16 --schedule.snapshot-nimg 32 --precision fp32
 --model.generator-widths 8,8,8 --model.discriminator-widths 8,8,8 --model.encoder-widths 8,8,8 --model.w-dim 8"""
SEARCH = "--data data.zip --method attfind --images 6"
COMMANDS: Mapping[str, str] = {
    "prepare": "prepare photos --resolution 16 --out place/new.zip --overwrite",
    "classifier": "classifier --data data.zip --epochs 1 --out place/new --overwrite",
    "train": "train --data data.zip --classifier judge --out place/new" + TINY,
    "find": f"find run {SEARCH} --out place/new --overwrite",
    "find anew": f"find run {SEARCH} --shift-range 0.9 --out e --overwrite",
    "explain": "explain run photo.png --method attfind --out place/new --overwrite",
    "evaluate": """evaluate run --data data.zip --explanation e --measured 8 --without own,observer,attack,realism
 --out place/new.json --overwrite""",
    "report": "report e --strips",
    "attack": "attack run --data data.zip --images 6 --steps 20 --out place/new --overwrite",
    "adapt": "adapt run --data data.zip --kimg 0.032 --encoder-kimg 0.016 --out place/new",
}
TRAININGS = ("train", "adapt")
"""Commands that go on where they were, with snapshots that appear one after another."""
SIGNALS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}
TROUBLES = ("large file", "full disk", "no permission", "removed", "handles", "memory")
SECONDS = 240.0
"""A command that needs longer hangs."""


@dataclass(frozen=True)
class End:
    """How a command ended."""

    code: int
    said: str


@dataclass
class Bench:
    """The folders to work in, and what each command writes when it is left alone."""

    folder: Path
    processes: bool = False
    seconds: dict[str, float] = field(default_factory=dict)
    whole: dict[str, dict[str, bytes]] = field(default_factory=dict)

    @property
    def good(self) -> Path:
        """What every command begins with."""
        return self.folder / "good"

    @contextmanager
    def world(self) -> Iterator[Path]:
        """A copy to do harm to."""
        place = self.folder / "world"
        shutil.copytree(self.good, place, symlinks=True)
        try:
            yield place
        finally:
            shutil.rmtree(place)

    def make(self, commands: Sequence[str]) -> None:
        """Draw the data, train the networks, and run the commands twice alone."""
        self.good.mkdir(parents=True)
        os.chmod(self.folder, 0o755)
        draw(self.good / "photos")
        shutil.copy(self.good / "photos" / "test" / "large" / "3.png", self.good / "photo.png")
        self.alone(self.good, "prepare photos --resolution 16 --out data.zip")
        self.alone(self.good, "classifier --data data.zip --epochs 2 --out judge")
        self.alone(self.good, "train --data data.zip --classifier judge --out run" + TINY)
        self.alone(self.good, f"find run {SEARCH} --out e")
        shutil.rmtree(self.good / "run" / "effects")
        (self.good / "place").mkdir()
        for name in (*commands, *commands):
            with self.world() as place:
                began = time.monotonic()
                self.alone(place, COMMANDS[name])
                self.seconds[name] = time.monotonic() - began
                whole = files_in(place)
                assert self.whole.setdefault(name, whole) == whole, f"{name} is not the same each time"

    def alone(self, place: Path, command: str) -> None:
        """Run a command to its end."""
        end = self.run(place, command)
        if end.code != 0:
            raise SystemExit(f"{command}: {end}")
        if not self.processes:  # what it imported is here from now on, so that no kill pays for it
            for name in (self.folder / "modules").read_text().split():
                with suppress(ImportError):
                    importlib.import_module(name)

    def run(
        self,
        place: Path,
        command: str,
        *,
        limits: Callable[[], None] = lambda: None,
        meanwhile: Callable[[int], None] = lambda process: None,
    ) -> End:
        """Run a command in a process of its own.

        Args:
            place: its working directory.
            command: its words.
            limits: done in the process before it begins.
            meanwhile: done here while it runs; given its number.
        """
        said = self.folder / "said"
        process = (_started if self.processes else _forked)(place, [*command.split(), "-q"], said, limits)
        meanwhile(process)
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            known, status = os.waitpid(process, os.WNOHANG)
            if known:
                return End(os.waitstatus_to_exitcode(status), said.read_text(errors="replace"))
            time.sleep(0.002)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        return End(-1, f"it was still running after {SECONDS:.0f} s; {said.read_text(errors='replace')}")


def _forked(place: Path, arguments: Sequence[str], said: Path, limits: Callable[[], None]) -> int:
    begun, beginning = os.pipe()
    process = os.fork()
    if process:
        os.close(beginning)
        os.read(begun, 1)  # it is there, and about to begin
        os.close(begun)
        return process
    code = 1
    known = set(sys.modules)
    try:
        os.chdir(place)
        errors = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(errors, 2)
        os.close(begun)
        limits()
        os.write(beginning, b".")
        os.close(beginning)
        code = command_line(arguments)
    except KeyboardInterrupt:  # before or behind the command: as Python ends a process
        code = -signal.SIGINT
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            sys.stderr.flush()
            said.with_name("modules").write_text("\n".join(sys.modules.keys() - known))
        if code < 0:
            signal.signal(-code, signal.SIG_DFL)
            os.kill(os.getpid(), -code)
        os._exit(code)


def _started(place: Path, arguments: Sequence[str], said: Path, limits: Callable[[], None]) -> int:
    with open(said, "wb") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "stylex", *arguments],
            cwd=place,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            preexec_fn=limits,
        ).pid


def draw(folder: Path) -> None:
    """Discs, small and large, some of them for training and some held out."""
    y, x = np.mgrid[:16, :16]
    for i in range(80):
        part, kind = ("train", "test")[i % 2], ("small", "large")[i // 2 % 2]
        radius, column = (2, 4)[i // 2 % 2], 5 if i % 3 else 10
        picture = 255 / (1 + np.exp((np.hypot(y - 8 - i % 3, x - column) - radius) * 2))
        noise = np.random.default_rng(i).uniform(0, 9, picture.shape)
        (folder / part / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray((picture + noise).clip(0, 255).astype(np.uint8)).save(folder / part / kind / f"{i}.png")


def files_in(place: Path) -> dict[str, bytes]:
    """Every file by its path, without how fast a training or an evaluation was; a state as its numbers, bit for bit."""
    out = {}
    for path in sorted(place.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.name == "stats.jsonl":
                content = b"\n".join(_untimed(line) for line in content.splitlines())
            if path.name == "state.pt":
                content = b"\n".join(_leaves(torch.load(path, weights_only=True)))
            if path.name in ("evaluation.json", "new.json"):
                content = re.sub(rb'("cost.seconds",\s+"value": )[\d.e-]+', rb"\1", content)
            out[path.relative_to(place).as_posix()] = content
    return out


def _leaves(tree: object, where: str = "") -> Iterator[bytes]:
    if isinstance(tree, dict | list | tuple):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _leaves(value, f"{where}.{key}")
    elif isinstance(tree, torch.Tensor):
        yield f"{where} {tree.dtype} {tuple(tree.shape)} ".encode() + tree.numpy().tobytes()
    else:
        yield f"{where} {tree!r}".encode()


def _untimed(line: bytes) -> bytes:
    try:
        row = json.loads(line)
    except ValueError:
        return line
    return json.dumps({key: value for key, value in row.items() if key not in ("seconds", "images_per_s")}).encode()


# What must hold.


def half_written(bench: Bench, name: str, place: Path) -> list[str]:
    """Visible files that are neither those of before nor those that the command writes."""
    before, whole = files_in(bench.good), bench.whole[name]
    now = {path: content for path, content in files_in(place).items() if not _is_hidden(path)}
    wrong = []
    for path, content in now.items():
        if content in (before.get(path), whole.get(path)):
            continue
        if path == "place/new/stats.jsonl" and whole[path].startswith(content[: content.rfind(b"\n") + 1]):
            continue
        if path == "place/new/state.pt" and content:  # an earlier one, and whole: it was read
            continue
        wrong.append(f"{path} is of neither")
    # Folders appear at once: all of the old one, or all of the new one.
    snapshots = sorted({"/".join(path.split("/")[:4]) for path in whole if path.startswith("place/new/snapshots/")})
    folders = snapshots if name in TRAININGS else ["place/new"]
    for folder in [*folders, "e"]:
        own = {path for path in now if path.startswith(f"{folder}/")}
        may = [{path for path in each if path.startswith(f"{folder}/")} for each in (before, whole)]
        if name in ("evaluate", "report"):  # files are added one by one
            may = [own] if may[0] <= own <= may[1] else may
        if own and own not in may:
            wrong.append(f"{folder} holds {len(own)} files, expected one of {[len(each) for each in may]}")
    return wrong


def not_as_alone(bench: Bench, name: str, place: Path) -> list[str]:
    """Files that differ from those of the command left alone."""
    now, whole = files_in(place), bench.whole[name]
    wrong = [f"{path} is there" for path in now.keys() - whole.keys()]
    wrong += [f"{path} is missing" for path in whole.keys() - now.keys()]
    return wrong + [f"{path} differs" for path in now.keys() & whole.keys() if now[path] != whole[path]]


def _is_hidden(path: str) -> bool:
    return any(part.startswith(".") for part in path.split("/"))


def again(bench: Bench, name: str, place: Path) -> list[str]:
    """What is wrong when the same command runs once more, and is left alone."""
    (place / "place").mkdir(exist_ok=True)
    end = bench.run(place, COMMANDS[name])
    wrong = [] if end.code == 0 else [f"again: exit code {end.code}, {end.said[-400:]}"]
    return wrong + [f"again: {what}" for what in not_as_alone(bench, name, place)]


def last_words(said: str) -> str:
    """What a command said, but for the warnings that went before."""
    return "\n".join(line for line in said.splitlines() if line.strip() and not line.startswith("warning: "))


def said_wrongly(end: End) -> list[str]:
    """A traceback, or more than a line beside warnings."""
    lines = last_words(end.said).splitlines()
    if "Traceback" in end.said:
        return [f"a traceback: {end.said[-1500:]}"]
    return [f"said {len(lines)} lines: {end.said[:400]}"] if len(lines) > 1 else []


def kill(bench: Bench, name: str, number: signal.Signals, share: float) -> tuple[str, list[str]]:
    """Kill a command at a share of the time that it takes; how it ended, and what is wrong."""

    def strike(process: int) -> None:
        time.sleep(share * bench.seconds[name])
        with suppress(ProcessLookupError):
            os.kill(process, number)

    with bench.world() as place:
        end = bench.run(place, COMMANDS[name], meanwhile=strike)
        wrong = said_wrongly(end)
        expected = {0, SIGNALS[number]}
        if number == signal.SIGTERM:
            expected.add(-15)  # before it could say how it ends, or behind its end
        if number == signal.SIGINT:
            expected.add(-2)
        if end.code not in expected:
            wrong.append(f"exit code {end.code}, {end.said[-400:]}")
        if end.code == SIGNALS[number] and number != signal.SIGKILL and not last_words(end.said).startswith("stylex: "):
            wrong.append(f"said {end.said!r}")
        wrong += half_written(bench, name, place)
        return "done" if end.code == 0 else "killed", wrong + again(bench, name, place)


# Troubles.


def trouble(bench: Bench, name: str, kind: str, rng: random.Random) -> tuple[str, list[str]]:
    """Run a command in trouble; how it ended, and what is wrong."""
    before, meanwhile = _limits(kind, rng), lambda process: None
    with bench.world() as place:
        if kind == "removed":
            share = rng.uniform(0, 1)

            def meanwhile(process: int) -> None:
                time.sleep(share * bench.seconds[name])
                shutil.rmtree(place / "place", ignore_errors=True)

        with full_disk(place, rng) if kind == "full disk" else nullcontext():
            end = bench.run(place, COMMANDS[name], limits=before, meanwhile=meanwhile)
            wrong = said_wrongly(end)
            if end.code not in (0, 2):
                wrong.append(f"exit code {end.code}, {end.said[-400:]}")
            if end.code == 2 and not last_words(end.said).startswith("stylex: error: "):
                wrong.append(f"said {end.said!r}")
            if kind != "removed":
                wrong += half_written(bench, name, place)
        later = again(bench, name, place)
        if kind == "removed" and name in TRAININGS:  # what was reported before went with the folder
            later = [what for what in later if what != "again: place/new/stats.jsonl differs"]
        return "done" if end.code == 0 else "refused", wrong + later


def _limits(kind: str, rng: random.Random) -> Callable[[], None]:
    if kind == "large file":
        size = int(10 ** rng.uniform(3.2, 5.3))  # what it says is a file too
        return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    if kind == "handles":
        more = rng.randint(1, 7)
        return lambda: _limit_handles(more)
    if kind == "memory":
        more = int(10 ** rng.uniform(6, 8.5))
        return lambda: _limit_memory(more)
    if kind == "no permission":
        return _nobody
    return lambda: None


def _limit_handles(more: int) -> None:
    most = max(int(name) for name in os.listdir("/proc/self/fd")) + more
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _limit_memory(more: int) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _nobody() -> None:
    """Another person, who may read here and write nothing."""
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    else:
        for path in [Path.cwd(), *Path.cwd().rglob("*")]:
            if path.is_dir():
                os.chmod(path, 0o555)


@contextmanager
def full_disk(place: Path, rng: random.Random) -> Iterator[None]:
    """The world on a small disk of its own, which has hardly any room left; as it is where that cannot be had."""
    size = sum(len(content) for content in files_in(place).values()) + 4096 * 200
    small, aside = place.with_name("small"), place.with_name("aside")
    small.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size + 2**21}", "none", str(small)], capture_output=True, check=False
    )
    if made.returncode:
        small.rmdir()
        yield
        return
    try:
        shutil.copytree(place, small / "world")
        os.rename(place, aside)
        place.symlink_to(small / "world")
        free = shutil.disk_usage(small).free
        (small / "filled").write_bytes(b"\0" * max(0, free - int(10 ** rng.uniform(3.6, 5.3))))
        yield
        place.unlink()
        shutil.copytree(small / "world", place)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        subprocess.run(["umount", str(small)], check=True)
        small.rmdir()


def main() -> int:
    """Run it, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100, help="over all commands")
    parser.add_argument("--troubles", type=int, default=0, help="over all commands and kinds of trouble")
    parser.add_argument("--of", nargs="+", choices=sorted(COMMANDS), default=list(COMMANDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", action="store_true", help="start every command anew, as a shell does")
    options = parser.parse_args()
    rng, ends, bad = random.Random(options.seed), Counter[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "kills", processes=options.processes)
        bench.make(options.of)
        print(", ".join(f"{name} {seconds:.2f} s" for name, seconds in bench.seconds.items()), flush=True)
        began = time.monotonic()
        for nth in range(options.kills + options.troubles):
            name = options.of[nth % len(options.of)]
            if nth < options.kills:
                number, share = rng.choice(list(SIGNALS)), rng.uniform(0, 1.05)
                what = f"{name}, {number.name} at {share:.3f}"
                end, wrong = kill(bench, name, number, share)
                end = f"{number.name} {end}"
            else:
                kind = TROUBLES[(nth - options.kills) // len(options.of) % len(TROUBLES)]
                what = f"{name}, {kind}"
                end, wrong = trouble(bench, name, kind, rng)
                end = f"{kind} {end}"
            ends[end] += 1
            bad += bool(wrong)
            for each in wrong:
                print(f"  {nth}: {what}: {each}", flush=True)
        each = (time.monotonic() - began) / max(1, options.kills + options.troubles)
    print(f"{options.kills} kills, {options.troubles} troubles, {each:.2f} s each: {dict(sorted(ends.items()))}")
    print(f"{bad} findings")
    return 1 if bad else 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    torch.set_num_threads(1)
    sys.exit(main())
