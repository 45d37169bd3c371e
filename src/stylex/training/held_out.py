"""Held-out measurement at each snapshot: figures, a panel of pictures, and alarms about collapse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from stylex.classifiers.classifier import Classifier
from stylex.core.stylespace import StyleStatistics
from stylex.core.wording import option
from stylex.data.archive import ImageSet
from stylex.data.images import to_pictures
from stylex.metrics.agreement import agreement
from stylex.metrics.follows import follows
from stylex.models.encoder import Encoder
from stylex.models.generator import Generator
from stylex.models.latents import normal_latents

STATISTICS_IMAGES = 20_000
"""Training images over which the StyleSpace's minimum and maximum are taken."""
_LATENTS = 8_192
"""Latents of training images that a snapshot keeps, to find directions in."""
_MAPS = 64
"""Training images whose maps a snapshot keeps, for pictures that are of no image."""
MEASURED = 1_000
"""Held-out images measured at most."""
_SHOWN = 10
"""Images in a row of the panel."""
_COLLAPSED = 0.15
"""Variety (standard deviation between images) below this fraction of the real images' raises an alarm."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The watched images, chosen once for a training so that snapshots compare."""

    x: Float[Tensor, "n c h w"]
    logits: Float[Tensor, "n k"]

    @classmethod
    def choose(cls, images: ImageSet, classifier: Classifier, device: torch.device) -> HeldOut:
        """Up to a thousand images spread evenly over the set."""
        chosen = torch.linspace(0, len(images) - 1, min(len(images), MEASURED)).round().long()
        x = images.batch(chosen.numpy()).to(device)
        with torch.no_grad():
            return cls(x, torch.cat([classifier.logits(part) for part in x.split(64)]))


@dataclass(frozen=True, eq=False, kw_only=True)
class Seen:
    """What the networks made of training images.

    Attributes:
        statistics: of their style vectors.
        latents: ``[m, w_dim]``, to draw others like them.
        maps: ``[k, m_dim]`` of some, for pictures that are of no image; None of networks without maps.
    """

    statistics: StyleStatistics
    latents: Float[NDArray[Any], "m w_dim"]
    maps: Float[Tensor, "k m_dim"] | None

    def some_maps(self, n: int) -> Float[Tensor, "n m_dim"] | None:
        """Maps for ``n`` pictures, each in its turn."""
        return None if self.maps is None else self.maps[torch.arange(n) % len(self.maps)]


