"""What w says and what the maps say, on drawn images with known factors: each factor read linearly off either.

    python benchmarks/maps.py RUN ARCHIVE --classifier CLASSIFIER [--name NAME --json docs/results/maps.json]

``w``, ``maps`` and ``both`` are R2 on images that the reading is not fitted to, all of them held out from the training.
Off the maps is read linearly off their pixels, and off their mean square in a grid of 4 x 4 places. Of a cause ``w``
should be near 1, and ``both`` no larger than it. Without known factors only the held-out figures are written.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from stylex.classifiers.classifier import Classifier
from stylex.classifiers.load import load_classifier
from stylex.core.errors import DataError
from stylex.core.files import write_whole
from stylex.data.archive import ImageSet, open_images
from stylex.models.snapshot import Snapshot, load_snapshot
from stylex.planted.images import Planted
from stylex.planted.probe import linear_r2

CELLS = 4


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--classifier", required=True)
    parser.add_argument("--name")
    parser.add_argument("--note", default="", help="what was tried")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    snapshot, classifier = load_snapshot(options.run), load_classifier(options.classifier)
    row = {"name": options.name or options.run.name, "note": options.note, "data": options.archive.stem}
    row |= {"kimg": snapshot.nimg / 1000, "minutes": _minutes(options.run), "held_out": dict(snapshot.figures)}
    row["settings"] = _settings(snapshot)
    try:
        row["factors"] = factors(snapshot, classifier, open_images(options.archive).split("test"))
    except DataError:
        row["factors"] = {}
    print(json.dumps(row["held_out"]))
    for name, read in row["factors"].items():
        print(f"{name:12}" + "  ".join(f"{part} {value:.3f}" for part, value in read.items()))
    if options.json:
        kept = json.loads(options.json.read_text()) if options.json.exists() else []
        kept = [other for other in kept if other["name"] != row["name"]]
        write_whole(options.json, (json.dumps([*kept, row], indent=1) + "\n").encode())


@torch.inference_mode()
def factors(snapshot: Snapshot, classifier: Classifier, images: ImageSet) -> dict[str, dict[str, float]]:
    """R2 of each factor, read off w, off the maps and off both."""
    planted = Planted.named(images.names)
    latents, maps = [], []
    for part in np.array_split(np.arange(len(images)), len(images) // 64 + 1):
        x = images.batch(part)
        latents.append(snapshot.encoder(x, classifier.probabilities(classifier.logits(x))))
        own = snapshot.encoder.maps(x)
        maps.append(torch.zeros(len(x), 0) if own is None else own)
    w, pixels = torch.cat(latents), torch.cat(maps)
    layers = [layer for layer in snapshot.space.layers if layer.kind == "map"]
    parts = pixels.split([layer.channels for layer in layers], dim=1)
    squares = [
        F.adaptive_avg_pool2d(part.view(-1, 1, layer.resolution, layer.resolution).square(), CELLS).flatten(1)
        for layer, part in zip(layers, parts, strict=True)
    ]
    seen = torch.cat([pixels, *squares], dim=1)
    read = {"w": w, "maps": seen, "both": torch.cat([w, seen], dim=1)}
    r2 = {name: linear_r2(part.double().numpy(), planted.factors) for name, part in read.items() if part.shape[1]}
    return {
        factor: {name: round(float(values[i]), 3) for name, values in r2.items()}
        for i, factor in enumerate(planted.family.factors)
    }


def _settings(snapshot: Snapshot) -> dict[str, Any]:
    told = snapshot.training
    names = (
        "model.map_resolutions", "model.map_noise", "loss.classifier", "loss.swap", "loss.swap_features",
        "schedule.swap_share", "schedule.map_dropout", "schedule.reconstruct_first", "optimizer.generator_lr",
    )  # fmt: skip
    return {name: told[name.split(".")[0]].get(name.split(".")[1]) for name in names}


def _minutes(run: Path) -> float:
    stats = run / "stats.jsonl"
    ticks = [json.loads(line) for line in stats.read_text().splitlines()] if stats.exists() else []
    return round(sum(tick.get("seconds", 0.0) for tick in ticks) / 60, 1)


if __name__ == "__main__":
    main()
