"""What a GPU makes of it: seconds per thousand images, search times, and a short training to its snapshot.

``steps``: the real loop (``train_networks``), with the published widths of StyleGAN2 (channels 16384 / side, at most
512), adaptive augmentation, R1 and path lengths, house classifier and random images in memory. ``noise only`` leaves
the encoder out: every step draws from noise, which is what StyleGAN2-ADA's steps do, but for the classifier that is
asked about the real images. Beside it stand the seconds that NVIDIA publishes for StyleGAN2-ADA on one A100:
6.8 at 128 px (batch 32) and 12.5 at 256 px (batch 16), in docs/configs.md of github.com/NVlabs/stylegan3. Of 64 px
nothing is published.

``search``: the effects of every style coordinate, moved both ways, on each of some images; random weights.

``training``: ``stylex.train`` on an archive with the preset of its size, from nothing to its snapshot.

--device cpu --tiny does the same with small networks in under a minute: a test of this program, and no measurement.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from train_step import Enough, classifier_of, run_steps

import stylex
from stylex.core.errors import StylexError
from stylex.core.progress import Event, Tick
from stylex.core.stylespace import StyleStatistics
from stylex.models.generator import Generator
from stylex.models.precision import set_up_gpu
from stylex.planted.images import write_planted
from stylex.search.effects import Measuring, measure_effects
from stylex.search.subject import Subject
from stylex.training.config import AugmentConfig, TrainConfig, preset

PUBLISHED = {128: 6.8, 256: 12.5}
"""Seconds per kimg of StyleGAN2-ADA on one A100, by side."""
BATCHES = {64: 32, 128: 32, 256: 16}
"""Images a step, as published where it is."""
_WARM_TICKS = 2


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1, or cpu")
    parser.add_argument("--tiny", action="store_true", help="small networks and few images: tests this program")
    parser.add_argument("--parts", nargs="+", choices=["steps", "search", "training"], default=["steps", "search"])
    parser.add_argument("--resolutions", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--kimg", type=float, default=4.0, help="thousand images to measure steps on")
    parser.add_argument("--images", type=int, default=100, help="images of the search")
    parser.add_argument("--data", help="the archive of the training (default: 12,000 drawn leaves of 128 px)")
    parser.add_argument("--classifier", help="its classifier (default: one is fitted to the archive)")
    parser.add_argument("--train-kimg", type=float, help="length of the training (default: as its preset says)")
    parser.add_argument("--out", type=Path, help="folder of the run (default: a temporary one)")
    parser.add_argument("--json", type=Path, help="write the numbers there")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        sys.exit("error: there is no GPU here that torch can use; try the program with --device cpu --tiny")
    if options.device == "cpu" and not options.tiny:
        sys.exit("error: --device cpu is for --tiny alone: on a processor the published widths take hours")
    if options.tiny:
        options.resolutions, options.kimg, options.images, options.train_kimg = [16], 0.128, 2, 0.064
    result: dict[str, Any] = {"machine": machine(options.device), "torch": torch.__version__, "tiny": options.tiny}
    try:
        for part in options.parts:
            result[part] = PARTS[part](options)
            print(part, json.dumps(result[part], indent=1), flush=True)
    except StylexError as error:
        sys.exit(f"error: {error}")
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


def machine(device: str) -> str:
    """The name of what computes."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else platform.machine()


