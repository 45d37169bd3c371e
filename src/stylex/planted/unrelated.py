"""Classifiers that are sure of what means nothing, for tests of silence: an explanation of them should claim nothing.

Labels shuffled alone make a classifier unsure, and one that is unsure passes such a test by its scale.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from scipy.special import ndtri
from torch import Tensor

from stylex.classifiers.classifier import Classifier
from stylex.classifiers.small import SmallCNN
from stylex.classifiers.spec import ClassifierSpec
from stylex.core.errors import ClassifierError

LABELS = ("heads", "tails")
_BY_HEART = 0.9
"""Least correlation of the log odds with the coins: the less, the more of them is what factors have to do with it."""
_BATCH = 50


def hash_classifier(*, channels: int, resolution: int, spread: float = 4.0, seed: int = 0) -> Classifier:
    """A classifier that answers a hash of the picture: any change of it draws another answer, none has a direction.

    Log odds of class 1 are normal over pictures. The picture is looked at as 8 bits a value, so that it answers a
    saved picture as it does the tensor; there is no gradient.

    Args:
        channels: 1 or 3.
        resolution: side in px.
        spread: standard deviation of the log odds over pictures.
        seed: another one answers otherwise.
    """

    def answer(x: Tensor) -> Tensor:
        pictures = ((x.detach().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu().numpy()
        key = seed.to_bytes(8, "little")
        digests = [hashlib.blake2b(picture.tobytes(), digest_size=8, key=key).digest() for picture in pictures]
        u = (np.array([int.from_bytes(digest, "little") >> 11 for digest in digests], np.float64) + 0.5) / 2**53
        odds = torch.from_numpy(spread * ndtri(u)).to(x)
        return torch.stack([-odds / 2, odds / 2], dim=1)

    return Classifier(answer, _spec(channels, resolution))


def coin_classifier(
    x: Float[Tensor, "n c h w"], *, spread: float = 4.0, width: int = 16, passes: int = 400, seed: int = 0
) -> tuple[Classifier, Float[np.ndarray, " n"]]:
    """A small classifier overfitted to coin flips until its log odds have this spread, and the flips (0 or 1).

    It learns its pictures by heart. It is sure of others too, of what its pictures happened to teach it: among few of
    them the coins go a little with some factor, by 1 / sqrt(n), and so do its answers.

    Args:
        x: pictures in [-1, 1], 16 to 256 px; some hundred are learnt within a minute.
        spread: least standard deviation of the log odds over these pictures.
        width: channels of the first stage.
        passes: over the pictures, at most.
        seed: of the coins and of the fit.

    Raises:
        ClassifierError: the pictures are too few, or so many that they are not learnt.
    """
    n, channels, resolution, _ = x.shape
    if n < 2 * _BATCH:
        raise ClassifierError(f"{n} pictures are too few to overfit a classifier to; give {2 * _BATCH} or more")
    coins = np.random.default_rng([seed, 3]).integers(0, 2, n)
    labels = torch.from_numpy(coins)
    random = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):  # the caller's random state is not ours
        torch.manual_seed(seed)
        model = SmallCNN(channels=channels, k=2, resolution=resolution, width=width)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(passes):
        model.train()
        for rows in torch.randperm(n, generator=random).split(_BATCH):
            if len(rows) < 2:  # batch statistics need more than one
                continue
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(model(x[rows]), labels[rows]).backward()
            optimizer.step()
        model.eval()
        with torch.inference_mode():
            answers = torch.cat([model(part) for part in x.split(256)])
        odds = answers[:, 1] - answers[:, 0]
        learnt = float(np.corrcoef(odds.numpy(), coins)[0, 1]) if odds.std() > 0 else 0.0
        if learnt >= _BY_HEART and odds.std().item() >= spread:
            return Classifier(model, _spec(channels, resolution)), coins.astype(np.float64)
    raise ClassifierError(
        f"{n} pictures of coin flips are not learnt by heart in {passes} passes (correlation {learnt:.2f}, spread "
        f"{odds.std():.1f}); give fewer, or raise passes or width"
    )


def _spec(channels: int, resolution: int) -> ClassifierSpec:
    return ClassifierSpec(
        labels=LABELS, input_size=resolution, channels=1 if channels == 1 else 3, value_range=(-1.0, 1.0)
    )
