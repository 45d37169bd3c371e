"""Could a search screen moves on the generator's own small pictures? How far their effects are from the true ones.

    python benchmarks/pyramid.py RUN ARCHIVE --classifier CLASSIFIER

StyleGAN2's skip architecture holds a finished picture at every resolution. A moved style value is drawn up to such a
picture only; its difference from the unmoved one, enlarged, is laid on the whole unmoved picture, which keeps all fine
detail, and the classifier is asked. Beside it the first-order guess of one gradient, which a screen has anyway, and the
best sum of both. Errors are root mean squares over images and moves, as fractions of the effects' own.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from stylex.classifiers.load import load_classifier
from stylex.data.archive import open_images
from stylex.models.ops import upsample
from stylex.models.snapshot import load_snapshot
from stylex.search.encoding import encode
from stylex.search.first_order import first_order
from stylex.search.moves import Evaluator, moves_to_extremes
from stylex.search.subject import TrainedSubject


def main() -> None:
    """Measure and print one line for each resolution."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("archive")
    parser.add_argument("--classifier", required=True)
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--moves", type=int, default=120, help="style values, each moved both ways")
    parser.add_argument("--target", type=int, default=1)
    options = parser.parse_args()
    snapshot, images = load_snapshot(options.run), open_images(options.archive).split("test")
    subject = TrainedSubject.of(snapshot, load_classifier(options.classifier))
    some = range(options.images)
    s = encode(subject, images.batch(some), [images.names[i] for i in some]).s.float()
    movable = snapshot.space.indices(include_torgb=False)
    indices = np.sort(np.random.default_rng(0).choice(movable, min(options.moves, len(movable)), replace=False))
    exact = Evaluator(subject).effects(s, indices, 1.0)[0][..., options.target]
    guess = first_order(subject, s, options.target, indices)
    sides = np.array([layer.resolution for layer in snapshot.space.layers for _ in range(layer.channels)])[indices]
    resolution = snapshot.generator.config.resolution
    print("picture | moves | correlation and error of: gradient | small picture | both, fitted")
    for side in (1 << i for i in range(3, resolution.bit_length() - 1)):
        own = np.flatnonzero(sides <= side)
        drawn = small(subject, s, indices[own], side)[..., options.target]
        true, first = exact[..., own].ravel(), guess[..., own].ravel()
        columns = np.stack([first, drawn.ravel()], axis=1)
        both = columns @ np.linalg.lstsq(columns, true, rcond=None)[0]
        said = " | ".join(
            f"{np.corrcoef(of, true)[0, 1]:.3f} {_size(of - true) / _size(true):.2f}"
            for of in (first, drawn.ravel(), both)
        )
        print(f"{side} px of {resolution} | {2 * len(own)} | {said}")


@torch.inference_mode()
def small(
    subject: TrainedSubject, s: Float[Tensor, "n s_dim"], indices: ndarray, side: int
) -> Float[ndarray, "n 2 m k"]:
    """Effects by the difference of the pictures of that size, enlarged and laid on the whole unmoved picture."""
    synthesis = subject.snapshot.generator.synthesis
    stop = synthesis.steps.index(f"b{side}.torgb") + 1
    times = (subject.snapshot.generator.config.resolution // side).bit_length() - 1
    whole, before = synthesis(s), synthesis.between(s, 0, stop).image
    base = subject.classifier.logits(whole.clamp(-1, 1)).float()
    moved = moves_to_extremes(subject.space, s, indices, 1.0)
    table = np.zeros((len(s), 2, len(indices), base.shape[1]))
    for column, index in enumerate(indices):
        for sign in (0, 1):
            at = s.clone()
            at[:, index] = moved[:, sign, column]
            after = synthesis.between(at, 0, stop).image
            drawn = whole + upsample(after - before, times=times)
            table[:, sign, column] = (subject.classifier.logits(drawn.clamp(-1, 1)).float() - base).cpu().numpy()
    return table


def _size(values: ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


if __name__ == "__main__":
    main()
