"""A short form of ``benchmarks/kills.py``: killed and in trouble, what commands write is absent or whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

KILLS = Path(__file__).parents[1] / "benchmarks" / "kills.py"
if not KILLS.is_file():
    pytest.skip("benchmarks/ is not here", allow_module_level=True)


def test_what_a_command_writes_is_absent_or_whole() -> None:
    given = ["--kills", "6", "--troubles", "6", "--of", "train", "find anew"]
    done = subprocess.run([sys.executable, str(KILLS), *given], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.endswith("\n0 findings\n"), done.stdout
    assert done.returncode == 0
