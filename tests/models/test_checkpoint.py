"""Tensors out of other programs' checkpoints: as these were written, and nothing else of a file."""

from __future__ import annotations

import argparse
import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save
from tests.models.layouts import ada_network, ada_pickle, legacy, zipped

from stylex.core.errors import SnapshotError
from stylex.models import checkpoint
from stylex.models.checkpoint import Checkpoint, read_checkpoint

STATE = OrderedDict(
    {
        "a.weight": torch.arange(24.0).reshape(2, 3, 4),
        "a.bias": torch.randn(3, dtype=torch.float16),
        "b.turned": torch.randn(5, 4).T,
        "b.one": torch.tensor(0.25),
        "b.none": torch.zeros(0, 3),
        "b.counted": torch.tensor([1, 2**40]),
        "b.brain": torch.randn(4).bfloat16(),
        "b.is": torch.tensor([True, False]),
    }
)


def read(path: Path, data: bytes) -> Checkpoint:
    path.write_bytes(data)
    return read_checkpoint(path)


def refused(path: Path, data: bytes) -> str:
    with pytest.raises(SnapshotError) as caught:
        read(path, data)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("written", [zipped, legacy], ids=["zip", "legacy"])
def test_state_dicts_of_torch_save(tmp_path: Path, written: Any) -> None:
    optimiser = {"state": {0: {"step": torch.tensor(3.0), "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]}
    said = argparse.Namespace(size=32, path="somewhere")
    whole = {"g_ema": STATE, "g": STATE, "opt": optimiser, "args": said, "p": 0.5, "latent_avg": torch.ones(4)}
    tensors = read(tmp_path / "a.pt", written(whole)).tensors
    assert tensors.keys() == {f"{net}.{name}" for net in ("g", "g_ema") for name in STATE} | {"latent_avg"}
    for name, value in STATE.items():
        for net in ("g", "g_ema"):
            assert tensors[f"{net}.{name}"].dtype == value.dtype
            assert torch.equal(tensors[f"{net}.{name}"], value)


def test_objects_that_bring_their_own_code(tmp_path: Path) -> None:
    state = {"weight": torch.randn(3, 2), "b4.w_avg": torch.randn(4), "b4.deep.bias": torch.randn(1)}
    data = ada_pickle({"G_ema": ada_network(state, {"z_dim": 7, "b4.deep.bias_gain": 0.01}), "none": None})
    found = read(tmp_path / "a.pkl", data)
    assert found.tensors.keys() == {f"G_ema.{name}" for name in state}
    for name, value in state.items():
        assert torch.equal(found.tensors[f"G_ema.{name}"], value)
    assert found.numbers == {"G_ema.z_dim": 7, "G_ema.b4.deep.bias_gain": 0.01}
    assert found.passed_over == ("Layer",)


def test_safetensors(tmp_path: Path) -> None:
    kept = {name: value.contiguous() for name, value in STATE.items()}
    tensors = read(tmp_path / "a.safetensors", save(kept)).tensors
    assert all(torch.equal(tensors[name], value) for name, value in STATE.items())
    assert "cannot be imported" in refused(tmp_path / "b.safetensors", save(kept)[:100])
    assert "cannot be imported" in refused(tmp_path / "c.safetensors", b"")


class Runs:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


@pytest.mark.parametrize("kind", ["pickle", "in a network", "zip", "legacy", "in the bytes of a tensor"])
def test_a_file_that_runs_code_is_refused_and_runs_nothing(tmp_path: Path, kind: str) -> None:
    marker = tmp_path / "marker"
    runs = Runs(f"touch {marker}")
    data = {
        "pickle": lambda: pickle.dumps({"G_ema": runs}),
        "in a network": lambda: ada_pickle({"G_ema": ada_network({"w": torch.zeros(1)}, {"z_dim": runs})}),
        "zip": lambda: zipped({"g_ema": STATE, "x": runs}),
        "legacy": lambda: legacy({"g_ema": STATE, "x": runs}),
        "in the bytes of a tensor": lambda: pickle.dumps({"G_ema": {"w": torch.zeros(3), "x": runs}}),
    }[kind]()
    said = refused(tmp_path / "a.pkl", data)
    assert f"asks for '{os.system.__module__}.system'" in said
    assert "nothing of it was run" in said
    assert not marker.exists()


def test_code_inside_of_a_tensors_bytes_is_not_run(tmp_path: Path) -> None:
    """A plain pickle keeps a tensor's numbers as a file in the file, which has a pickle of its own."""
    marker = tmp_path / "marker"

    class Inside:
        def __reduce__(self) -> Any:
            return torch.storage._load_from_bytes, (legacy(Runs(f"touch {marker}")),)

    class Tensor:
        def __reduce__(self) -> Any:
            return torch._utils._rebuild_tensor_v2, (Inside(), 0, (1,), (1,), False, OrderedDict())

    said = refused(tmp_path / "a.pkl", pickle.dumps({"G_ema": {"w": Tensor()}}))
    assert "system" in said
    assert not marker.exists()


def test_what_is_cut_short_is_refused(tmp_path: Path) -> None:
    ada = ada_pickle({"G_ema": ada_network({"weight": torch.randn(30, 30)}, {})})
    for written, suffix in ((zipped(STATE), "pt"), (legacy(STATE), "pt"), (ada, "pkl")):
        for length in (0, 1, 2, 3, 20, 100, len(written) // 2, len(written) - 30):
            refused(tmp_path / f"a.{suffix}", written[:length])


class Described:
    """A tensor that says of itself what is not so."""

    def __init__(self, *said: Any) -> None:
        self.said = said

    def __reduce__(self) -> Any:
        return torch._utils._rebuild_tensor_v2, (*self.said, False, OrderedDict())


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (5,), (1,)),
        (2, (3,), (1,)),
        (0, (2**20, 2**20), (0, 0)),
        (0, (2,), (2**50,)),
        (-1, (2,), (1,)),
        (0, (-2,), (1,)),
        (0, (2, 2), (1,)),
        (0, (2.5,), (1,)),
        (0, (True,), (1,)),
        (0, (1,) * 9, (1,) * 9),
        ("0", (2,), (1,)),
        (0, [2], [1]),
        (2**62, (1,), (1,)),
    ],
)
def test_tensors_that_lie_outside_of_what_is_kept(tmp_path: Path, offset: Any, shape: Any, strides: Any) -> None:
    storage = torch.zeros(4)._typed_storage()
    said = refused(tmp_path / "a.pkl", pickle.dumps({"w": Described(storage, offset, shape, strides)}))
    assert "tensor" in said
    assert "cannot be imported" in said


def test_a_file_that_names_itself_in_circles_or_a_billion_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "_MOST", 1_000)
    circle: dict[str, Any] = {}
    circle["again"] = circle
    assert "nested too deeply" in refused(tmp_path / "a.pkl", pickle.dumps(circle))
    laughs: dict[str, Any] = {"w": torch.zeros(2)}
    for _ in range(30):
        laughs = {"a": laughs, "b": laughs}
    said = refused(tmp_path / "a.pkl", pickle.dumps(laughs))
    assert "more than 1,000 entries" in said
    deep: Any = torch.zeros(2)
    for _ in range(200):
        deep = {"a": deep}
    assert "nested too deeply" in refused(tmp_path / "a.pkl", pickle.dumps(deep))


