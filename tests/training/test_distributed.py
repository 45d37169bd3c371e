"""Several processes compute what one would."""

from __future__ import annotations

import os
import signal
import socket
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.training.conftest import discs, judge, run, tiny
from torch import Tensor, multiprocessing

from stylex.core.errors import ConfigError, StylexError
from stylex.data.archive import open_images
from stylex.models import processes
from stylex.models.discriminator import minibatch_std
from stylex.models.processes import Processes
from stylex.training.loop import Networks


@pytest.mark.parametrize(
    ("batch", "group", "size"), [(8, 4, 2), (12, 4, 3), (6, 4, 2), (16, 4, 4), (10, 4, 5), (8, 1, 8)]
)
def test_groups_of_the_minibatch_deviation_stay_whole(batch: int, group: int, size: int) -> None:
    x = torch.randn(batch, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    whole = minibatch_std(x, group)
    shares = [Processes(rank, size).shard(batch, group) for rank in range(size)]
    assert sorted(torch.cat(shares).tolist()) == list(range(batch))
    for share in shares:
        assert torch.equal(minibatch_std(x[share], group), whole[share])


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ConfigError, match="give a batch that is a multiple of 12"):
        Processes(0, 3).shard(8, 4)


# Few enough steps for differences to stay differences of rounding; all losses at once.
CONFIG: dict[str, Any] = {
    "schedule__kimg": 0.064,
    "schedule__batch": 16,
    "schedule__tick_nimg": 16,
    "schedule__snapshot_nimg": 1000,
    "schedule__reconstruct_first": 0.25,
    "loss__r1_every": 2,
    "loss__path_length": 1.0,
    "loss__path_length_every": 1,
    "loss__latent_moments": 2.0,
    "optimizer__encoder_warmup_nimg": 0,
    "mirror": True,
    "schedule__class_dropout": 0.5,
    "schedule__style_mixing": 0.5,
    "loss__noise_kl": True,
    "model__map_resolutions": (4, 8),
    "loss__swap": 1.0,
    "loss__swap_features": 0.5,
    "schedule__map_dropout": 0.25,
    "augment__mode": "ada",
    "augment__p": 0.3,
    "augment__speed_kimg": 0.2,
}


def one_of_two(rank: int, port: int, data: Path, out: Path) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    run(tiny(**CONFIG), open_images(data), out, classifier=judge(3))
    assert not torch.distributed.is_initialized()


def left_alone(rank: int, port: int, data: Path, out: Path) -> None:
    """The second of two stops without a word at its first step, dead or asleep; says what the first makes of it."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    processes.PATIENCE = timedelta(seconds=20)

    def stop(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL if out.name == "killed" else signal.SIGSTOP)

    if rank == 1:
        Processes.mean = stop  # type: ignore[assignment,method-assign]
    try:
        run(tiny(**CONFIG), open_images(data), out, classifier=judge(3))
    except StylexError as error:
        (out / "said").write_text(f"{type(error).__name__}: {error}")
        os._exit(2)


@pytest.mark.integration
@pytest.mark.parametrize("how", ["killed", "asleep"])
def test_who_is_left_alone_says_so_and_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    data = discs(tmp_path / "discs.zip", labels=3)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]))
    context = multiprocessing.get_context("spawn")
    port = free_port()
    workers = [context.Process(target=left_alone, args=(rank, port, data, tmp_path / how)) for rank in (0, 1)]
    for worker in workers:
        worker.start()
    workers[0].join(120)
    workers[1].kill()
    workers[1].join()
    assert workers[0].exitcode == 2
    said = (tmp_path / how / "said").read_text()
    assert said.startswith("TrainingError: another process is lost or hangs")
    assert "\n" not in said
    assert not list((tmp_path / how).rglob(".*"))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.mark.slow
def test_two_processes_are_one_up_to_rounding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = discs(tmp_path / "discs.zip", labels=3)
    run(tiny(**CONFIG), open_images(data), tmp_path / "one", classifier=judge(3))
    port = free_port()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]))
    multiprocessing.spawn(one_of_two, (port, data, tmp_path / "two"), nprocs=2)
    one, two = (torch.load(tmp_path / name / "state.pt", weights_only=True)["parts"] for name in ("one", "two"))
    start = Networks.build(tiny(**CONFIG), 1, 3).by_name()
    for name in ("generator", "encoder", "discriminator", "generator_ema", "encoder_ema"):
        moved = difference(one[name], start[name].state_dict())
        assert difference(one[name], two[name]) < 1e-3 * moved, name
    assert torch.allclose(one["path_mean"], two["path_mean"], rtol=1e-4)
    for name in ("p", "signs"):
        assert torch.allclose(one["augment"][name], two["augment"][name], rtol=1e-4)


def difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return max((value - other[key]).abs().max().item() for key, value in one.items())
