"""A run adapted to few images by each method, beside each other: how far are its pictures from held-out ones?

    stylex prepare boots --out boots.zip --resolution 32        # photographs of boots, divided into train and test
    python benchmarks/adapt.py SNEAKERS_RUN --data 100=boots-100.zip 1000=boots-1000.zip --all boots.zip \
        --classifier CLASSIFIER --out adapted/ --kimg 4 --json docs/results/adapt.json

``SNEAKERS_RUN`` is a training on sneakers alone; ``boots-100.zip`` holds 100 boots to learn from, and the same held-out
boots as the others. Each method learns from equally many pictures, at the learning rate it has in ``stylex adapt``, or
at those given with ``--lr METHOD=RATE``. ``frechet`` is the distance of as many new pictures as there are held-out
images from these, over the named extractor; beside it stand the run as it was, and real boots, those to learn from of
``--all``. ``kept`` are held-out images as the run's own encoder and the adapted generator rebuild them; ``fitted`` the
same after the encoder has been fitted to affine+'s generator for ``--encoder-kimg``. What is already in ``--out`` is
not trained again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import stylex
from stylex.classifiers import Classifier, load_classifier
from stylex.core.files import write_whole
from stylex.data.archive import ImageSet, open_images
from stylex.evaluation.extractors import extractor_for
from stylex.metrics.agreement import agreement
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
    parser.add_argument("--encoder-kimg", type=float, default=2.0)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--lr", nargs="*", default=[], metavar="METHOD=RATE", help="further rates to try")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    classifier = load_classifier(options.classifier)
    extractors = [extractor_for(name, classifier) for name in EXTRACTORS]
    held_out, real = open_images(options.all).split("test"), open_images(options.all).split("train")
    others = real.subset(np.linspace(0, len(real) - 1, min(len(real), len(held_out))).round().astype(int))
    x = pixels(held_out)
    yardsticks = [(extractor, extractor.features(x)) for extractor in extractors]

    def distances(pictures: torch.Tensor) -> dict[str, float]:
        return {e.name: frechet_distance(known, e.features(pictures)).value for e, known in yardsticks}

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
            fits = options.encoder_kimg if method == "affine+" else 0.0
            stylex.adapt(
                options.run,
                data=archive,
                out=out,
                method=method,
                kimg=options.kimg,
                encoder_kimg=fits,
                lr=rate,
                classifier=options.classifier,
                device="cpu",
            )
            after = load_snapshot(out)
            row: dict[str, Any] = {"images": name, "method": method, "lr": rate, "kimg": options.kimg}
            row["parameters"] = sum(value.numel() for value in read_domain(after.path).offsets.values())
            row["frechet"] = distances(new_pictures(after, axes, len(held_out)))
            row["kept"] = rebuilt(replace(after, encoder=source.encoder), x, classifier)
            if fits:
                row["fitted"] = rebuilt(after, x, classifier)
            report["rows"].append(row)
            print(json.dumps(row), flush=True)
            if options.json:
                write_whole(options.json, (json.dumps(report, indent=1) + "\n").encode())


@torch.inference_mode()
def rebuilt(snapshot: Snapshot, x: torch.Tensor, classifier: Classifier) -> dict[str, float]:
    """How well images are rebuilt: mean difference of pixels on [-1, 1], and whether the classifier says the same."""
    logits = torch.cat([classifier.logits(part) for part in x.split(64)])
    c = classifier.probabilities(logits)
    drawn = [
        snapshot.generator.synthesis(snapshot.styles_of(*part)).clamp(-1, 1)
        for part in zip(x.split(64), c.split(64), strict=True)
    ]
    said = torch.cat([classifier.logits(part) for part in drawn])
    answers = agreement(logits, said, classifier.activation)
    return {"pixel_l1": (torch.cat(drawn) - x).abs().mean().item()} | {n: answers[n] for n in ("agreement", "kl")}


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
