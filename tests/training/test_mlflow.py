"""The real MLflow, in files: one training is one run there, with its parameters and numbers in order of images seen."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import pytest
from tests.training.conftest import Stop, told_of

from stylex.core.errors import ConfigError
from stylex.training.mlflow import told_to_mlflow

pytestmark = pytest.mark.filterwarnings("default")  # the library's own are not ours to mend


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The library, allowed to keep files."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip("mlflow", reason="NOT RUN with MLflow: pip install mlflow-skinny")


def test_a_training_that_goes_on_is_one_run_of_the_real_mlflow(mlflow: Any, tmp_path: Path) -> None:
    uri, settings = (tmp_path / "there").as_uri(), {"seed": 0, "schedule": {"kimg": 1}, "long": "x" * 9000}
    with pytest.raises(Stop), told_to_mlflow(uri, tmp_path / "run", settings, print) as heard:
        told_of(heard, 16, 32, then=Stop())
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("stylex").experiment_id
    (killed,) = client.search_runs([experiment])
    assert killed.info.status == "KILLED"
    with told_to_mlflow(uri, tmp_path / "run", settings, print) as heard:
        told_of(heard, 48, 64)
    (there,) = client.search_runs([experiment])
    assert (there.info.run_name, there.info.status, there.info.run_id) == ("run", "FINISHED", killed.info.run_id)
    assert there.data.params == {"seed": "0", "schedule.kimg": "1", "long": "x" * 500}
    for metric, factor in {"training/pixel": 1, "held_out/agreement": 0.5}.items():
        history = [(m.step, m.value) for m in client.get_metric_history(there.info.run_id, metric)]
        assert history == [(nimg, nimg * factor) for nimg in (16, 32, 48, 64)]


def test_a_place_that_the_real_mlflow_refuses_is_one_line(mlflow: Any, tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"^mlflow='nothing://here' cannot be used \(\w+: .+\); check it") as caught,
        told_to_mlflow("nothing://here", tmp_path / "run", {}, print),
    ):
        pass
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_the_real_mlflow_counts_no_use(mlflow: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY")
    with told_to_mlflow((tmp_path / "there").as_uri(), tmp_path / "run", {}, print):
        assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
