"""The encoder: an image at a time, c only where it was built for it, and standardized maps."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from tests.models.conftest import stirred

from stylex.models.discriminator import Discriminator
from stylex.models.encoder import Encoder


def images(n: int) -> torch.Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_the_encoder_gives_a_latent_an_image_and_looks_at_no_neighbour(encoder: Encoder) -> None:
    x = images(5)
    w = encoder(x)
    assert (w.shape, w.dtype) == ((5, 7), torch.float32)
    torch.testing.assert_close(torch.cat([encoder(one[None]) for one in x]), w)
    assert w.std(dim=0).min() > 0


def test_an_encoder_is_told_c_only_where_it_was_built_for_it(encoder: Encoder) -> None:
    x, c = images(4), torch.eye(2).repeat(2, 1)
    assert torch.equal(encoder(x), encoder(x, c))
    fresh = Encoder(dataclasses.replace(encoder.config, c_dim=2))
    assert torch.equal(fresh(x, c), fresh.unconditional(x)), "nothing is added before anything is learnt"
    told = stirred(fresh)
    torch.nn.init.normal_(told.told.out.weight)
    w = told(x, c)
    assert w.isfinite().all(), "the ends of the probabilities have no infinite odds"
    assert (w - told(x, c.flip(1))).abs().amax(dim=1).min() > 0
    sure, less = torch.tensor([[0.999, 0.001]]).repeat(4, 1), torch.tensor([[0.98, 0.02]]).repeat(4, 1)
    assert not torch.allclose(told(x, sure), told(x, less), rtol=1e-3), "odds are told apart where shares hardly differ"
    with pytest.raises(AssertionError, match="is conditioned on 2 values of c"):
        told(x)


def test_maps_are_standardized_and_follow_the_image(encoder: Encoder) -> None:
    assert encoder.maps(images(2)) is None
    network = stirred(Encoder(dataclasses.replace(encoder.config, map_resolutions=(4, 8), map_width=6)))
    x = images(3)
    maps = network.maps(x)
    assert (maps.shape, maps.dtype) == ((3, 16 + 2 * 64), torch.float32)
    for part in (maps[:, :16], maps[:, 16:80], maps[:, 80:]):
        torch.testing.assert_close(part.mean(dim=1), torch.zeros(3), atol=1e-4, rtol=0)
        torch.testing.assert_close(part.std(dim=1, correction=0), torch.ones(3), atol=1e-2, rtol=0)
    torch.testing.assert_close(torch.cat([network.maps(one[None]) for one in x]), maps)
    # A change in the upper left corner is not seen in the lower right one.
    other = x.clone()
    other[:, :, :2, :2] *= -1
    places = [part.view(3, 8, 8) for part in (maps[:, 80:], network.maps(other)[:, 80:])]
    seen = [part - part[:, -1:, -1:] for part in places]
    scaled = [part / part[:, -1, -2, None, None] for part in seen]
    torch.testing.assert_close(scaled[0][:, -2:, -2:], scaled[1][:, -2:, -2:], atol=1e-3, rtol=1e-3)
    with torch.autocast("cpu", torch.bfloat16):
        assert network.maps(x).dtype == torch.float32


def test_the_order_of_bytes_in_memory_changes_nothing(encoder: Encoder, discriminator: Discriminator) -> None:
    x, c = images(4), torch.rand(4, 2)
    last = x.contiguous(memory_format=torch.channels_last)
    assert torch.equal(encoder(x), encoder(last))
    assert torch.equal(discriminator(x, c), discriminator(last, c))


def test_features_stay_in_channels_last(encoder: Encoder) -> None:
    trunk, x = encoder.trunk, images(2)
    for layer in (trunk.fromrgb, *trunk.blocks):
        x = layer(x.contiguous(memory_format=torch.channels_last) if layer is trunk.fromrgb else x)
        assert x.is_contiguous(memory_format=torch.channels_last)
    assert x.shape == (2, 8, 4, 4)


def test_networks_answer_in_float32_under_autocast(encoder: Encoder, discriminator: Discriminator) -> None:
    x, c = images(4), torch.rand(4, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert encoder(x).dtype == discriminator(x, c).dtype == torch.float32
