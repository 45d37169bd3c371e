"""Write Fashion-MNIST photographs of some classes as PNG files: OUT/train/<class>/ and OUT/test/<class>/.

The photographs are 28 px, grey, on black; they are set on a black square of 32 px, not enlarged.
Source: Xiao, Rasul & Vollgraf 2017 (MIT licence); the raw files are in Debian's package dataset-fashion-mnist.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CLASSES = (
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read a gzipped idx file of bytes: two zero bytes, type 8, the number of axes, each axis' length, the values."""
    data = gzip.decompress(path.read_bytes())
    if data[:3] != b"\0\0\x08":
        raise SystemExit(f"{path} is not an idx file of bytes")
    axes = data[3]
    shape = [int.from_bytes(data[4 + 4 * i : 8 + 4 * i], "big") for i in range(axes)]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * axes).reshape(shape)


def main() -> None:
    """Write the photographs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder to write to")
    parser.add_argument("--idx", type=Path, default=Path("/usr/share/datasets/fashion-mnist"), help="the raw files")
    parser.add_argument("--classes", nargs="+", default=["sneaker", "ankle boot"], choices=CLASSES, help="which ones")
    options = parser.parse_args()
    for part, prefix in (("train", "train"), ("test", "t10k")):
        images = read_idx(options.idx / f"{prefix}-images-idx3-ubyte.gz")
        labels = read_idx(options.idx / f"{prefix}-labels-idx1-ubyte.gz")
        for name in options.classes:
            folder = options.out / part / name
            folder.mkdir(parents=True, exist_ok=True)
            for i in np.flatnonzero(labels == CLASSES.index(name)):
                Image.fromarray(np.pad(images[i], 2)).save(folder / f"{part}-{i:05d}.png")


if __name__ == "__main__":
    main()
