"""Shapes of the three networks, as plain data (no torch, so that a command line can read them fast)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from stylex.core.errors import ConfigError

_LARGEST = 2**16
"""No length in a description that we wrote is larger."""

DEEPEST, WIDEST = 64, 8192
"""Layers of a mapping network, and features of a layer, at most: beyond, building one takes minutes or all memory."""


ClassLayers = Literal["all", "coarse", "fine"]
"""Which affine layers are conditioned on c: all, those of the lower half of the resolutions, or those of the others."""

AdaptMethod = Literal[
    "affine+", "affinelight+", "affine", "stylespace", "stylespace-sparse", "full", "mapping", "synthesis-convs"
]
"""What of a generator an adaptation to another domain trains; ``models/domain.py`` says which parameters these are."""

DiscriminatorKind = Literal["stylegan2", "projected"]
"""A network of its own, or heads on the maps of a pretrained one."""

Freeze = Literal["generator", "nothing"]
"""What of a given run's networks stays as it is in a training that begins with them."""

Config = TypeVar("Config", "GeneratorConfig", "DiscriminatorConfig", "EncoderConfig")


def _check(
    owner: str, config: GeneratorConfig | DiscriminatorConfig | EncoderConfig, *, positive: Sequence[str]
) -> None:
    resolution, widths = config.resolution, config.widths
    stages = resolution.bit_length() - 2
    if resolution < 8 or resolution & (resolution - 1):
        raise ConfigError(f"{owner}: resolution is {resolution}, but must be a power of two, 8 or more")
    if len(widths) != stages or min(widths) < 1:
        raise ConfigError(
            f"{owner}: {len(widths)} widths {widths} for resolution {resolution}; give {stages} positive numbers, "
            f"one for each of 4, 8, ... {resolution} px"
        )
    if config.channels not in (1, 3):
        raise ConfigError(f"{owner}: channels is {config.channels}, but must be 1 or 3")
    if max(widths) > WIDEST:
        raise ConfigError(f"{owner}: a width of {max(widths)}, but at most {WIDEST} can be built")
    for name in positive:
        most = most_of(name)
        if not 1 <= getattr(config, name) <= most:
            raise ConfigError(f"{owner}: {name} is {getattr(config, name)}, but must lie in 1..{most}")


def most_of(name: str) -> int:
    """The largest number that makes sense for a length or a depth."""
    return DEEPEST if name.endswith("layers") else WIDEST


def _check_maps(owner: str, resolutions: tuple[int, ...], resolution: int) -> None:
    known = [4 << stage for stage in range(resolution.bit_length() - 2)]
    if sorted(set(resolutions) & set(known)) != list(resolutions):
        raise ConfigError(
            f"{owner}: map_resolutions is {resolutions}, but must be some of {', '.join(map(str, known))}, in order"
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
        c_dim: length of c, the classifier's output that the generator is conditioned on (0: none).
        mapping_layers: fully connected layers from z to w.
        mapping_lr_multiplier: learning-rate multiplier of the mapping network.
        mapping_conditional: tell c to the mapping network (plain conditional StyleGAN2).
        style_conditional: append c to w in front of affine layers (StylEx).
        class_layers: which of them: ``all``; ``coarse``, those of the lower half of the resolutions (the middle one
            included: 4 and 8 of 4, 8, 16 px); or ``fine``, the others.
        map_resolutions: in pixels, in order; the convolutions of these have an image's own map as their noise.
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
    class_layers: ClassLayers = "all"
    map_resolutions: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "map_resolutions", tuple(self.map_resolutions))
        _check("generator", self, positive=("z_dim", "w_dim", "mapping_layers"))
        _check_maps("generator", self.map_resolutions, self.resolution)

    def tells(self, resolution: int) -> bool:
        """Whether the affine layers of that resolution are conditioned on c."""
        coarse = resolution <= 4 << (len(self.widths) - 1) // 2
        chosen = self.class_layers == "all" or coarse == (self.class_layers == "coarse")
        return self.c_dim > 0 and self.style_conditional and chosen


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """Shape of the discriminator.

    Attributes:
        resolution, channels, widths: as in the generator.
        c_dim: length of c; 0 makes the discriminator unconditional.
        mapping_layers: layers that map c before the projection.
        group_size: images over which the minibatch standard deviation is taken.
        kind: StyleGAN2's residual network; or heads on a pretrained one, which has neither widths nor groups.
    """

    resolution: int
    channels: int
    widths: tuple[int, ...]
    c_dim: int
    mapping_layers: int = 8
    group_size: int = 4
    kind: DiscriminatorKind = "stylegan2"

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        _check("discriminator", self, positive=("mapping_layers", "group_size"))


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Shape of the encoder: a residual discriminator without minibatch statistics, ``w_dim`` outputs.

    Attributes:
        resolution, channels, widths: as in the generator.
        w_dim: length of the latent.
        c_dim: length of c, the classifier's output that the encoder is conditioned on beside the image (0: none).
        map_resolutions: as in the generator.
        map_width: feature channels of the network that makes the maps.
    """

    resolution: int
    channels: int
    widths: tuple[int, ...]
    w_dim: int
    c_dim: int = 0
    map_resolutions: tuple[int, ...] = ()
    map_width: int = 32

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        object.__setattr__(self, "map_resolutions", tuple(self.map_resolutions))
        _check("encoder", self, positive=("w_dim", "map_width"))
        _check_maps("encoder", self.map_resolutions, self.resolution)


def config_from_json(kind: type[Config], row: Mapping[str, Any]) -> Config:
    """Read what ``dataclasses.asdict`` and JSON made of a shape.

    Raises:
        ConfigError: a value is missing, unknown, or not of its type.
    """
    fields = {field.name: str(field.type) for field in dataclasses.fields(kind)}
    row = {**_LATER.get(kind, {}), **row}
    for name in sorted(fields.keys() ^ row.keys()):
        raise ConfigError(f"{kind.__name__}: {name} is {'missing' if name in fields else 'unknown'}")
    for name, value in row.items():
        if not _IS[fields[name]](value):
            raise ConfigError(f"{kind.__name__}: {name} is {value!r:.80}, expected {fields[name]}")
    values: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}
    return kind(**values)


_LATER: Mapping[type, dict[str, Any]] = {
    GeneratorConfig: {"class_layers": "all", "map_resolutions": []},
    DiscriminatorConfig: {"kind": "stylegan2"},
    EncoderConfig: {"c_dim": 0, "map_resolutions": [], "map_width": 32},
}
"""What was there before there was a field for it."""

_IS: Mapping[str, Callable[[Any], bool]] = {
    "int": lambda value: type(value) is int and 0 <= value <= _LARGEST,
    "float": lambda value: type(value) in (int, float) and 0 < value < math.inf,
    "bool": lambda value: type(value) is bool,
    "ClassLayers": lambda value: value in get_args(ClassLayers),
    "DiscriminatorKind": lambda value: value in get_args(DiscriminatorKind),
    "tuple[int, ...]": lambda value: isinstance(value, list) and all(map(_IS["int"], value)),
}
