"""What a step begins with: its images and random numbers, which follow from the seed and the images seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from stylex.data.archive import ImageSet, sample_order
from stylex.models.encoder import Encoder
from stylex.models.generator import Synthesis
from stylex.training.augment import Numbers, draw_numbers
from stylex.training.config import TrainConfig


@dataclass(frozen=True, eq=False, kw_only=True)
class Batch:
    """This process's part of a step's images and random numbers.

    Attributes:
        x: real images.
        z: what to sample from.
        noise: noise maps of the synthesis.
        conditioned: whether the generator is conditioned on the image's c.
        numbers: how the images that the discriminator sees are changed: the real ones, the generated ones when it
            learns, and when the generator does.
        path_noise: random images along which path lengths are taken, when they are.
        z_mixed: what to sample the second latent from, when styles are mixed.
        mixed: coordinates of s that come from the second latent, when styles are mixed.
        others: for each image another one of this shard, whose maps it is drawn with when maps are exchanged.
        swaps: how many images, the first ones, are also drawn with the maps of others.
        mapless: images whose maps are replaced by noise, when some are.
    """

    x: Float[Tensor, "n c h w"]
    z: Float[Tensor, "n z_dim"]
    noise: list[Tensor]
    conditioned: Bool[Tensor, " n"]
    numbers: tuple[Numbers, Numbers, Numbers]
    path_noise: Float[Tensor, "n c h w"] | None = None
    z_mixed: Float[Tensor, "n z_dim"] | None = None
    mixed: Bool[Tensor, "n s_dim"] | None = None
    others: Int64[Tensor, " n"]
    swaps: int = 0
    mapless: Bool[Tensor, " n"] | None = None

    def stirred(
        self, encoder: Encoder, synthesis: Synthesis, noise: float, *, learns: bool
    ) -> Float[Tensor, "n m_dim"] | None:
        """The images' maps with noise of this deviation added, or replaced by noise; None of networks without maps."""
        with torch.set_grad_enabled(learns):
            maps = encoder.maps(self.x)
        if maps is None:
            return None
        layers = [layer for layer in synthesis.space.layers if layer.kind == "conv"]
        mapped = {layer.name.removesuffix(".map") for layer in synthesis.space.layers if layer.kind == "map"}
        # A convolution that has a map has no other use for its noise.
        pairs = zip(layers, self.noise, strict=True)
        added = torch.cat([own.flatten(1) for layer, own in pairs if layer.name in mapped], dim=1)
        noisy = maps + noise * added
        if self.mapless is None:
            return noisy
        return torch.where(self.mapless[:, None], math.sqrt(1 + noise**2) * added, noisy)

    def exchanged(self, s: Float[Tensor, "n s_dim"], synthesis: Synthesis) -> Float[Tensor, "n s_dim"]:
        """Style vectors with the maps of the other images."""
        begin = synthesis.space.style_dim
        return torch.cat([s[:, :begin], s[self.others, begin:]], dim=1)


def draw(
    config: TrainConfig,
    images: ImageSet,
    synthesis: Synthesis,
    nimg: int,
    shard: Tensor,
    device: torch.device,
    *,
    paths: bool = False,
) -> Batch:
    """Draw for the whole batch by (seed, nimg), then keep this process's shard.

    Numbers that only some settings need are drawn last, so that the others are the same with and without them.

    Args:
        config: the settings.
        images: training images.
        synthesis: gives the sizes of the noise maps and the order of the layers.
        nimg: images seen.
        shard: positions of the batch that this process computes.
        device: where the batch goes.
        paths: draw noise for the path lengths.
    """
    size, schedule = config.schedule.batch, config.schedule
    random = torch.Generator().manual_seed((config.seed << 40) + nimg)
    mirror = torch.rand(size, generator=random) < 0.5 if config.mirror else torch.zeros(size, dtype=torch.bool)
    z = torch.randn(size, config.model.z_dim, generator=random)
    noise = synthesis.draw_noise(size, random)
    indices = sample_order(len(images), nimg, size, config.seed)[shard.numpy()]
    x = images.batch(indices, mirror=mirror[shard].numpy())
    path_noise = to_device(torch.randn(size, *x.shape[1:], generator=random)[shard], device) if paths else None
    conditioned = torch.full((size,), config.model.class_input != "none")
    if schedule.class_dropout > 0:
        conditioned &= torch.rand(size, generator=random) >= schedule.class_dropout
    z_mixed = mixed = None
    if schedule.style_mixing > 0:
        z_mixed = to_device(torch.randn(size, config.model.z_dim, generator=random)[shard], device)
        mixed = to_device(_mixed(synthesis, size, schedule.style_mixing, random)[shard], device)
    real, fake, scored = (to_device(draw_numbers(size, random)[shard], device) for _ in range(3))
    others, swaps = _exchange(config, len(shard), random)
    mapless = None
    if schedule.map_dropout > 0:
        mapless = to_device((torch.rand(size, generator=random) < schedule.map_dropout)[shard], device)
    return Batch(
        x=to_device(x, device),
        z=to_device(z[shard], device),
        noise=[to_device(maps[shard], device) for maps in noise],
        conditioned=to_device(conditioned[shard], device),
        numbers=(real, fake, scored),
        path_noise=path_noise,
        z_mixed=z_mixed,
        mixed=mixed,
        others=to_device(others, device),
        swaps=swaps,
        mapless=mapless,
    )


def to_device(x: Tensor, device: torch.device) -> Tensor:
    """The same there; to a GPU from pinned memory, so that the host does not wait for the copy."""
    return x.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else x.to(device)


def _exchange(config: TrainConfig, own: int, random: torch.Generator) -> tuple[Tensor, int]:
    """For each image of a shard another one, and how many images are to be drawn with the maps of others.

    Images that make a group of the minibatch deviation are in one shard, however many processes there are
    (``Processes.shard``): a shard lists the groups' first images, then their second ones. Maps are exchanged within
    groups, so that any number of processes computes the same.
    """
    batch, group = config.schedule.batch, config.model.discriminator(1, 1).group_size
    size = next(g for g in range(min(group, batch), 0, -1) if batch % g == 0)
    groups = own // size
    step = int(torch.randint(1, size, (), generator=random)) if size > 1 else 0
    others = torch.arange(own).roll(step * groups)
    return others, max(1, round(config.schedule.swap_share * size)) * groups if config.swaps else 0


def _mixed(synthesis: Synthesis, n: int, fraction: float, random: torch.Generator) -> Bool[Tensor, "n s_dim"]:
    """For each image the coordinates from a random layer on, in the order of synthesis; none for the other images.

    Source: Karras et al., CVPR 2019.
    """
    space, steps = synthesis.space, synthesis.steps
    # Maps are nobody's styles, and stay.
    places = {name: i for i, name in enumerate(steps)}
    position = torch.cat([torch.full((layer.channels,), places.get(layer.name, -1)) for layer in space.layers])
    first = torch.randint(1, len(steps), (n,), generator=random)
    first[torch.rand(n, generator=random) >= fraction] = len(steps)
    return position >= first[:, None]
