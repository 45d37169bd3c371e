"""Trackers hear the numbers of a training, know it again when it goes on, and are never in its way."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest
from tests.training.conftest import Stop, cut, run, tiny

from stylex.core.errors import ConfigError
from stylex.core.progress import Alarm, Event
from stylex.data.archive import ImageSet
from stylex.training.mlflow import told_to_mlflow
from stylex.training.wandb import told_to_wandb

SETTINGS = {"seed": 0, "schedule": {"kimg": 1, "widths": [8, 8]}}


class Server:
    """What a tracking server holds."""

    def __init__(self) -> None:
        self.runs: dict[str, dict[str, Any]] = {}
        self.down = False


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Server:
    """As much of MLflow as is called, in memory."""
    server = Server()

    class Client:
        def __init__(self, tracking_uri: str) -> None:
            if tracking_uri == "http://nowhere":
                raise ConnectionError("refused")

        def get_experiment_by_name(self, name: str) -> None:
            assert name == "stylex"

        def create_experiment(self, name: str) -> str:
            return "1"

        def create_run(self, experiment: str, run_name: str) -> Any:
            identity = f"run-{len(server.runs)}"
            server.runs[identity] = {"name": run_name, "params": {}, "metrics": [], "status": "RUNNING"}
            return self.get_run(identity)

        def get_run(self, identity: str) -> Any:
            assert identity in server.runs
            return types.SimpleNamespace(info=types.SimpleNamespace(run_id=identity))

        def update_run(self, identity: str, status: str) -> None:
            server.runs[identity]["status"] = status

        set_terminated = update_run

        def log_batch(self, identity: str, metrics: Any = (), params: Any = ()) -> None:
            if server.down:
                raise ConnectionError("the server has gone\nfor good")
            assert len(params) <= 100
            server.runs[identity]["params"] |= dict(params)
            server.runs[identity]["metrics"] += metrics

    library, entities = types.ModuleType("mlflow"), types.ModuleType("mlflow.entities")
    library.MlflowClient = Client  # type: ignore[attr-defined]
    entities.Param = lambda name, value: (name, value)  # type: ignore[attr-defined]
    entities.Metric = lambda name, value, when, step: (name, step, value)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mlflow", library)
    monkeypatch.setitem(sys.modules, "mlflow.entities", entities)
    return server


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> Server:
    """As much of wandb as is called, in memory."""
    server = Server()

    class Run:
        def __init__(self, identity: str) -> None:
            self.id, self.own = identity, server.runs[identity]

        def define_metric(self, name: str, step_metric: str | None = None) -> None:
            self.own["axes"][name] = step_metric

        def log(self, numbers: dict[str, float]) -> None:
            self.own["metrics"] += [(name, numbers["nimg"], v) for name, v in numbers.items() if name != "nimg"]

        def finish(self, exit_code: int) -> None:
            self.own["status"] = exit_code

    def init(*, project: str, name: str, id: str | None, config: Any, **more: Any) -> Run:
        if project == "nowhere":
            raise ConnectionError("refused")
        assert more["resume"] == "allow"
        assert Path(more["dir"]).is_dir()
        identity = id or f"run-{len(server.runs)}"
        server.runs.setdefault(
            identity, {"name": name, "params": config, "metrics": [], "axes": {}, "project": project}
        )
        return Run(identity)

    library = types.ModuleType("wandb")
    library.init, library.Settings = init, lambda **settings: settings  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", library)
    return server


TRACKERS = {"mlflow": (told_to_mlflow, "http://here", "FINISHED", "KILLED"), "wandb": (told_to_wandb, "shoes", 0, 1)}


@pytest.mark.parametrize("name", TRACKERS)
def test_a_training_that_goes_on_is_one_there(name: str, request: Any, data: ImageSet, tmp_path: Path) -> None:
    server, (told, where, well, ill) = request.getfixturevalue(name), TRACKERS[name]
    with pytest.raises(Stop), told(where, tmp_path / "run", SETTINGS, cut(after=1)) as heard:
        run(tiny(), data, tmp_path / "run", listener=heard)
    ((identity, there),) = server.runs.items()
    assert there["status"] == ill
    with told(where, tmp_path / "run", SETTINGS, lambda event: None) as heard:
        run(tiny(), data, tmp_path / "run", listener=heard)
    assert list(server.runs) == [identity]
    assert (there["name"], there["status"]) == ("run", well)
    assert {step for metric, step, _ in there["metrics"] if metric == "training/pixel"} == {16, 32, 48, 64}
    assert [step for metric, step, _ in there["metrics"] if metric == "held_out/agreement"][-1] == 64
    assert {str(value) for value in there["params"].values()} == {"0", "1", "[8, 8]"}
    assert set(there["params"]) == {"seed", "schedule.kimg", "schedule.widths"}


def test_a_run_that_the_server_no_longer_knows_is_a_new_one(mlflow: Server, tmp_path: Path) -> None:
    for _ in range(2):
        with told_to_mlflow("http://here", tmp_path / "run", SETTINGS, lambda event: None):
            pass
        mlflow.runs.clear()
    with told_to_mlflow("http://here", tmp_path / "run", SETTINGS, lambda event: None):
        assert len(mlflow.runs) == 1


def test_a_tracker_that_fails_is_told_once_and_the_training_goes_on(
    mlflow: Server, data: ImageSet, tmp_path: Path
) -> None:
    heard: list[Event] = []
    with told_to_mlflow("http://here", tmp_path / "run", SETTINGS, heard.append) as listener:
        mlflow.down = True
        newest = run(tiny(), data, tmp_path / "run", listener=listener)
    assert newest.name == "000000064"
    (alarm,) = (e.message for e in heard if isinstance(e, Alarm) and "MLflow" in e.message)
    assert alarm == "MLflow hears no more of this training (the server has gone); it goes on"


@pytest.mark.usefixtures("mlflow", "wandb")
def test_both_may_hear_of_one_training(tmp_path: Path) -> None:
    with (
        told_to_mlflow("http://here", tmp_path / "run", SETTINGS, lambda event: None) as one,
        told_to_wandb("shoes", tmp_path / "run", SETTINGS, one),
    ):
        pass
    kept = (tmp_path / "run" / "trackers.json").read_text()
    assert '"mlflow": "run-0"' in kept
    assert '"wandb": "run-0"' in kept


@pytest.mark.parametrize("name", TRACKERS)
def test_what_cannot_be_used_is_told_before_the_training(
    name: str, request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = TRACKERS[name][0]
    request.getfixturevalue(name)
    nowhere = {"mlflow": "http://nowhere", "wandb": "nowhere"}[name]
    with (
        pytest.raises(ConfigError, match=rf"{name}='{nowhere}' cannot be used \(ConnectionError: refused\)"),
        told(nowhere, tmp_path / "run", SETTINGS, lambda event: None),
    ):
        pass
    monkeypatch.setitem(sys.modules, name, None)
    with (
        pytest.raises(ConfigError, match=rf"needs the package {name}, .*pip install 'stylex\[{name}\]'"),
        told("here", tmp_path / "run", SETTINGS, lambda event: None),
    ):
        pass
