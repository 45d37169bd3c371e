"""The house classifier: a small convolutional net for newcomers, recipes and the demo, its training and its folder."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from stylex.classifiers.classifier import Classifier
from stylex.classifiers.spec import ClassifierSpec
from stylex.core.errors import ClassifierError
from stylex.core.files import check_writable, new_folder, read_whole
from stylex.core.progress import Done, Listener, Started, Step, silent
from stylex.core.untrusted import parse_json
from stylex.core.wording import option

FORMAT = "stylex-small-classifier"
VERSION = 1
_CACHE_BYTES = 2**30
_OURS = frozenset({"weights.safetensors", "classifier.json"})


class SmallCNN(nn.Module):
    """Convolution, BatchNorm and ReLU in stages of halving size down to 4 px or less, global mean, one linear layer.

    The first stage is one cheap convolution at full resolution (at most 64 px), so that a generator
    can be trained through this net.

    Args:
        channels: of the image, 1 or 3.
        k: number of outputs.
        resolution: side of the image in px, 16 to 256.
        width: channels of the first stage; the others have twice, four and at most six times as many.
    """

    def __init__(self, *, channels: int, k: int, resolution: int, width: int = 16) -> None:
        super().__init__()
        if not (16 <= resolution <= 256 and channels in (1, 3) and k >= 1 and width >= 4):
            raise ClassifierError(
                "the small classifier takes resolution 16 to 256, channels 1 or 3, k of 1 or more and width of 4 or "
                f"more; got resolution {resolution}, channels {channels}, k {k}, width {width}"
            )
        self.config = {"channels": channels, "k": k, "resolution": resolution, "width": width}
        stride = math.ceil(resolution / 64)
        layers: list[nn.Module] = [_convolution(channels, width, kernel=2 * stride + 1, stride=stride)]
        size, have = math.ceil(resolution / stride), width
        while size > 4:
            want = min(2 * have, 6 * width)
            layers += [nn.AvgPool2d(2, ceil_mode=True), _convolution(have, want), _convolution(want, want)]
            size, have = math.ceil(size / 2), want
        self.stages = nn.Sequential(*layers)
        self.head = nn.Linear(have, k)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Logits of images in [-1, 1]."""
        logits: Tensor = self.head(self.stages(x).mean(dim=(2, 3)))
        return logits


