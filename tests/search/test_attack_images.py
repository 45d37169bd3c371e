"""Which images are attacked, where to, and what is said of those that were not turned."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import as_file, files

import numpy as np
import pytest
import torch
from torch import Tensor

from stylex.classifiers.classifier import Classifier
from stylex.classifiers.spec import ClassifierSpec
from stylex.core.attacked import Attack
from stylex.core.errors import SearchError
from stylex.data.archive import ImageSet, open_images
from stylex.search.attack import Opponent
from stylex.search.attack_images import attack_images, choose, finding
from stylex.search.config import AttackConfig
from stylex.search.latents import InModel

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def shoes() -> ImageSet:
    with as_file(files("stylex") / "demo_data") as folder:
        return open_images(folder / "shoes.zip").subset(np.arange(0, 400, 4))


def classifier(answer: Callable[[Tensor], Tensor], labels: tuple[str, ...] = ("dark", "bright")) -> Classifier:
    return Classifier(answer, ClassifierSpec(labels=labels, input_size=32, channels=1, value_range=(-1.0, 1.0)))


def by_brightness(x: Tensor) -> Tensor:
    score = 40 * (x.mean(dim=(1, 2, 3)) + 0.5)
    return torch.stack([-score, score], dim=1)


class Itself:
    """The pixels are the latent."""

    def encode(self, x: Tensor) -> Tensor:
        return x

    def decode(self, z: Tensor) -> Tensor:
        return z


def test_images_that_are_the_target_already_are_left_out(shoes: ImageSet) -> None:
    judge = classifier(by_brightness)
    for target in (0, 1):
        chosen = choose(judge, shoes, 8, target, CPU)
        assert len(chosen.images) == 8
        assert (chosen.logits.argmax(dim=1) != target).all()
        assert (chosen.targets == target).all()
        torch.testing.assert_close(judge.logits(chosen.x), chosen.logits)


def test_of_two_classes_each_image_goes_to_the_other_one(shoes: ImageSet) -> None:
    chosen = choose(classifier(by_brightness), shoes, 30, None, CPU)
    assert len(chosen.images) == 30
    assert set(chosen.targets.tolist()) == {0, 1}
    assert (chosen.targets == 1 - chosen.logits.argmax(dim=1)).all()
    assert chosen.towards == 1


def test_what_cannot_be_meant_is_said(shoes: ImageSet) -> None:
    def always(x: Tensor) -> Tensor:
        return x.new_tensor([[0.0, 5.0]]).expand(len(x), 2)

    with pytest.raises(SearchError, match="says bright of all 100 images that were looked at"):
        choose(classifier(always), shoes, 10, 1, CPU)
    three = classifier(lambda x: by_brightness(x)[:, [0, 1, 1]], ("a", "b", "c"))
    with pytest.raises(SearchError, match="has 3 labels; say which one to attack towards with target, one of a, b, c"):
        choose(three, shoes, 10, None, CPU)
    with pytest.raises(SearchError, match="0 images were to be attacked"):
        choose(classifier(by_brightness), shoes, 0, None, CPU)


def attacked(shoes: ImageSet, config: AttackConfig, answer: Callable[[Tensor], Tensor] = by_brightness) -> Attack:
    judge = classifier(answer)
    opponent = Opponent(latents=InModel(Itself(), shoes.batch(np.arange(20))), classifier=judge, output="softmax")
    chosen = choose(judge, shoes, 12, None, CPU)
    return attack_images(opponent, chosen, shoes, config, descriptors=None, settings={"space": "model"})


def test_all_are_told_of_and_only_turned_ones_are_counted(shoes: ImageSet) -> None:
    got = attacked(shoes, AttackConfig(probability=0.9))
    assert got.converged == len(got.images) == len(got.turned) == 12
    assert "12 of 12 images reach a probability of 0.9" in finding(got)
    assert got.title == "What turns images between dark and bright"
    assert (got.probes, got.scores, got.notes) == ((), (), ())
    for image in got.images:
        assert image.counterfactual_probabilities[image.target] >= 0.9
        assert image.rebuilt_probabilities == pytest.approx(image.probabilities)
        assert image.changed > 0
        assert image.gain > 0


def test_those_that_are_not_turned_are_said_to_be_so(shoes: ImageSet) -> None:
    few = attacked(shoes, AttackConfig(probability=0.9, steps=1))
    assert few.converged < 11
    assert f"{12 - few.converged} images did not reach the probability within 1 steps" in few.notes[0]
    flat = attacked(shoes, AttackConfig(objective="probability"), lambda x: 1e4 * by_brightness(x))
    assert flat.converged < 12
    assert "of them because their gradient is exactly zero" in flat.notes[0]
