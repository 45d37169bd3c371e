"""A ResNet-18 of transformers (11 M parameters, no pretraining), trained as people train one, for stylex to explain.

    pip install transformers
    python recipes/resnet.py x-ray.zip resnet --epochs 5
    stylex train --classifier hf:resnet ...

Only the pictures and their division into training and test come from stylex, so that held-out images are held out of
both trainings. The folder is what transformers saves: config.json, model.safetensors, preprocessor_config.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from transformers import ResNetConfig, ResNetForImageClassification

from stylex.data import open_images


def main() -> None:
    """Train, test, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--mirror", action="store_true", help="also learn from mirrored pictures")
    options = parser.parse_args()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    images = open_images(options.archive)
    train, test = images.split("train"), images.split("test")
    names, labels = train.label_names, train.labels
    if names is None or labels is None:
        parser.error(f"{options.archive} has no labels")
    config = ResNetConfig(
        num_channels=train.channels,
        embedding_size=64,
        hidden_sizes=[64, 128, 256, 512],
        depths=[2, 2, 2, 2],
        layer_type="basic",
        id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
    )
    model = ResNetForImageClassification(config).to(memory_format=torch.channels_last)
    counts = np.bincount(labels, minlength=len(names))
    weight = torch.tensor(counts.sum() / (len(names) * counts), dtype=torch.float32)
    steps = options.epochs * (len(train) // options.batch)
    optimiser = torch.optim.AdamW(model.parameters(), lr=options.rate, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, options.rate, total_steps=steps)
    for epoch in range(options.epochs):
        model.train()
        losses = []
        for chosen in np.array_split(rng.permutation(len(train)), len(train) // options.batch):
            mirrored = rng.random(len(chosen)) < 0.5 if options.mirror else None
            pictures = _shifted(train.batch(chosen, mirrored), rng)
            loss = F.cross_entropy(
                model(pictures).logits, torch.as_tensor(labels[chosen]), weight, label_smoothing=0.05
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        print(f"epoch {epoch + 1} of {options.epochs}: loss {np.mean(losses):.4f}; {tested(model, test)}", flush=True)
    model.save_pretrained(options.out)
    side, channels = train.resolution, train.channels
    processor = {
        "do_resize": True,
        "size": {"height": side, "width": side},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5] * channels,
        "image_std": [0.5] * channels,
    }
    (options.out / "preprocessor_config.json").write_text(json.dumps(processor, indent=1) + "\n")


def _shifted(pictures: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Moved by up to a sixteenth of the side, and a little brighter or darker: ``[n c h w]``."""
    reach = pictures.shape[-1] // 16
    dy, dx = rng.integers(-reach, reach + 1, 2)
    padded = F.pad(pictures, (reach, reach, reach, reach), mode="replicate")
    moved = padded[..., reach + dy :, reach + dx :][..., : pictures.shape[-2], : pictures.shape[-1]]
    gain = torch.as_tensor(rng.uniform(0.9, 1.1, (len(pictures), 1, 1, 1)), dtype=torch.float32)
    return (moved * gain).contiguous(memory_format=torch.channels_last)


@torch.no_grad()
def tested(model: ResNetForImageClassification, test: object) -> str:
    """Accuracy on held-out images, plain and with each class counting alike."""
    model.eval()
    rows = np.array_split(np.arange(len(test)), max(1, len(test) // 64))
    found = np.concatenate([model(test.batch(r)).logits.argmax(1).numpy() for r in rows])
    right = found == test.labels
    balanced = np.mean([right[test.labels == k].mean() for k in np.unique(test.labels)])
    return f"on {len(test)} test images accuracy {right.mean():.3f}, balanced {balanced:.3f}"


if __name__ == "__main__":
    main()