def settings(side: int, *, noise_only: bool, kimg: float, tiny: bool) -> TrainConfig:
    """A training of the published size, all of it with the discriminator."""
    base = preset("tiny-16" if tiny else "paper-256")
    widths = (8, 8, 8) if tiny else tuple(min(512, 16384 // (4 << i)) for i in range((side // 4).bit_length()))
    batch = 8 if tiny else BATCHES.get(side, 8)
    names = ("generator_widths", "discriminator_widths", "encoder_widths")
    tick = max(batch, round(1000 * kimg / 8))
    return replace(
        base,
        model=replace(base.model, resolution=side, **dict.fromkeys(names, widths)),
        loss=replace(base.loss, perceptual_net="classifier", path_length=2.0, path_length_every=4, r1_every=16),
        augment=AugmentConfig(mode="ada"),
        schedule=replace(
            base.schedule,
            kimg=2 * kimg,  # it is stopped before its end
            batch=batch,
            reconstruct_first=0.0,
            encoder_after=0.0,
            noise_every=1 if noise_only else 2,
            tick_nimg=tick,
            snapshot_nimg=10**9,
        ),
    )


def seconds_per_kimg(config: TrainConfig, device: str, most_nimg: float) -> tuple[float, float]:
    """The median over ticks, which end by waiting for the device, without the first two; and GiB of the GPU."""
    paces: list[float] = []
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)

    def listen(event: Event) -> None:
        if isinstance(event, Tick):
            paces.append(1000 / event.images_per_s)
            if event.nimg >= most_nimg:
                raise Enough

    run_steps(config, lambda step: None, device=device, listener=listen)
    memory = torch.cuda.max_memory_allocated(device) / 2**30 if device.startswith("cuda") else float("nan")
    return statistics.median(paces[_WARM_TICKS:]), memory


def steps(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Seconds per kimg by size, with the encoder and from noise only."""
    rows = []
    for side in options.resolutions:
        for noise_only in (False, True):
            config = settings(side, noise_only=noise_only, kimg=options.kimg, tiny=options.tiny)
            seconds, memory = seconds_per_kimg(config, options.device, 1000 * options.kimg)
            rows.append(
                {
                    "side": side,
                    "batch": config.schedule.batch,
                    "steps": "noise only" if noise_only else "encoder and noise",
                    "seconds_per_kimg": round(seconds, 3),
                    "gib": None if memory != memory else round(memory, 2),
                    "stylegan2_ada_a100": PUBLISHED.get(side),
                }
            )
    return rows


def search(options: argparse.Namespace) -> list[dict[str, Any]]:
    """How long the effects of all style coordinates of some images take, in float32 and in bfloat16 where allowed."""
    rows = []
    if options.device.startswith("cuda"):
        set_up_gpu(exact=True)
    for side in options.resolutions:
        config = settings(side, noise_only=False, kimg=1, tiny=options.tiny)
        torch.manual_seed(0)
        generator = Generator(config.model.generator(3, 2)).eval().requires_grad_(False)
        c = torch.full((options.images + 64, 2), 0.5)
        with torch.inference_mode():
            w = torch.randn(len(c), config.model.w_dim)
            s = generator.synthesis.styles(w, generator.condition(c))
        space = generator.synthesis.space.observed(StyleStatistics.observe(s.numpy()))
        subject = Subject(
            synthesis=generator.synthesis.to(options.device),
            classifier=classifier_of(side).to(options.device),
            space=space,
        )
        for precision in ("float32", "bf16"):
            began = time.perf_counter()
            effects = measure_effects(
                subject,
                s[: options.images].to(options.device),
                image_ids=[str(i) for i in range(options.images)],
                how=Measuring(precision=precision),  # type: ignore[arg-type]
            )
            seconds = time.perf_counter() - began
            moves = 2 * len(effects.indices) * options.images
            rows.append(
                {
                    "side": side,
                    "precision": precision,
                    "images": options.images,
                    "moves": moves,
                    "seconds": round(seconds, 2),
                    "moves_per_s": round(moves / seconds, 1),
                }
            )
    return rows


def training(options: argparse.Namespace) -> dict[str, Any]:
    """A run from nothing to its snapshot, and what is measured on its held-out images."""
    with tempfile.TemporaryDirectory() as folder:
        data, classifier, device = options.data, options.classifier, options.device
        if data is None:
            data = Path(folder) / "leaves.zip"
            images, side = (200, 16) if options.tiny else (12_000, 128)
            write_planted(data, family="leaves", images=images, resolution=side)
        if classifier is None:
            epochs = 1 if options.tiny else 6
            classifier = stylex.fit_classifier(data, Path(folder) / "classifier", epochs=epochs, device=device)
        out, began = options.out or Path(folder) / "run", time.perf_counter()
        stylex.train(data=data, classifier=classifier, out=out, kimg=options.train_kimg, device=device)
        seconds = time.perf_counter() - began
        snapshot = sorted((out / "snapshots").glob("[0-9]*"))[-1]
        record = json.loads((snapshot / "snapshot.json").read_text())
        named = {"data": options.data or "drawn leaves", "seconds": round(seconds, 1)}
        return named | {"nimg": record["nimg"], "figures": record["figures"]}


PARTS = {"steps": steps, "search": search, "training": training}


if __name__ == "__main__":
    main()
