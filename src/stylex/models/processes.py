"""Several processes: who computes which images, and averaging gradients. One process needs none of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn

from stylex.core.errors import ConfigError, TrainingError, first_line

PATIENCE = timedelta(minutes=20)
"""How long processes wait for one another; the first one writes and measures while the others wait."""


@dataclass(frozen=True)
class Processes:
    """This process among all: ``rank`` of ``size``."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def shard(self, batch: int, group: int) -> Tensor:
        """Positions of the global batch that this process computes.

        Groups of the minibatch standard deviation stay whole, and in their order, so that any number of
        processes computes the same.

        Raises:
            ConfigError: the batch does not divide.
        """
        size = next(g for g in range(min(group, batch), 0, -1) if batch % g == 0)
        if self.size > 1 and (batch // size) % self.size:
            raise ConfigError(
                f"batch {batch} over {self.size} processes would split groups of {size} images; "
                f"give a batch that is a multiple of {size * self.size}"
            )
        grid = torch.arange(batch).view(size, self.size, -1)
        return grid[:, self.rank].reshape(-1)

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its mean over the processes."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.reshape(-1) for g in gradients])
        with _together():
            dist.all_reduce(flat)
        flat /= self.size
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))

    def gather(self, rows: Tensor) -> Tensor:
        """The rows of all processes; gradients reach this process's own.

        A loss of all rows is the same on every process, and each holds its own part of the gradient: multiply such
        a loss by ``size``, because gradients are averaged afterwards.
        """
        if self.size == 1:
            return rows
        parts = [torch.empty_like(rows) for _ in range(self.size)]
        with _together():
            dist.all_gather(parts, rows.detach().contiguous())
        parts[self.rank] = rows
        return torch.cat(parts)

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a tensor over the processes."""
        if self.size > 1:
            value = value.detach().clone()
            with _together():
                dist.all_reduce(value)
            value /= self.size
        return value

    def device(self, device: str) -> str:
        """Where this process works: of several on GPUs, each has its own."""
        if self.size > 1 and device == "cuda":
            device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
            torch.cuda.set_device(device)
        return device

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            with _together():
                dist.barrier()

    def leave(self) -> None:
        """Part from the others, who are all done."""
        if self.size > 1:
            dist.destroy_process_group()


@contextmanager
def _together() -> Iterator[None]:
    """Something that all processes do at once.

    Raises:
        TrainingError: one of the others is gone, or has not come for ``PATIENCE``.
    """
    try:
        yield
    except RuntimeError as error:
        raise TrainingError(
            f"another process is lost or hangs ({first_line(error)[:120]}); give the same command again: it goes on "
            "from the last state"
        ) from error


def join(device: str) -> Processes:
    """Join the other processes that ``torchrun`` started (gloo on CPU, NCCL on GPU), or be the only one.

    Raises:
        TrainingError: the others are not found.
    """
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes()
    if not dist.is_initialized():
        with _together():
            dist.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=PATIENCE)
    return Processes(dist.get_rank(), dist.get_world_size())
