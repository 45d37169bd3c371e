"""Classifier: the explained one. It wraps any model that a ClassifierSpec describes; frozen, in eval mode."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from stylex.classifiers.features import Tap, tap_for
from stylex.classifiers.spec import Activation, ClassifierSpec
from stylex.core.errors import ClassifierError
from stylex.core.numbers import Numbers
from stylex.core.wording import option

_SMALLEST_PROBABILITY = 1e-7


class Classifier(nn.Module):
    """A frozen classifier that takes x in [-1, 1] of any size and answers in logits ``[n, k]``.

    Parameters need no gradient and the model stays in eval mode, whatever ``train()`` is called on; the
    gradient to the input is kept. A module given is frozen in place, not copied. Under the caller's
    autocast the model runs as autocast says, unless it computes in a precision of its own (has weights other than
    float32); the preparation of the image and the logits are float32.
    """

    def __init__(self, model: Callable[[Tensor], Any], spec: ClassifierSpec) -> None:
        super().__init__()
        self.model = model
        self.spec = spec
        low, high = spec.value_range
        std = torch.tensor(spec.std, dtype=torch.float64)
        scale = (high - low) / 2 / std
        offset = ((high + low) / 2 - torch.tensor(spec.mean, dtype=torch.float64)) / std
        self._scale: Tensor
        self._offset: Tensor
        # Range, mean and std are one affine map of x, folded here.
        self.register_buffer("_scale", scale.float().view(1, -1, 1, 1), persistent=False)
        self.register_buffer("_offset", offset.float().view(1, -1, 1, 1), persistent=False)
        self._center: Tensor
        self._unit: Tensor
        # Of a regression; here, so that they are where the model is.
        self.register_buffer("_center", torch.tensor(spec.center, dtype=torch.float32), persistent=False)
        self.register_buffer("_unit", torch.tensor(spec.scale, dtype=torch.float32), persistent=False)
        self._tap: Tap | None = None
        tensors = [*model.parameters(), *model.buffers()] if isinstance(model, nn.Module) else []
        self._own_precision = any(x.is_floating_point() and x.dtype != torch.float32 for x in tensors)
        self.requires_grad_(False)
        self.train(False)

    @property
    def k(self) -> int:
        """How many labels, and so how many logits."""
        return self.spec.k

    @property
    def device(self) -> torch.device:
        """Where images go before they are classified."""
        return self._scale.device

    @property
    def own(self) -> int:
        """How many of the labels the model answers itself: the first so many."""
        return self.k

    @property
    def activation(self) -> Activation:
        """How logits become probabilities."""
        return self.spec.activation

    @property
    def gradient(self) -> bool:
        """Whether there is a gradient to the image, as far as the model says; a black box has none."""
        return bool(getattr(self.model, "gradient", True))

    @property
    def by(self) -> float:
        """Of a regression: the change of its number that counts as an answer turned, in its standard deviations."""
        return 1.0

    @property
    def numbers(self) -> Numbers | None:
        """What it tells, where that is a number asked for more and for less of it; None of any other classifier."""
        return None

    @property
    def remark(self) -> str | None:
        """What there is to say of how the model is run."""
        return getattr(self.model, "remark", None)

    def train(self, mode: bool = True) -> Classifier:
        """Stay in eval mode: an explained classifier is never trained."""
        self.training = False
        if isinstance(self.model, nn.Module):
            with suppress(NotImplementedError):  # exported programs carry their mode in the graph
                self.model.eval()
        return self

    def prepare(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c size size"]:
        """The image as the model wants it: resized (differentiable, antialiased when shrinking), ranged, normalised.

        Raises:
            ClassifierError: the image has not the spec's channels.
        """
        spec = self.spec
        if x.shape[1] != spec.channels:
            raise ClassifierError(
                f"the classifier takes {spec.channels} channel(s), the images have {x.shape[1]}; "
                f"prepare the data with {option('channels', spec.channels)}"
            )
        x = x.float()
        if x.shape[2:] != (spec.input_size, spec.input_size):
            # Antialiasing also makes bicubic enlargement the one that Pillow and the libraries built on it do.
            smooth = max(x.shape[2:]) > spec.input_size or spec.interpolation == "bicubic"
            size = (spec.input_size, spec.input_size)
            x = F.interpolate(x, size=size, mode=spec.interpolation, align_corners=False, antialias=smooth)
            x = x.clamp(-1, 1) if spec.interpolation == "bicubic" else x  # which overshoots
        return x * self._scale + self._offset

    def logits(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """What the classifier says of x in [-1, 1], as logits."""
        prepared = self.prepare(x)
        with self._precision(x.device):
            return self._as_logits(self.model(prepared), len(x))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """The logits."""
        return self.logits(x)

    def logits_and_features(self, x: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "n k"], list[Tensor]]:
        """Logits, and the feature maps of at most four stages, from one pass; no maps where none can be tapped.

        The stages are found at the first call, which therefore takes two passes.
        """
        prepared = self.prepare(x)
        with self._precision(x.device):
            if self._tap is None:
                self._tap = tap_for(self.model, prepared.detach())
            output, features = self._tap(prepared)
            return self._as_logits(output, len(x)), features

    def _precision(self, device: torch.device) -> AbstractContextManager[object]:
        """The caller's autocast, or none where the model has a precision of its own."""
        return torch.autocast(device.type, enabled=False) if self._own_precision else nullcontext()

    def features(self, x: Float[Tensor, "n c h w"]) -> list[Tensor]:
        """The feature maps alone, largest first, each ``[n channels h w]``."""
        return self.logits_and_features(x)[1]

    def probabilities(self, logits: Float[Tensor, "n k"]) -> Float[Tensor, "n k"]:
        """Softmax over exclusive labels, or a sigmoid for each of several, and for standardised numbers."""
        return logits.softmax(dim=1) if self.activation == "softmax" else logits.sigmoid()

    def _as_logits(self, output: Any, n: int) -> Tensor:
        raw = unwrap(output).float()
        spec = self.spec
        if raw.dim() > 2 and raw[0, :, ...].numel() == raw.shape[1]:
            raw = raw.flatten(1)  # n k 1 1, as fully convolutional models answer
        if raw.dim() == 1 and len(raw) == n:
            raw = raw.unsqueeze(1)
        columns = (1, 2) if spec.output == "probabilities" and spec.k == 2 else (spec.k,)
        if spec.output == "single-logit":
            columns = (1,)
        if raw.dim() == 2 and len(raw) != n and raw.shape[1] in columns:
            raise ClassifierError(
                f"the classifier answered with {len(raw)} row(s) for {n} image(s); make its batch dimension dynamic"
            )
        if raw.dim() != 2 or len(raw) != n or raw.shape[1] not in columns:
            raise ClassifierError(
                f"the classifier answered with shape {list(raw.shape)} for {n} image(s); its spec "
                f"({spec.k} labels, output {spec.output}) expects [{n}, {columns[-1]}]: correct the spec"
            )
        if spec.output == "single-logit":
            return torch.cat([-raw / 2, raw / 2], dim=1)
        if spec.output == "probabilities":
            if raw.shape[1] == 1:
                raw = torch.cat([1 - raw, raw], dim=1)
            return raw.clamp(min=_SMALLEST_PROBABILITY).log()
        if spec.output == "multi-label-probabilities":
            return raw.logit(eps=_SMALLEST_PROBABILITY)
        if spec.output == "regression" and spec.scale:
            return (raw - self._center) / self._unit
        return raw


