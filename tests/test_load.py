"""A short form of ``benchmarks/load.py``: a few viewers, slow and huge uploads; nothing fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

LOAD = Path(__file__).parents[1] / "benchmarks" / "load.py"
if not LOAD.is_file():
    pytest.skip("benchmarks/ is not here", allow_module_level=True)
if not Path("/proc/self/status").is_file():
    pytest.skip("the memory of another process is read in /proc", allow_module_level=True)


def test_many_viewers_are_served_whatever_is_uploaded() -> None:
    given = ["--viewers", "12", "--minutes", "0.1", "--think", "0.4", "--resolution", "32", "--threads", "1"]
    given += ["--saturated", "6", "--saturated-seconds", "1", "--p95", "5000", "--growth", "0.5", "--json"]
    done = subprocess.run([sys.executable, str(LOAD), *given], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["errors"] == {}, done.stdout
    assert done.returncode == 0, done.stdout
    assert {"knob", "open", "others", "strip", "upload"} <= set(told["lanes"])
    assert told["lanes"]["knob"]["answers"] >= 12
    assert told["saturated_6"]["lanes"]["knob"]["answers"] >= 6
    assert any(what.startswith("huge upload, declared") for what in told["counts"])
