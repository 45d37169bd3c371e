"""Losses and held-out figures for MLflow."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from stylex.core.progress import Listener
from stylex.training.tracking import flat, known_as, package, remember, telling, unreachable

EXPERIMENT = "stylex"
_LONGEST = 500


@contextmanager
def told_to_mlflow(uri: str, run: Path, settings: Mapping[str, Any], listener: Listener) -> Iterator[Listener]:
    """A listener that also tells MLflow, as a run of the experiment ``stylex``; a training that goes on is one there.

    Args:
        uri: of the tracking server, or of its files.
        run: the training's folder, by whose name it is called there.
        settings: JSON of the training's, which become its parameters.
        listener: hears everything as before.

    Raises:
        ConfigError: MLflow is not installed, or cannot be reached.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # else the library tells its makers of its use
    library, entities = package("mlflow", "mlflow"), package("mlflow.entities", "mlflow")
    try:
        client = library.MlflowClient(tracking_uri=uri)
        there = None
        if (known := known_as(run, "mlflow")) is not None:
            with suppress(Exception):  # of another server, or deleted there
                there = client.get_run(known).info.run_id
                client.update_run(there, status="RUNNING")
        if there is None:
            kept = client.get_experiment_by_name(EXPERIMENT)
            experiment = client.create_experiment(EXPERIMENT) if kept is None else kept.experiment_id
            there = client.create_run(experiment, run_name=run.name).info.run_id
            parameters = [entities.Param(name, str(value)[:_LONGEST]) for name, value in flat(settings).items()]
            for begin in range(0, len(parameters), 100):  # as many as the server takes at once
                client.log_batch(there, params=parameters[begin : begin + 100])
    except Exception as error:
        raise unreachable("mlflow", uri, error) from error
    remember(run, "mlflow", there)

    def tell(numbers: Mapping[str, float], nimg: int) -> None:
        now = int(time.time() * 1000)
        client.log_batch(there, metrics=[entities.Metric(name, value, now, nimg) for name, value in numbers.items()])

    def end(well: bool) -> None:
        client.set_terminated(there, "FINISHED" if well else "KILLED")

    with telling("MLflow", tell, end, listener) as heard:
        yield heard
