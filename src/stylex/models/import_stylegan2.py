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
from stylex.models.ops import FIR, channels_last


def generator_from_stylegan2(state: MappingOf[str, Tensor], *, lr_multiplier: float = 0.01) -> Generator:
    """A generator with the weights of a StyleGAN2 generator (skip architecture, any resolution).

    Args:
        state: ``synthesis.b4.const``, ``mapping.fc0.weight`` and so on, weights unscaled.
        lr_multiplier: by which the mapping network's weights are scaled in use; ours are scaled by 0.01, and the
            weights are brought to that.

    Raises:
        SnapshotError: the state dict is of another architecture, or its values are not finite float32.
    """
    try:
        sides = sorted(int(m[1]) for k in state if (m := re.fullmatch(r"synthesis\.b(\d{1,5})\.conv1\.weight", k)))
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
            style_conditional=not conditional,
        )
    except (KeyError, IndexError, ConfigError) as error:
        raise SnapshotError(
            f"not a StyleGAN2 generator: {_reason(error)}; expected a state dict with synthesis.b4.const, "
            "mapping.fc0.weight, ... (skip architecture)"
        ) from None
    _check_filters({k: v for k, v in state.items() if not _is_weight(k)})
    with torch.device("meta"):
        generator = Generator(config)
    scale = lr_multiplier / config.mapping_lr_multiplier
    given = {_generator_name(k): v for k, v in state.items() if _is_weight(k)}
    fill(generator, {k: v * scale if k.startswith("mapping.fc.") and scale != 1 else v for k, v in given.items()})
    return generator


def discriminator_from_stylegan2(state: MappingOf[str, Tensor], *, group_size: int = 4) -> Discriminator:
    """A discriminator with the weights of a StyleGAN2 discriminator (residual architecture).

    Args:
        state: ``b4.conv.weight``, ``b32.fromrgb.weight`` and so on, weights unscaled.
        group_size: images over which it takes the minibatch standard deviation.

    Raises:
        SnapshotError: the state dict is of another architecture, or its values are not finite float32.
    """
    try:
        sides = sorted(int(m[1]) for k in state if (m := re.fullmatch(r"b(\d{1,5})\.conv0\.weight", k)))
        conditional = "mapping.embed.weight" in state
        config = DiscriminatorConfig(
            resolution=sides[-1],
            channels=state[f"b{sides[-1]}.fromrgb.weight"].shape[1],
            widths=(state["b4.conv.weight"].shape[0], *(state[f"b{side}.conv0.weight"].shape[1] for side in sides)),
            c_dim=state["mapping.embed.weight"].shape[1] if conditional else 0,
            mapping_layers=sum(bool(re.fullmatch(r"mapping\.fc\d+\.weight", k)) for k in state) or 1,
            group_size=group_size,
        )
    except (KeyError, IndexError, ConfigError) as error:
        raise SnapshotError(
            f"not a StyleGAN2 discriminator: {_reason(error)}; expected a state dict with b4.conv.weight, "
            "b8.conv0.weight, ... (residual architecture)"
        ) from None
    _check_filters({k: v for k, v in state.items() if not _is_weight(k)})
    with torch.device("meta"):
        discriminator = Discriminator(config)
    top = config.resolution
    fill(discriminator, {_discriminator_name(k, top): v for k, v in state.items() if _is_weight(k)})
    return discriminator


def fill(network: torch.nn.Module, state: MappingOf[str, Tensor]) -> None:
    """Give a network without memory (``meta``) weights from elsewhere, frozen and ready to use.

    A discriminator's mapping tracks no average; ours keeps the buffer.

    Raises:
        SnapshotError: they are not those of the network, or not finite float32.
    """
    own = network.state_dict()
    missing = [k for k in own if k not in state and not k.endswith("w_avg")]
    foreign = [k for k in state if k not in own]
    unlike = [k for k in state if k in own and own[k].shape != state[k].shape]
    if missing or foreign or unlike:
        raise SnapshotError(
            f"not a plain StyleGAN2 state dict: missing {missing[:3]}, unknown {foreign[:3]}, of another shape "
            f"{unlike[:3]}; expected the skip generator and residual discriminator of StyleGAN2"
        )
    for name, weight in state.items():
        if weight.dtype != torch.float32:
            raise SnapshotError(f"weight {name} is of type {weight.dtype}; expected float32")
        if not weight.isfinite().all():
            raise SnapshotError(f"weight {name} is not finite; expected a checkpoint from before the training failed")
    absent = {k: torch.zeros(own[k].shape) for k in own if k not in state}
    network.load_state_dict({k: v.clone() for k, v in state.items()} | absent, assign=True)
    channels_last(network)
    network.eval().requires_grad_(False)


def check_filter(name: str, kernel: Tensor, gain: float) -> None:
    """See that a network resamples by our filter.

    Args:
        name: of the filter, for the message.
        kernel: of two dimensions.
        gain: what its values add up to.

    Raises:
        SnapshotError: it is another one, with which the network's pictures would be others.
    """
    taps = torch.tensor(FIR)
    if kernel.shape != (4, 4) or not torch.allclose(kernel.float(), gain * torch.outer(taps, taps), atol=1e-5):
        raise SnapshotError(f"{name} is another filter than [1, 3, 3, 1], by which all resampling is done here")


def _check_filters(kernels: MappingOf[str, Tensor]) -> None:
    for name, kernel in kernels.items():
        check_filter(name, kernel, 1.0)


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
    return re.sub(r"^b(\d{1,5})\.", lambda m: f"trunk.blocks.{top.bit_length() - int(m[1]).bit_length()}.", name)
