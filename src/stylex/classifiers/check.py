"""check_classifier: everything that could go wrong with a classifier, found in a second before a training starts."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from stylex.classifiers.classifier import Classifier, unwrap
from stylex.core.errors import ClassifierError
from stylex.core.wording import option

_TOLERANCE = 1e-2
_FEWEST_IMAGES = 8
"""Of fewer images nothing is concluded about what the outputs are."""
_SPREAD = 0.25
"""Outputs from 0 to 1 that differ by so much over images are probabilities; logits of such a size would say nothing."""
_EVEN = 0.5
"""Outputs from 0 to 1 on both sides of this are probabilities of yes, too: as logits they would never say no."""


def check_classifier(
    classifier: Classifier,
    *,
    channels: int,
    resolution: int,
    labels: tuple[str, ...] | None = None,
    need_gradient: bool = True,
    images: Float[Tensor, "n c h w"] | None = None,
) -> None:
    """Try a classifier on images of the size that it will get.

    Args:
        classifier: what to try.
        channels, resolution: of the images.
        labels: the data's own names, where it has some. They may be other words than the classifier's; but where
            some are the classifier's, all must be.
        need_gradient: whether the gradient to the image is needed (it is in training, not in search).
        images: some of the data's own, by which probabilities that are called logits are noticed.

    Raises:
        ClassifierError: wrong channels; a crash; outputs that do not fit the spec, are not finite, differ from
            call to call or with the batch; no gradient; labels half known.
    """
    spec = classifier.spec
    if channels != spec.channels:
        raise ClassifierError(
            f"the classifier takes {spec.channels} channel(s), the images have {channels}; "
            f"prepare the data with {option('channels', spec.channels)}, or correct the spec"
        )
    unknown = [label for label in labels or () if label not in spec.labels]
    if unknown and len(unknown) < len(labels or ()):
        raise ClassifierError(
            f"the data has label(s) {', '.join(unknown[:5])} that the classifier does not know; it knows "
            f"{', '.join(spec.labels[:10])}: take the classifier that was made for these data, or rename the labels"
        )
    device = next(classifier.buffers()).device
    rng = torch.Generator().manual_seed(0)
    x = (torch.rand(3, channels, resolution, resolution, generator=rng) * 2 - 1).to(device)
    with torch.no_grad():
        one = _answer(classifier, x[:1], "one image")
        three = _answer(classifier, x, "a batch of three images (it answers one image)")
        again = _answer(classifier, x, "the same images again")
        _check_kind(classifier, x)
        if images is not None and len(images) >= _FEWEST_IMAGES:
            _check_squashed(classifier, images.to(device))
    scale = 1 + float(three.abs().max())
    if float((three - again).abs().max()) > _TOLERANCE * scale:
        raise ClassifierError("the classifier answers the same images differently each time; switch its randomness off")
    if float((three[:1] - one).abs().max()) > _TOLERANCE * scale:
        raise ClassifierError(
            "the classifier's answer for an image depends on the other images of the batch; export it in eval mode "
            "and with a dynamic batch dimension"
        )
    if need_gradient:
        _check_gradient(classifier, x)


def _answer(classifier: Classifier, x: Tensor, what: str) -> Tensor:
    try:
        logits = classifier.logits(x)
    except ClassifierError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())[:300]
        remedy = "make its batch dimension dynamic"
        if len(x) == 1:
            remedy = f"check input_size and channels in its spec, or {remedy}"
        if precision := _other_precision(classifier):
            remedy = (
                f"its weights are {precision} and images come as float32: load it with .float(), or cast the image "
                f"first thing inside and the answer back to float32"
            )
        raise ClassifierError(f"the classifier failed on {what}: {type(error).__name__}: {text}; {remedy}") from error
    if not bool(logits.isfinite().all()):
        raise ClassifierError(
            f"the classifier's answer to {what} is not finite (NaN or infinity); "
            "check mean, std and value_range in its spec"
        )
    return logits


def _other_precision(classifier: Classifier) -> str | None:
    """The kind of number that the weights are, where it is not float32."""
    model = classifier.model
    kinds = {x.dtype for x in model.parameters() if x.is_floating_point()} if isinstance(model, nn.Module) else set()
    return next((str(kind).removeprefix("torch.") for kind in kinds - {torch.float32}), None)


def _check_kind(classifier: Classifier, x: Tensor) -> None:
    """Probabilities that are called logits, and the other way round."""
    raw = _raw(classifier, x)
    within = bool(((raw >= 0) & (raw <= 1 + 1e-4)).all())
    sums_to_one = raw.shape[1] > 1 and bool(((raw.sum(dim=1) - 1).abs() < 1e-3).all())
    kind = classifier.spec.output
    if kind == "logits" and within and sums_to_one:
        raise ClassifierError(
            "the classifier answers with probabilities, its spec says logits; set output to probabilities"
        )
    if kind == "probabilities" and not (within and (sums_to_one or raw.shape[1] == 1)):
        raise ClassifierError(
            "the classifier's spec says probabilities, but its outputs are not (0 to 1, sum 1); "
            "set output to logits or multi-label"
        )


def _raw(classifier: Classifier, x: Tensor) -> Tensor:
    """What the model answers, before the spec says what it means; ``[n, outputs]``."""
    return unwrap(classifier.model(classifier.prepare(x))).float().reshape(len(x), -1)


def _check_squashed(classifier: Classifier, images: Tensor) -> None:
    """Outputs of a sigmoid that are called logits: everything would be one class."""
    raw = torch.cat([_raw(classifier, part) for part in images.split(16)])
    kind = classifier.spec.output
    low, high = float(raw.min()), float(raw.max())
    if kind not in _SQUASHED or low < 0 or high > 1:
        return
    yes = kind != "logits" and low < _EVEN < high
    every_label = kind == "multi-label" and raw.shape[1] > 1  # which as logits would all hold of every image
    if high - low < _SPREAD and not yes and not every_label:
        return
    raise ClassifierError(
        f"the classifier's outputs lie between 0 and 1 ({low:.3g} to {high:.3g} on {len(raw)} images), its spec says "
        f"{kind}: they look like probabilities, with a sigmoid already applied; {_SQUASHED[kind]}"
    )


_SQUASHED = {
    "single-logit": "set output to probabilities (one output is the second label's)",
    "multi-label": "set output to multi-label-probabilities",
    "logits": "set output to multi-label-probabilities if several labels can hold at once, or let it answer without "
    "the sigmoid",
}


def _check_gradient(classifier: Classifier, x: Tensor) -> None:
    remedy = (
        "training needs it: let nothing inside round, take argmax, detach, switch gradients off or use numpy; or give "
        "it as a stylex.BlackBox, of which a training learns nothing but its answers"
    )
    x = x.clone().requires_grad_()
    try:
        with torch.enable_grad():
            logits = classifier.logits(x)
            # The label's margin; the plain sum of logits can be constant by construction.
            margin = logits[:, 0].sum() - logits[:, 1:].mean(dim=1).sum() if classifier.k > 1 else logits.sum()
            (gradient,) = torch.autograd.grad(margin, x)
    except RuntimeError as error:
        text = " ".join(str(error).split())[:200]
        raise ClassifierError(f"the classifier gives no gradient to its image ({text}); {remedy}") from error
    if not bool(gradient.isfinite().all()):
        raise ClassifierError("the classifier's gradient to its image is not finite (NaN or infinity)")
    if not bool((gradient != 0).any()):
        raise ClassifierError(f"the classifier's gradient to its image is zero everywhere; {remedy}")