def test_one_tensor_said_many_times_is_kept_once(tmp_path: Path) -> None:
    big = torch.zeros(2**20)
    tensors = read(tmp_path / "a.pkl", pickle.dumps({f"w{i}": big for i in range(1_000)})).tensors
    assert len({value.data_ptr() for value in tensors.values()}) == 1


def test_zips_that_are_not_of_torch_save(tmp_path: Path) -> None:
    def packed(members: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", how) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return out.getvalue()

    path = tmp_path / "a.pt"
    with zipfile.ZipFile(io.BytesIO(zipped({"w": torch.arange(4.0)}))) as given:
        good = {info.filename: given.read(info) for info in given.infolist()}
    root = next(iter(good)).split("/")[0]
    assert torch.equal(read(path, packed(good)).tensors["w"], torch.arange(4.0))
    assert "compressed" in refused(path, packed({**good, f"{root}/data/0": bytes(10_000)}, zipfile.ZIP_DEFLATED))
    assert "missing" in refused(path, packed({name: v for name, v in good.items() if not name.endswith("/0")}))
    assert "larger than what is kept" in refused(path, packed({**good, f"{root}/data/0": bytes(8)}))
    assert "byte order" in refused(path, packed({**good, f"{root}/byteorder": b"big"}))
    assert "data.pkl" in refused(path, packed({"photo.png": b"abc"}))


def test_places_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing.pkl"):
        with pytest.raises(SnapshotError, match="cannot be read"):
            read_checkpoint(path)
    os.mkfifo(tmp_path / "pipe.pkl")
    with pytest.raises(SnapshotError, match="not a regular file"):
        read_checkpoint(tmp_path / "pipe.pkl")
