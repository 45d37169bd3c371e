"""Agreement of the classifier on images and reconstructions: closed forms."""

from __future__ import annotations

import math

import pytest
import torch

from stylex.metrics.agreement import Activation, agreement, divergence

ACTIVATIONS: tuple[Activation, ...] = ("softmax", "sigmoid")


def test_one_class_of_several() -> None:
    p = torch.tensor([[0.7, 0.2, 0.1], [0.2, 0.5, 0.3]])
    q = torch.tensor([[0.4, 0.5, 0.1], [0.1, 0.8, 0.1]])
    found = agreement(p.log() + 3, q.log() - 5, "softmax")  # a constant added to all logits says nothing
    assert found["agreement"] == 0.5
    # Of the class named on the image, whatever is named on the reconstruction.
    assert found["probability_error"] == pytest.approx((0.3 + 0.3) / 2, abs=1e-6)
    assert found["kl"] == pytest.approx((p * (p / q).log()).sum().item() / 2, abs=1e-6)


def test_several_labels() -> None:
    p = torch.tensor([[0.9, 0.2], [0.5, 0.6]])
    q = torch.tensor([[0.6, 0.7], [0.4, 0.6]])
    found = agreement(p.logit(), q.logit(), "sigmoid")
    assert found["agreement"] == 0.5  # labels, not images: 0.5 counts as yes, as it does in the search
    assert found["probability_error"] == pytest.approx((0.3 + 0.5 + 0.1 + 0.0) / 4, abs=1e-6)
    kl = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    assert found["kl"] == pytest.approx(kl.sum().item() / 2, abs=1e-6)


def test_two_classes_are_one_label() -> None:
    z, z_rec = torch.randn(20, 1), torch.randn(20, 1)
    of_two = [torch.cat([-t / 2, t / 2], dim=1) for t in (z, z_rec)]
    torch.testing.assert_close(divergence(*of_two, "softmax"), divergence(z, z_rec, "sigmoid"))
    one, two = agreement(z, z_rec, "sigmoid"), agreement(*of_two, "softmax")
    assert one == pytest.approx(two, abs=1e-6)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_same_answers_agree_wholly(activation: Activation) -> None:
    logits = torch.randn(6, 4)
    found = agreement(logits, logits, activation)
    assert found.pop("agreement_other") < 1
    assert found == {"agreement": 1.0, "probability_error": 0.0, "kl": 0.0}


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_beside_it_stands_what_other_reconstructions_get(activation: Activation) -> None:
    logits, logits_rec = torch.randn(7, 3), torch.randn(7, 3)
    pairs = [(i, j) for i in range(7) for j in range(7) if i != j]
    one_by_one = [agreement(logits[[i]], logits_rec[[j]], activation)["agreement"] for i, j in pairs]
    assert agreement(logits, logits_rec, activation)["agreement_other"] == pytest.approx(sum(one_by_one) / 42, abs=1e-6)
    always = torch.tensor([[1.0, -1.0]]).repeat(5, 1)
    assert agreement(always, always, activation)["agreement_other"] == 1
    assert "agreement_other" not in agreement(always[:1], always[:1], activation)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_divergence_is_positive_and_sees_one_image_at_a_time(activation: Activation) -> None:
    logits, logits_rec = torch.randn(6, 4), torch.randn(6, 4)
    found = divergence(logits, logits_rec, activation)
    assert (found > 0).all()
    alone = [divergence(a[None], b[None], activation) for a, b in zip(logits, logits_rec, strict=True)]
    torch.testing.assert_close(torch.cat(alone), found)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_certain_answers_stay_finite(activation: Activation) -> None:
    sure = torch.tensor([[200.0, -200.0], [-200.0, 200.0]])
    found = agreement(sure, -sure, activation)
    assert found["agreement"] == 0.0
    assert found["probability_error"] == pytest.approx(1.0)
    assert math.isfinite(found["kl"])
    assert found["kl"] == pytest.approx(400.0)
    rec = (-sure).requires_grad_()
    (gradient,) = torch.autograd.grad(divergence(sure, rec, activation).sum(), rec)
    assert gradient.isfinite().all()


def test_numbers_agree_to_half_a_standard_deviation() -> None:
    z = torch.tensor([[0.0], [1.0], [2.0], [-1.0]])
    z_rec = torch.tensor([[0.4], [1.6], [2.0], [-1.2]])
    found = agreement(z, z_rec, "regression")
    assert found["agreement"] == 0.75
    assert found["answer_error"] == pytest.approx((0.4 + 0.6 + 0 + 0.2) / 4, abs=1e-6)
    assert found["correlation"] == pytest.approx(float(torch.corrcoef(torch.cat([z, z_rec], dim=1).T)[0, 1]), abs=1e-5)
    assert found["kl"] == pytest.approx((0.16 + 0.36 + 0.04) / 4, abs=1e-6)
    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    apart = [abs(float(z[i] - z_rec[j])) for i, j in pairs]
    assert found["answer_error_other"] == pytest.approx(sum(apart) / 12, abs=1e-6)
    assert found["agreement_other"] == pytest.approx(sum(gap <= 0.5 for gap in apart) / 12, abs=1e-6)
