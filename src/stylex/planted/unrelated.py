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
"""Least correlation of the log odds with the coins (of many sides, least fraction that is told right): the less, the
more of them is what factors have to do with it."""
_BATCH = 50


def hash_classifier(
    *, channels: int, resolution: int, spread: float = 4.0, classes: int = 2, seed: int = 0
) -> Classifier:
    """A classifier that answers a hash of the picture: any change of it draws another answer, none has a direction.

    Log odds of class 1 are normal over pictures; of more than two classes each logit is. The picture is looked at as
    8 bits a value, so that it answers a saved picture as it does the tensor; there is no gradient.

    Args:
        channels: 1 or 3.
        resolution: side in px.
        spread: standard deviation over pictures of the log odds of two classes, or of each logit of more.
        classes: how many.
        seed: another one answers otherwise.
    """
    columns = 1 if classes == 2 else classes
    keys = [seed.to_bytes(8, "little") + c.to_bytes((c.bit_length() + 7) // 8, "little") for c in range(columns)]

    def answer(x: Tensor) -> Tensor:
        pictures = ((x.detach().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu().numpy()
        digests = [
            [hashlib.blake2b(picture.tobytes(), digest_size=8, key=key).digest() for key in keys]
            for picture in pictures
        ]
        u = (np.array([[int.from_bytes(d, "little") >> 11 for d in row] for row in digests], np.float64) + 0.5) / 2**53
        told = torch.from_numpy(spread * ndtri(u)).to(x)
        return torch.cat([-told / 2, told / 2], dim=1) if classes == 2 else told

    return Classifier(answer, _spec(channels, resolution, classes))


def coin_classifier(
    x: Float[Tensor, "n c h w"],
    *,
    spread: float = 4.0,
    width: int = 16,
    passes: int = 400,
    classes: int = 2,
    seed: int = 0,
) -> tuple[Classifier, Float[np.ndarray, " n"]]:
    """A small classifier overfitted to coin flips until its log odds have this spread, and the flips.

    It learns its pictures by heart. It is sure of others too, of what its pictures happened to teach it: among few of
    them the coins go a little with some factor, by 1 / sqrt(n), and so do its answers.

    Args:
        x: pictures in [-1, 1], 16 to 256 px; some hundred are learnt within a minute.
        spread: least standard deviation over these pictures of the log odds of class 1 against 0.
        width: channels of the first stage.
        passes: over the pictures, at most.
        classes: 2, or how many sides the coin has.
        seed: of the coins and of the fit.

    Raises:
        ClassifierError: the pictures are too few, or so many that they are not learnt.
    """
    n, channels, resolution, _ = x.shape
    if n < 2 * _BATCH:
        raise ClassifierError(f"{n} pictures are too few to overfit a classifier to; give {2 * _BATCH} or more")
    coins = np.random.default_rng([seed, 3]).integers(0, classes, n)
    labels = torch.from_numpy(coins)
    random = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):  # the caller's random state is not ours
        torch.manual_seed(seed)
        model = SmallCNN(channels=channels, k=classes, resolution=resolution, width=width)
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
        if classes > 2:
            learnt = float((answers.argmax(dim=1) == labels).double().mean())
        else:
            learnt = float(np.corrcoef(odds.numpy(), coins)[0, 1]) if odds.std() > 0 else 0.0
        if learnt >= _BY_HEART and odds.std().item() >= spread:
            return Classifier(model, _spec(channels, resolution, classes)), coins.astype(np.float64)
    raise ClassifierError(
        f"{n} pictures of coin flips are not learnt by heart in {passes} passes ({learnt:.2f} learnt, spread "
        f"{odds.std():.1f}); give fewer, or raise passes or width"
    )


def _spec(channels: int, resolution: int, classes: int) -> ClassifierSpec:
    labels = LABELS if classes == 2 else tuple(f"side {i + 1}" for i in range(classes))
    return ClassifierSpec(
        labels=labels, input_size=resolution, channels=1 if channels == 1 else 3, value_range=(-1.0, 1.0)
    )
