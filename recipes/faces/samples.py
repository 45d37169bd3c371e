"""Turn an explanation's knobs on pictures sampled from noise: nobody's photograph, and nobody's reconstruction.

Latents are drawn from a normal distribution with the mean and covariance of the encoder's latents of all training
images. The first row is sampled, the others are the same pictures with one knob turned:
``samples.py RUN EXPLANATION OUT.png``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

import stylex
from stylex.core.explanation import Picture
from stylex.data.images import to_pictures
from stylex.models.latents import normal_latents
from stylex.report.figures import panel, save_picture
from stylex.search.directions import independent
from stylex.search.shifts import apply_attributes


def main() -> None:
    """Draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("explanation", type=Path, help="found along directions")
    parser.add_argument("out", type=Path, help="the PNG to write")
    parser.add_argument("--classifier", help="where it is, if not where the training had it")
    parser.add_argument("--samples", type=int, default=5)
    parser.add_argument("--attributes", type=int, default=4, help="as many of the strongest")
    parser.add_argument("--spread", type=float, default=0.8, help="below 1: nearer to the average picture")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    snapshot = independent(stylex.load_snapshot(options.run))
    classifier = stylex.load_classifier(options.classifier or snapshot.classifier_reference)
    ranking = stylex.read_explanation(options.explanation).ranking
    generator = snapshot.generator
    w = normal_latents(snapshot.latents, options.samples, seed=options.seed, spread=options.spread)
    target = ranking.attributes[0].target
    label = classifier.spec.labels[target]

    def drawn(s: torch.Tensor) -> tuple[list[Picture], list[str]]:
        x = generator.synthesis(s).clamp(-1, 1)
        shares = classifier.probabilities(classifier.logits(x))[:, target].tolist()
        return list(to_pictures(x)), [f"{label} {share:.2f}" for share in shares]

    with torch.no_grad():
        s = generator.synthesis.styles(w)
        known: list[str] = []
        rows, captions = [drawn(s)], ["sampled"]
        for attribute in ranking.attributes:
            if str(attribute.coordinate) in known or len(known) == options.attributes:
                continue
            known.append(str(attribute.coordinate))
            for way in (1.0, -1.0):
                rows.append(drawn(apply_attributes(s, [attribute], snapshot.space, fractions=[way])))
                captions.append(f"{attribute.label or attribute.name} {'' if way > 0 else 'the other way'}".strip())
    save_picture(panel([row for row, _ in rows], captions, notes=[notes for _, notes in rows], cell=128), options.out)


if __name__ == "__main__":
    main()
