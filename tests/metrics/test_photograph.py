"""What is measured on the photograph itself, and what an answer goes with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stylex.metrics.follows import follows
from stylex.metrics.linear import linear_r2
from stylex.metrics.photograph import mean_change, on_photograph
from stylex.metrics.reason import evidence, same_reason


def test_a_photograph_takes_what_the_move_changed_and_nothing_else() -> None:
    x, x_rec = torch.rand(3, 3, 8, 8) - 0.5, torch.rand(3, 3, 8, 8) - 0.5
    torch.testing.assert_close(on_photograph(x, x_rec, x_rec), x)
    moved = x_rec.clone()
    moved[:, :, :2] += 0.25
    expected = x.clone()
    expected[:, :, :2] += 0.25
    torch.testing.assert_close(on_photograph(x, x_rec, moved), expected)
    torch.testing.assert_close(mean_change(x_rec, moved), torch.full((3,), 0.25 / 4))
    assert on_photograph(x, x_rec, moved + 9).max() == 1


def test_the_answer_goes_with_w_or_with_the_maps() -> None:
    own = torch.tensor([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0], [0.0, 2.0]])
    others = own[[1, 0, 2, 3]]  # two pairs of different decisions
    assert follows(own, others, own, "softmax") == {"follows_w": 1, "follows_maps": 0}
    assert follows(own, others, others, "softmax") == {"follows_w": 0.5, "follows_maps": 1}
    one = own[[0, 0, 2, 3]]  # the second picture takes the other's decision
    assert follows(own, others, one, "softmax") == {"follows_w": 0.75, "follows_maps": 0.5}
    assert follows(own, own, others, "softmax")["follows_maps"] == 0, "no pair decides differently"


def test_each_of_several_labels_is_a_decision() -> None:
    own, others = torch.tensor([[1.0, -1.0]]), torch.tensor([[-1.0, -1.0]])
    assert follows(own, others, torch.tensor([[-1.0, -1.0]]), "sigmoid") == {"follows_w": 0.5, "follows_maps": 1}


def test_the_same_gradients_are_the_same_reason() -> None:
    random = torch.Generator().manual_seed(0)
    gradients = torch.randn(4, 3, 32, 32, generator=random) * torch.rand(4, 1, 32, 32, generator=random)
    maps = evidence(gradients)
    assert maps.shape == (4, 32, 32)
    torch.testing.assert_close(same_reason(maps, maps), torch.ones(4))
    torch.testing.assert_close(same_reason(maps, 3 * maps + 1), torch.ones(4), msg="scale and level say nothing")
    assert same_reason(maps, evidence(-gradients)).min() == pytest.approx(1, abs=1e-5), "nor does the sign"
    apart = evidence(torch.randn(4, 3, 32, 32, generator=random))
    assert same_reason(maps, apart).abs().max() < 0.4
    assert same_reason(torch.ones(1, 8, 8), maps[:1, :8, :8]).item() == 0, "an even map points nowhere"


def test_what_is_linear_in_the_features_is_read_off_them() -> None:
    random = np.random.default_rng(0)
    features = np.concatenate([random.normal(size=(400, 6)) * [1, 10, 1e-3, 1, 1, 1], np.ones((400, 1))], axis=1)
    values = np.stack([features @ random.normal(size=7), random.normal(size=400), features[:, 2]], axis=1)
    values[:, 0] += 0.5 * values[:, 0].std() * random.normal(size=400)
    known, chance, small = linear_r2(features, values)
    assert known == pytest.approx(0.8, abs=0.06)
    assert chance < 0.05
    assert small > 0.99, "features are standardized"
    wide = random.normal(size=(400, 1000))
    assert linear_r2(wide, values).max() < 0.1, "more features than images read nothing into chance"
