"""GANalyze: the direction that a linear classifier goes by is found, and every latent keeps its own length."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from stylex.core.errors import SearchError
from stylex.search.ganalyze import constrained, descended

M = 12


def linear(directions: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Latents, and the log odds of a linear classifier of a linear generator's pictures, on scales of their own."""
    random = torch.Generator().manual_seed(1)
    generator = torch.linalg.qr(torch.randn(40, M, generator=random))[0]
    reads = generator @ directions.T * torch.tensor([30.0, 0.2])
    return torch.randn(200, M, generator=random), lambda z: z @ generator.T @ reads + torch.tensor([200.0, -3.0])


def test_the_known_direction_of_a_linear_generator_is_recovered_for_each_class() -> None:
    known = torch.linalg.qr(torch.randn(M, 2, generator=torch.Generator().manual_seed(0)))[0].T
    z, heights = linear(known)
    found = descended(heights, z)
    cosine = torch.cosine_similarity(found, known, dim=1)
    assert (cosine > 0.97).all(), cosine
    # A step of 1 raises the height by a standard deviation, but for what keeping the length takes back.
    assert ((found.norm(dim=1) > 0.7) & (found.norm(dim=1) < 1.4)).all()


def test_saturated_probabilities_do_not_matter() -> None:
    known = torch.linalg.qr(torch.randn(M, 2, generator=torch.Generator().manual_seed(0)))[0].T
    z, heights = linear(known)
    assert torch.sigmoid(heights(z)[:, 0]).min() > 0.999  # no probability could rise
    assert torch.cosine_similarity(descended(heights, z)[0], known[0], dim=0) > 0.97


def test_every_latent_keeps_its_own_length_and_not_that_of_the_batch() -> None:
    z = torch.randn(5, M) * torch.tensor([0.1, 1, 1, 2, 10])[:, None]
    moved = constrained(z, torch.randn(5, M))
    torch.testing.assert_close(moved.norm(dim=1), z.norm(dim=1))
    alone = torch.cat([constrained(z[i : i + 1], torch.ones(1, M)) for i in range(5)])
    torch.testing.assert_close(constrained(z, torch.ones(5, M)), alone)


def test_a_classifier_that_says_one_thing_is_refused() -> None:
    with pytest.raises(SearchError, match="the same of all latents"):
        descended(lambda z: z[:, :2] * 0, torch.randn(20, M))
