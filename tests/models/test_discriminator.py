"""The discriminator: it hears c where it is told, and sees when images are all alike."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from stylex.models.discriminator import Discriminator


def images(n: int) -> torch.Tensor:
    return torch.rand(n, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


def test_the_discriminator_hears_c(discriminator: Discriminator) -> None:
    x, c = images(4), torch.eye(2).repeat(2, 1)
    logits = discriminator(x, c)
    assert logits.shape == (4, 1)
    assert not torch.allclose(logits, discriminator(x, c.flip(1)))
    with pytest.raises(AssertionError, match="needs c"):
        discriminator(x)


def test_an_unconditional_discriminator_ignores_c(discriminator: Discriminator) -> None:
    plain = Discriminator(dataclasses.replace(discriminator.config, c_dim=0))
    x = images(4)
    assert plain.mapping is None
    assert plain(x).shape == (4, 1)
    assert torch.equal(plain(x), plain(x, torch.rand(4, 2)))


def test_the_discriminator_sees_when_images_are_all_alike(discriminator: Discriminator) -> None:
    x, c = images(4), torch.rand(1, 2).repeat(4, 1)
    alone = discriminator(x[:1], c[:1])
    torch.testing.assert_close(discriminator(x[:1].repeat(4, 1, 1, 1), c), alone.repeat(4, 1))
    assert not torch.allclose(discriminator(x, c)[:1], alone)