def _convolution(have: int, want: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(have, want, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(want),
        nn.ReLU(inplace=True),
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledRows:
    """Which images, and their labels.

    Attributes:
        indices: ``[n]``, of the images.
        labels: ``[n]`` class numbers, or ``[n, k]`` of 0 and 1 for a multi-label task.
        weights: ``[n]``, how often each image is shown in training, relative to the others; None: all as often.
    """

    indices: NDArray[np.int64]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64] | None = None


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """How the small classifier is trained.

    Attributes:
        width: channels of the first stage.
        epochs: passes over the training images; None: as many as make about 600 steps, and 5 at least.
        batch_size: images a step.
        learning_rate: the highest of a one-cycle schedule.
        label_smoothing: keeps logits from saturating.
        mirror: whether a mirrored image means the same.
        bf16: convolutions in bfloat16.
        seed: the same seed gives the same weights on the same machine.

    Raises:
        ClassifierError: less than one epoch.
    """

    width: int = 16
    epochs: int | None = None
    batch_size: int = 64
    learning_rate: float = 4e-3
    label_smoothing: float = 0.05
    mirror: bool = True
    bf16: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs is not None and self.epochs < 1:
            raise ClassifierError(f"training the classifier: {self.epochs} epochs were asked for; give at least 1")


def fit_small_classifier(
    batch: Callable[[NDArray[np.int64]], Tensor],
    train: LabelledRows,
    test: LabelledRows,
    label_names: Sequence[str],
    config: FitConfig | None = None,
    *,
    start: Classifier | None = None,
    device: str | torch.device = "cpu",
    listener: Listener = silent,
) -> tuple[Classifier, dict[str, float]]:
    """Train a SmallCNN on labelled images.

    Images are mirrored, moved a little, brightened, blurred and coarsened as training goes, so that the
    classifier tolerates reconstructions.

    Args:
        batch: gives the images of some indices, ``n c h w`` in [-1, 1], square.
        train, test: the images to learn from, and those to measure on.
        label_names: the k names.
        config: how to train; None: the defaults.
        start: a small classifier of the same labels to begin with, which stays as it is; None: begin anew.
        device: where to train.
        listener: hears ``Started``, a ``Step`` an epoch, ``Done``.

    Returns:
        The classifier, and on the test images ``accuracy`` and ``balanced_accuracy`` (mean over the labels).

    Raises:
        ClassifierError: labels and images do not match, the start is of another kind, or the loss is not finite.
    """
    k = len(label_names)
    config = config or FitConfig()
    multi = train.labels.ndim == 2
    _check_labels(train, k, "training")
    _check_labels(test, k, "test")
    images = _Images(batch, train.indices)
    _, channels, resolution, _ = images.shape
    spec = ClassifierSpec(
        labels=tuple(label_names),
        input_size=resolution,
        channels=1 if channels == 1 else 3,
        value_range=(-1.0, 1.0),
        output="multi-label" if multi else "logits",
    )
    with torch.random.fork_rng(devices=[]):  # the caller's random state is not ours
        torch.manual_seed(config.seed)
        model = (
            SmallCNN(channels=channels, k=k, resolution=resolution, width=config.width)
            if start is None
            else _continued(start, spec)
        )
    model = model.to(device).train()
    rng = torch.Generator().manual_seed(config.seed)
    labels = torch.from_numpy(np.ascontiguousarray(train.labels))
    shares = None if train.weights is None else torch.from_numpy(train.weights)
    n = len(train.indices)
    batch_size = min(config.batch_size, n)
    steps = n // batch_size
    epochs = max(5, round(600 / steps)) if config.epochs is None else config.epochs
    total_steps = steps * epochs + 1
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        config.learning_rate,
        total_steps=total_steps,
        pct_start=max(0.25, 2 / total_steps),  # a step at least
    )
    task = "classifier"
    listener(Started(task=task, total=epochs, unit="epoch"))
    for epoch in range(epochs):
        order = (
            torch.randperm(n, generator=rng) if shares is None else torch.multinomial(shares, n, True, generator=rng)
        )
        total = 0.0
        for step in range(steps):
            chosen = order[step * batch_size : (step + 1) * batch_size]
            x = augment(images[chosen], rng, mirror=config.mirror).to(device, memory_format=torch.channels_last)
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=config.bf16):
                logits = model(x)
            loss = _loss(logits.float(), labels[chosen].to(device), config.label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        if not math.isfinite(total):
            raise ClassifierError(
                f"training the classifier: the loss is not finite in epoch {epoch + 1}; "
                f"lower learning_rate ({config.learning_rate})"
            )
        listener(Step(task=task, done=epoch + 1, figures={"loss": total / steps}))
    classifier = Classifier(model, spec)
    figures = measure_accuracy(classifier, batch, test.indices, test.labels)
    listener(Done(task=task))
    return classifier, figures


def _continued(start: Classifier, spec: ClassifierSpec) -> SmallCNN:
    """A copy of a small classifier's network, to be trained further.

    Raises:
        ClassifierError: it is another kind of classifier, or takes or tells something else than the images say.
    """
    if not isinstance(start.model, SmallCNN):
        raise ClassifierError(
            "only a small classifier, as stylex trains it, is trained further here; train your own on the archive with "
            "your own code"
        )
    if start.spec != spec:
        theirs = f"{', '.join(start.spec.labels[:5])} in images of {start.spec.input_size} px"
        raise ClassifierError(
            f"the classifier to begin with tells {theirs} with {start.spec.channels} channel(s), the archive holds "
            f"{', '.join(spec.labels[:5])} in images of {spec.input_size} px with {spec.channels}; give one of the same"
        )
    model = SmallCNN(**start.model.config)
    model.load_state_dict(start.model.state_dict())
    return model


def _check_labels(rows: LabelledRows, k: int, part: str) -> None:
    indices, labels = rows.indices, rows.labels
    fits = labels.ndim in (1, 2) and len(labels) == len(indices) > 0
    if fits and labels.ndim == 1:
        fits = bool(labels.min() >= 0 and labels.max() < k)
    elif fits:
        fits = labels.shape[1] == k and bool(np.isin(labels, (0, 1)).all())
    if not fits:
        raise ClassifierError(
            f"{part} labels of shape {list(labels.shape)} do not fit {len(indices)} images and {k} label names; "
            f"expected class numbers [n] below {k}, or 0/1 of shape [n, {k}]"
        )


class _Images:
    """The training images; kept in memory (as float16, finer than a picture's 8 bits) where they fit."""

    def __init__(self, batch: Callable[[NDArray[np.int64]], Tensor], indices: NDArray[np.int64]) -> None:
        self.batch, self.indices = batch, indices
        first = batch(indices[:1])
        self.shape = tuple(first.shape)
        if first.dim() != 4 or self.shape[2] != self.shape[3]:
            raise ClassifierError(f"expected square images [n, c, h, w], got shape {list(self.shape)}")
        self.kept: Tensor | None = None
        if first.numel() * 2 * len(indices) <= _CACHE_BYTES:
            chunks = [batch(indices[i : i + 256]).half() for i in range(0, len(indices), 256)]
            self.kept = torch.cat(chunks)

    def __getitem__(self, positions: Tensor) -> Tensor:
        return self.batch(self.indices[positions.numpy()]) if self.kept is None else self.kept[positions].float()


def augment(x: Float[Tensor, "n c h w"], rng: torch.Generator, *, mirror: bool) -> Float[Tensor, "n c h w"]:
    """Small changes that leave the meaning: mirror, shift, zoom, contrast, brightness; half of the images coarsened.

    Coarsening (shrink, then enlarge) stands for what a reconstruction loses.
    """
    n, size = len(x), x.shape[2]

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=rng)

    theta = torch.zeros(n, 2, 3)
    zoom = uniform(0.97, 1.03)
    sides = torch.where(uniform(0.0, 1.0) < 0.5, -1.0, 1.0) if mirror else torch.ones(n)
    theta[:, 0, 0], theta[:, 1, 1] = zoom * sides, zoom
    theta[:, 0, 2], theta[:, 1, 2] = uniform(-0.0625, 0.0625), uniform(-0.0625, 0.0625)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)
    x = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
    coarse = torch.rand(1, generator=rng).item() * 0.5 + 0.4
    half = n // 2  # the order is random already
    small = F.interpolate(x[:half], size=max(4, round(size * coarse)), mode="bilinear", antialias=True)
    x = torch.cat([F.interpolate(small, size=size, mode="bilinear"), x[half:]])
    gain, lift = uniform(0.9, 1.1).view(n, 1, 1, 1), uniform(-0.1, 0.1).view(n, 1, 1, 1)
    return (x * gain + lift).clamp(-1, 1)


