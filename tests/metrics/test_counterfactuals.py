"""The numbers that papers print: each is what its formula says on pictures of a few pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from stylex.metrics.counterfactuals import cout, proximity, similarity, sparsity, split_frechet, valid
from stylex.metrics.features import Features
from stylex.metrics.frechet import frechet_distance


def test_validity_asks_for_more_than_turning_the_answer() -> None:
    before, after = np.array([0.05, 0.4, 0.95]), np.array([0.9, 0.6, 0.1])
    assert valid(before, after).tolist() == [True, False, True]


def test_proximity_and_sparsity_of_one_pixel_in_four() -> None:
    x = torch.zeros(2, 3, 2, 2)
    changed = x.clone()
    changed[0, :, 0, 0] = 1.0
    changed[1] += 0.01  # too little to be seen
    torch.testing.assert_close(proximity(x, changed), torch.tensor([1 / 8, 0.005]))
    assert sparsity(x, changed).tolist() == [0.75, 1.0]


def whole(x: Tensor) -> np.ndarray:
    """The target's probability is how bright the first pixel is; the rest is the original answer's."""
    p = x[:, 0, 0, 0].numpy().astype(np.float64)
    return np.stack([p, 1 - p], axis=1)


def test_cout_is_high_where_the_most_changed_pixels_decide_and_low_where_they_do_not() -> None:
    x = torch.zeros(2, 1, 4, 4)
    changed = torch.full((2, 1, 4, 4), 0.5)
    changed[0, 0, 0, 0], changed[1, 0, 0, 0] = 1.0, 0.4  # the first pixel comes first, or last
    best, worst = cout(whole, x, changed, steps=16)
    assert best == pytest.approx(1 - 1 / 16)  # 1 but for the first half step
    assert worst < -0.9
    assert cout(whole, x, x).tolist() == [-1, -1]


def test_similarity_is_the_cosine() -> None:
    a, b = (Features(values=np.array(v, dtype=float), extractor="e") for v in ([[1, 0], [2, 2]], [[0, 3], [1, 1]]))
    assert similarity(a, b) == pytest.approx([0, 1])


def test_no_image_meets_its_own_original() -> None:
    # Counterfactuals that are their originals: the plain distance is 0, that of split halves is what chance gives.
    originals = Features(values=np.random.default_rng(0).normal(size=(40, 3)), extractor="e")
    assert frechet_distance(originals, originals).value == pytest.approx(0, abs=1e-9)
    apart = split_frechet(originals, originals)
    assert apart > 0.05
    assert apart == split_frechet(originals, originals)
    far = Features(values=originals.values + 10, extractor="e")
    assert split_frechet(originals, far) == pytest.approx(300, rel=0.15)
