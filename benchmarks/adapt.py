"""A run adapted to few images by each method, beside each other: how far are its pictures from held-out ones?

    stylex prepare boots --out boots.zip --resolution 32        # photographs of boots, divided into train and test
    python benchmarks/adapt.py SNEAKERS_RUN --data 100=boots-100.zip 1000=boots-1000.zip --all boots.zip \
        --classifier CLASSIFIER --out adapted/ --kimg 4 --json docs/results/adapt.json

``SNEAKERS_RUN`` is a training on sneakers alone; ``boots-100.zip`` holds 100 boots to learn from, and the same held-out
boots as the others. Each method learns from equally many pictures, at the learning rate it has in ``stylex adapt``, or
at those given with ``--lr METHOD=RATE``. ``frechet`` is the distance of as many new pictures as there are held-out
images from these, over the named extractor; beside it stand the run as it was, and real boots, those to learn from of
``--all``. Where ``--encoder-kimg`` is not 0, affine+ is done again with the encoder fitted afterwards: ``kept`` and
``fitted`` are held-out figures of what the encoder rebuilds. What is already in ``--out`` is not trained again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

import stylex
from stylex.classifiers import load_classifier
from stylex.core.files import write_whole
from stylex.data.archive import ImageSet, open_images
from stylex.evaluation.extractors import extractor_for
from stylex.metrics.frechet import frechet_distance
from stylex.models.domain import read_domain
from stylex.models.snapshot import Snapshot, load_snapshot
from stylex.training.adaptation import RATES, Adaptation, AdaptConfig

METHODS = ("full", "affine", "affine+", "affinelight+", "stylespace")
EXTRACTORS = ("random", "classifier")


def main() -> None:
    """Adapt, measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--data", nargs="+", required=True, metavar="NAME=ARCHIVE")
    parser.add_argument("--all", type=Path, required=True, help="archive of all images, for the control of real ones")
    parser.add_argument("--classifier", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kimg", type=float, default=4.0)
    parser.add_argument("--encoder-kimg", type=float, default=0.0)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--lr", nargs="*", default=[], metavar="METHOD=RATE", help="further rates to try")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    classifier = load_classifier(options.classifier)
    extractors = [extractor_for(name, classifier) for name in EXTRACTORS]
    held_out, real = open_images(options.all).split("test"), open_images(options.all).split("train")
    others = real.subset(np.linspace(0, len(real) - 1, min(len(real), len(held_out))).round().astype(int))
    yardsticks = [(extractor, extractor.features(pixels(held_out))) for extractor in extractors]

    def distances(x: torch.Tensor) -> dict[str, float]:
        return {e.name: frechet_distance(known, e.features(x)).value for e, known in yardsticks}

    source = load_snapshot(options.run)
    axes = Adaptation.planned(source, AdaptConfig()).axes
    report: dict[str, Any] = {
        "kimg": options.kimg,
        "held_out": len(held_out),
        "controls": {
            "the run as it was": distances(new_pictures(source, axes, len(held_out))),
            f"{len(others)} real ones": distances(pixels(others)),
        },
        "rows": [],
    }
    show(report["controls"])
    rates = [(method, RATES[method]) for method in options.methods]
    rates += [(method, float(rate)) for method, _, rate in (given.partition("=") for given in options.lr)]
    for name, archive in (given.split("=", 1) for given in options.data):
        for method, rate in rates:
            out = options.out / f"{name}-{method}-{rate:g}"
            row = adapted(out, options, archive, method, rate, 0.0)
            after = load_snapshot(out)
            row |= {
                "images": name,
                "frechet": distances(new_pictures(after, axes, len(held_out))),
                "kept": rebuilt(after),
            }
            row["parameters"] = read_domain(after.path).size
            if method == "affine+" and options.encoder_kimg and rate == RATES[method]:
                fitted = options.out / f"{name}-{method}-encoder"
                adapted(fitted, options, archive, method, rate, options.encoder_kimg)
                row["fitted"] = rebuilt(load_snapshot(fitted))
            report["rows"].append(row)
            print(json.dumps(row), flush=True)
            if options.json:
                write_whole(options.json, (json.dumps(report, indent=1) + "\n").encode())


def adapted(
    out: Path, options: argparse.Namespace, archive: str, method: Any, rate: float, encoder_kimg: float
) -> dict[str, Any]:
    """Adapt, unless it is done already."""
    stylex.adapt(
        options.run,
        data=archive,
        out=out,
        method=method,
        kimg=options.kimg,
        encoder_kimg=encoder_kimg,
        lr=rate,
        classifier=options.classifier,
        device="cpu",
    )
    return {"method": method, "lr": rate}


def rebuilt(snapshot: Snapshot) -> dict[str, float]:
    """What was measured of reconstructions when the snapshot was written."""
    return {name: round(snapshot.figures[name], 4) for name in ("pixel_l1", "agreement", "kl")}


@torch.inference_mode()
def new_pictures(snapshot: Snapshot, axes: torch.Tensor | None, n: int) -> torch.Tensor:
    """Pictures drawn from the latents that the adaptation drew from, by one seed."""
    generator = snapshot.generator
    z = torch.randn(n, generator.config.z_dim, generator=torch.Generator().manual_seed(1))
    c = torch.full((n, len(snapshot.classifier["labels"])), 1 / len(snapshot.classifier["labels"]))
    w = generator.mapping(z) if axes is None else torch.addmm(axes[0], z, axes[1:])
    parts = zip(w.split(64), c.split(64), strict=True)
    return torch.cat([generator(a, b, snapshot.some_maps(len(a))).clamp(-1, 1) for a, b in parts])


def pixels(images: ImageSet) -> torch.Tensor:
    """All images of a set."""
    return images.batch(np.arange(len(images)))


def show(controls: dict[str, dict[str, float]]) -> None:
    """Print the controls."""
    for name, values in controls.items():
        print(f"{name}: " + ", ".join(f"{value:.3f} ({extractor})" for extractor, value in values.items()), flush=True)


if __name__ == "__main__":
    main()