def _loss(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    if labels.dim() == 1:
        return F.cross_entropy(logits, labels, label_smoothing=smoothing)
    return F.binary_cross_entropy_with_logits(logits, labels.float() * (1 - smoothing) + smoothing / 2)


@torch.no_grad()
def measure_accuracy(
    classifier: Classifier,
    batch: Callable[[NDArray[np.int64]], Tensor],
    indices: NDArray[np.int64],
    labels: NDArray[np.int64],
) -> dict[str, float]:
    """``accuracy`` and ``balanced_accuracy`` on labelled images.

    Accuracy is the fraction of right answers (over images; over images and labels when multi-label). Balanced
    accuracy is the mean recall of the classes that occur (when multi-label: of each label's two sides).
    """
    device = next(classifier.buffers()).device
    chunks = [classifier.logits(batch(indices[i : i + 256]).to(device)).cpu() for i in range(0, len(indices), 256)]
    logits = torch.cat(chunks).numpy()
    if labels.ndim == 1:
        right = logits.argmax(axis=1) == labels
        groups = [right[labels == j] for j in range(classifier.k)]
    else:
        right = (logits >= 0) == (labels == 1)
        groups = [right[:, j][labels[:, j] == side] for j in range(classifier.k) for side in (0, 1)]
    recalls = [float(group.mean()) for group in groups if group.size]
    return {"accuracy": float(right.mean()), "balanced_accuracy": float(np.mean(recalls))}


def save_small_classifier(classifier: Classifier, folder: Path, *, figures: dict[str, float] | None = None) -> None:
    """Write a folder with ``weights.safetensors`` and ``classifier.json``, whole or not at all, in place of older ones.

    Raises:
        ClassifierError: the folder cannot be written.
    """
    assert isinstance(classifier.model, SmallCNN), "only the house classifier has a folder"
    state = {name: value.detach().cpu().contiguous() for name, value in classifier.model.state_dict().items()}
    weights = save_tensors(state)
    record = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": classifier.model.config,
        "spec": classifier.spec.to_json(),
        "figures": figures or {},
        # Ties the two files: a folder that was replaced only by half is noticed.
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    text = json.dumps(record, indent=1, allow_nan=False) + "\n"
    with new_folder(folder, replace=True, keep=lambda name: name not in _OURS, error=ClassifierError) as building:
        (building / "weights.safetensors").write_bytes(weights)
        (building / "classifier.json").write_text(text, encoding="utf-8")


def check_place(folder: Path, *, overwrite: bool) -> None:
    """Say before any work that a classifier could not be written there.

    Raises:
        ClassifierError: something else stands there, a classifier that may not be replaced, or the system refuses.
    """
    if os.path.lexists(folder):
        if not folder.is_dir():
            raise ClassifierError(f"{folder} is not a folder; choose another place for the classifier")
        known = _is_ours(folder)
        if any(folder.iterdir()) and not known:
            raise ClassifierError(f"{folder} holds something else and stays as it is; choose an empty or a new folder")
        if known and not overwrite:
            raise ClassifierError(
                f"{folder} exists already: give {option('overwrite', True)} to replace it, or another name"
            )
    check_writable(folder, error=ClassifierError)


def _is_ours(folder: Path) -> bool:
    try:
        record = parse_json(read_whole(folder / "classifier.json", largest=2**24))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and record.get("format") == FORMAT


def load_small_classifier(folder: Path, spec: ClassifierSpec | None = None) -> Classifier:
    """Read a folder that ``save_small_classifier`` wrote.

    Raises:
        ClassifierError: the folder is missing, foreign or damaged.
    """
    try:
        record = parse_json(read_whole(folder / "classifier.json", largest=2**24))
        weights = read_whole(folder / "weights.safetensors", largest=2**30)
    except OSError as error:
        raise ClassifierError(
            f"no classifier in {folder}: {error.strerror} ({Path(str(error.filename)).name}); "
            "a classifier folder holds classifier.json and weights.safetensors"
        ) from error
    except ValueError as error:
        raise ClassifierError(f"{folder / 'classifier.json'} is not JSON: {error}") from error
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ClassifierError(f"{folder / 'classifier.json'} does not describe a small classifier (format {FORMAT!r})")
    if record.get("version") != VERSION:
        raise ClassifierError(
            f"{folder / 'classifier.json'} has version {record.get('version')!r}, "
            f"this stylex reads {VERSION}; update stylex"
        )
    if hashlib.sha256(weights).hexdigest() != record.get("weights_sha256"):
        raise ClassifierError(
            f"{folder}: weights.safetensors is damaged or not the one that classifier.json describes; "
            "copy or train it again"
        )
    try:
        with torch.device("meta"):  # without memory until the weights are seen to fit
            model = SmallCNN(**_architecture(record.get("architecture")))
        model.load_state_dict(load_tensors(weights), assign=True)
    except (SafetensorError, RuntimeError, TypeError, ValueError, KeyError) as error:
        raise ClassifierError(f"{folder}: the weights do not fit the architecture: {error}") from error
    return Classifier(model, spec or ClassifierSpec.from_json(record.get("spec", {})))


def _architecture(given: Any) -> dict[str, int]:
    keys = {"channels", "k", "resolution", "width"}
    if not isinstance(given, dict) or set(given) != keys or not all(type(v) is int for v in given.values()):
        raise ClassifierError(f"a small classifier's architecture needs whole numbers for {', '.join(sorted(keys))}")
    return given
