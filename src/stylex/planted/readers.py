"""Factor readers: a small network that reads known factors off pictures, so that changes of them have numbers."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy import ndarray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from stylex.core.errors import EvaluationError, first_line
from stylex.core.files import new_folder
from stylex.core.progress import Done, Listener, Started, Step, silent

FORMAT, VERSION = "stylex-factor-reader", 1
_DESCRIPTION, _WEIGHTS = "reader.json", "weights.safetensors"
TASK = "reader"
"""Name of this work in progress events."""


class FactorReader(nn.Module):
    """Pictures in, factors out: convolutions that halve down to 4 px, then one linear layer over what is where.

    Attributes:
        names: of the factors.
        r2: fraction of each factor's variance that is read right, on images held out of the fit altogether.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, *, names: Sequence[str], channels: int, resolution: int, width: int = 24) -> None:
        super().__init__()
        assert names
        assert resolution >= 16
        self.names = tuple(names)
        self.config = {"channels": channels, "resolution": resolution, "width": width}
        self.r2: dict[str, float] = {}
        layers: list[nn.Module] = _convolution(channels, width)
        size, have = resolution, width
        while size > 4:
            want = min(2 * have, 5 * width)
            layers += [*_convolution(have, want, stride=2), *_convolution(want, want)]
            size, have = math.ceil(size / 2), want
        self.stages = nn.Sequential(*layers)
        self.head = nn.Linear(have * size * size, len(names))
        self.register_buffer("mean", torch.zeros(len(names)))
        self.register_buffer("std", torch.ones(len(names)))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """The factors in standard deviations from their mean."""
        read: Tensor = self.head(self.stages(x).flatten(1))
        return read

    @torch.inference_mode()
    def read(self, x: Float[Tensor, "n c h w"]) -> Float[ndarray, "n f"]:
        """The factors of pictures in [-1, 1], in standard deviations: differences of two readings are changes."""
        device = self.mean.device
        parts = [self(part.to(device)).cpu() for part in x.split(256)]
        return np.asarray(torch.cat(parts).numpy(), dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class ReaderConfig:
    """How a reader is fitted.

    Attributes:
        width: channels of the first stage.
        epochs: at most so many passes.
        patience: passes without an improvement before it stops.
        batch, learning_rate: of the fit (Adam, one cycle).
        held_out: fraction of the images to stop by, and again to report on.
        seed: the same seed gives the same reader on the same machine.
    """

    width: int = 24
    epochs: int = 24
    patience: int = 5
    batch: int = 64
    learning_rate: float = 3e-3
    held_out: float = 0.1
    seed: int = 0


def fit_reader(
    x: Float[Tensor, "n c h w"],
    factors: Float[ndarray, "rows f"],
    names: Sequence[str],
    config: ReaderConfig | None = None,
    *,
    device: str = "cpu",
    listener: Listener = silent,
) -> FactorReader:
    """Fit a reader, and stop when images beside the fit are no longer read better.

    The images are divided in three: to fit, to stop and choose by, and (``config.held_out`` each) to report ``r2`` on.
    Some are coarsened and noised a little as the fit goes, so that the reader tolerates reconstructions.

    Args:
        x: pictures in [-1, 1].
        factors: of each picture, in any unit.
        names: of the factors.
        config: how to fit; None: the defaults.
        device: where to fit.
        listener: hears one ``Step`` for each pass, with the mean R2.

    Raises:
        EvaluationError: pictures and factors do not fit each other, or a factor never varies.
    """
    config = config or ReaderConfig()
    n, epochs = len(x), config.epochs
    part = int(config.held_out * n)
    _check(x, factors, names, part)
    random = torch.Generator().manual_seed(config.seed)
    order = torch.randperm(n, generator=random)
    report, watch, fit = order[:part], order[part : 2 * part], order[2 * part :]
    y = torch.from_numpy(factors).double()
    mean, std = y[fit].mean(dim=0), y[fit].std(dim=0)
    target = ((y - mean) / std).float()
    with torch.random.fork_rng(devices=[]):  # the caller's random state is not ours
        torch.manual_seed(config.seed)
        reader = FactorReader(names=names, channels=x.shape[1], resolution=x.shape[2], width=config.width)
    reader.mean.copy_(mean)
    reader.std.copy_(std)
    reader = reader.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = max(1, len(fit) // config.batch)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=config.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.learning_rate, total_steps=steps * epochs + 1)
    best, kept, waited = -math.inf, reader.state_dict(), 0
    listener(Started(task=TASK, total=epochs, unit="passes"))
    for epoch in range(epochs):
        reader.train()
        shuffled = fit[torch.randperm(len(fit), generator=random)]
        for rows in shuffled.split(config.batch)[:steps]:
            seen = _stirred(x[rows], random).to(device, memory_format=torch.channels_last)
            loss = F.mse_loss(reader(seen), target[rows].to(device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
        reader.eval()
        now = float(_r2(reader, x[watch], target[watch]).mean())
        listener(Step(task=TASK, done=epoch + 1, figures={"r2": now}))
        if not math.isfinite(now):
            raise EvaluationError(f"fitting the reader: R2 is not finite in pass {epoch + 1}; lower the learning rate")
        if now > best:
            best, kept, waited = now, {k: v.detach().clone() for k, v in reader.state_dict().items()}, 0
        else:
            waited += 1
            if waited >= config.patience:
                break
    reader.load_state_dict(kept)
    reader.to(memory_format=torch.contiguous_format)
    reader.r2 = dict(zip(names, _r2(reader, x[report], target[report]).tolist(), strict=True))
    listener(Done(task=TASK))
    return reader.eval().requires_grad_(False)


def save_reader(reader: FactorReader, folder: Path) -> None:
    """Write ``reader.json`` and ``weights.safetensors`` as one folder; an older one in its place is replaced.

    Raises:
        EvaluationError: the place cannot be written.
    """
    weights = save_tensors({k: v.detach().cpu().contiguous() for k, v in reader.state_dict().items()})
    description = {
        "format": FORMAT,
        "version": VERSION,
        "names": list(reader.names),
        "architecture": reader.config,
        "r2": reader.r2,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    with new_folder(folder, replace=True, error=EvaluationError) as building:
        (building / _WEIGHTS).write_bytes(weights)
        (building / _DESCRIPTION).write_text(json.dumps(description, indent=1))


def load_reader(folder: Path) -> FactorReader:
    """Read what ``save_reader`` wrote.

    Raises:
        EvaluationError: it is missing, foreign or damaged.
    """
    try:
        description = json.loads((folder / _DESCRIPTION).read_text())
        data = (folder / _WEIGHTS).read_bytes()
        if not isinstance(description, dict) or description.get("format") != FORMAT:
            raise EvaluationError(f"{folder / _DESCRIPTION} does not describe a factor reader")
        if description.get("version") != VERSION:
            raise EvaluationError(f"{folder} has version {description.get('version')!r}, this stylex reads {VERSION}")
        if hashlib.sha256(data).hexdigest() != description["weights_sha256"]:
            raise EvaluationError(f"{folder / _WEIGHTS} is damaged; fit the reader again")
        reader = FactorReader(names=description["names"], **_architecture(description["architecture"]))
        reader.load_state_dict(load_tensors(data))
        reader.r2 = {str(name): float(value) for name, value in description["r2"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise EvaluationError(f"no factor reader in {folder} ({first_line(error)}); fit it again") from error
    return reader.eval().requires_grad_(False)


def _architecture(given: Mapping[str, Any]) -> dict[str, int]:
    if set(given) != {"channels", "resolution", "width"} or not all(type(v) is int for v in given.values()):
        raise ValueError("its architecture is not one")
    if not (given["channels"] in (1, 3) and 16 <= given["resolution"] <= 256 and 1 <= given["width"] <= 256):
        raise ValueError("its architecture is out of range")
    return dict(given)


def _check(x: Tensor, factors: ndarray, names: Sequence[str], part: int) -> None:
    if len(x) != len(factors) or factors.shape[1] != len(names):
        raise EvaluationError(
            f"{len(x)} pictures, factors of shape {list(factors.shape)} and {len(names)} names do not fit each other; "
            "give a row for each picture and a name for each column"
        )
    if part < 2:
        raise EvaluationError(f"{len(x)} pictures are too few to fit a reader and to hold some out; give 20 or more")
    still = [name for name, value in zip(names, factors.std(axis=0), strict=True) if not value > 0]
    if still:
        raise EvaluationError(f"the factor {still[0]} never varies, so nothing can learn to read it; leave it out")


def _r2(reader: FactorReader, x: Tensor, target: Tensor) -> Tensor:
    error = torch.from_numpy(reader.read(x)) - target
    return 1 - error.square().mean(dim=0) / target.double().var(dim=0, correction=0)


def _stirred(x: Tensor, random: torch.Generator) -> Tensor:
    """A third of the images coarsened, all of them noised, both as little as a good reconstruction does."""
    third = len(x) // 3
    size = x.shape[2]
    if third:
        small = max(8, round(size * (0.6 + 0.4 * torch.rand(1, generator=random).item())))
        coarse = F.interpolate(x[:third], size=small, mode="bilinear", antialias=True)
        x = torch.cat([F.interpolate(coarse, size=size, mode="bilinear"), x[third:]])
    return x + 0.02 * torch.randn(x.shape, generator=random)


def _convolution(have: int, want: int, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(have, want, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(want),
        nn.ReLU(inplace=True),
    ]
