"""Scalars for TensorBoard, where it is installed."""

from __future__ import annotations

from pathlib import Path

from stylex.core.progress import Done, Event, Listener
from stylex.training.tracking import scalars_of


def scalars_in(folder: Path, listener: Listener, *, nimg: int) -> Listener:
    """A listener that also writes reports and held-out figures into ``folder``; without TensorBoard, the given one.

    Args:
        folder: for the event files.
        listener: hears everything as before.
        nimg: where the training goes on: what an interrupted one wrote behind it is hidden.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return listener
    writer = SummaryWriter(str(folder), purge_step=nimg + 1 if nimg else None)

    def hear(event: Event) -> None:
        if (numbers := scalars_of(event)) is not None:
            for name, value in numbers[0].items():
                writer.add_scalar(name, value, numbers[1])
            writer.flush()
        elif isinstance(event, Done):
            writer.close()
        listener(event)

    return hear
