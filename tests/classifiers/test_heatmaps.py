"""Heat-maps: on a network whose decisive place is known they are hot there, and no layer is chosen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from stylex.classifiers import Classifier, ClassifierSpec
from stylex.classifiers.heatmaps import grad_cam, integrated_gradients
from stylex.core.errors import ClassifierError

SPEC = ClassifierSpec(labels=("no", "yes"), input_size=16, channels=1, value_range=(-1.0, 1.0))


class Corner(nn.Module):
    """Says yes by how bright the upper left corner is, and nothing of the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.deep = nn.Sequential(nn.Conv2d(4, 3, 3, stride=2, padding=1), nn.Softplus())
        self.head = nn.Linear(3 * 64, 2)
        for weight in (self.stem.weight, self.deep[0].weight):
            nn.init.constant_(weight, 0.1)
        nn.init.zeros_(self.head.weight)
        with torch.no_grad():
            self.head.weight.view(2, 3, 8, 8)[1, :, :3, :3] = 1.0

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.deep(self.stem(x)).flatten(1))


def height(logits: Tensor) -> Tensor:
    return logits[:, 1] - logits[:, 0]


def in_corner(maps: Tensor) -> Tensor:
    return maps[:, :7, :7].sum(dim=(1, 2)) / maps.sum(dim=(1, 2))


def bright_corner() -> Tensor:
    x = torch.full((3, 1, 16, 16), -0.9)
    x[:, :, :5, :5] = 0.9
    return x


def test_integrated_gradients_lie_where_the_decision_is_made_and_sum_to_it() -> None:
    classifier, x = Classifier(Corner(), SPEC), bright_corner()
    maps = integrated_gradients(classifier, height, x, steps=64)
    assert (in_corner(maps.clamp(min=0)) > 0.95).all()
    missing = height(classifier.logits(x)) - height(classifier.logits(torch.zeros_like(x)))
    torch.testing.assert_close(maps.sum(dim=(1, 2)), missing, rtol=1e-2, atol=1e-3)


def test_grad_cam_is_hot_where_the_map_fires_for_the_answer() -> None:
    classifier, x = Classifier(Corner(), SPEC), bright_corner()
    maps = grad_cam(classifier, height, x)
    assert maps.shape == (3, 16, 16)
    assert (maps >= 0).all()
    assert (maps[:, :4, :4].mean(dim=(1, 2)) > 1.5 * maps[:, 9:, 9:].mean(dim=(1, 2))).all()
    # The mean gradient of each channel times the channel, by hand.
    deep = classifier.model.deep(classifier.model.stem(x))
    mean = 9 / 64 * torch.ones(3)
    by_hand = (mean.view(1, 3, 1, 1) * deep).sum(dim=1, keepdim=True)
    enlarged = nn.functional.interpolate(by_hand, size=[16, 16], mode="bilinear", align_corners=False)[:, 0]
    torch.testing.assert_close(maps, enlarged.detach())


@pytest.mark.parametrize(
    "model", [lambda x: x.flatten(1)[:, :2], nn.Sequential(nn.Flatten(), nn.Linear(256, 2))], ids=["function", "flat"]
)
def test_a_classifier_without_maps_is_told_what_to_take(model: Callable[[Tensor], Tensor]) -> None:
    classifier, x = Classifier(model, SPEC), bright_corner()
    with pytest.raises(ClassifierError, match=r"Grad-CAM needs .* shows none .* take integrated-gradients"):
        grad_cam(classifier, height, x)
    assert integrated_gradients(classifier, height, x).shape == (3, 16, 16)


def test_a_classifier_without_a_gradient_is_refused() -> None:
    classifier = Classifier(lambda x: Corner()(x).detach(), SPEC)
    with pytest.raises(ClassifierError, match="need a classifier with a gradient"):
        integrated_gradients(classifier, height, bright_corner())
