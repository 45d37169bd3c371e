"""Shapes of the three networks, as plain data (no torch, so that a command line can read them fast)."""

from __future__ import annotations

from dataclasses import dataclass

from stylex.core.errors import ConfigError


def _check_widths(owner: str, resolution: int, widths: tuple[int, ...]) -> None:
    stages = resolution.bit_length() - 2
    if resolution < 8 or resolution & (resolution - 1):
        raise ConfigError(f"{owner}: resolution is {resolution}, but must be a power of two, 8 or more")
    if len(widths) != stages or min(widths) < 1:
        raise ConfigError(
            f"{owner}: {len(widths)} widths {widths} for resolution {resolution}; give {stages} positive numbers, "
            f"one for each of 4, 8, ... {resolution} px"
        )


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig:
    """Shape of the generator.

    Attributes:
        resolution: image side in pixels, a power of two.
        channels: image channels, 1 or 3.
        widths: feature channels at 4, 8, ..., resolution px.
        z_dim: length of the noise vector z.
        w_dim: length of the latent w.
        c_dim: length of c, the classifier's output told to the generator (0: none).
        mapping_layers: fully connected layers from z to w.
        mapping_lr_multiplier: learning-rate multiplier of the mapping network.
        mapping_conditional: tell c to the mapping network (plain conditional StyleGAN2).
        style_conditional: append c to w in front of every affine layer (StylEx).
    """

    resolution: int
    channels: int
    widths: tuple[int, ...]
    z_dim: int
    w_dim: int
    c_dim: int
    mapping_layers: int = 8
    mapping_lr_multiplier: float = 0.01
    mapping_conditional: bool = False
    style_conditional: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        _check_widths("generator", self.resolution, self.widths)


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """Shape of the discriminator.

    Attributes:
        resolution, channels, widths: as of the generator.
        c_dim: length of c; 0 makes the discriminator unconditional.
        mapping_layers: layers that map c before the projection.
        group_size: images over which the minibatch standard deviation is taken.
    """

    resolution: int
    channels: int
    widths: tuple[int, ...]
    c_dim: int
    mapping_layers: int = 8
    group_size: int = 4

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        _check_widths("discriminator", self.resolution, self.widths)


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Shape of the encoder: a residual discriminator without minibatch statistics, ``w_dim`` outputs.

    Attributes:
        resolution, channels, widths: as of the generator.
        w_dim: length of the latent.
    """

    resolution: int
    channels: int
    widths: tuple[int, ...]
    w_dim: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        _check_widths("encoder", self.resolution, self.widths)
