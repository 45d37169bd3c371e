"""Existing StyleGAN2 weights (state dicts in the field's usual names) into our networks, and their shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping as MappingOf

import torch
from torch import Tensor

from stylex.core.errors import ConfigError, SnapshotError, first_line
from stylex.models.config import DiscriminatorConfig, GeneratorConfig
from stylex.models.discriminator import Discriminator
from stylex.models.generator import Generator


def generator_from_stylegan2(state: MappingOf[str, Tensor]) -> Generator:
    """A generator with the weights of a StyleGAN2 generator (skip architecture, any resolution).

    Args:
        state: ``synthesis.b4.const``, ``mapping.fc0.weight`` and so on, weights unscaled.

    Raises:
        SnapshotError: the state dict is of another architecture.
    """
    try:
        sides = sorted(int(m[1]) for k in state if (m := re.fullmatch(r"synthesis\.b(\d+)\.conv1\.weight", k)))
        layers = sum(bool(re.fullmatch(r"mapping\.fc\d+\.weight", k)) for k in state)
        w_dim = state["synthesis.b4.conv1.affine.weight"].shape[1]
        conditional = "mapping.embed.weight" in state
        config = GeneratorConfig(
            resolution=sides[-1],
            channels=state["synthesis.b4.torgb.weight"].shape[0],
            widths=tuple(state[f"synthesis.b{side}.conv1.weight"].shape[0] for side in sides),
            z_dim=state["mapping.fc0.weight"].shape[1] - (w_dim if conditional else 0),
            w_dim=w_dim,
            c_dim=state["mapping.embed.weight"].shape[1] if conditional else 0,
            mapping_layers=layers,
            mapping_conditional=conditional,
            style_conditional=False,
        )
    except (KeyError, IndexError, ConfigError) as error:
        raise SnapshotError(
            f"not a StyleGAN2 generator: {_reason(error)}; expected a state dict with synthesis.b4.const, "
            "mapping.fc0.weight, ... (skip architecture)"
        ) from None
    generator = Generator(config)
    _load(generator, {_generator_name(k): v for k, v in state.items() if _is_weight(k)})
    return generator


def discriminator_from_stylegan2(state: MappingOf[str, Tensor]) -> Discriminator:
    """A discriminator with the weights of a StyleGAN2 discriminator (residual architecture).

    Args:
        state: ``b4.conv.weight``, ``b32.fromrgb.weight`` and so on, weights unscaled.

    Raises:
        SnapshotError: the state dict is of another architecture.
    """
    try:
        sides = sorted(int(m[1]) for k in state if (m := re.fullmatch(r"b(\d+)\.conv0\.weight", k)))
        conditional = "mapping.embed.weight" in state
        config = DiscriminatorConfig(
            resolution=sides[-1],
            channels=state[f"b{sides[-1]}.fromrgb.weight"].shape[1],
            widths=(state["b4.conv.weight"].shape[0], *(state[f"b{side}.conv0.weight"].shape[1] for side in sides)),
            c_dim=state["mapping.embed.weight"].shape[1] if conditional else 0,
            mapping_layers=sum(bool(re.fullmatch(r"mapping\.fc\d+\.weight", k)) for k in state),
        )
    except (KeyError, IndexError, ConfigError) as error:
        raise SnapshotError(
            f"not a StyleGAN2 discriminator: {_reason(error)}; expected a state dict with b4.conv.weight, "
            "b8.conv0.weight, ... (residual architecture)"
        ) from None
    discriminator = Discriminator(config)
    top = config.resolution
    _load(discriminator, {_discriminator_name(k, top): v for k, v in state.items() if _is_weight(k)})
    return discriminator


def _reason(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else first_line(error)


def _is_weight(name: str) -> bool:
    return not name.endswith("resample_filter")


def _generator_name(name: str) -> str:
    name = re.sub(r"^mapping\.fc(\d+)\.", r"mapping.fc.\1.", name)
    name = re.sub(r"^synthesis\.b4\.const$", "synthesis.const", name)
    return re.sub(r"^synthesis\.b(\d+)\.(conv0|conv1|torgb)\.", r"synthesis.layers.b\1_\2.", name)


def _discriminator_name(name: str, top: int) -> str:
    name = re.sub(r"^mapping\.fc(\d+)\.", r"mapping.fc.\1.", name)
    name = re.sub(r"^b\d+\.fromrgb\.", "trunk.fromrgb.", name)
    name = re.sub(r"^b4\.", "", name)
    return re.sub(r"^b(\d+)\.", lambda m: f"trunk.blocks.{top.bit_length() - int(m[1]).bit_length()}.", name)


def _load(network: torch.nn.Module, state: dict[str, Tensor]) -> None:
    own = network.state_dict()
    # A discriminator's mapping tracks no average; ours keeps the buffer.
    missing = [k for k in own if k not in state and not k.endswith("w_avg")]
    foreign = [k for k in state if k not in own]
    unlike = [k for k in state if k in own and own[k].shape != state[k].shape]
    if missing or foreign or unlike:
        raise SnapshotError(
            f"not a plain StyleGAN2 state dict: missing {missing[:3]}, unknown {foreign[:3]}, of another shape "
            f"{unlike[:3]}; expected the skip generator and residual discriminator of StyleGAN2"
        )
    network.load_state_dict(state, strict=False)
