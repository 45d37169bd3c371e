"""Several processes measure what one would, to the last bit; what a killed one left is measured by the next call."""

from __future__ import annotations

import os
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import multiprocessing

from stylex.core.progress import Event, Step
from stylex.core.stylespace import StyleStatistics
from stylex.models.config import GeneratorConfig
from stylex.models.generator import Generator
from stylex.models.processes import Processes, join
from stylex.search.effects import Measuring, stream_effects
from stylex.search.subject import Subject


class Judge:
    def __init__(self) -> None:
        self.weight = torch.randn(3 * 16 * 16, 2, generator=torch.Generator().manual_seed(1))

    def logits(self, x):
        return x.flatten(1) @ self.weight


def search(folder: Path, processes: Processes, killed_after: int | None = None) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = GeneratorConfig(resolution=16, channels=3, widths=(4, 3, 3), z_dim=8, w_dim=8, c_dim=2, mapping_layers=2)
    synthesis = Generator(config).eval().requires_grad_(False).synthesis
    s = synthesis.styles(torch.randn(400, 8), torch.rand(400, 2))
    space = synthesis.space.observed(StyleStatistics.observe(s.numpy()))

    def hear(event: Event) -> None:
        if killed_after is not None and isinstance(event, Step) and event.done >= killed_after:
            os.kill(os.getpid(), signal.SIGKILL)

    stream_effects(
        replace(Subject(synthesis=synthesis, classifier=Judge(), space=space), key="a"),
        s,
        image_ids=[str(i) for i in range(400)],
        listener=hear,
        how=Measuring(folder=folder, processes=processes),
    )


def one_of_two(rank: int, port: int, folder: Path, killed_after: int | None) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = join("cpu")
    search(folder, processes, killed_after if rank else None)
    processes.leave()


def two(folder: Path, killed_after: int | None = None) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(one_of_two, (port, folder, killed_after), nprocs=2)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_two_processes_and_one_that_is_killed_leave_the_files_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]))
    search(tmp_path / "one", Processes())
    two(tmp_path / "two")
    assert len(files(tmp_path / "one")) > 8
    assert files(tmp_path / "one") == files(tmp_path / "two")
    with pytest.raises(multiprocessing.ProcessExitedException):
        two(tmp_path / "killed", killed_after=100)
    assert 0 < len(files(tmp_path / "killed")) < len(files(tmp_path / "one"))
    two(tmp_path / "killed")
    assert files(tmp_path / "one") == files(tmp_path / "killed")
