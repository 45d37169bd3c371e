"""The layout of rosinality's stylegan2-pytorch: what its networks' weights are called, both ways.

Its networks compute what ours compute, from weights of the same scale (equalised learning rate).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from stylex.core.errors import ConfigError, SnapshotError
from stylex.models.config import DiscriminatorConfig, GeneratorConfig
from stylex.models.discriminator import Discriminator
from stylex.models.generator import Generator
from stylex.models.import_stylegan2 import check_filter, fill
from stylex.models.ops import FIR
from stylex.models.projected import Judge

_CONV = {
    "weight": "conv.weight",
    "affine.weight": "conv.modulation.weight",
    "affine.bias": "conv.modulation.bias",
    "noise_strength": "noise.weight",
    "bias": "activate.bias",
}
_TORGB = {
    "weight": "conv.weight",
    "affine.weight": "conv.modulation.weight",
    "affine.bias": "conv.modulation.bias",
    "bias": "bias",
}
_BLOCK = {
    "conv0.weight": "conv1.0.weight",
    "conv0.bias": "conv1.1.bias",
    "conv1.weight": "conv2.1.weight",
    "conv1.bias": "conv2.2.bias",
    "skip.weight": "skip.1.weight",
}
_KERNEL = re.compile(r"\.kernel$")


def generator_from_rosinality(state: Mapping[str, Tensor], w_avg: Tensor | None) -> Generator:
    """A generator with the weights of rosinality's.

    Args:
        state: ``input.input``, ``style.1.weight`` and so on.
        w_avg: ``[w_dim]``, the average latent, where the checkpoint keeps it; None: that of ten thousand drawn ones.

    Raises:
        SnapshotError: the state dict is of another architecture, or its values are not finite float32.
    """
    convs = sum(bool(re.fullmatch(r"convs\.\d+\.conv\.weight", name)) for name in state)
    try:
        config = GeneratorConfig(
            resolution=4 << min(convs // 2, 20),
            channels=state["to_rgb1.conv.weight"].shape[1],
            widths=(
                state["conv1.conv.weight"].shape[1],
                *(state[f"convs.{i}.conv.weight"].shape[1] for i in range(1, convs, 2)),
            ),
            z_dim=state["style.1.weight"].shape[1],
            w_dim=state["conv1.conv.modulation.weight"].shape[1],
            c_dim=0,
            mapping_layers=sum(bool(re.fullmatch(r"style\.\d+\.weight", name)) for name in state),
        )
    except (KeyError, IndexError, ConfigError) as error:
        raise SnapshotError(
            f"not a generator of rosinality's stylegan2-pytorch ({error}); expected input.input, style.1.weight, ..."
        ) from None
    with torch.device("meta"):
        generator = Generator(config)
    _fill(generator, dict(_generator_names(config)), state, kernel_gain=4.0)
    with torch.no_grad():
        if w_avg is None:
            z = torch.randn(10_000, config.z_dim, generator=torch.Generator().manual_seed(0))
            w_avg = generator.mapping(z).mean(dim=0)
        if w_avg.shape != generator.mapping.w_avg.shape or not w_avg.isfinite().all():
            raise SnapshotError(f"latent_avg is not {config.w_dim} finite numbers")
        generator.mapping.w_avg.copy_(w_avg)
    return generator


def discriminator_from_rosinality(state: Mapping[str, Tensor]) -> Discriminator:
    """A discriminator with the weights of rosinality's.

    Raises:
        SnapshotError: the state dict is of another architecture, or its values are not finite float32.
    """
    blocks = sum(bool(re.fullmatch(r"convs\.\d+\.skip\.1\.weight", name)) for name in state)
    try:
        config = DiscriminatorConfig(
            resolution=4 << min(blocks, 20),
            channels=state["convs.0.0.weight"].shape[1],
            widths=(
                state["final_conv.0.weight"].shape[0],
                *(state[f"convs.{i}.conv1.0.weight"].shape[0] for i in range(blocks, 0, -1)),
            ),
            c_dim=0,
            mapping_layers=1,
        )
    except (KeyError, IndexError, ConfigError) as error:
        raise SnapshotError(
            f"not a discriminator of rosinality's stylegan2-pytorch ({error}); expected convs.0.0.weight, ..."
        ) from None
    with torch.device("meta"):
        discriminator = Discriminator(config)
    _fill(discriminator, dict(_discriminator_names(config)), state, kernel_gain=1.0)
    return discriminator


def to_rosinality(generator: Generator, discriminator: Judge) -> dict[str, Any]:
    """A checkpoint as rosinality's ``generate.py`` and ``train.py`` read it (``g_ema``, ``g``, ``d``, ``latent_avg``).

    Raises:
        SnapshotError: the generator is told the classifier's answer or draws from an image's maps, which that layout
            cannot say.
    """
    config = generator.config
    if config.c_dim or config.map_resolutions:
        what = "draws from an image's maps" if config.map_resolutions else "is told the classifier's answer"
        raise SnapshotError(
            f"this generator {what}, which rosinality's layout has no place for; export one that was trained with "
            "model.class_input none and model.map_resolutions []"
        )
    g = dict(_written(generator, _generator_names(config)))
    sides = len(config.widths)
    kernel = _kernel(4.0)
    g |= {f"convs.{2 * i}.conv.blur.kernel": kernel.clone() for i in range(sides - 1)}
    g |= {f"to_rgbs.{i}.upsample.kernel": kernel.clone() for i in range(sides - 1)}
    whole: dict[str, Any] = {"g_ema": g, "g": g, "latent_avg": generator.mapping.w_avg.clone()}
    if discriminator.config.c_dim or not isinstance(discriminator, Discriminator):
        return whole
    d = dict(_written(discriminator, _discriminator_names(discriminator.config)))
    d |= {f"convs.{i}.{part}.kernel": _kernel(1.0) for i in range(1, sides) for part in ("conv2.0", "skip.0")}
    return whole | {"d": d}


def _kernel(gain: float) -> Tensor:
    taps = torch.tensor(FIR)
    return gain * torch.outer(taps, taps)


def _generator_names(config: GeneratorConfig) -> Iterator[tuple[str, str]]:
    """Our name of each weight, and theirs."""
    for i in range(config.mapping_layers):
        for part in ("weight", "bias"):
            yield f"mapping.fc.{i}.{part}", f"style.{i + 1}.{part}"
    yield "synthesis.const", "input.input"
    place = 0
    for stage in range(len(config.widths)):
        side = 4 << stage
        for conv in ("conv0", "conv1") if stage else ("conv1",):
            ours, theirs = f"synthesis.layers.b{side}_{conv}", f"convs.{place - 1}" if place else "conv1"
            yield from ((f"{ours}.{a}", f"{theirs}.{b}") for a, b in _CONV.items())
            yield f"{ours}.noise_const", f"noises.noise_{place}"
            place += 1
        ours, theirs = f"synthesis.layers.b{side}_torgb", f"to_rgbs.{stage - 1}" if stage else "to_rgb1"
        yield from ((f"{ours}.{a}", f"{theirs}.{b}") for a, b in _TORGB.items())


def _discriminator_names(config: DiscriminatorConfig) -> Iterator[tuple[str, str]]:
    yield "trunk.fromrgb.weight", "convs.0.0.weight"
    yield "trunk.fromrgb.bias", "convs.0.1.bias"
    for i in range(len(config.widths) - 1):
        yield from ((f"trunk.blocks.{i}.{a}", f"convs.{i + 1}.{b}") for a, b in _BLOCK.items())
    yield "conv.weight", "final_conv.0.weight"
    yield "conv.bias", "final_conv.1.bias"
    for ours, theirs in (("fc", "final_linear.0"), ("out", "final_linear.1")):
        for part in ("weight", "bias"):
            yield f"{ours}.{part}", f"{theirs}.{part}"


def _fill(network: nn.Module, names: Mapping[str, str], state: Mapping[str, Tensor], *, kernel_gain: float) -> None:
    """Give a network without memory the weights, each in the shape that it has here."""
    own = network.state_dict()
    known = set(names.values())
    unknown = [name for name in state if name not in known and not _KERNEL.search(name)]
    missing = [theirs for theirs in names.values() if theirs not in state]
    if unknown or missing:
        raise SnapshotError(
            f"not a network of rosinality's stylegan2-pytorch: missing {missing[:3]}, unknown {unknown[:3]}"
        )
    for name, value in state.items():
        if _KERNEL.search(name):
            check_filter(name, value, kernel_gain)
    given: dict[str, Tensor] = {}
    for ours, theirs in names.items():
        # Theirs have further dimensions of length 1.
        shape, value = own[ours].shape, state[theirs]
        if [n for n in value.shape if n != 1] != [n for n in shape if n != 1]:
            raise SnapshotError(f"{theirs} is of shape {list(value.shape)}; expected one like {list(shape)}")
        given[ours] = value.reshape(shape)
    fill(network, given)


def _written(network: nn.Module, names: Iterator[tuple[str, str]]) -> Iterator[tuple[str, Tensor]]:
    """The weights under their names and in their shapes."""
    state = network.state_dict()
    for ours, theirs in names:
        value = state[ours].detach().cpu().contiguous()
        yield theirs, value.reshape(_their_shape(theirs, value)).clone()


def _their_shape(name: str, value: Tensor) -> tuple[int, ...]:
    shape = tuple(value.shape)
    if name.endswith("noise.weight"):
        return (1,)
    if re.match(r"to_rgb(1|s\.\d+)\.bias$", name):
        return (1, *shape, 1, 1)
    if name.startswith("noises."):
        return (1, 1, *shape)
    return (
        (1, *shape) if name == "input.input" or re.match(r"(conv1|convs\.\d+|to_rgb.*)\.conv\.weight$", name) else shape
    )
