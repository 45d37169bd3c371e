"""Heat-maps of a classifier's answer: where in the picture it looks. They need no generator, and say not what.

No layer is chosen: Grad-CAM takes the last feature map that can be tapped (``features.py``), of module trees and of
exported programs alike.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from stylex.classifiers.classifier import Classifier
from stylex.core.errors import ClassifierError

Height = Callable[[Float[Tensor, "n k"]], Float[Tensor, " n"]]
"""From logits to the number of each image that is attributed, such as a decision's margin."""

_STEPS = 32


def grad_cam(classifier: Classifier, height: Height, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n h w"]:
    """Grad-CAM: the last feature map's channels, each weighted by its mean gradient, where their sum is positive.

    Args:
        classifier: any that has a feature map with places: one with convolutions.
        height: what is attributed.
        x: images in [-1, 1].

    Returns:
        Maps of the images' size, 0 or more.

    Raises:
        ClassifierError: the classifier shows no such map, or no gradient.

    Source: Selvaraju et al., ICCV 2017 (with the ReLU, which Captum leaves out unless asked).
    """
    with torch.inference_mode(False), torch.enable_grad():
        start = x.detach().clone().requires_grad_()
        logits, maps = classifier.logits_and_features(start)
        places = [m for m in maps if m.shape[2] > 1 and m.shape[3] > 1]
        if not places or not logits.requires_grad or not places[-1].requires_grad:
            raise ClassifierError(
                "Grad-CAM needs a classifier with convolutions whose maps can be tapped, and this one shows none (it "
                "is TorchScript, a plain function, or made of attention); take integrated-gradients, which needs a "
                "gradient to the image only, or leave grad-cam out"
            )
        (slope,) = torch.autograd.grad(height(logits).sum(), places[-1], materialize_grads=True)
        weighted = (slope.mean(dim=(2, 3), keepdim=True) * places[-1]).sum(dim=1, keepdim=True).relu()
    enlarged = F.interpolate(weighted.detach().float(), size=list(x.shape[2:]), mode="bilinear", align_corners=False)
    return enlarged[:, 0]


def integrated_gradients(
    classifier: Classifier, height: Height, x: Float[Tensor, "n c h w"], *, steps: int = _STEPS
) -> Float[Tensor, "n h w"]:
    """Integrated gradients from a mid-grey picture: what each pixel adds to the height, summed over its colours.

    The sum over an image is its height less that of the grey picture, as nearly as so many steps (midpoints) can be.

    Args:
        classifier: any with a gradient to the image.
        height: what is attributed.
        x: images in [-1, 1].
        steps: between grey and the image.

    Raises:
        ClassifierError: the classifier gives no gradient to the image.

    Source: Sundararajan, Taly & Yan, ICML 2017.
    """
    total = torch.zeros_like(x)
    with torch.inference_mode(False), torch.enable_grad():
        for step in range(steps):
            between = ((step + 0.5) / steps * x.detach()).clone().requires_grad_()
            logits = classifier.logits(between)
            if not logits.requires_grad:
                raise ClassifierError(
                    "integrated gradients need a classifier with a gradient to the image, and this one gives none; "
                    "leave integrated-gradients out"
                )
            (slope,) = torch.autograd.grad(height(logits).sum(), between, materialize_grads=True)
            total += slope / steps
    return (total * x).sum(dim=1)
