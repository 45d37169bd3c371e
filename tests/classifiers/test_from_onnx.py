"""ONNX files: torch graphs where that is possible, and onnxruntime where not."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stylex.classifiers import check_classifier, load_classifier, load_recorded
from stylex.core.errors import ClassifierError

SPEC = {"labels": ["a", "b", "c"], "input_size": 16, "channels": 3, "mean": [0.5], "std": [0.25]}
Described = Callable[..., Path]


@pytest.fixture
def onnx(library: Callable[[str], Any]) -> Any:
    for name in ("onnxruntime", "onnx2pytorch"):
        library(name)
    return library("onnx")


def exported(model: nn.Module, path: Path, *, dynamic: bool = True) -> None:
    axes = {"x": {0: "n"}, "y": {0: "n"}} if dynamic else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model.eval(), (torch.rand(2, 3, 16, 16),), path, dynamo=False, input_names=["x"], output_names=["y"],
            dynamic_axes=axes,
        )  # fmt: skip


@pytest.mark.parametrize("dynamic", [True, False])
def test_a_convolutional_network_becomes_a_torch_graph(
    onnx: Any, conv: nn.Module, x: Tensor, tmp_path: Path, described: Described, dynamic: bool
) -> None:
    exported(conv, described(tmp_path / "net.onnx", **SPEC), dynamic=dynamic)
    classifier = load_classifier(f"onnx:{tmp_path}/net.onnx")
    assert classifier.gradient
    assert "torch graph" in str(classifier.remark)
    some = x[:3]  # not a multiple of the batch that one of the files has
    with torch.no_grad():
        torch.testing.assert_close(classifier.logits(some), conv(classifier.prepare(some)), atol=1e-5, rtol=1e-5)
    check_classifier(classifier, channels=3, resolution=16)
    assert load_classifier(tmp_path / "net.onnx").spec == classifier.spec
    assert load_recorded(f"onnx:{tmp_path}/net.onnx", classifier.spec).gradient


def written(onnx: Any, path: Path, nodes: list[Any], shape: list[Any]) -> None:
    of, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = of.make_graph(
        nodes, "g", [of.make_tensor_value_info("x", kind, shape)], [of.make_tensor_value_info("y", kind, ["n", 3])]
    )
    model = of.make_model(graph, opset_imports=[of.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, str(path))


def test_what_has_no_gradient_is_run_by_onnxruntime(onnx: Any, x: Tensor, tmp_path: Path, described: Described) -> None:
    node = onnx.helper.make_node
    nodes = [node("Round", ["x"], ["r"]), node("ReduceMean", ["r"], ["y"], axes=[1, 2], keepdims=0)]
    path = described(tmp_path / "net.onnx", **SPEC)
    written(onnx, path, nodes, ["n", 16, 16, 3])  # channels last, too
    classifier = load_classifier(f"onnx:{path}")
    assert not classifier.gradient
    assert "onnxruntime, without gradients" in str(classifier.remark)
    expected = classifier.prepare(x).round().mean(dim=(2, 3))
    torch.testing.assert_close(classifier.logits(x), expected, atol=1e-5, rtol=1e-5)
    check_classifier(classifier, channels=3, resolution=16, need_gradient=False)


def test_what_does_not_fit_is_one_line(onnx: Any, conv: nn.Module, tmp_path: Path, described: Described) -> None:
    path = tmp_path / "net.onnx"
    exported(conv, path)
    with pytest.raises(ClassifierError, match=r"without a spec; write net\.onnx\.json"):
        load_classifier(path)
    for changes, says in (
        ({"labels": ["a", "b"]}, "3 outputs, but 2 labels"),
        ({"input_size": 32}, "correct input_size and channels"),
        ({"channels": 1}, "correct input_size and channels"),
    ):
        described(path, **(SPEC | changes))
        with pytest.raises(ClassifierError, match=says):
            load_classifier(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ClassifierError, match="onnxruntime cannot open"):
        load_classifier(path)
