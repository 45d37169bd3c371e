"""Perceptual distance between an image and its reconstruction: whose features, and how they are compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from stylex.classifiers.classifier import Classifier
from stylex.classifiers.features import perceptual_distance
from stylex.core.errors import ConfigError
from stylex.core.wording import option
from stylex.models.pretrained import EFFICIENTNET, EfficientNetMaps
from stylex.training.config import SEES_FEATURES, LossConfig
from stylex.training.losses import pyramid_l1


@runtime_checkable
class Perceptual(Protocol):
    """The classifier's answer and a perceptual distance; both may come from one pass."""

    def of_real(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits and features of real images."""
        ...

    def of_fake(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits and features of generated images."""
        ...

    def distance(self, x_rec: Tensor, x: Tensor, features_rec: list[Tensor], features: list[Tensor]) -> Tensor:
        """Mean distance over the batch."""
        ...


class ClassifierPerceptual:
    """Features of the explained classifier: nothing to download, and exactly what it sees."""

    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier

    def of_real(self, x: Float[Tensor, "n c h w"]) -> tuple[Tensor, list[Tensor]]:
        """Logits and features of real images."""
        return self.classifier.logits_and_features(x)

    def of_fake(self, x: Float[Tensor, "n c h w"]) -> tuple[Tensor, list[Tensor]]:
        """Logits and features of generated images."""
        return self.classifier.logits_and_features(x)

    def distance(self, x_rec: Tensor, x: Tensor, features_rec: list[Tensor], features: list[Tensor]) -> Tensor:
        """Mean distance over the batch."""
        return perceptual_distance(features_rec, features).mean()


class NoPerceptual(ClassifierPerceptual):
    """Logits only."""

    def of_real(self, x: Float[Tensor, "n c h w"]) -> tuple[Tensor, list[Tensor]]:
        """Logits of real images."""
        return self.classifier.logits(x), []

    of_fake = of_real

    def distance(self, x_rec: Tensor, x: Tensor, features_rec: list[Tensor], features: list[Tensor]) -> Tensor:
        """Nothing."""
        return torch.zeros((), device=x.device)


class MultiscalePerceptual(NoPerceptual):
    """The images themselves, from full size to 4 px."""

    def distance(self, x_rec: Tensor, x: Tensor, features_rec: list[Tensor], features: list[Tensor]) -> Tensor:
        """Mean absolute error over all sizes."""
        return pyramid_l1(x_rec, x)


class LpipsPerceptual(NoPerceptual):
    """LPIPS over AlexNet, from the ``lpips`` extra. Source: Zhang et al., CVPR 2018."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__(classifier)
        try:
            import lpips
        except ImportError as error:
            raise ConfigError(
                f"perceptual_net is lpips, but it cannot be imported ({error}); install it (pip install lpips), or use "
                f"{option('loss.perceptual_net', 'classifier')}"
            ) from None
        self.net = lpips.LPIPS(net="alex", verbose=False).eval().requires_grad_(False)

    def distance(self, x_rec: Tensor, x: Tensor, features_rec: list[Tensor], features: list[Tensor]) -> Tensor:
        """Mean LPIPS over the batch; grey images are shown as colour."""
        self.net.to(x.device)
        out: Tensor = self.net(x_rec.expand(-1, 3, -1, -1), x.expand(-1, 3, -1, -1)).mean()
        return out


class EfficientNetPerceptual(ClassifierPerceptual):
    """Maps of EfficientNet-Lite0, from the ``efficientnet`` extra; the classifier's answer and features stay beside it.

    Source: its use for generators, Sauer et al., NeurIPS 2021; the distance is that of the classifier's features.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__(classifier)
        self.net = EfficientNetMaps(
            option("loss.perceptual_net", EFFICIENTNET), option("loss.perceptual_net", "classifier")
        )

    def distance(self, x_rec: Tensor, x: Tensor, features_rec: list[Tensor], features: list[Tensor]) -> Tensor:
        """Mean distance over the batch."""
        self.net.to(x.device)
        with torch.no_grad():
            real = self.net(x)
        return perceptual_distance(self.net(x_rec), real).mean()


def losses_with(config: LossConfig, classifier: Classifier, x: Float[Tensor, "n c h w"]) -> LossConfig:
    """The losses that this classifier allows, judged by images ``x``.

    One that shows no feature maps (a TorchScript program, a function) gives no perceptual distance: then images are
    compared at all sizes, and its answers as well. Of one without a gradient nothing can be learnt: images are compared
    at all sizes, and its answers are left out.
    """
    if not classifier.gradient:
        net = "multiscale" if config.perceptual_net == "classifier" else config.perceptual_net
        return replace(config, perceptual_net=net, classifier=0.0, swap=0.0, swap_features=0.0, noise_kl=False)
    if config.perceptual_net not in SEES_FEATURES or not (config.perceptual or config.swap_features):
        return config
    with torch.no_grad():
        if classifier.features(x):
            return config
    if config.perceptual_net != "classifier":
        return replace(config, swap_features=0.0)
    return replace(
        config, perceptual_net="multiscale", classifier=config.classifier or LossConfig().classifier, swap_features=0.0
    )


def perceptual_for(config: LossConfig, classifier: Classifier) -> Perceptual:
    """The perceptual distance that the configuration asks for."""
    if config.perceptual == 0 or config.perceptual_net == "none":
        return NoPerceptual(classifier)
    if config.perceptual_net == "lpips":
        return LpipsPerceptual(classifier)
    if config.perceptual_net == EFFICIENTNET:
        return EfficientNetPerceptual(classifier)
    if config.perceptual_net == "multiscale":
        return MultiscalePerceptual(classifier)
    return ClassifierPerceptual(classifier)
