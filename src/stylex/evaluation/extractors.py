"""Feature extractors for distances of sets of images: each has a name, and names are never mixed up.

- ``classifier``: the explained classifier's own deepest features, nothing to download;
- a program in a file (TorchScript, or ``.pt2`` of torch.export) that answers with features: Inception as published
  for the Frechet distance is such a file;
- ``random``: convolutions with fixed random weights, which know nothing of any classifier and are always there;
- ``timm:NAME``: a network of the timm package, where it is installed with its weights;
- ``package.module:callable`` or a classifier's folder: any other classifier that ``stylex`` opens, by its features.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from stylex.classifiers import Classifier, ClassifierSpec, fingerprint, load_classifier, perceptual_distance
from stylex.classifiers.classifier import unwrap
from stylex.classifiers.programs import load_exported, load_torchscript
from stylex.core.errors import ClassifierError, EvaluationError, first_line
from stylex.core.wording import option
from stylex.metrics.features import Features

_BATCH = 64
_RANDOM_SEED, _RANDOM_WIDTHS = 0, (16, 32, 32, 32)
_RANDOM_SCALE = 4.0
"""Makes the random network's features of photographs about 1, which the kernel of KID is made for."""
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, eq=False, kw_only=True)
class Extractor:
    """A named way from images to rows of numbers.

    Attributes:
        name: says what it is, down to its weights.
        run: images in [-1, 1] to features.
        maps: images to feature maps, where it shows them.
        explained: it is the classifier under explanation.
    """

    name: str
    run: Callable[[Float[Tensor, "n c h w"]], Float[Tensor, "n d"]]
    maps: Callable[[Float[Tensor, "n c h w"]], list[Float[Tensor, "n f h w"]]] | None = None
    explained: bool = False

    @torch.inference_mode()
    def features(self, x: Float[Tensor, "n c h w"]) -> Features:
        """The features of a set of images.

        Raises:
            EvaluationError: they are not finite numbers.
        """
        rows = torch.cat([self.run(part).float().cpu() for part in x.split(_BATCH)]).numpy()
        if not np.isfinite(rows).all():
            raise EvaluationError(f"the extractor {self.name} gives features that are not finite; use another one")
        return Features(values=rows, extractor=self.name)

    @torch.inference_mode()
    def distance(self, a: Float[Tensor, "n c h w"], b: Float[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
        """How unlike two images look, one number a pair: over its maps, or its features where it shows no maps."""

        def seen(x: Tensor) -> list[Tensor]:
            maps = [] if self.maps is None else self.maps(x)
            return maps or [self.run(x)[:, :, None, None]]

        pairs = zip(a.split(_BATCH), b.split(_BATCH), strict=True)
        return torch.cat([perceptual_distance(seen(x), seen(y)) for x, y in pairs])


def extractor_for(reference: str, explained: Classifier, device: str | torch.device = "cpu") -> Extractor:
    """The extractor that a reference means.

    Args:
        reference: ``classifier``, ``random``, a program's file, ``timm:NAME``, or a reference to another classifier.
        explained: the classifier under explanation.
        device: where to run it.

    Raises:
        EvaluationError: there is no such extractor, or it cannot be used.
    """
    if reference == "classifier":
        return replace(
            _by_features(explained, f"the explained classifier ({fingerprint(explained)[:8]})"), explained=True
        )
    if reference == "random":
        return random_extractor(device)
    if reference.startswith("timm:"):
        return _by_features(_timm(reference[5:]).to(device), reference)
    path = Path(reference)
    if path.suffix in (".pt2", ".pt", ".pth", ".ts") and path.is_file() and not _described_as_classifier(path):
        return _program(path, device)
    try:
        other = load_classifier(reference).to(device)
    except ClassifierError as error:
        raise EvaluationError(
            f"no extractor {reference!r} ({error}); give classifier, random, timm:NAME, or a program's file"
        ) from None
    return _by_features(other, f"{path.name if path.exists() else reference} ({fingerprint(other)[:8]})")


def _by_features(classifier: Classifier, name: str) -> Extractor:
    """The deepest feature map that can be tapped, averaged over positions; logits where there is none."""

    def run(x: Tensor) -> Tensor:
        logits, maps = classifier.logits_and_features(_coloured(x, classifier.spec.channels))
        return maps[-1].mean(dim=(2, 3)) if maps else logits

    def maps(x: Tensor) -> list[Tensor]:
        return classifier.features(_coloured(x, classifier.spec.channels))

    return Extractor(name=name, run=run, maps=maps)


def random_extractor(device: str | torch.device = "cpu") -> Extractor:
    """Four convolutions with random weights, always the same ones: nothing to train, and no classifier in it.

    Features are each channel's mean and deviation over the positions of the deepest map.

    Source: Naeem et al. 2020 (random networks tell sets of images apart where nothing was trained on their kind);
        Zhang et al. 2018 (and pairs of images, less well than trained ones).
    """
    random = np.random.default_rng(_RANDOM_SEED)
    shapes = [(after, before, 3, 3) for before, after in zip((3, *_RANDOM_WIDTHS), _RANDOM_WIDTHS, strict=False)]
    weights = [
        torch.from_numpy(random.standard_normal(shape) * (2 / np.prod(shape[1:])) ** 0.5).float().to(device)
        for shape in shapes
    ]

    def maps(x: Tensor) -> list[Tensor]:
        out, x = [], _coloured(x, 3)
        for weight in weights:
            x = F.leaky_relu(F.conv2d(x, weight, padding=1), 0.2)
            x = F.avg_pool2d(x, 2) if x.shape[-1] > 1 else x
            out.append(x)
        return out

    def run(x: Tensor) -> Tensor:
        deepest = maps(x)[-1].flatten(2)
        return _RANDOM_SCALE * torch.cat([deepest.mean(dim=2), deepest.std(dim=2, correction=0)], dim=1)

    return Extractor(name=f"a network of random weights (seed {_RANDOM_SEED})", run=run, maps=maps)


def _timm(name: str) -> Classifier:
    try:
        create = import_module("timm").create_model
    except ImportError as error:
        raise EvaluationError(
            f"the extractor timm:{name} needs the package timm, which cannot be imported ({first_line(error)}); "
            f"install it, or use {option('extractor', 'classifier')}"
        ) from None
    try:
        model = create(name, pretrained=True)
    except Exception as error:  # whatever a package that downloads makes of a missing name, file or network
        raise EvaluationError(
            f"timm has no network {name!r} with weights here ({first_line(error)[:120]}); "
            f"put its weights into timm's cache, or use {option('extractor', 'classifier')}"
        ) from error
    about = getattr(model, "pretrained_cfg", None) or {}
    size = int(about.get("input_size", (3, 224, 224))[-1])
    spec = ClassifierSpec(
        labels=tuple(str(i) for i in range(int(about.get("num_classes", 1000)))),
        input_size=size,
        channels=3,
        mean=tuple(about.get("mean", _IMAGENET_MEAN)),
        std=tuple(about.get("std", _IMAGENET_STD)),
    )
    return Classifier(model, spec)


def _program(path: Path, device: str | torch.device) -> Extractor:
    """A program that answers with features.

    What it takes stands in ``FILE.json``; without one it is what Inception takes: 299 px, 0..255, three channels.
    """
    try:
        module: nn.Module = (load_exported(path) if path.suffix == ".pt2" else load_torchscript(path)).to(device)
    except ClassifierError as error:
        raise EvaluationError(f"the extractor {error}") from error
    takes = _takes(path.with_name(path.name + ".json"))
    # The published Inception answers with class probabilities unless it is asked for features.
    asks = "return_features" in _arguments(module)
    low, high = takes["value_range"]

    def run(x: Tensor) -> Tensor:
        x = _coloured(x, takes["channels"])
        if takes["input_size"] and x.shape[2] != takes["input_size"]:
            shrinks = x.shape[2] > takes["input_size"]
            size = [takes["input_size"]] * 2
            x = F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=shrinks)
        x = (x + 1) / 2 * (high - low) + low
        out = unwrap(module(x, return_features=True) if asks else module(x)).float()
        if out.dim() == 4:
            out = out.mean(dim=(2, 3))
        if out.dim() != 2 or len(out) != len(x):
            raise EvaluationError(
                f"the extractor {path} answered with shape {list(out.shape)} for {len(x)} images; expected a row of "
                "features for each, and a batch of any size"
            )
        return out

    return Extractor(name=f"{path.name} ({hashlib.sha256(path.read_bytes()).hexdigest()[:8]})", run=run)


def _takes(path: Path) -> dict[str, Any]:
    takes: dict[str, Any] = {"input_size": 299, "channels": 3, "value_range": [0, 255]}
    if path.is_file():
        try:
            takes |= json.loads(path.read_text())
            low, high = (float(end) for end in takes["value_range"])
            known = set(takes) == {"input_size", "channels", "value_range"}
            if not (known and low < high and takes["channels"] in (1, 3) and 0 <= int(takes["input_size"]) <= 1024):
                raise ValueError("expected input_size, channels and value_range")
        except (ValueError, TypeError) as error:
            raise EvaluationError(
                f"{path} does not say what the extractor takes ({first_line(error)}); expected e.g. "
                '{"input_size": 299, "channels": 3, "value_range": [0, 255]}'
            ) from None
    return takes


def _described_as_classifier(path: Path) -> bool:
    """Whether the file beside a program describes a classifier: it names labels."""
    try:
        return "labels" in json.loads(path.with_name(path.name + ".json").read_text())
    except (OSError, ValueError, TypeError):
        return False


def _arguments(module: nn.Module) -> set[str]:
    if isinstance(module, torch.jit.ScriptModule):
        schema: Any = getattr(module.forward, "schema")  # noqa: B009 (a compiled method has one, its type does not say)
        return {argument.name for argument in schema.arguments}
    return set(inspect.signature(module.forward).parameters)


def _coloured(x: Tensor, channels: int) -> Tensor:
    """Grey as three equal channels, colour as its mean, where the extractor takes the other."""
    if x.shape[1] == channels:
        return x
    return x.expand(-1, channels, -1, -1) if x.shape[1] == 1 else x.mean(dim=1, keepdim=True)