class WithOpposite(Classifier):
    """A classifier of several labels with one more, the last: that one of them is absent.

    What takes the classifier away from a label is then searched for as all else is, in logits of the same size.
    """

    def __init__(self, whole: Classifier, label: int) -> None:
        assert whole.activation == "sigmoid", "of exclusive labels, the others are the opposite"
        labels = whole.spec.labels
        super().__init__(whole.model, replace(whole.spec, labels=(*labels, opposite_name(labels[label]))))
        self.whole, self.label = whole, label
        self.to(whole.device)

    @property
    def own(self) -> int:
        """How many of the labels the model answers itself: all but the opposite."""
        return self.whole.k

    def logits(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """What the classifier says, and the negative of what it says of the label."""
        return self.extended(self.whole.logits(x))

    def logits_and_features(self, x: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "n k"], list[Tensor]]:
        """Logits with the opposite's, and the feature maps."""
        logits, features = self.whole.logits_and_features(x)
        return self.extended(logits), features

    def extended(self, logits: Float[Tensor, "n own"]) -> Float[Tensor, "n k"]:
        """The whole classifier's logits with the opposite's."""
        return torch.cat([logits, -logits[:, self.label : self.label + 1]], dim=1)


class Directed(Classifier):
    """A regression asked for more and for less of one of its numbers: ``more age`` and, as the last, ``less age``.

    Args:
        whole: the regression.
        label: which of its numbers.
        by: the change that counts as an answer turned, in the number's unit; None: one standard deviation.

    Raises:
        ClassifierError: it is not known how its numbers lie.
    """

    def __init__(self, whole: Classifier, label: int, by: float | None = None) -> None:
        spec = whole.spec
        assert spec.output == "regression"
        if not spec.scale:
            raise ClassifierError(
                "the spec of a regression has no center and scale; a training measures them: give its run, or write "
                "them into the spec"
            )
        more, less = (more_name(name) for name in spec.labels), less_name(spec.labels[label])
        super().__init__(
            whole.model,
            replace(
                spec,
                labels=(*more, less),
                center=(*spec.center, -spec.center[label]),
                scale=(*spec.scale, spec.scale[label]),
                low=(),
                high=(),
            ),
        )
        self.whole, self.label = whole, label
        self.to(whole.device)
        self._by = 1.0 if by is None else by / spec.scale[label]

    @property
    def by(self) -> float:
        """As of any regression."""
        return self._by

    @property
    def numbers(self) -> Numbers:
        """What it tells."""
        spec, label, whole = self.spec, self.label, self.whole.spec
        low, high = ((*row, row[label]) if row else () for row in (whole.low, whole.high))
        return Numbers(
            names=(*whole.labels, whole.labels[label]),
            unit=spec.unit,
            center=spec.center,
            scale=spec.scale,
            by=self._by * whole.scale[label],
            low=low,
            high=high,
        )

    @property
    def own(self) -> int:
        """How many numbers the model answers itself: all but the opposite."""
        return self.whole.k

    def logits(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Its numbers, standardised, and the negative of the one that it is asked for."""
        return self._extended(self.whole.logits(x))

    def logits_and_features(self, x: Float[Tensor, "n c h w"]) -> tuple[Float[Tensor, "n k"], list[Tensor]]:
        """The same, and the feature maps."""
        logits, features = self.whole.logits_and_features(x)
        return self._extended(logits), features

    def _extended(self, logits: Float[Tensor, "n own"]) -> Float[Tensor, "n k"]:
        return torch.cat([logits, -logits[:, self.label : self.label + 1]], dim=1)


def more_name(label: str) -> str:
    """How the rise of a number is called."""
    return f"more {label}"


def less_name(label: str) -> str:
    """How its fall is called."""
    return f"less {label}"


@torch.no_grad()
def standardised(classifier: Classifier, batches: Iterable[Tensor]) -> Classifier:
    """A regression that knows mean, standard deviation and ends of its numbers; any other classifier as it is.

    Args:
        classifier: it may know them already.
        batches: images ``[n c h w]`` to measure them on, in [-1, 1]; as many each as you like.

    Raises:
        ClassifierError: its numbers do not vary.
    """
    spec = classifier.spec
    if spec.output != "regression" or spec.scale:
        return classifier
    said = torch.cat([classifier.logits(x).double() for x in batches])
    center, scale = said.mean(dim=0), said.std(dim=0, unbiased=False)
    still = [name for name, own, mean in zip(spec.labels, scale, center, strict=True) if own <= 1e-6 * (1 + mean.abs())]
    if still:
        raise ClassifierError(
            f"the answers for {still[0]} hardly vary over the images: there is nothing to explain; check its spec"
        )
    measured = replace(
        spec,
        center=tuple(center.tolist()),
        scale=tuple(scale.tolist()),
        low=tuple(said.amin(dim=0).tolist()),
        high=tuple(said.amax(dim=0).tolist()),
    )
    return Classifier(classifier.model, measured)


def opposite_name(label: str) -> str:
    """How the absence of a label is called."""
    return f"not {label}"


def unwrap(output: Any) -> Tensor:
    """The tensor of answers in what a model returned.

    Itself, ``.logits``, ``["logits"]``, the only tensor of a mapping, or the first of several.

    Raises:
        ClassifierError: there is no tensor in any of these places.
    """
    if isinstance(output, Tensor):
        return output
    if isinstance(output, Mapping) and "logits" in output:
        return unwrap(output["logits"])
    if isinstance(output, Mapping) and sum(isinstance(value, Tensor) for value in output.values()) == 1:
        return next(value for value in output.values() if isinstance(value, Tensor))
    if isinstance(getattr(output, "logits", None), Tensor):
        return unwrap(output.logits)
    if isinstance(output, tuple | list) and output and isinstance(output[0], Tensor):
        return output[0]
    raise ClassifierError(
        f"the classifier answered with {type(output).__name__}; expected a tensor [n, labels], "
        "one under 'logits', alone in a dict, or first in a tuple: wrap the model in a function that returns it"
    )
