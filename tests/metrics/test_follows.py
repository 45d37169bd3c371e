"""Whose answer it is when maps are exchanged."""

from __future__ import annotations

import torch

from stylex.metrics.follows import follows


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
