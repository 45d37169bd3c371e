"""The real wandb, offline: one training is one run there, with numbers by images seen and nothing of the machine."""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
from tests.training.conftest import Stop, told_of

from stylex.core.errors import ConfigError
from stylex.training.wandb import told_to_wandb

pytestmark = pytest.mark.filterwarnings("default")  # the library's own are not ours to mend


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The library, which asks nobody and keeps its own files in the test's folder."""
    for name, value in {"WANDB_MODE": "offline", "WANDB_ERROR_REPORTING": "false"}.items():
        monkeypatch.setenv(name, value)
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "own"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("wandb", reason="NOT RUN with Weights & Biases: pip install wandb")


def test_a_training_that_goes_on_is_one_run_of_the_real_wandb(wandb: Any, tmp_path: Path) -> None:
    settings = {"seed": 0, "schedule": {"kimg": 1}}
    with pytest.raises(Stop), told_to_wandb("shoes", tmp_path / "run", settings, print) as heard:
        told_of(heard, 16, 32, then=Stop())
    with told_to_wandb("shoes", tmp_path / "run", settings, print) as heard:
        told_of(heard, 48, 64)
    wandb.teardown()  # its own process ends, and all is written
    # What was written is read as text: the format is the library's own.
    kept = {path: path.read_bytes() for path in (tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb")}
    assert len(kept) == 2
    assert len({path.name for path in kept}) == 1, "both are of one run"
    # A number stands there as its digits, behind a byte that says how many; what follows may look like one more.
    values = rb"training/pixel\x82\x01(.)(\d+)"
    told = {int(n[: ord(size)]) for data in kept.values() for size, n in re.findall(values, data, re.DOTALL)}
    assert told == {16, 32, 48, 64}
    for data in kept.values():
        assert b"held_out/agreement" in data
        assert b"schedule.kimg" in data
        for private in (sys.executable, str(tmp_path), "memory_percent", "requirements.txt"):
            assert private.encode() not in data, private


@pytest.mark.usefixtures("wandb")
def test_a_project_that_the_real_wandb_refuses_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"^wandb='a/b\?' cannot be used \(\w+: .+\); check it") as caught,
        told_to_wandb("a/b?", tmp_path / "run", {}, print),
    ):
        pass
    assert "\n" not in str(caught.value)
