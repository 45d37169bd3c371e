"""What of a photograph decides and is not drawn: to first order, and where."""

from __future__ import annotations

import torch

from stylex.metrics.lost import SHARE, contributions, laid_over, most_decisive


def test_of_a_linear_margin_the_contributions_add_up_to_what_is_missing() -> None:
    random = torch.Generator().manual_seed(0)
    x, x_rec, weight = (torch.randn(4, 3, 16, 16, generator=random) for _ in range(3))
    contributed = contributions(x, x_rec, weight, weight)
    missing = (weight * x).sum(dim=(1, 2, 3)) - (weight * x_rec).sum(dim=(1, 2, 3))
    torch.testing.assert_close(contributed.sum(dim=(1, 2)), missing)
    assert contributions(x, x, weight, weight).abs().max() == 0


def test_of_a_square_margin_the_mean_of_both_gradients_is_exact() -> None:
    x, x_rec = torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 8)
    contributed = contributions(x, x_rec, 2 * x, 2 * x_rec)
    torch.testing.assert_close(contributed.sum(dim=(1, 2)), (x**2 - x_rec**2).sum(dim=(1, 2, 3)))


def test_the_tenth_lies_where_most_is_missing_and_what_speaks_against_the_decision_does_not_count() -> None:
    contributed = torch.zeros(2, 20, 20)
    contributed[0, 4:8, 4:8] = 1
    contributed[1, 10:14, 10:14] = 1
    contributed[1, 2:6, 2:6] = -5
    mask = most_decisive(contributed)
    assert mask.shape == (2, 1, 20, 20)
    torch.testing.assert_close(mask.mean(dim=(1, 2, 3)), torch.full((2,), SHARE), atol=0.02, rtol=0)
    assert mask[0, 0, 5:7, 5:7].min() == 1
    assert mask[1, 0, 11:13, 11:13].min() == 1
    assert mask[1, 0, 3:5, 3:5].max() == 0


def test_only_what_is_under_the_mask_is_exchanged() -> None:
    x, over = torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8)
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    mixed = laid_over(x, over, mask)
    torch.testing.assert_close(mixed[..., :4], over[..., :4])
    torch.testing.assert_close(mixed[..., 4:], x[..., 4:])
