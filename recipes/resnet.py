"""A ResNet-18 of transformers (11 M parameters, no pretraining), trained as people train one, for stylex to explain.

    pip install transformers
    python recipes/resnet.py x-ray.zip resnet --epochs 5
    stylex train --classifier hf:resnet ...

The folder is what transformers saves: config.json, model.safetensors, preprocessor_config.json.
"""

from __future__ import annotations

import json

import numpy as np
import torch
from fitting import fit, labelled, options
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import ResNetConfig, ResNetForImageClassification


def main() -> None:
    """Train, test, save."""
    parser = options(__doc__, epochs=5)
    parser.add_argument("--mirror", action="store_true", help="also learn from mirrored pictures")
    given = parser.parse_args()
    torch.manual_seed(0)
    train, test, names = labelled(given.archive)
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
    counts = np.bincount(train.labels, minlength=len(names))
    weight = torch.tensor(counts.sum() / (len(names) * counts), dtype=torch.float32)
    fit(Logits(model), (train, test), given, changed=shifted, mirror=given.mirror, weight=weight)
    model.save_pretrained(given.out)
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
    (given.out / "preprocessor_config.json").write_text(json.dumps(processor, indent=1) + "\n")


class Logits(nn.Module):
    """The logits alone of what transformers answers."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        """Images to logits."""
        logits: Tensor = self.model(x).logits
        return logits


def shifted(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Moved by up to a sixteenth of the side, and a little brighter or darker: ``[n c h w]``."""
    reach = pictures.shape[-1] // 16
    dy, dx = rng.integers(-reach, reach + 1, 2)
    padded = F.pad(pictures, (reach, reach, reach, reach), mode="replicate")
    moved = padded[..., reach + dy :, reach + dx :][..., : pictures.shape[-2], : pictures.shape[-1]]
    gain = torch.as_tensor(rng.uniform(0.9, 1.1, (len(pictures), 1, 1, 1)), dtype=torch.float32)
    return (moved * gain).contiguous(memory_format=torch.channels_last)


if __name__ == "__main__":
    main()
