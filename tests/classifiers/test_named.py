"""References by name: options, packages that are missing, names of outputs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from stylex.classifiers import load_classifier, load_recorded
from stylex.classifiers.load import ADAPTERS
from stylex.classifiers.named import Named, distinct, fill, names_from, package, read_weights
from stylex.core.errors import ClassifierError


def test_options_stand_behind_the_name() -> None:
    given = Named.parse("x", "ORG/NAME,v1,checkpoint=a,b.safetensors,labels=c=d", ("checkpoint", "labels"))
    assert given.name == "ORG/NAME,v1"
    assert given.options == {"checkpoint": "a,b.safetensors", "labels": "c=d"}


@pytest.mark.parametrize(
    ("rest", "says"),
    [
        ("", "names no classifier"),
        ("n,chekpoint=a", "has the option 'chekpoint'; this kind of classifier takes checkpoint=..., labels=..."),
        ("n,labels=a,labels=b", "gives an option twice"),
    ],
)
def test_a_reference_that_cannot_be_meant(rest: str, says: str) -> None:
    with pytest.raises(ClassifierError, match=says):
        Named.parse("timm:" + rest, rest, ("checkpoint", "labels"))


@pytest.mark.parametrize("kind", ["timm", "torchvision", "hf", "onnx"])
def test_a_package_that_is_missing_is_one_line_with_the_command(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "m.onnx").write_text("")
    (tmp_path / "m.onnx.json").write_text('{"labels": ["a", "b"], "input_size": 8, "channels": 1}')
    for name in ("timm", "torchvision", "torchvision.models", "transformers", "onnx"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ClassifierError, match=rf"pip install 'stylex\[{kind}\]'"):
        load_classifier(f"{kind}:{tmp_path}/m.onnx")


def test_a_package_that_does_not_fit_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_here.py").write_text("raise RuntimeError('operator nms does not exist')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ClassifierError, match=r"cannot be imported \(RuntimeError: operator nms"):
        package("broken_here", "timm")
    with pytest.raises(ClassifierError, match="the package not_here_at_all, which is not installed"):
        package("not_here_at_all.part", "timm")


@pytest.mark.parametrize("kind", ["timm", "torchvision", "keras", "http", "https", "hf", "onnx"])
def test_nobody_is_called_because_a_run_names_it(kind: str) -> None:
    assert kind in ADAPTERS
    with pytest.raises(ClassifierError, match="because a run names it: give it again"):
        load_recorded(f"{kind}:somewhere")


def test_names_that_are_there_twice_get_numbers() -> None:
    assert distinct(["crane", "dog", "crane"]) == ("crane (0)", "dog", "crane (2)")


def test_names_are_read_from_lines_or_json(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("cat \n\ndog\n")
    (tmp_path / "a.json").write_text('["cat", "dog"]')
    assert names_from(str(tmp_path / "a.txt")) == names_from(str(tmp_path / "a.json")) == ("cat", "dog")
    (tmp_path / "a.json").write_text('{"cat": 1}')
    for path, says in ((tmp_path / "a.json", "no list of names"), (tmp_path / "b.txt", "cannot be read")):
        with pytest.raises(ClassifierError, match=says):
            names_from(str(path))


def test_weights_fit_wholly_or_not_at_all(tmp_path: Path) -> None:
    net = nn.Linear(2, 3)
    with pytest.raises(ClassifierError, match=r"weight is \[1, 2\], the network has \[3, 2\]"):
        fill(net, {"weight": torch.zeros(1, 2), "bias": torch.zeros(3)}, "f")
    with pytest.raises(ClassifierError, match="more is not in the network"):
        fill(net, {**net.state_dict(), "more": torch.zeros(1)}, "f")
    fill(net, {"weight": torch.ones(3, 2), "bias": torch.ones(3)}, "f")
    assert float(net.weight.detach().sum()) == 6
    with pytest.raises(ClassifierError, match="opening them runs code"):
        read_weights(str(tmp_path / "a.pth"))
