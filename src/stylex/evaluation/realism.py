"""Are reconstructions and samples like real images?"""

from __future__ import annotations

import numpy as np
import torch

from stylex.evaluation.options import FEWEST_IMAGES
from stylex.evaluation.sheet import Sheet
from stylex.metrics.frechet import frechet_distance
from stylex.metrics.kid import kernel_distance
from stylex.metrics.manifold import precision_recall
from stylex.models.latents import normal_latents
from stylex.search.encoding import encode_set


def measure(sheet: Sheet) -> None:
    """Distances from other real images: of real images (as near as can be), their reconstructions, and new ones.

    New ones are sampled from noise by the mapping network, and drawn from latents like the encoder's.
    """
    held_out, training, extractor = sheet.inputs.held_out, sheet.inputs.training, sheet.inputs.extractor
    if training is None:
        order = np.random.default_rng(sheet.options.seed).permutation(len(held_out))
        images, others = (held_out.subset(half) for half in np.array_split(order, 2))
    else:
        images, others = sheet.sample(held_out), sheet.sample(training)
    if min(len(images), len(others)) < FEWEST_IMAGES:
        sheet.notes.append("No realism: there are too few real images beside each other to compare.")
        return
    snapshot, e = sheet.subject.snapshot, encode_set(sheet.subject, images)
    generator = snapshot.generator
    reference = extractor.features(others.batch(np.arange(len(others))).to(e.x.device))
    random = torch.Generator().manual_seed(sheet.options.seed)
    pictures = {"real": e.x, "reconstructed": e.x_rec}
    parts = sheet.subject.condition(e.logits).split(64)
    with torch.inference_mode():
        z = [torch.randn(len(condition), generator.config.z_dim, generator=random).to(condition) for condition in parts]
        latents = {"sampled": [generator.mapping(*part) for part in zip(z, parts, strict=True)]}
        if snapshot.latents is not None:
            drawn = normal_latents(snapshot.latents, len(images), seed=sheet.options.seed)
            latents["drawn"] = list(drawn.to(e.x).split(64))
        for name, rows in latents.items():
            new = [
                generator(w, condition, snapshot.some_maps(len(w))).clamp(-1, 1)
                for w, condition in zip(rows, parts, strict=True)
            ]
            pictures[name] = torch.cat(new)
    for name, x in pictures.items():
        features = extractor.features(x)
        distance, kernel = frechet_distance(reference, features), kernel_distance(reference, features)
        coverage = precision_recall(reference, features)
        for what, value in (
            ("frechet", distance.value),
            ("kid", kernel.interval),
            ("precision", coverage.precision),
            ("recall", coverage.recall),
        ):
            sheet.add(
                f"realism.{what}_{name}",
                value,
                images=len(x),
                by=extractor.name,
                note=f"beside {len(reference)} other real images",
            )
        if name == "real" and distance.warning:
            sheet.alarms.append(f"{distance.warning[0].upper()}{distance.warning[1:]}.")
