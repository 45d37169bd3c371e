"""The losses, one formula a function."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from stylex.metrics.agreement import Activation, divergence

Scalar = Float[Tensor, ""]


def generator_logistic(fake_logits: Float[Tensor, "n 1"]) -> Scalar:
    """Non-saturating logistic loss of the generator. Source: Goodfellow et al. 2014."""
    return F.softplus(-fake_logits).mean()


def discriminator_logistic(real_logits: Float[Tensor, "n 1"], fake_logits: Float[Tensor, "n 1"]) -> Scalar:
    """Logistic loss of the discriminator."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def generator_hinge(fake_scores: Float[Tensor, "n m"]) -> Scalar:
    """The generator's side of the hinge loss, for a discriminator of several scores. Source: Lim & Ye 2017."""
    return -fake_scores.mean()


def discriminator_hinge(real_scores: Float[Tensor, "n m"], fake_scores: Float[Tensor, "n m"]) -> Scalar:
    """Hinge loss of the discriminator: what it is sure of counts no further."""
    return F.relu(1 - real_scores).mean() + F.relu(1 + fake_scores).mean()


def r1_penalty(real_logits: Float[Tensor, "n 1"], x: Float[Tensor, "n c h w"]) -> Scalar:
    """Half the squared gradient norm of D at real images. Source: Mescheder et al. 2018."""
    (gradient,) = torch.autograd.grad(real_logits.sum(), x, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean() / 2


def path_lengths(
    image: Float[Tensor, "n c h w"], w: Float[Tensor, "n layers w_dim"], noise: Float[Tensor, "n c h w"]
) -> Float[Tensor, " n"]:
    """Length of the image's change per unit step of w, along one random image.

    ``w`` holds a latent for each layer; lengths are root mean squares over the layers of each one's gradient. Source:
    Karras et al. 2020, appendix B.
    """
    side = image.shape[-1]
    (gradient,) = torch.autograd.grad((image * noise).sum() / side, w, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()


def pixel_l1(x_rec: Float[Tensor, "n c h w"], x: Float[Tensor, "n c h w"]) -> Scalar:
    """Mean absolute error on the pixel range [-1, 1]."""
    return (x_rec - x).abs().mean()


def pyramid_l1(x_rec: Float[Tensor, "n c h w"], x: Float[Tensor, "n c h w"]) -> Scalar:
    """Mean absolute error of the images at full, half, ... size down to 4 px, all sizes alike."""
    levels = []
    while True:
        levels.append(pixel_l1(x_rec, x))
        if x.shape[-1] < 8:
            return torch.stack(levels).mean()
        x_rec, x = F.avg_pool2d(x_rec, 2), F.avg_pool2d(x, 2)


def classifier_kl(
    logits: Float[Tensor, "n k"],
    logits_rec: Float[Tensor, "n k"],
    activation: Activation,
    counts: Bool[Tensor, " n"] | None = None,
) -> Scalar:
    """Classifier consistency KL(C(x) || C(x_rec)), Lang et al. 2021; summed over labels when multi-label.

    An image that does not count adds nothing, and the mean is taken over all.
    """
    each = divergence(logits, logits_rec, activation)
    return (each if counts is None else each * counts).mean()


def pooled_features(features: list[Tensor], features_rec: list[Tensor]) -> Scalar:
    """How far a classifier's features, averaged over the image, are from another image's.

    Each stage's squared difference is taken as a fraction of its squared length; the mean over images and stages. What
    is seen is compared, and not where.
    """
    pairs = [
        (p.float().mean(dim=(2, 3)), q.float().mean(dim=(2, 3))) for p, q in zip(features, features_rec, strict=True)
    ]
    stages = [(q - p).square().sum(dim=1) / (p.square().sum(dim=1) + 1e-6) for p, q in pairs]
    return torch.stack(stages).mean()


def latent_moments(w: Float[Tensor, "n w_dim"]) -> Scalar:
    """How far a batch of latents is from zero mean, unit variance and no correlation.

    Nothing else sets the encoder's scale, and the latent term alone shrinks it: then all style vectors lie close
    together, few directions carry everything, and moving one coordinate to its extreme changes nothing.
    Source: the variance and covariance terms of Bardes, Ponce & LeCun, VICReg, ICLR 2022.
    """
    n, w_dim = w.shape
    centred = w - w.mean(dim=0)
    covariance = centred.T @ centred / max(1, n - 1)
    variance = covariance.diagonal()
    shortfall = F.relu(1 - (variance + 1e-4).sqrt()).mean() + F.relu(variance - 1).mean() / 2
    correlation = (covariance.square().sum() - variance.square().sum()) / w_dim
    return shortfall + w.mean(dim=0).square().mean() + correlation / 25
