"""Recorded numbers of other programs' checkpoints against what our networks compute from the same files.

    python benchmarks/reference.py FOLDER

The folder holds pairs of a checkpoint and what its own program computed from it: ``stylegan2_ada_32.pkl`` and ``.npz``,
``rosinality_32.pt`` and ``.npz``. Each number printed is the largest difference over the largest recorded magnitude;
the program ends with 1 if one exceeds 1e-5.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stylex.models.imported import Imported, read_stylegan2

PAIRS = ("stylegan2_ada_32.pkl", "rosinality_32.pt")
LARGEST = 1e-5


def drawn(networks: Imported, recorded: dict[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Each recorded array's name, and the same from our networks."""
    generator, discriminator = networks.generator, networks.discriminator
    assert discriminator is not None, "the reference checkpoints hold a discriminator"
    synthesis, z = generator.synthesis, recorded["in.z"]
    w = generator.mapping(z)
    yield "out.ws" if "out.ws" in recorded else "out.w", w
    image = synthesis(synthesis.styles(w), noise="const")
    yield "out.image_noise_const", image
    still = "out.image_noise_none" if "out.image_noise_none" in recorded else "out.image_noise_zero"
    yield still, synthesis(synthesis.styles(w), noise="none")
    yield "out.logits", discriminator(image)
    near = generator.mapping(z, truncation=0.7)
    if "out.ws_psi0.7" in recorded:
        yield "out.ws_psi0.7", near
    else:
        near = torch.lerp(recorded["in.mean_latent"].expand_as(w), w, 0.7)
        yield "out.image_psi0.7", synthesis(synthesis.styles(near), noise="const")


def main() -> int:
    """Compare, print, and say whether all is equal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    worst = 0.0
    for name in PAIRS:
        networks = read_stylegan2(folder / name)
        with np.load((folder / name).with_suffix(".npz"), allow_pickle=False) as file:
            recorded = {key: torch.from_numpy(file[key]) for key in file.files}
        compared = {"in.z", "in.mean_latent"}
        for key, ours in drawn(networks, recorded):
            theirs = recorded[key]
            ours = ours[:, None].expand(theirs.shape) if theirs.ndim == 3 else ours
            difference = float((ours - theirs).abs().max() / theirs.abs().max())
            print(f"{name:<22} {key:<22} {list(theirs.shape)!s:<18} {difference:.1e}")
            worst = max(worst, difference)
            compared.add(key)
        if left := recorded.keys() - compared:
            print(f"{name:<22} not compared: {', '.join(sorted(left))}")
            worst = float("inf")
    return int(worst > LARGEST)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    sys.exit(main())
