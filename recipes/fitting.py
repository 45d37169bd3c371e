"""How the recipes' own classifiers are trained: as people train one, on the training part of an archive.

Only the pictures and their division into training and test come from stylex, so that held-out images are held out of
both trainings.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from stylex.data import ImageSet, open_images


def options(doc: str, *, epochs: int) -> argparse.ArgumentParser:
    """What every such script takes."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1e-3)
    return parser


def labelled(archive: Path) -> tuple[ImageSet, ImageSet, tuple[str, ...]]:
    """The training and the test part, and the labels' names."""
    images = open_images(archive)
    if images.label_names is None:
        raise SystemExit(f"{archive} has no labels")
    return images.split("train"), images.split("test"), images.label_names


def fit(
    model: nn.Module,
    parts: tuple[ImageSet, ImageSet],
    given: argparse.Namespace,
    *,
    changed: Callable[[Tensor, np.random.Generator], Tensor],
    mirror: bool,
    weight: Tensor | None = None,
) -> None:
    """Train with AdamW and one cycle of the rate, and say after each epoch how good it is on the test part.

    Args:
        model: images ``[n c h w]`` to logits ``[n k]``.
        parts: to train on, and to test on.
        given: epochs, batch and rate.
        changed: what is done to a batch of pictures before it is learnt from.
        mirror: whether half of the pictures are mirrored.
        weight: of each class in the loss.
    """
    rng = np.random.default_rng(0)
    train, test = parts
    labels = train.labels
    steps = given.epochs * (len(train) // given.batch)
    optimiser = torch.optim.AdamW(model.parameters(), lr=given.rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, given.rate, total_steps=steps)
    for epoch in range(given.epochs):
        model.train()
        losses = []
        for chosen in np.array_split(rng.permutation(len(train)), len(train) // given.batch):
            pictures = changed(train.batch(chosen, rng.random(len(chosen)) < 0.5 if mirror else None), rng)
            truth = torch.as_tensor(labels[chosen])
            loss = F.cross_entropy(model(pictures), truth, weight, label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        print(f"epoch {epoch + 1} of {given.epochs}: loss {np.mean(losses):.4f}; {tested(model, test)}", flush=True)


@torch.no_grad()
def tested(model: nn.Module, test: ImageSet) -> str:
    """Accuracy on held-out images, plain and with each class counting alike."""
    model.eval()
    rows = np.array_split(np.arange(len(test)), max(1, len(test) // 64))
    found = np.concatenate([model(test.batch(r)).argmax(1).numpy() for r in rows])
    right = found == test.labels
    balanced = np.mean([right[test.labels == k].mean() for k in np.unique(test.labels)])
    return f"on {len(test)} test images accuracy {right.mean():.3f}, balanced {balanced:.3f}"
