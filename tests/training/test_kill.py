"""A training that is killed again and again ends with the same weights as one that is left alone."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.training.conftest import different, discs, run, tiny

from stylex.data.archive import ImageSet

JUDGE = """
import torch
from torch import nn
from stylex.classifiers import ClassifierSpec

def judge():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.Softplus(), nn.Flatten(), nn.Linear(256, 2))
    return model, ClassifierSpec(labels=("small", "large"), input_size=16, channels=1)
"""
KILLS = 10


def start(folder: Path, out: str) -> subprocess.Popen[bytes]:
    options = ["--preset", "tiny-16", "--kimg", "1.2", "--schedule.tick-nimg", "16", "--schedule.snapshot-nimg", "48"]
    penalties = ["--loss.path-length", "1", "--loss.r1-every", "2", "--mirror", "true", "--quiet"]
    given = ["--data", "discs.zip", "--classifier", "judge:judge", "--out", out]
    return subprocess.Popen(
        [sys.executable, "-m", "stylex", "train", *given, *options, *penalties],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
def test_killed_at_ten_random_moments(tmp_path: Path) -> None:
    discs(tmp_path / "discs.zip")
    (tmp_path / "judge.py").write_text(JUDGE)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    alone = start(tmp_path, "whole")
    assert alone.communicate()[1] == b""
    assert alone.returncode == 0

    moments, seen = random.Random(), []
    for _ in range(KILLS):
        process = start(tmp_path, "killed")
        before, deadline = age(killed), time.monotonic() + 60
        while age(killed) == before and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)  # until it has gone on a little: a kill while it starts is no test
        time.sleep(moments.uniform(0, 0.4))
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, process.communicate()[1]
        assert process.stderr is not None
        process.stderr.close()
        seen.append(torch.load(killed / "state.pt", weights_only=True)["nimg"])
    assert seen == sorted(seen)
    assert seen[-1] < 1200

    process = start(tmp_path, "killed")
    assert process.communicate()[1] == b""
    assert process.returncode == 0
    assert different(whole, killed) == []
    newest = "snapshots/000001200/weights.safetensors"
    assert (whole / newest).read_bytes() == (killed / newest).read_bytes()
    assert content(whole) == content(killed)
    assert list(killed.rglob(".*")) == []


def age(run: Path) -> int:
    state = run / "state.pt"
    return state.stat().st_mtime_ns if state.exists() else 0


def content(run: Path) -> dict[str, bytes]:
    """Every file of a run but its times."""
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in run.rglob("*")
        if path.is_file() and path.name not in ("stats.jsonl", "state.pt")
    }


@pytest.mark.slow
def test_killed_at_every_write(data: ImageSet, tmp_path: Path) -> None:
    """Before and after each moment at which something on the disk changes hands."""
    config = tiny(schedule__kimg=0.032, schedule__tick_nimg=16, schedule__snapshot_nimg=32)
    run(config, data, tmp_path / "whole")
    for nth in range(1, 100):
        out = tmp_path / str(nth)
        if child(lambda nth=nth, out=out: dies(nth, lambda: run(config, data, out))) == 0:
            break  # it came to its end before the n-th moment
        run(config, data, out)
        assert different(tmp_path / "whole", out) == [], nth
        assert content(tmp_path / "whole") == content(out), nth
        assert list(out.rglob(".*")) == [], nth
        assert reports(tmp_path / "whole") == reports(out), nth
    assert nth > 20


def reports(out: Path) -> list[tuple[int, bool]]:
    """Of which image each report is, and whether of held-out images."""
    rows = [json.loads(line) for line in (out / "stats.jsonl").read_text().splitlines()]
    return [(row["nimg"], "held_out" in row) for row in rows]


def dies(nth: int, work: Callable[[], object]) -> None:
    """Work in a process that dies, with nothing tidied up, at the n-th moment: before or behind a sync or renaming."""
    left = [nth]

    def at(real: Callable[..., object]) -> Callable[..., object]:
        def counted(*given: object) -> object:
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)
            result = real(*given)
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)
            return result

        return counted

    for name in ("fsync", "replace", "rename"):
        setattr(os, name, at(getattr(os, name)))
    work()


def child(work: Callable[[], None]) -> int:
    """The exit status of work done in a copy of this process."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
