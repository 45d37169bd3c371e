"""The machine observer: a small network that must tell which attribute was changed, on images it has not seen.

It stands in for the person who is shown some changes and asked which of them a new pair of pictures shows. If it
cannot tell the attributes apart, a person hardly can; if it can, each looks like itself and unlike the others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn

from stylex.core.evaluation import Interval
from stylex.metrics.interval import mean_interval

_SIDE = 32
"""Pictures are shrunk to this side at most: what only shows in finer detail is not seen."""
_STEPS = 300
_BATCH = 64


@dataclass(frozen=True, eq=False, kw_only=True)
class Observation:
    """What the observer could tell, on images it has not seen.

    Attributes:
        accuracy: how often it named the attribute of a pair; by chance ``chance``.
        coherence: how often, of two pairs of one image, it told which shows a given attribute; by chance 0.5.
        recognised: accuracy on each attribute's pairs, ``[k]``.
        coherent: coherence of each attribute, ``[k]``.
        chance: 1 / k.
        images: seen in training, and judged.
    """

    accuracy: Interval
    coherence: Interval
    recognised: Float[ndarray, " k"]
    coherent: Float[ndarray, " k"]
    chance: float
    images: tuple[int, int]


def observe(
    before: Float[ndarray, "n c h w"],
    after: Float[ndarray, "k n c h w"],
    *,
    train_share: float = 0.5,
    steps: int = _STEPS,
    seed: int = 0,
) -> Observation:
    """Train the observer on pairs of some images, and test it on those of the others.

    Args:
        before: pictures in [-1, 1].
        after: the same pictures changed by each of K attributes.
        train_share: fraction of the images that it is trained on (every K attributes of an image stay together).
        steps: of training, 64 pairs each; a few seconds on a CPU.
        seed: of its weights and the order; the same seed gives the same answer on the same machine.
    """
    k, n = after.shape[:2]
    assert k >= 2, "one attribute cannot be told from others"
    assert n >= 4, "an observer needs images to learn from and others to judge"
    order = np.random.default_rng(seed).permutation(n)
    seen = max(2, min(n - 2, round(train_share * n)))
    x = _pairs(before, after)  # [n, k, 2c, h, w]
    learn, tested = torch.from_numpy(order[:seen].copy()), torch.from_numpy(np.sort(order[seen:]))
    scale = x[learn, :, x.shape[2] // 2 :].square().mean().sqrt().clamp(min=1e-6)
    x[:, :, x.shape[2] // 2 :] /= scale  # differences are small beside pictures
    network = _fit(x[learn].flatten(0, 1), torch.arange(k).repeat(seen), k, steps, seed)
    with torch.no_grad():
        pairs = x[tested].flatten(0, 1)
        scores = torch.cat([network(part) for part in pairs.split(256)]).log_softmax(dim=1)
    table = scores.unflatten(0, (len(tested), k)).numpy()  # image, the attribute changed, the attribute asked for
    right = (table.argmax(axis=2) == np.arange(k)).astype(np.float64)
    own = np.stack([table[:, i, i] for i in range(k)], axis=1)
    others = ~np.eye(k, dtype=bool)
    # For each attribute asked for: its own pair's score against every other pair's; a draw is half a win.
    won = (own[:, None, :] > table) + 0.5 * (own[:, None, :] == table)
    coherent = np.stack([won[:, others[:, i], i].mean(axis=1) for i in range(k)], axis=1)
    return Observation(
        accuracy=mean_interval(right.mean(axis=1)),
        coherence=mean_interval(coherent.mean(axis=1)),
        recognised=right.mean(axis=0),
        coherent=coherent.mean(axis=0),
        chance=1 / k,
        images=(seen, n - seen),
    )


def _pairs(before: ndarray, after: ndarray) -> Tensor:
    """The picture and the difference, side by side in channels: ``[n, k, 2c, side, side]``."""
    first = torch.from_numpy(before).float()
    second = torch.from_numpy(after).float().transpose(0, 1)
    n, k = second.shape[:2]
    joined = torch.cat([first[:, None].expand_as(second), second - first[:, None]], dim=2)
    if joined.shape[-1] > _SIDE:
        joined = F.interpolate(joined.flatten(0, 1), size=_SIDE, mode="area").unflatten(0, (n, k))
    return joined.contiguous()


def _fit(x: Tensor, labels: Tensor, k: int, steps: int, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):  # the caller's random state is not ours
        torch.manual_seed(seed)
        network = _Observer(x.shape[1], x.shape[-1], k)
    random = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps + 1)
    for _ in range(steps):
        rows = torch.randint(len(x), (min(_BATCH, len(x)),), generator=random)
        loss = F.cross_entropy(network(x[rows]), labels[rows])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


class _Observer(nn.Module):
    """Three convolutions that halve, and one linear layer over what is where: a change has a place."""

    def __init__(self, channels: int, side: int, k: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, 16, 5, stride=2, padding=2), nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.head = nn.Linear(32 * math.ceil(side / 8) ** 2, k)

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Scores of the attributes."""
        scores: Tensor = self.head(self.features(x).flatten(1))
        return scores
