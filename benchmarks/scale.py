"""What much costs: 1 million images, 1,000 classes, 1024 px, 8 GPUs, from parts that are measured here.

Measured: opening an archive and what it says of a picture (time, memory, bytes, of 20,000 pictures of 16 px), reading a
picture of 256 px that is not kept in memory, drawing random numbers, sizes of networks. All else is multiplied from
these, and says so. Times are processor time of one thread. --json writes the parts and the table.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from stylex.data.archive import ArchiveIndex, open_images, write_archive
from stylex.models.config import GeneratorConfig
from stylex.models.generator import Generator
from stylex.models.precision import multiplications
from stylex.search.effects import _kept_classes

PICTURES = 20_000
PUBLISHED_1024, PUBLISHED_256, PUBLISHED_256_8 = 90.4, 12.5, 2.4
"""Seconds per kimg of StyleGAN2-ADA on A100s (docs/configs.md of github.com/NVlabs/stylegan3): one, one, eight GPUs."""

ASSUMED_FLOPS = 1e14
"""A third of what an A100 is said to do in bfloat16: nobody measured it here."""
SEARCHED = 100
"""Images a class, as ``find`` takes."""


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--gpus", type=int, default=8)
    parser.add_argument("--batch", type=int, default=32, help="images a step, over all GPUs")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.open is not None:
        print(json.dumps(opened(options.open)))
        return
    torch.set_num_threads(1)
    parts = measured(options.side, options.classes)
    rows = list(table(parts, options))
    for name, value, how in rows:
        print(f"| {name} | {value} | {how} |")
    if options.json is not None:
        told = {"machine": platform.machine(), "load": os.getloadavg()[0], "torch": torch.__version__}
        options.json.write_text(json.dumps(told | {"parts": parts, "table": rows}, indent=1) + "\n")


def measured(side: int, classes: int) -> dict[str, float]:
    """The parts."""
    with tempfile.TemporaryDirectory() as folder:
        many, large = Path(folder) / "many.zip", Path(folder) / "large.zip"
        write_archive(many, pictures(PICTURES, 16), about(PICTURES, 16))
        # In a process of its own, whose memory tells what an open archive takes.
        command = [sys.executable, __file__, "--open", str(many)]
        told = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        write_archive(large, pictures(64, 256), about(64, 256))
        images = open_images(large)
        images._pictures._kept = None  # as of an archive that is too large for memory
        began = time.process_time()
        for i in range(64):
            images.batch([i])
        read = (time.process_time() - began) / 64
        bytes_256 = large.stat().st_size / 64
        index = many.stat().st_size / PICTURES - 16 * 16 * 3
    began = time.process_time()
    for _ in range(10):
        torch.randn(10**6)
    random = 1e7 / (time.process_time() - began)
    networks = {f"{s}_px": network(s, classes) for s in (256, side)}
    networks |= {f"{side}_px_2_classes": network(side, 2)}
    return {
        "open_ms_per_picture": 1000 * told["seconds"] / PICTURES,
        "open_bytes_per_picture": told["bytes"] / PICTURES,
        "zip_bytes_beside_the_pixels": index,
        "bytes_of_a_256_px_picture": bytes_256,
        "read_ms_256_px": 1000 * read,
        "random_numbers_per_s": random,
        **{f"{key}_{s}": value for s, each in networks.items() for key, value in each.items()},
    }


def opened(path: Path) -> dict[str, float]:
    """How long opening takes, and how much memory it adds, names and split included."""
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    images = open_images(path)
    part = images.split("train")
    assert len(part.names) > 0
    seconds = time.process_time() - began
    return {"seconds": seconds, "bytes": 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)}


def pictures(n: int, side: int) -> Iterator[Any]:
    """Noise."""
    random = np.random.default_rng(0)
    for _ in range(n):
        yield random.integers(0, 255, (side, side, 3), dtype=np.uint8)


def about(n: int, side: int) -> ArchiveIndex:
    """As ``prepare`` says it of photographs in class folders."""
    names = [f"class {i % 1000}/photograph-{i:08d}.jpg" for i in range(n)]
    return ArchiveIndex(
        resolution=side,
        channels=3,
        names=names,
        labels=[i % 1000 for i in range(n)],
        label_names=[f"class {i}" for i in range(1000)],
        split_keys=[f"{i:064x}" for i in range(n)],
        splits=[None] * n,
        groups=[None] * n,
        contents=[f"{i:064x}" for i in range(n)],
    )


def network(side: int, classes: int) -> dict[str, float]:
    """Of a generator of the published widths, told c: parameters, style coordinates, multiplications a picture."""
    widths = tuple(min(512, 32768 // (4 << i)) for i in range((side // 4).bit_length()))
    channels: Literal[3] = 3
    with torch.device("meta"):
        generator = Generator(
            GeneratorConfig(resolution=side, channels=channels, widths=widths, z_dim=512, w_dim=512, c_dim=classes)
        )
    noise = sum(layer.resolution**2 for layer in generator.synthesis.space.layers if layer.kind == "conv")
    return {
        "generator_parameters": sum(p.numel() for p in generator.parameters()),
        "coordinates": generator.synthesis.space.conv_dim,
        "multiplications": multiplications(generator.synthesis),
        "noise_numbers": noise,
    }


def table(parts: dict[str, float], options: argparse.Namespace) -> Iterator[tuple[str, str, str]]:
    """Rows: what, how much, from which parts."""
    n, k, side, gpus, batch = options.images, options.classes, options.side, options.gpus, options.batch
    pixels, s = side * side * 3, f"{side}_px"
    yield (
        "archive on disk",
        f"{n * (pixels + parts['zip_bytes_beside_the_pixels']) / 1e12:.2f} TB",
        "pixels are stored, beside them what was measured",
    )
    yield (
        "opening it, each process",
        f"{n * parts['open_ms_per_picture'] / 6e4:.1f} min",
        f"measured on {PICTURES:,} pictures",
    )
    yield (
        f"memory of its names, {gpus} processes",
        f"{gpus * n * parts['open_bytes_per_picture'] / 1e9:.1f} GB",
        f"measured on {PICTURES:,} pictures",
    )
    each = parts["read_ms_256_px"] * (side / 256) ** 2
    yield (
        "reading a picture",
        f"{each:.1f} ms, {1000 / each:.0f} a second and thread",
        "measured at 256 px, times pixels",
    )
    yield (
        "random numbers of a step, each process",
        f"{batch * parts[f'noise_numbers_{s}'] / parts['random_numbers_per_s']:.2f} s",
        f"rate measured; noise of the whole batch of {batch}",
    )
    weights = parts[f"generator_parameters_{s}"]
    yield (
        "generator, its average and Adam",
        f"{16 * weights / 1e9:.2f} GB",
        f"{weights / 1e6:.0f} million parameters counted, of them for more than 2 classes "
        f"{(weights - parts[f'generator_parameters_{s}_2_classes']) / 1e6:.0f}",
    )
    yield (
        "gradients exchanged a step",
        f"{4 * 2 * weights / 1e6:.0f} MB and the encoder's",
        "generator and discriminator, alike in size",
    )
    scaled = PUBLISHED_1024 * PUBLISHED_256_8 / PUBLISHED_256
    yield (
        "training of 25,000 kimg",
        f"{25_000 * scaled / 86_400:.1f} days",
        f"published: {PUBLISHED_1024} s/kimg on one A100, times what 256 px gains by 8; ours is not measured",
    )
    moves = 2 * parts[f"coordinates_{s}"]
    kept = _kept_classes(k, int(moves), [0])
    yield (
        "moves of a search on one image",
        f"{moves:,.0f} pictures of {parts[f'multiplications_{s}'] / 1e9:.0f} thousand million multiplications",
        "counted",
    )
    yield (
        "effects of one image on disk",
        f"{moves * kept * 2 / 1e6:.1f} MB",
        f"{kept} classes are kept of {k}, as float16",
    )
    yield (
        f"effects of {SEARCHED} images a class, all classes",
        f"{SEARCHED * k * moves * kept * 2 / 1e9:.0f} GB",
        "the same",
    )
    seconds = SEARCHED * k * moves * 2 * parts[f"multiplications_{s}"] / ASSUMED_FLOPS
    yield (
        f"search of all classes, {gpus} GPUs",
        f"{seconds / gpus / 86_400:.1f} days",
        f"{SEARCHED} images a class, whole pictures, at an assumed 100 TFLOP/s each",
    )


if __name__ == "__main__":
    main()