def observe(
    generator: Generator,
    encoder: Encoder,
    images: ImageSet,
    classifier: Classifier,
    on: torch.device,
    *,
    most: int = STATISTICS_IMAGES,
) -> Seen:
    """Statistics of the style vectors of training images, spread evenly over the set; some latents and maps."""
    chosen = np.linspace(0, len(images) - 1, min(len(images), most)).round().astype(int)
    rows, latents, synthesis = [], [], generator.synthesis
    for part in np.array_split(chosen, math.ceil(len(chosen) / 64)):
        x = images.batch(part).to(on)
        c = classifier.probabilities(classifier.logits(x))
        w = encoder(x, c)
        rows.append(synthesis.styles(w, generator.condition(c))[:, : synthesis.space.style_dim].cpu())
        latents.append(w.cpu())
    kept = np.linspace(0, len(chosen) - 1, min(len(chosen), _LATENTS)).round().astype(int)
    few = np.linspace(0, len(images) - 1, min(len(images), _MAPS)).round().astype(int)
    maps = encoder.maps(images.batch(few).to(on))
    return Seen(
        statistics=StyleStatistics.observe(torch.cat(rows).numpy(), *([] if maps is None else [maps.cpu().numpy()])),
        latents=torch.cat(latents).numpy()[kept],
        maps=maps,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Panel:
    """Pictures of a snapshot with the classifier's probabilities of them.

    Attributes:
        rows: pictures ``n h w c``, uint8, by what they are: real, reconstructed, swapped (reconstructed with the maps
            of another image, where there are maps), sampled from noise by the mapping network (once it has learnt to),
            and drawn from latents
            like the encoder's (both conditioned on the c of the real image above).
        probabilities: ``[n, k]``, likewise.
        labels: class names.
    """

    rows: Mapping[str, NDArray[np.uint8]]
    probabilities: Mapping[str, NDArray[np.float32]]
    labels: tuple[str, ...]


def measure(
    watch: HeldOut,
    generator: Generator,
    encoder: Encoder,
    classifier: Classifier,
    seen: Seen,
    *,
    samples: bool = True,
) -> tuple[dict[str, float], Panel, list[str]]:
    """Reconstruct the watched images with fixed noise, and sample as many.

    Args:
        watch: the images.
        generator, encoder, classifier: the networks.
        seen: of training images, to draw others like them.
        samples: whether the mapping network has learnt to sample; else samples are neither shown nor judged.

    Returns:
        figures (``pixel_l1`` on [-1, 1], ``pixel_l1_other`` with another image's reconstruction; ``agreement``,
        ``probability_error``, ``kl`` of the classifier;
        ``follows_w`` and ``follows_maps`` of networks with maps, as in ``metrics.follows``;
        ``variety_reconstructed`` and ``variety_sampled``: standard deviation between images as a fraction of the
        real ones'), the panel, and alarms.
    """
    random = torch.Generator().manual_seed(0)
    reconstructed, sampled, swapped = [], [], []
    others = torch.randperm(len(watch.x), generator=torch.Generator().manual_seed(1)).to(watch.x.device)
    for x, logits, other in zip(watch.x.split(64), watch.logits.split(64), others.split(64), strict=True):
        c = classifier.probabilities(logits)
        z = torch.randn(len(x), generator.config.z_dim, generator=random).to(x.device)
        w = encoder(x, c)
        reconstructed.append(generator(w, c, encoder.maps(x)).clamp(-1, 1))
        sampled.append(generator(generator.mapping(z), c, seen.some_maps(len(x))).clamp(-1, 1))
        if seen.maps is not None:
            swapped.append(generator(w, c, encoder.maps(watch.x[other])).clamp(-1, 1))
    x_rec, x_new = torch.cat(reconstructed), torch.cat(sampled)
    logits_rec = torch.cat([classifier.logits(part) for part in x_rec.split(64)])
    figures = {"pixel_l1": (x_rec - watch.x).abs().mean().item()}
    if len(x_rec) > 1:
        figures["pixel_l1_other"] = (x_rec.roll(1, dims=0) - watch.x).abs().mean().item()
    figures |= agreement(watch.logits, logits_rec, classifier.activation)
    if swapped:
        logits_swapped = torch.cat([classifier.logits(part) for part in swapped])
        figures |= follows(watch.logits, watch.logits[others], logits_swapped, classifier.activation)
    real_variety = max(_variety(watch.x), 1e-6)
    figures["variety_reconstructed"] = _variety(x_rec) / real_variety
    figures["variety_sampled"] = _variety(x_new) / real_variety
    shown = torch.linspace(0, len(watch.x) - 1, min(_SHOWN, len(watch.x))).round().long().to(watch.x.device)
    given = classifier.probabilities(watch.logits[shown])
    latents = normal_latents(seen.latents, len(shown)).to(watch.x)
    drawn = generator(latents, given, seen.some_maps(len(shown))).clamp(-1, 1)
    rows = {"real": watch.x[shown], "reconstructed": x_rec[shown]}
    rows |= {"swapped": torch.cat(swapped)[shown]} if swapped else {}
    rows |= {"sampled": x_new[shown]} if samples else {}
    rows |= {"drawn": drawn}
    panel = Panel(
        rows={name: to_pictures(x.cpu()) for name, x in rows.items()},
        probabilities={name: classifier.probabilities(classifier.logits(x)).cpu().numpy() for name, x in rows.items()},
        labels=classifier.spec.labels,
    )
    alarms = []
    if figures["variety_reconstructed"] < _COLLAPSED:
        alarms.append(
            "the encoder has collapsed: reconstructions hardly differ from each other; "
            f"lower {option('optimizer.encoder_lr')}, raise {option('schedule.reconstruct_first')}, "
            "or check that the classifier and images are meant for each other"
        )
    if samples and figures["variety_sampled"] < _COLLAPSED:
        alarms.append(
            "images sampled from noise hardly differ from each other; soon after noise steps began this is expected, "
            f"later raise {option('loss.r1_gamma')} or give more images"
        )
    return figures, panel, alarms


def _variety(x: Tensor) -> float:
    return x.std(dim=0).mean().item()
