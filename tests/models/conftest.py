"""Tiny networks: 16 px, colour, told two values of c, noise and biases that are not zero."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from stylex.models.config import DiscriminatorConfig, EncoderConfig, GeneratorConfig
from stylex.models.discriminator import Discriminator
from stylex.models.encoder import Encoder
from stylex.models.generator import Generator

WIDTHS = (8, 6, 4)


def stirred(network: nn.Module) -> nn.Module:
    """Fresh networks have zeros where a fault would hide: noise strengths and biases."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() < 2:
                parameter += 0.2 * torch.randn(parameter.shape, generator=random)
    return network.eval().requires_grad_(False)


@pytest.fixture
def generator() -> Generator:
    torch.manual_seed(0)
    config = GeneratorConfig(resolution=16, channels=3, widths=WIDTHS, z_dim=5, w_dim=7, c_dim=2, mapping_layers=2)
    network = stirred(Generator(config))
    assert isinstance(network, Generator)
    return network


@pytest.fixture
def mapped(generator: Generator) -> Generator:
    """The same with maps at 8 and 16 px, of the same weights; each channel takes a map in its own strength."""
    torch.manual_seed(0)
    network = stirred(Generator(dataclasses.replace(generator.config, map_resolutions=(8, 16))))
    own = {k: v for k, v in generator.state_dict().items() if k in network.state_dict() and v.dim() > 0}
    network.load_state_dict(own, strict=False)
    assert isinstance(network, Generator)
    return network


@pytest.fixture
def discriminator() -> Discriminator:
    torch.manual_seed(0)
    config = DiscriminatorConfig(resolution=16, channels=3, widths=WIDTHS, c_dim=2, mapping_layers=2)
    network = stirred(Discriminator(config))
    assert isinstance(network, Discriminator)
    return network


@pytest.fixture
def encoder() -> Encoder:
    torch.manual_seed(0)
    network = stirred(Encoder(EncoderConfig(resolution=16, channels=3, widths=WIDTHS, w_dim=7)))
    assert isinstance(network, Encoder)
    return network


@pytest.fixture
def plain() -> tuple[Generator, Discriminator]:
    """A StyleGAN2 as others train it: nothing is told c, and nothing comes from maps."""
    torch.manual_seed(0)
    generator = Generator(
        GeneratorConfig(resolution=16, channels=3, widths=WIDTHS, z_dim=5, w_dim=7, c_dim=0, mapping_layers=2)
    )
    discriminator = Discriminator(
        DiscriminatorConfig(resolution=16, channels=3, widths=WIDTHS, c_dim=0, mapping_layers=1)
    )
    generator.mapping.w_avg.copy_(torch.randn(7))
    stirred(generator), stirred(discriminator)
    return generator, discriminator
