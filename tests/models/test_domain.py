"""Domain vectors: how many numbers each method trains, and that folding, scaling, adding and writing lose nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from stylex.core.errors import ConfigError, SnapshotError
from stylex.models.config import AdaptMethod, GeneratorConfig
from stylex.models.domain import (
    METHODS,
    DomainVector,
    between,
    block_for,
    is_adapted,
    read_domain,
    reparametrise,
    trained_parameters,
)
from stylex.models.generator import Generator

PUBLISHED = (512, 512, 512, 512, 512, 256, 128, 64, 32)
"""Widths at 4, 8, ... 1024 px of StyleGAN2's config-f."""


def published(resolution: int) -> GeneratorConfig:
    widths = PUBLISHED[: resolution.bit_length() - 2]
    return GeneratorConfig(resolution=resolution, channels=3, widths=widths, z_dim=512, w_dim=512, c_dim=0)


def trained(config: GeneratorConfig, method: AdaptMethod, block: int) -> int:
    with torch.device("meta"):
        generator = Generator(config)
        reparametrise(generator, method, block)
    return trained_parameters(generator)


@pytest.mark.parametrize(
    ("resolution", "method", "count"),
    [
        # Alanov et al. 2023, table 1: 4.6M, 5.1M, 0.6M at 512 px, 6.0K at 1024 px.
        (512, "affine", 4_596_480),
        (512, "affine+", 5_122_304),
        (512, "affinelight+", 629_504),
        (1024, "stylespace", 6_048),
        (1024, "stylespace-sparse", 6_048),
        # 2.1M and 23.6M.
        (512, "mapping", 8 * 513 * 512),
        (512, "synthesis-convs", 9 * (9 * 512**2 + 256 * 768 + 128 * 384 + 64 * 192) + 3 * 3_008),
    ],
)  # fmt: skip
def test_each_method_trains_as_many_numbers_as_published(resolution: int, method: AdaptMethod, count: int) -> None:
    assert trained(published(resolution), method, block_for(resolution)) == count


def test_all_of_a_generator_is_all_of_it() -> None:
    with torch.device("meta"):
        whole = sum(weight.numel() for weight in Generator(published(512)).parameters())
    assert trained(published(512), "full", 64) == whole
    assert 30.2e6 < whole < 30.4e6  # as published


def test_with_torgb_there_are_8960_styles_at_512_px() -> None:
    with torch.device("meta"):
        space = Generator(published(512)).synthesis.space
    assert space.style_dim == 8_960
    assert sum(layer.channels for layer in space.layers if layer.kind == "conv") == 5_952


def test_the_published_block_is_64_px_and_a_quarter_of_smaller_images() -> None:
    assert [block_for(side) for side in (1024, 512, 256, 128, 32, 16)] == [64, 64, 64, 32, 8, 4]


def learnt(generator: Generator, method: AdaptMethod, seed: int = 0) -> tuple[Generator, DomainVector]:
    """The generator reparametrised, with something learnt, and that as a vector."""
    torch.manual_seed(seed)
    own = Generator(generator.config)
    own.load_state_dict(generator.state_dict())
    reparametrise(own, method, 8)
    with torch.no_grad():
        for weight in own.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight) * 0.3)
    return own, DomainVector.of(own, {"method": method, "parent": "p"})


def picture(generator: Generator) -> Tensor:
    random = torch.Generator().manual_seed(3)
    z, c = torch.randn(2, 5, generator=random), torch.rand(2, 2, generator=random)
    with torch.no_grad():
        return generator(generator.mapping(z), c)


@pytest.mark.parametrize("method", get_args(AdaptMethod))
def test_a_reparametrised_generator_is_the_same_until_it_learns(generator: Generator, method: AdaptMethod) -> None:
    own = Generator(generator.config)
    own.load_state_dict(generator.state_dict())
    reparametrise(own, method, 8)
    assert torch.equal(picture(own), picture(generator))


@pytest.mark.parametrize("method", get_args(AdaptMethod))
def test_folded_it_draws_the_same_and_alone_its_own_weights_differ(generator: Generator, method: AdaptMethod) -> None:
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    own, vector = learnt(generator, method)
    moved = vector.added_to(generator)
    torch.testing.assert_close(picture(moved), picture(own), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(picture(moved), picture(generator), atol=1e-2)
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())
    changed = {name for name, value in moved.state_dict().items() if not torch.equal(value, before[name])}
    expected = {name for name in before if chosen(method, name)}
    assert changed == expected


def chosen(method: AdaptMethod, name: str) -> bool:
    """In words: which weights a method may change."""
    if name == "mapping.w_avg" or name.endswith("noise_const"):
        return False
    block = name.startswith("synthesis.layers.b8_") and name.endswith(".weight") and ".affine." not in name
    return {
        "full": True,
        "mapping": name.startswith("mapping."),
        "affine": ".affine." in name,
        "affine+": ".affine." in name or block,
        "affinelight+": name.endswith(".affine.weight") or block,
        "stylespace": "_conv" in name and name.endswith(".affine.bias"),
        "stylespace-sparse": "_conv" in name and name.endswith(".affine.bias"),
        "synthesis-convs": name.startswith("synthesis.") and name.endswith(".weight") and ".affine." not in name,
    }[method]


def test_only_what_is_trained_gets_a_gradient(generator: Generator) -> None:
    own, _ = learnt(generator, "affine+")
    own(own.mapping(torch.randn(2, 5)), torch.rand(2, 2)).sum().backward()
    assert {weight.grad is not None for weight in own.parameters() if weight.requires_grad} == {True}
    assert all(weight.grad is None for weight in own.parameters() if not weight.requires_grad)


