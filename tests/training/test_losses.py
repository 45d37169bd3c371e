"""Closed forms of the losses."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from stylex.training import losses


@pytest.fixture
def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_logistic_losses() -> None:
    zero, high = torch.zeros(4, 1), torch.full((4, 1), 100.0)
    assert losses.generator_logistic(zero).item() == pytest.approx(math.log(2))
    assert losses.generator_logistic(high).item() == pytest.approx(0, abs=1e-6)
    assert losses.generator_logistic(-high).item() == pytest.approx(100)
    assert losses.discriminator_logistic(zero, zero).item() == pytest.approx(2 * math.log(2))
    assert losses.discriminator_logistic(high, -high).item() == pytest.approx(0, abs=1e-6)
    assert losses.discriminator_logistic(-high, high).item() == pytest.approx(200)


def test_r1_of_a_linear_discriminator_is_half_its_squared_weight(rng: torch.Generator) -> None:
    x = torch.randn(5, 2, 3, 3, generator=rng).requires_grad_(True)
    weight = torch.randn(2, 3, 3, generator=rng).requires_grad_(True)
    penalty = losses.r1_penalty((x * weight).sum(dim=(1, 2, 3))[:, None], x)
    assert penalty.item() == pytest.approx(weight.square().sum().item() / 2)
    penalty.backward()
    assert weight.grad is not None
    assert torch.allclose(weight.grad, weight)


def test_path_lengths_of_a_linear_map(rng: torch.Generator) -> None:
    # Two layers of six dimensions: summed over dimensions, averaged over layers.
    w, noise = torch.randn(4, 2, 6, generator=rng).requires_grad_(True), torch.randn(4, 1, 3, 3, generator=rng)
    linear = torch.randn(2, 9, 6, generator=rng)
    image = sum(w[:, i] @ linear[i].T for i in range(2))
    lengths = losses.path_lengths(image.view(4, 1, 3, 3), w, noise)
    squares = [(noise.flatten(1) @ linear[i] / 3).square().sum(dim=1) for i in range(2)]
    assert torch.allclose(lengths, (sum(squares) / 2).sqrt())


def test_pixel_l1() -> None:
    assert losses.pixel_l1(torch.full((2, 1, 4, 4), 0.5), torch.full((2, 1, 4, 4), -0.25)).item() == 0.75


def test_a_pyramid_compares_all_sizes_to_4_px() -> None:
    x = torch.zeros(2, 1, 16, 16)
    assert losses.pyramid_l1(x + 0.5, x).item() == 0.5
    checks = torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 8).expand(2, 1, 16, 16)  # seen at full size only
    assert losses.pyramid_l1(checks, x).item() == pytest.approx(1 / 3)


def bernoulli(p: Tensor, q: Tensor) -> Tensor:
    return p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()


def test_classifier_consistency_is_the_divergence_of_the_distributions(rng: torch.Generator) -> None:
    a, b = torch.randn(6, 3, generator=rng), torch.randn(6, 3, generator=rng)
    p, q = a.softmax(1), b.softmax(1)
    assert losses.classifier_kl(a, b, "softmax").item() == pytest.approx(
        (p * (p / q).log()).sum(1).mean().item(), rel=1e-5
    )
    p, q = a.sigmoid(), b.sigmoid()
    assert losses.classifier_kl(a, b, "sigmoid").item() == pytest.approx(bernoulli(p, q).sum(1).mean().item(), rel=1e-5)
    # Two classes by one margin or by two logits say the same.
    margin, other = a[:, :1], b[:, :1]
    pair, pair_rec = (torch.cat([-m / 2, m / 2], dim=1) for m in (margin, other))
    assert losses.classifier_kl(pair, pair_rec, "softmax").item() == pytest.approx(
        losses.classifier_kl(margin, other, "sigmoid").item(), rel=1e-5
    )


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("size", [30.0, 100.0])
def test_a_saturated_classifier_still_shows_the_way(activation: str, size: float) -> None:
    a = torch.tensor([[size, -size, -size]])
    wrong = (-a).requires_grad_(True)
    loss = losses.classifier_kl(a, wrong, activation)  # type: ignore[arg-type]
    loss.backward()
    assert wrong.grad is not None
    assert loss.item() > size
    assert wrong.grad[0, 0] < -0.9  # the logit that should be high is raised, as hard as anywhere
    assert (wrong.grad[0, 1:].sum() > 0.9).item()


def test_images_that_do_not_count_add_nothing(rng: torch.Generator) -> None:
    a, b = torch.randn(6, 3, generator=rng), torch.randn(6, 3, generator=rng)
    counts = torch.arange(6) < 2
    some = losses.classifier_kl(a, b, "softmax", counts).item()
    assert some == pytest.approx(losses.classifier_kl(a[:2], b[:2], "softmax").item() / 3, rel=1e-5)
    assert losses.classifier_kl(a, b, "softmax", torch.zeros(6, dtype=torch.bool)).item() == 0


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_classifier_consistency_is_zero_at_equality_and_finite_far_away(activation: str, rng: torch.Generator) -> None:
    a = torch.randn(6, 3, generator=rng)
    assert losses.classifier_kl(a, a, activation).item() == pytest.approx(0, abs=1e-6)  # type: ignore[arg-type]
    far = (a * 1000).requires_grad_(True)
    loss = losses.classifier_kl(-1000 * a, far, activation)  # type: ignore[arg-type]
    loss.backward()
    assert far.grad is not None
    assert loss.isfinite()
    assert far.grad.isfinite().all()


def test_moments_of_whitened_latents_are_zero(rng: torch.Generator) -> None:
    orthogonal, _ = torch.linalg.qr(torch.cat([torch.ones(64, 1), torch.randn(64, 8, generator=rng)], dim=1))
    white = orthogonal[:, 1:] * math.sqrt(63)  # zero mean, unit covariance
    assert losses.latent_moments(white).item() == pytest.approx(0, abs=1e-5)
    assert losses.latent_moments(white + 2).item() == pytest.approx(4, abs=1e-4)
    assert losses.latent_moments(white * 0).item() == pytest.approx(0.99, abs=1e-6)
    assert losses.latent_moments(white * 2).item() == pytest.approx(1.5, abs=1e-5)
    copied = white[:, :1].expand(-1, 8)  # every pair of 8 latents has covariance 1
    assert losses.latent_moments(copied).item() == pytest.approx(7 / 25, abs=1e-4)
    assert losses.latent_moments(white[:1]).isfinite()  # a batch of one


def test_pooled_features_say_what_and_not_where(rng: torch.Generator) -> None:
    features = [torch.rand(3, 5, 8, 8, generator=rng), torch.rand(3, 2, 4, 4, generator=rng)]
    assert losses.pooled_features(features, [f.roll((3, 2), (2, 3)) for f in features]).item() < 1e-10
    assert losses.pooled_features(features, [1.5 * f for f in features]).item() == pytest.approx(0.25, rel=1e-4)
