"""Rosinality's layout, both ways: what was written is read, and draws the same."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from stylex.core.errors import SnapshotError
from stylex.models.discriminator import Discriminator
from stylex.models.generator import Generator
from stylex.models.rosinality import discriminator_from_rosinality, generator_from_rosinality, to_rosinality


def test_names_and_shapes_are_theirs(plain: tuple[Generator, Discriminator]) -> None:
    """As in a checkpoint of the program itself, of which every name was compared with these."""
    whole = to_rosinality(*plain)
    shapes = {name: list(value.shape) for name, value in whole["g_ema"].items()}
    assert shapes["input.input"] == [1, 8, 4, 4]
    assert shapes["conv1.noise.weight"] == [1]
    assert shapes["to_rgbs.1.bias"] == [1, 3, 1, 1]
    assert shapes["to_rgbs.1.conv.weight"] == [1, 3, 4, 1, 1]
    assert shapes["convs.2.conv.weight"] == [1, 4, 6, 3, 3]
    assert shapes["convs.2.conv.blur.kernel"] == [4, 4]
    assert shapes["noises.noise_4"] == [1, 1, 16, 16]
    assert "noises.noise_5" not in shapes
    assert float(whole["g_ema"]["to_rgbs.0.upsample.kernel"].sum()) == pytest.approx(4)
    assert list(whole["d"]["convs.1.skip.1.weight"].shape) == [6, 4, 1, 1]
    assert list(whole["latent_avg"].shape) == [7]


def test_what_was_written_draws_and_judges_the_same(plain: tuple[Generator, Discriminator]) -> None:
    generator, discriminator = plain
    whole = to_rosinality(generator, discriminator)
    ours = generator_from_rosinality(whole["g_ema"], whole["latent_avg"])
    assert ours.config == generator.config
    for name, value in generator.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value)
    z = torch.randn(3, generator.config.z_dim)
    for noise in ("const", "none"):
        drawn = [g.synthesis(g.synthesis.styles(g.mapping(z, truncation=0.7)), noise=noise) for g in (generator, ours)]
        assert torch.equal(*drawn)
    judges = discriminator, discriminator_from_rosinality(whole["d"])
    assert judges[1].config == discriminator.config
    assert torch.equal(*[d(drawn[0]) for d in judges])


def test_the_average_latent_is_drawn_where_none_is_kept(plain: tuple[Generator, Discriminator]) -> None:
    state = to_rosinality(*plain)["g"]
    generator = generator_from_rosinality(state, None)
    w = generator.mapping(torch.randn(4_000, generator.config.z_dim))
    assert (generator.mapping.w_avg - w.mean(dim=0)).abs().max() < 0.1 * w.std()


def test_a_generator_without_a_place_there_is_refused(
    generator: Generator, mapped: Generator, discriminator: Discriminator
) -> None:
    for network, says in ((generator, "classifier's answer"), (mapped, "maps")):
        with pytest.raises(SnapshotError, match=says):
            to_rosinality(network, discriminator)


def test_a_discriminator_that_is_told_c_is_left_out(
    plain: tuple[Generator, Discriminator], discriminator: Discriminator
) -> None:
    assert "d" not in to_rosinality(plain[0], discriminator)


def test_other_networks_are_refused_in_one_line(plain: tuple[Generator, Discriminator]) -> None:
    whole = to_rosinality(*plain)

    def wrong(part: str, name: str, value: Tensor | None) -> dict[str, Tensor]:
        changed = {**whole[part], name: value}
        return {k: v for k, v in changed.items() if v is not None}

    cases = [
        ("g_ema", "input.input", None, "missing"),
        ("g_ema", "style.1.weight", None, "style.1.weight"),
        ("g_ema", "extra", torch.zeros(1), "unknown"),
        ("g_ema", "convs.0.conv.weight", torch.zeros(1, 6, 7, 3, 3), "shape"),
        ("g_ema", "convs.1.conv.weight", torch.zeros(0), "generator|shape"),
        ("g_ema", "convs.0.conv.blur.kernel", torch.ones(4, 4) / 4, "another filter"),
        ("g_ema", "to_rgb1.bias", torch.full((1, 3, 1, 1), torch.nan), "not finite"),
        ("g_ema", "to_rgb1.bias", torch.zeros(1, 3, 1, 1).double(), "float64"),
        ("g_ema", "conv1.conv.modulation.weight", torch.zeros(8, 2**14), "w_dim|shape"),
        ("d", "final_conv.0.weight", None, "missing|final_conv"),
        ("d", "convs.1.skip.0.kernel", torch.ones(4, 4) / 16, "another filter"),
        ("d", "final_linear.1.bias", torch.full((1,), torch.inf), "not finite"),
    ]
    for part, name, value, says in cases:
        read = discriminator_from_rosinality if part == "d" else lambda state: generator_from_rosinality(state, None)
        with pytest.raises(SnapshotError, match=says) as caught:
            read(wrong(part, name, value))
        assert "\n" not in str(caught.value)
    with pytest.raises(SnapshotError, match="latent_avg"):
        generator_from_rosinality(whole["g"], torch.zeros(3))


def test_shapes_without_numbers_build_nothing_large(plain: tuple[Generator, Discriminator]) -> None:
    """A tensor of no numbers may claim any width; networks are built only when all shapes are seen to fit."""
    empty = {name: value.new_zeros((1, 8_000, 8_000, 0, 3)) for name, value in to_rosinality(*plain)["g"].items()}
    with pytest.raises(SnapshotError):
        generator_from_rosinality(empty, None)


def test_other_sizes_and_channels() -> None:
    from stylex.models.config import DiscriminatorConfig, GeneratorConfig

    shape = {"resolution": 8, "channels": 1, "widths": (5, 3)}
    generator = Generator(GeneratorConfig(**shape, z_dim=2, w_dim=3, c_dim=0, mapping_layers=1))
    discriminator = Discriminator(DiscriminatorConfig(**shape, c_dim=0, mapping_layers=1))
    whole = to_rosinality(generator, discriminator)
    assert generator_from_rosinality(whole["g"], None).config == generator.config
    assert discriminator_from_rosinality(whole["d"]).config == dataclasses.replace(discriminator.config)
