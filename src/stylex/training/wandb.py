"""Losses and held-out figures for Weights & Biases."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stylex.core.progress import Listener
from stylex.training.tracking import flat, known_as, package, remember, telling, unreachable


@contextmanager
def told_to_wandb(project: str, run: Path, settings: Mapping[str, Any], listener: Listener) -> Iterator[Listener]:
    """A listener that also tells Weights & Biases; a training that goes on is one run there.

    Args:
        project: its name; who you are is the library's own business (``WANDB_API_KEY``, ``WANDB_MODE``).
        run: the training's folder, by whose name it is called there.
        settings: JSON of the training's.
        listener: hears everything as before.

    Raises:
        ConfigError: wandb is not installed, or cannot be used.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # else the library tells its makers of its own faults
    library = package("wandb", "wandb")
    try:
        run.mkdir(parents=True, exist_ok=True)
        # Numbers and settings: no command line, code, commit, packages, names or load of this machine.
        quiet = library.Settings(
            console="off", silent=True, disable_code=True, disable_git=True, x_disable_machine_info=True,
            x_disable_meta=True, x_disable_stats=True, x_save_requirements=False,
        )  # fmt: skip
        there = library.init(
            project=project,
            name=run.name,
            id=known_as(run, "wandb"),
            resume="allow",
            dir=str(run),
            config=flat(settings),
            settings=quiet,
        )
        # By images seen: what is told again after a kill has its place, and no order is asked for.
        there.define_metric("nimg")
        there.define_metric("*", step_metric="nimg")
    except Exception as error:
        raise unreachable("wandb", project, error) from error
    remember(run, "wandb", there.id)

    def tell(numbers: Mapping[str, float], nimg: int) -> None:
        there.log({**numbers, "nimg": nimg})

    def end(well: bool) -> None:
        there.finish(exit_code=0 if well else 1)

    with telling("Weights & Biases", tell, end, listener) as heard:
        yield heard
