"""How long a turned knob takes to become a picture, through the explorer's real server, per resolution.

Turns random knobs step by step, as a person dragging a slider does: the next request leaves when the answer is there.
The server is a process of its own, as it is for a browser.
Without a snapshot the networks have random weights, which are as fast as trained ones. The last line with --json is
one JSON object: p50_ms and p95_ms per resolution, and for several people at once, with the share of the answers that
were drawn at half size, without the classifier's answer (where full size takes over 100 ms).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import struct
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import httpx2
import numpy as np
import torch
from load import serving

import stylex
from stylex.classifiers import Classifier, ClassifierSpec, fingerprint
from stylex.core.attribute import Attribute
from stylex.core.stylespace import StyleStatistics
from stylex.live.studio import LiveStudio
from stylex.models.discriminator import Discriminator
from stylex.models.encoder import Encoder
from stylex.models.generator import Generator
from stylex.models.snapshot import SnapshotNetworks, SnapshotRecord, load_snapshot, save_snapshot
from stylex.training.config import PRESETS

WIDTHS = {
    32: PRESETS["small-32"].model.generator_widths,
    64: PRESETS["medium-64"].model.generator_widths,
    128: (96, 96, 96, 64, 48, 24),
    256: (96, 96, 96, 96, 64, 32, 16),
}
"""Feature channels at 4, 8, ... px of what two cores can train; --paper measures the publication's 256 px instead."""


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--snapshot", help="a run or snapshot ('demo': what comes with the package); else random weights"
    )
    parser.add_argument("--resolutions", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--paper", action="store_true", help="at 256 px, the widths of the publication")
    parser.add_argument("--turns", type=int, default=120, help="knob turns of one person")
    parser.add_argument("--people", type=int, default=32, help="people at once, in the second part")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result: dict[str, dict[str, float]] = {}
    for resolution in [0] if options.snapshot else options.resolutions:
        with serving(options.snapshot, resolution, options.threads, paper=options.paper) as (port, _):
            url = f"http://127.0.0.1:{port}"
            name, measured = asyncio.run(_measure(url, options.turns, options.people))
            result[name] = measured
        print(name, "  ".join(f"{key} {value:.1f}" for key, value in result[name].items()), flush=True)
    if options.json:
        print(json.dumps({"threads": options.threads, "cpus": os.cpu_count(), **result}))


async def _measure(url: str, turns: int, people: int) -> tuple[str, dict[str, float]]:
    random = np.random.default_rng(0)
    async with httpx2.AsyncClient(base_url=url, timeout=120, limits=httpx2.Limits(max_connections=people)) as client:
        began = time.perf_counter()
        for path in (
            "/",
            "/viewer.css",
            "/viewer.js",
            "/explore.js",
            "/http_source.js",
            "/api/describe",
            "/api/images",
        ):
            (await client.get(path)).raise_for_status()
        page = time.perf_counter() - began
        about = (await client.get("/api/describe")).json()
        images = [image["id"] for image in (await client.get("/api/images")).json()["images"]]

        async def drag(person: int, steps: int) -> list[tuple[float, bool]]:
            image, spent = images[person % len(images)], []
            for step in range(steps):
                # A slider is moved ten times before the next one is taken.
                knob = (person + step // 10) % len(about["knobs"])
                knobs = {str(knob): round(float(random.uniform(-1, 1)), 3)}
                body = {
                    "viewer": f"p{person}",
                    "lane": "knob",
                    "turns": [{"image": image, "knobs": knobs}],
                    "draft": True,
                }
                start = time.perf_counter()
                answer = await client.post("/api/frames", json=body)
                answer.raise_for_status()
                spent.append((1000 * (time.perf_counter() - start), _is_small(answer.content)))
            return spent

        await drag(0, 10)
        alone = np.array(await drag(0, turns))  # milliseconds, and whether at half size
        together = np.concatenate(await asyncio.gather(*(drag(person, 4) for person in range(people))))
    return f"{about['resolution']}px", {
        "p50_ms": float(np.quantile(alone[:, 0], 0.5)),
        "p95_ms": float(np.quantile(alone[:, 0], 0.95)),
        "half_size": float(alone[:, 1].mean()),
        "page_ms": 1000 * page,
        f"p50_ms_{people}_people": float(np.quantile(together[:, 0], 0.5)),
        f"p95_ms_{people}_people": float(np.quantile(together[:, 0], 0.95)),
        f"half_size_{people}_people": float(together[:, 1].mean()),
    }


def _is_small(answer: bytes) -> bool:
    (length,) = struct.unpack("<I", answer[:4])
    return bool(json.loads(answer[4 : 4 + length])["small"][0])


def given_studio(snapshot: str) -> LiveStudio:
    """What a run or snapshot draws, with its own images."""
    studio = stylex.open_studio(snapshot, images=32, device="cpu")
    assert isinstance(studio, LiveStudio)
    while studio.load_more():
        pass
    return _with_knobs(studio)


def random_studio(resolution: int, *, paper: bool = False) -> LiveStudio:
    """Networks with random weights, and 32 pictures of noise."""
    widths, like = WIDTHS[resolution], PRESETS["medium-64"].model
    names = ("generator_widths", "discriminator_widths", "encoder_widths")
    model = replace(like, resolution=resolution, **dict.fromkeys(names, widths))
    if paper and resolution == 256:
        model = PRESETS["paper-256"].model
    torch.manual_seed(0)
    generator = Generator(model.generator(3, 2)).eval()
    encoder, discriminator = Encoder(model.encoder(3, 2)), Discriminator(model.discriminator(3, 2))
    judge = Classifier(
        torch.nn.Sequential(
            torch.nn.Conv2d(3, 16, 3, stride=2),
            torch.nn.ReLU(),
            torch.nn.Conv2d(16, 32, 3, stride=2),
            torch.nn.ReLU(),
            torch.nn.AdaptiveAvgPool2d(1),
            torch.nn.Flatten(),
            torch.nn.Linear(32, 2),
        ),
        ClassifierSpec(labels=("a", "b"), input_size=resolution, channels=3),
    )
    with tempfile.TemporaryDirectory() as folder:
        with torch.inference_mode():
            w = torch.randn(64, model.w_dim)
            s = generator.synthesis.styles(w, torch.full((64, 2), 0.5) if generator.synthesis.c_dim else None).numpy()
        save_snapshot(
            Path(folder) / "snapshot",
            SnapshotNetworks(
                generator=generator,
                encoder=encoder,
                discriminator=discriminator,
                statistics=StyleStatistics.observe(s),
            ),
            SnapshotRecord(
                classifier=judge.spec.to_json(),
                classifier_reference=None,
                classifier_fingerprint=fingerprint(judge),
                nimg=0,
                training={},
                figures={},
            ),
        )
        studio = LiveStudio(load_snapshot(Path(folder) / "snapshot"), judge)
    random = np.random.default_rng(0)
    for i in range(32):
        studio._take(random.integers(0, 255, (1, resolution, resolution, 3), dtype=np.uint8), [f"image {i}"], [None])
    return _with_knobs(studio)


def _with_knobs(studio: LiveStudio) -> LiveStudio:
    """Sixteen style values of the convolutions, drawn evenly: most lie in the early, broad layers, as attributes do."""
    space = studio.snapshot.space
    for index in np.linspace(0, space.conv_dim - 1, 16).astype(int):
        attribute = Attribute(
            coordinate=space.coordinate(int(index)), sign=1, shift_range=1.0, target=1, target_label="b", effect=1.0
        )
        studio._knob_for(attribute, next(iter(studio.images)))
    return studio


if __name__ == "__main__":
    main()
