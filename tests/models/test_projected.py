"""The projected discriminator, over small maps in the place of the pretrained network's."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from stylex.models.config import DiscriminatorConfig
from stylex.models.discriminator import Discriminator
from stylex.models.projected import ProjectedDiscriminator, judge_of

CONFIG = DiscriminatorConfig(resolution=16, channels=1, widths=(8, 6, 4), c_dim=2, mapping_layers=1, kind="projected")
PLAIN = dataclasses.replace(CONFIG, c_dim=0)


def images(n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 1, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture(autouse=True)
def _small(small_eyes: None) -> None: ...


def test_the_kind_decides() -> None:
    assert isinstance(judge_of(CONFIG), ProjectedDiscriminator)
    assert isinstance(judge_of(dataclasses.replace(CONFIG, kind="stylegan2")), Discriminator)


def test_each_scale_judges_at_each_place_and_the_logit_is_their_mean() -> None:
    judge = judge_of(PLAIN).eval()
    scores = judge.scores(images(3))
    assert scores.shape[0] == 3
    assert scores.shape[1] >= 16
    torch.testing.assert_close(judge(images(3)), scores.mean(dim=1, keepdim=True))


def test_it_hears_c() -> None:
    judge, x, c = judge_of(CONFIG).eval(), images(4), torch.eye(2).repeat(2, 1)
    assert not torch.allclose(judge(x, c), judge(x, c.flip(1)))
    with pytest.raises(AssertionError, match="needs c"):
        judge(x)


def test_it_learns_to_tell_two_sets_apart_and_its_mixing_stays() -> None:
    torch.manual_seed(0)
    judge = judge_of(PLAIN)
    mixing = {name: value.clone() for name, value in judge.named_buffers() if name.startswith("across")}
    optimizer = torch.optim.Adam(judge.parameters(), lr=0.01)
    bright, dark = images(8) * 0.5 + 0.4, images(8, seed=1) * 0.5 - 0.4
    for _ in range(20):
        loss = torch.relu(1 - judge.scores(bright)).mean() + torch.relu(1 + judge.scores(dark)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    judge.eval()
    assert judge(bright).min() > judge(dark).max()
    assert len(mixing) == 8
    assert all(torch.equal(mixing[name], value) for name, value in judge.named_buffers() if name in mixing)


def test_its_weights_are_all_that_it_is_known_by() -> None:
    judge = judge_of(CONFIG).eval()
    torch.manual_seed(5)
    other = judge_of(CONFIG).eval()
    c = torch.eye(2)
    assert not torch.equal(judge(images(2), c), other(images(2), c))
    other.load_state_dict(judge.state_dict())
    torch.testing.assert_close(judge(images(2), c), other(images(2), c))
    assert not any("eyes" in name for name in judge.state_dict())
