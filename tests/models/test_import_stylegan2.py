"""Our networks compute what StyleGAN2 computes: numbers recorded from the original program, random weights, 32 px."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stylex.core.errors import SnapshotError
from stylex.models.discriminator import Discriminator
from stylex.models.generator import Generator
from stylex.models.import_stylegan2 import discriminator_from_stylegan2, generator_from_stylegan2

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def recorded() -> State:
    with np.load(Path(__file__).parents[1] / "data_files" / "stylegan2_32.npz", allow_pickle=False) as file:
        return {name: torch.from_numpy(file[name]) for name in file.files}


def of(recorded: State, network: str) -> State:
    return {name[2:]: value for name, value in recorded.items() if name.startswith(f"{network}.")}


@pytest.fixture(scope="module")
def generator(recorded: State) -> Generator:
    return generator_from_stylegan2(of(recorded, "G")).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def discriminator(recorded: State) -> Discriminator:
    return discriminator_from_stylegan2(of(recorded, "D")).eval()


def relative(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / theirs.abs().max())


def test_latents(generator: Generator, recorded: State) -> None:
    z, c = recorded["in.z"], recorded["in.c"]
    assert relative(generator.mapping(z, c), recorded["out.ws"]) < 1e-5
    assert relative(generator.mapping(z, c, truncation=0.7), recorded["out.ws_psi0.7"]) < 1e-5


def test_styles_of_every_layer(generator: Generator, recorded: State) -> None:
    s, space = generator.synthesis.styles(recorded["out.ws"]), generator.synthesis.space
    assert {f"out.styles.{layer.name}" for layer in space.layers} == {n for n in recorded if "out.styles" in n}
    for layer in space.layers:
        assert relative(s[:, space.slice(layer.name)], recorded[f"out.styles.{layer.name}"]) < 1e-5


def test_images(generator: Generator, recorded: State) -> None:
    s = generator.synthesis.styles(recorded["out.ws"])
    assert relative(generator.synthesis(s, noise="none"), recorded["out.image_noise_none"]) < 1e-5
    assert relative(generator.synthesis(s, noise="const"), recorded["out.image_noise_const"]) < 1e-5
    # Told c in the mapping, and not in front of the affine layers.
    assert torch.equal(generator(recorded["out.ws"], recorded["in.c"]), generator.synthesis(s))


def test_logits_and_their_gradient(discriminator: Discriminator, recorded: State) -> None:
    x = recorded["out.image_noise_none"].clone().requires_grad_()
    logits = discriminator(x, recorded["in.c"])
    assert relative(logits.detach(), recorded["out.logits"]) < 1e-5
    (gradient,) = torch.autograd.grad(logits.sum(), x)
    assert relative(gradient.square().sum(dim=(1, 2, 3)), recorded["out.r1_grad_sqnorm"]) < 1e-4


def test_shapes_are_read_from_the_weights(generator: Generator, discriminator: Discriminator) -> None:
    ours = generator.config
    assert (ours.resolution, ours.channels, ours.widths) == (32, 3, (40, 40, 32, 16))
    assert (ours.z_dim, ours.w_dim, ours.c_dim, ours.mapping_layers) == (32, 48, 2, 3)
    assert (ours.mapping_conditional, ours.style_conditional) == (True, False)
    theirs = discriminator.config
    assert (theirs.widths, theirs.c_dim, theirs.mapping_layers) == (ours.widths, 2, 8)


def test_other_state_dicts_are_refused_in_one_line(recorded: State) -> None:
    for network, convert in (("G", generator_from_stylegan2), ("D", discriminator_from_stylegan2)):
        state = of(recorded, network)
        layer = {"G": "synthesis.b8.conv1", "D": "b8.conv1"}[network]
        for wrong, says in (
            ({}, "missing|out of range"),
            ({"conv1.weight": torch.zeros(1)}, "missing|out of range"),
            ({k: v for k, v in state.items() if k != f"{layer}.bias"}, "missing"),
            (state | {"extra.weight": torch.zeros(1)}, "unknown"),
            (state | {f"{layer}.bias": torch.zeros(3)}, "another shape"),
            (state | {f"{layer}.weight": torch.zeros(())}, "StyleGAN2"),
            ({k: v for k, v in state.items() if ".b16." not in f".{k}"}, "widths|missing"),
        ):
            with pytest.raises(SnapshotError, match=says) as caught:
                convert(wrong)
            assert "\n" not in str(caught.value)