@pytest.mark.parametrize("method", ["affine+", "affinelight+", "stylespace"])
def test_half_and_half_of_a_vector_are_the_whole(generator: Generator, method: AdaptMethod) -> None:
    _, vector = learnt(generator, method)
    both = vector.times(0.5).plus(vector.times(0.5))
    torch.testing.assert_close(
        picture(both.added_to(generator)), picture(vector.added_to(generator)), rtol=1e-4, atol=1e-4
    )


def test_vectors_of_different_methods_add_up_whatever_the_order(generator: Generator) -> None:
    _, one = learnt(generator, "affinelight+", 1)
    _, other = learnt(generator, "affine", 2)
    mixed = picture(one.times(0.7).plus(other.times(-0.3)).added_to(generator))
    step = picture(other.times(-0.3).added_to(one.times(0.7).added_to(generator)))
    turned = picture(other.times(-0.3).plus(one.times(0.7)).added_to(generator))
    torch.testing.assert_close(mixed, step, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(mixed, turned, rtol=1e-4, atol=1e-4)


def test_pruning_keeps_the_largest_as_they_are(generator: Generator) -> None:
    _, vector = learnt(generator, "stylespace")
    sparse = vector.pruned(0.2)
    values = torch.cat([value.flatten() for value in vector.offsets.values()])
    kept = torch.cat([value.flatten() for value in sparse.offsets.values()])
    assert sparse.size == round(0.2 * len(values)) < vector.size
    assert torch.equal(kept[kept != 0], values[kept != 0])
    assert kept[kept != 0].abs().min() >= values[kept == 0].abs().max()
    again = sparse.pruned(0.2)
    assert all(torch.equal(again.offsets[name], value) for name, value in sparse.offsets.items())


def test_a_style_vector_moves_each_style_by_its_own_number(generator: Generator) -> None:
    _, vector = learnt(generator, "stylespace")
    w, c = torch.randn(3, 7), torch.rand(3, 2)
    moved = vector.added_to(generator).synthesis.styles(w, c) - generator.synthesis.styles(w, c)
    convs = [layer for layer in generator.synthesis.space.layers if layer.kind == "conv"]
    numbers = torch.cat([vector.offsets[f"synthesis.layers.{x.name.replace('.', '_')}.affine.bias"] for x in convs])
    torch.testing.assert_close(moved[:, : len(numbers)], numbers.expand(3, -1), rtol=1e-4, atol=1e-5)
    assert moved[:, len(numbers) :].abs().max() < 1e-5


@pytest.mark.parametrize("method", ["affine+", "affinelight+"])
def test_what_is_written_is_read_again(generator: Generator, method: AdaptMethod, tmp_path: Path) -> None:
    _, vector = learnt(generator, method)
    assert not is_adapted(tmp_path)
    write(vector, tmp_path)
    again = read_domain(tmp_path)
    assert is_adapted(tmp_path)
    assert again.record == {"method": method, "parent": "p"}
    assert again.generator == vector.generator
    assert again.offsets.keys() == vector.offsets.keys()
    assert all(torch.equal(value, vector.offsets[name]) for name, value in again.offsets.items())


def write(vector: DomainVector, folder: Path) -> None:
    for name, data in vector.files().items():
        (folder / name).write_bytes(data)


KEY = "synthesis.layers.b8_conv0.affine.bias"


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ({KEY: torch.zeros(3)}, "has shape"),
        ({KEY: torch.full((8,), float("nan"))}, "not finite"),
        ({"synthesis.layers.b8_conv0.nothing": torch.zeros(8)}, "is no weight"),
        ({"synthesis.layers.b8_conv0.affine.weight.u": torch.zeros(8, 5)}, "has shape"),
    ],
)
def test_a_harmed_vector_is_refused(generator: Generator, tmp_path: Path, harm: dict[str, Tensor], said: str) -> None:
    write(learnt(generator, "stylespace")[1], tmp_path)
    save_file(harm, tmp_path / "domain.safetensors")
    with pytest.raises(SnapshotError, match=said):
        read_domain(tmp_path)


@pytest.mark.parametrize("change", [{"format": "x"}, {"version": 9}, {"generator": {}}, {"generator": 3}])
def test_a_foreign_record_is_refused(generator: Generator, tmp_path: Path, change: dict[str, Any]) -> None:
    write(learnt(generator, "stylespace")[1], tmp_path)
    path = tmp_path / "domain.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(SnapshotError, match="cannot be read"):
        read_domain(tmp_path)
    with pytest.raises(SnapshotError, match="holds no domain vector"):
        read_domain(tmp_path / "elsewhere")


def test_a_generator_of_another_shape_takes_no_vector(generator: Generator, mapped: Generator) -> None:
    _, vector = learnt(generator, "affine")
    with pytest.raises(SnapshotError, match="give a run of the same preset"):
        vector.added_to(mapped)
    with pytest.raises(SnapshotError, match="differently shaped"):
        vector.plus(learnt(mapped, "affine")[1])
    with pytest.raises(SnapshotError, match="does not turn into"):
        between(generator, mapped, 0.5)


def test_a_block_that_is_not_there_is_named_with_those_that_are(generator: Generator) -> None:
    with pytest.raises(ConfigError, match="no block of 64 px for affine"):
        reparametrise(generator, "affine+", 64)


def test_half_way_between_a_run_and_its_adaptation_lies_half_of_the_vector(generator: Generator) -> None:
    _, vector = learnt(generator, "affine+")
    end = vector.added_to(generator)
    half = vector.times(0.5).added_to(generator)
    torch.testing.assert_close(picture(between(generator, end, 0.5)), picture(half), rtol=1e-4, atol=1e-4)
    assert torch.equal(picture(between(generator, end, 0.0)), picture(generator))


def test_every_method_says_what_it_trains() -> None:
    assert set(METHODS) == set(get_args(AdaptMethod))
