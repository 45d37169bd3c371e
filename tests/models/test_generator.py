"""The generator: one function, however it is entered."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from stylex.models.config import ClassLayers, GeneratorConfig
from stylex.models.generator import Generator, Noise, Synthesis, SynthesisState


def styles(generator: Generator, n: int = 3) -> Tensor:
    random = torch.Generator().manual_seed(2)
    w, c = torch.randn(n, 7, generator=random), torch.rand(n, 2, generator=random)
    place = generator.synthesis.space.maps
    return generator.synthesis.styles(w, c, torch.randn(n, place.stop - place.start, generator=random))


@pytest.fixture(params=["generator", "mapped"])
def either(request: pytest.FixtureRequest) -> Generator:
    """A generator without maps, and one with."""
    network = request.getfixturevalue(request.param)
    assert isinstance(network, Generator)
    return network


def variant(generator: Generator, *, c_dim: int, mapping: bool, style: bool) -> Generator:
    config = dataclasses.replace(generator.config, c_dim=c_dim, mapping_conditional=mapping, style_conditional=style)
    return Generator(config).eval().requires_grad_(False)


def test_s_lists_convolutions_then_torgb(generator: Generator) -> None:
    synthesis = generator.synthesis
    assert [(x.name, x.resolution, x.channels) for x in synthesis.space.layers] == [
        ("b4.conv1", 4, 8),
        ("b8.conv0", 8, 8),
        ("b8.conv1", 8, 6),
        ("b16.conv0", 16, 6),
        ("b16.conv1", 16, 4),
        ("b4.torgb", 4, 8),
        ("b8.torgb", 8, 6),
        ("b16.torgb", 16, 4),
    ]
    assert (synthesis.space.conv_dim, synthesis.space.s_dim) == (32, 50)
    assert sorted(synthesis.steps) == sorted(layer.name for layer in synthesis.space.layers)
    assert synthesis.steps[:4] == ("b4.conv1", "b4.torgb", "b8.conv0", "b8.conv1")


def test_styles_are_each_layers_affine_of_w_and_c(generator: Generator) -> None:
    synthesis = generator.synthesis
    w, c = torch.randn(3, 7), torch.rand(3, 2)
    s = synthesis.styles(w, c)
    for layer in synthesis.space.layers:
        affine = synthesis.layers[layer.name.replace(".", "_")].affine
        torch.testing.assert_close(s[:, synthesis.space.slice(layer.name)], affine(torch.cat([w, c], dim=1)))


def test_each_layer_may_read_a_latent_of_its_own(generator: Generator) -> None:
    synthesis = generator.synthesis
    w, c = torch.randn(3, 7), torch.rand(3, 2)
    each = w[:, None].repeat(1, synthesis.w_layers, 1)
    torch.testing.assert_close(synthesis.layer_styles(each, c), synthesis.styles(w, c))
    convs = [layer.name for layer in synthesis.space.layers if layer.kind == "conv"]
    assert synthesis.w_layers == len(convs) + 1
    for i in range(synthesis.w_layers):
        other = each.clone()
        other[:, i] += 1
        changed = synthesis.layer_styles(other, c) != synthesis.layer_styles(each, c)
        read = {layer.name for layer in synthesis.space.layers if changed[:, synthesis.space.slice(layer.name)].any()}
        # A resolution's ToRGB layer reads what the next resolution's first convolution reads.
        assert read == {*convs[i : i + 1], *([f"b{4 << i // 2}.torgb"] if i % 2 else [])}


@pytest.mark.parametrize(
    ("layers", "told"), [("all", (4, 8, 16)), ("coarse", (4, 8)), ("fine", (16,))], ids=lambda value: str(value)
)
def test_only_the_chosen_layers_are_told_c(generator: Generator, layers: ClassLayers, told: tuple[int, ...]) -> None:
    config = dataclasses.replace(generator.config, class_layers=layers)
    synthesis = Generator(config).synthesis
    w, c = torch.randn(3, 7), torch.rand(3, 2)
    changed = synthesis.styles(w, c) != synthesis.styles(w, c + 1)
    for layer in synthesis.space.layers:
        affine = synthesis.layers[layer.name.replace(".", "_")].affine
        seen = torch.cat([w, c], dim=1) if layer.resolution in told else w
        torch.testing.assert_close(synthesis.styles(w, c)[:, synthesis.space.slice(layer.name)], affine(seen))
        assert changed[:, synthesis.space.slice(layer.name)].all() == (layer.resolution in told)
        assert config.tells(layer.resolution) == (layer.resolution in told)


@pytest.mark.parametrize("noise", ["const", "none", "drawn"])
def test_synthesis_goes_on_from_any_step(either: Generator, noise: str) -> None:
    synthesis, s = either.synthesis, styles(either)
    maps: Noise = "const" if noise == "const" else "none"
    if noise == "drawn":
        maps = synthesis.draw_noise(len(s), torch.Generator().manual_seed(0))
    whole, states = synthesis(s, noise=maps), synthesis.prefix(s, noise=maps)
    assert len(states) == len(synthesis.steps)
    for start, state in enumerate(states):
        assert torch.equal(synthesis(s, noise=maps, start=start, state=state), whole)
        for ours, theirs in zip(synthesis.between(s, 0, start, noise=maps), state, strict=True):
            assert ours is theirs is None or torch.equal(ours, theirs)
        again = synthesis.between(s, start, len(states) - 1, noise=maps, state=state)
        assert torch.equal(synthesis(s, noise=maps, start=len(states) - 1, state=again), whole)


def test_a_change_is_seen_from_its_own_step_on(either: Generator) -> None:
    synthesis, s = either.synthesis, styles(either)
    states = synthesis.prefix(s)
    for start, name in enumerate(synthesis.steps):
        changed = s.clone()
        changed[:, synthesis.space.slice(name).start] += 2.0
        image = synthesis(changed)
        assert not torch.allclose(image, synthesis(s))
        assert torch.equal(synthesis(changed, start=start, state=states[start]), image)
        before = synthesis.prefix(changed)[: start + 1]
        for ours, theirs in zip(before, states, strict=False):
            assert all(a is b is None or torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_one_images_state_serves_many_changes_of_it(either: Generator) -> None:
    synthesis, s = either.synthesis, styles(either)
    states = synthesis.prefix(s)
    many = s[1:2].repeat(5, 1)
    many[:, synthesis.space.slice("b16.conv1").start] += torch.arange(5.0)
    start = synthesis.steps.index("b8.torgb")
    picked = states[start].pick(1)
    assert picked.x is not None
    assert len(picked.x) == 1
    torch.testing.assert_close(synthesis(many, start=start, state=picked.expand(5)), synthesis(many))
    torch.testing.assert_close(synthesis(many, start=start, state=picked), synthesis(many))
    expanded = picked.expand(5).x
    assert expanded is not None
    assert expanded.data_ptr() == picked.x.data_ptr(), "repeated without copying"
    assert SynthesisState(None, None).expand(4).pick(0) == (None, None)


@pytest.mark.parametrize("images", [3, 1])
def test_a_replaced_style_is_drawn_without_repeating_its_layer(either: Generator, images: int) -> None:
    synthesis = either.synthesis
    s = styles(either, images)
    drawn, states = synthesis(s), synthesis.prefix(s)
    random = torch.Generator().manual_seed(3)
    for step, name in enumerate(synthesis.steps):
        span = synthesis.space.slice(name)
        basis = synthesis.basis(s, step, states[step], drawn)
        image = torch.randint(images, (20,), generator=random)
        index = torch.randint(span.start, span.stop, (20,), generator=random)
        value = 3 * torch.randn(20, generator=random)
        replaced = s[image]
        replaced[torch.arange(20), index] = value
        torch.testing.assert_close(
            synthesis.moved(basis, image, index, value), synthesis(replaced), atol=1e-5, rtol=1e-5
        )


def test_images_do_not_know_their_neighbours(either: Generator) -> None:
    s = styles(either)
    torch.testing.assert_close(torch.cat([either.synthesis(row[None]) for row in s]), either.synthesis(s))


def test_features_stay_in_channels_last(either: Generator) -> None:
    # Convolutions are several times faster so; a slip costs no test a number, only every user an hour.
    synthesis, s = either.synthesis, styles(either)
    for noise in ("const", "none", synthesis.draw_noise(len(s), torch.Generator().manual_seed(0))):
        states = synthesis.prefix(s, noise=noise)[1:]
        for name, state in zip(synthesis.steps, states, strict=False):
            assert state.x is not None
            assert state.x.is_contiguous(memory_format=torch.channels_last), name
    weights = [m.weight for m in synthesis.layers.values() if m.weight.shape[-1] == 3]
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in weights)


def test_drawn_noise_follows_the_random_generator(generator: Generator) -> None:
    synthesis, s = generator.synthesis, styles(generator)
    one, again, other = (synthesis.draw_noise(3, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert [tuple(map_.shape) for map_ in one] == [(3, 1, side, side) for side in (4, 8, 8, 16, 16)]
    assert torch.equal(synthesis(s, noise=one), synthesis(s, noise=again))
    assert not torch.allclose(synthesis(s, noise=one), synthesis(s, noise=other))
    state = torch.get_rng_state()
    synthesis.draw_noise(3, torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), state), "the global random numbers are untouched"


def test_an_images_maps_are_the_noise_of_their_convolutions(generator: Generator, mapped: Generator) -> None:
    synthesis, s = mapped.synthesis, styles(mapped)
    layers = [layer for layer in synthesis.space.layers if layer.kind == "map"]
    assert [(x.name, x.resolution, x.channels) for x in layers] == [
        ("b8.conv0.map", 8, 64),
        ("b8.conv1.map", 8, 64),
        ("b16.conv0.map", 16, 256),
        ("b16.conv1.map", 16, 256),
    ]
    noise = generator.synthesis.draw_noise(3, torch.Generator().manual_seed(0))
    noise[0] = generator.synthesis.layers["b4_conv1"].noise_const.expand(3, 1, -1, -1)
    for layer, own in zip(layers, noise[1:], strict=True):
        s[:, synthesis.space.slice(layer.name)] = own.flatten(1)
        name = layer.name.removesuffix(".map").replace(".", "_")
        # In equal strength for every channel, as noise is.
        synthesis.layers[name].noise_strength.fill_(generator.synthesis.layers[name].noise_strength.item())
    synthesis.layers["b4_conv1"].load_state_dict(generator.synthesis.layers["b4_conv1"].state_dict())
    plain = s[:, : synthesis.space.style_dim]
    torch.testing.assert_close(synthesis(s), generator.synthesis(plain, noise=noise))
    assert torch.equal(synthesis(s, noise=noise), synthesis(s)), "maps go before the noise"


def test_each_channel_takes_a_map_in_its_own_strength(generator: Generator) -> None:
    fresh = Generator(dataclasses.replace(generator.config, map_resolutions=(8,))).synthesis
    strengths = {
        name: layer.noise_strength for name, layer in fresh.layers.items() if name.endswith(("conv0", "conv1"))
    }
    assert [tuple(v.shape) for v in strengths.values()] == [(), (6, 1, 1), (6, 1, 1), (), ()]
    assert strengths["b8_conv0"].eq(0.1).all(), "seen from the beginning"


def test_without_an_image_its_maps_are_flat(mapped: Generator) -> None:
    w, c = torch.randn(2, 7), torch.rand(2, 2)
    place = mapped.synthesis.space.maps
    assert mapped.synthesis.styles(w, c)[:, place].eq(0).all()
    maps = torch.randn(2, place.stop - place.start)
    assert torch.equal(mapped.synthesis.styles(w, c, maps)[:, place], maps)
    torch.testing.assert_close(mapped(w, c, maps), mapped.synthesis(mapped.synthesis.styles(w, c, maps)))


def test_zero_maps_are_no_noise(generator: Generator) -> None:
    synthesis, s = generator.synthesis, styles(generator)
    zeros = [torch.zeros_like(map_) for map_ in synthesis.draw_noise(3, torch.Generator())]
    torch.testing.assert_close(synthesis(s, noise=zeros), synthesis(s, noise="none"))
    assert not torch.allclose(synthesis(s, noise="const"), synthesis(s, noise="none"))


@pytest.mark.parametrize(
    ("c_dim", "mapping", "style"), [(2, False, True), (2, True, True), (2, True, False), (0, False, False)]
)
def test_c_is_told_where_the_shape_says(generator: Generator, c_dim: int, mapping: bool, style: bool) -> None:
    network = variant(generator, c_dim=c_dim, mapping=mapping, style=style)
    z = torch.randn(2, 5)
    one, other = torch.tensor([[1.0, 0.0]]).repeat(2, 1), torch.tensor([[0.0, 1.0]]).repeat(2, 1)
    w = network.mapping(z, one if mapping else None)
    assert torch.equal(w, network.mapping(z, other if mapping else None)) == (not mapping)
    assert torch.equal(network(w, one), network(w, other)) == (not style)
    assert (network.condition(one) is None) == (not style)


def test_c_missing_or_too_much_is_our_own_mistake(generator: Generator) -> None:
    with pytest.raises(AssertionError, match="conditioned on 2 values"):
        generator.synthesis.styles(torch.randn(2, 7))
    plain = variant(generator, c_dim=0, mapping=False, style=False)
    with pytest.raises(AssertionError, match="conditioned on 0 values"):
        plain.synthesis.styles(torch.randn(2, 7), torch.rand(2, 2))
    with pytest.raises(AssertionError, match="conditional mapping"):
        variant(generator, c_dim=2, mapping=True, style=True).mapping(torch.randn(2, 5))


def test_truncation_goes_to_the_average_latent(generator: Generator) -> None:
    z = torch.randn(4, 5)
    generator.mapping.w_avg.copy_(torch.randn(7))
    w = generator.mapping(z)
    torch.testing.assert_close(generator.mapping(z, truncation=0.0), generator.mapping.w_avg.expand(4, 7))
    half = generator.mapping(z, truncation=0.5)
    torch.testing.assert_close(half, (w + generator.mapping.w_avg) / 2)
    torch.testing.assert_close(generator.mapping(3 * z), w, msg="only the direction of z counts")


def test_images_are_float32_under_autocast(either: Generator) -> None:
    s = styles(either)
    with torch.autocast("cpu", torch.bfloat16):
        again = styles(either)
        image = either.synthesis(s)
    assert torch.equal(s, again), "styles are computed in float32"
    assert image.dtype == torch.float32
    assert (image - either.synthesis(s)).abs().max() < 0.1 * image.abs().max()


def test_one_channel_and_other_sizes() -> None:
    config = GeneratorConfig(
        resolution=8, channels=1, widths=(4, 4), z_dim=3, w_dim=3, c_dim=0, style_conditional=False
    )
    synthesis = Synthesis(config)
    assert synthesis(synthesis.styles(torch.randn(2, 3))).shape == (2, 1, 8, 8)
