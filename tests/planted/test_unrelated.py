"""Classifiers that are sure of what means nothing: sure they are, and no factor has a part in it."""

import numpy as np
import pytest
import torch

from stylex.classifiers.classifier import Classifier
from stylex.core.errors import ClassifierError
from stylex.data.images import to_tensor
from stylex.planted.images import Planted
from stylex.planted.unrelated import coin_classifier, hash_classifier


def log_odds(classifier: Classifier, x: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        logits = classifier.logits(x)
    return np.asarray(logits[:, 1] - logits[:, 0], dtype=np.float64)


def strongest(planted: Planted, odds: np.ndarray) -> float:
    """The largest correlation of the log odds with a factor."""
    return max(abs(np.corrcoef(factor, odds)[0, 1]) for factor in planted.factors.T)


@pytest.fixture(scope="module")
def planted() -> Planted:
    return Planted.sample("leaves", range(1000), seed=0, bias=0)


def test_a_hash_has_the_spread_asked_for_and_no_factor_in_it(planted: Planted) -> None:
    x = to_tensor(planted.pictures(16))
    odds = log_odds(hash_classifier(channels=3, resolution=16, spread=3.0), x)
    assert odds.mean() == pytest.approx(0, abs=0.4)
    assert odds.std() == pytest.approx(3.0, abs=0.25)
    assert strongest(planted, odds) < 4 / 1000**0.5


def test_a_hash_answers_the_picture_alone_and_any_change_of_it_anew(planted: Planted) -> None:
    x = to_tensor(planted.pictures(16, rows=slice(0, 200)))
    classifier = hash_classifier(channels=3, resolution=16)
    odds = log_odds(classifier, x)
    np.testing.assert_array_equal(log_odds(classifier, x[50:60]), odds[50:60])
    np.testing.assert_array_equal(log_odds(hash_classifier(channels=3, resolution=16), x), odds)
    np.testing.assert_array_equal(log_odds(classifier, x + 0.001), odds)  # less than one step of 8 bits
    changed = x.clone()
    changed[:, 0, 0, 0] += torch.where(changed[:, 0, 0, 0] > 0, -0.01, 0.01)
    assert abs(np.corrcoef(log_odds(classifier, changed), odds)[0, 1]) < 0.3
    assert abs(np.corrcoef(log_odds(hash_classifier(channels=3, resolution=16, seed=1), x), odds)[0, 1]) < 0.3


def test_a_hash_of_many_classes_answers_each_of_them_anew(planted: Planted) -> None:
    x = to_tensor(planted.pictures(16, rows=slice(0, 300)))
    logits = hash_classifier(channels=3, resolution=16, spread=2.0, classes=30).logits(x)
    assert logits.shape == (300, 30)
    assert logits.std(dim=0).mean().item() == pytest.approx(2.0, abs=0.1)
    assert np.abs(np.corrcoef(logits.T.numpy()) - np.eye(30)).max() < 0.3


@pytest.mark.integration
def test_coins_of_many_sides_are_learnt_by_heart() -> None:
    x = to_tensor(Planted.sample("cells", range(200), seed=0, bias=0).pictures(16))
    classifier, coins = coin_classifier(x, spread=3.0, classes=30)
    assert classifier.k == 30
    assert len(set(coins)) > 20
    with torch.inference_mode():
        assert (classifier.logits(x).argmax(dim=1).numpy() == coins).mean() >= 0.9


@pytest.mark.integration
def test_coin_flips_are_learnt_by_heart_with_confidence_and_no_factor_in_them() -> None:
    planted = Planted.sample("cells", range(400), seed=0, bias=0)
    x = to_tensor(planted.pictures(16))
    state = torch.random.get_rng_state()
    classifier, coins = coin_classifier(x, spread=3.0)
    assert torch.equal(torch.random.get_rng_state(), state)
    odds = log_odds(classifier, x)
    assert odds.std() >= 3.0
    assert np.corrcoef(odds, coins)[0, 1] >= 0.9
    assert 0.4 < coins.mean() < 0.6
    assert strongest(planted, odds) < 4 / 400**0.5
    others = Planted.sample("cells", range(1000, 1200), seed=0, bias=0)
    assert log_odds(classifier, to_tensor(others.pictures(16))).std() > 1.5  # as sure of pictures it has not seen


def test_mistakes_are_told() -> None:
    with pytest.raises(ClassifierError, match="9 pictures are too few"):
        coin_classifier(torch.zeros(9, 3, 16, 16))
    with pytest.raises(ClassifierError, match="not learnt by heart"):
        coin_classifier(torch.rand(100, 1, 16, 16), passes=1)
