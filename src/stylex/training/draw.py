"""What a step begins with: its images and random numbers, which follow from the seed and the images seen."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from stylex.data.archive import ImageSet, sample_order
from stylex.models.generator import Synthesis
from stylex.training.augment import Luck, draw_luck
from stylex.training.config import TrainConfig


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """This process's share of a step's images and random numbers.

    Attributes:
        x: real images.
        z: what to sample from.
        noise: noise maps of the synthesis.
        told: whether the generator is told the image's c.
        luck: how the images that the discriminator judges are changed: the real ones, the generated ones when it
            learns, and when the generator does.
        path_noise: random images along which path lengths are taken, when they are.
        z_mixed: what to sample the second latent from, when styles are mixed.
        mixed: coordinates of s that come from the second latent, when styles are mixed.
    """

    x: Float[Tensor, "n c h w"]
    z: Float[Tensor, "n z_dim"]
    noise: list[Tensor]
    told: Bool[Tensor, " n"]
    luck: tuple[Luck, Luck, Luck]
    path_noise: Float[Tensor, "n c h w"] | None = None
    z_mixed: Float[Tensor, "n z_dim"] | None = None
    mixed: Bool[Tensor, "n s_dim"] | None = None


def draw(
    config: TrainConfig,
    images: ImageSet,
    synthesis: Synthesis,
    nimg: int,
    share: Tensor,
    place: torch.device,
    *,
    paths: bool = False,
) -> Batch:
    """Draw for the whole batch by (seed, nimg), then keep this process's share.

    Numbers that only some settings need are drawn last, so that the others are the same with and without them.

    Args:
        config: the settings.
        images: training images.
        synthesis: gives the sizes of the noise maps and the order of the layers.
        nimg: images seen.
        share: positions of the batch that this process computes.
        place: where the batch goes.
        paths: draw noise for the path lengths.
    """
    size, schedule = config.schedule.batch, config.schedule
    random = torch.Generator().manual_seed((config.seed << 40) + nimg)
    mirror = torch.rand(size, generator=random) < 0.5 if config.mirror else torch.zeros(size, dtype=torch.bool)
    z = torch.randn(size, config.model.z_dim, generator=random)
    noise = synthesis.draw_noise(size, random)
    indices = sample_order(len(images), nimg, size, config.seed)[share.numpy()]
    x = images.batch(indices, mirror=mirror[share].numpy())
    path_noise = torch.randn(size, *x.shape[1:], generator=random)[share].to(place) if paths else None
    told = torch.full((size,), config.model.class_input != "none")
    if schedule.class_dropout > 0:
        told &= torch.rand(size, generator=random) >= schedule.class_dropout
    z_mixed = mixed = None
    if schedule.style_mixing > 0:
        z_mixed = torch.randn(size, config.model.z_dim, generator=random)[share].to(place)
        mixed = _mixed(synthesis, size, schedule.style_mixing, random)[share].to(place)
    real, fake, judged = (draw_luck(size, random)[share].to(place) for _ in range(3))
    return Batch(
        x=x.to(place),
        z=z[share].to(place),
        noise=[maps[share].to(place) for maps in noise],
        told=told[share].to(place),
        luck=(real, fake, judged),
        path_noise=path_noise,
        z_mixed=z_mixed,
        mixed=mixed,
    )


def _mixed(synthesis: Synthesis, n: int, share: float, random: torch.Generator) -> Bool[Tensor, "n s_dim"]:
    """For each image the coordinates from a random layer on, in the order of synthesis; none for the other images.

    Source: Karras et al., CVPR 2019.
    """
    space, steps = synthesis.space, synthesis.steps
    position = torch.cat([torch.full((layer.channels,), steps.index(layer.name)) for layer in space.layers])
    first = torch.randint(1, len(steps), (n,), generator=random)
    first[torch.rand(n, generator=random) >= share] = len(steps)
    return position >= first[:, None]
