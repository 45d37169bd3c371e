"""The GPU benchmark runs on a processor, with small networks, and refuses in one line where there is no GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
pytestmark = pytest.mark.integration


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCHMARKS / "gpu.py"), *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=600, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


def test_every_part_runs_small_on_a_processor(tmp_path) -> None:
    done = run(
        "--device", "cpu", "--tiny", "--parts", "steps", "search", "training", "--json", str(tmp_path / "gpu.json")
    )
    assert done.returncode == 0, done.stderr
    told = json.loads((tmp_path / "gpu.json").read_text())
    assert told["tiny"] is True
    assert [row["steps"] for row in told["steps"]] == ["encoder and noise", "noise only"]
    assert all(row["seconds_per_kimg"] > 0 for row in told["steps"])
    assert {row["precision"] for row in told["search"]} == {"float32", "bf16"}
    assert all(row["moves"] > 0 and row["seconds"] > 0 for row in told["search"])
    assert told["training"]["nimg"] == 64
    assert 0 <= told["training"]["figures"]["agreement"] <= 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_in_one_line() -> None:
    for words, said in (((), "no GPU"), (("--device", "cpu"), "--tiny alone")):
        done = run(*words)
        assert done.returncode == 1
        assert said in done.stderr
        assert len(done.stderr.splitlines()) == 1
