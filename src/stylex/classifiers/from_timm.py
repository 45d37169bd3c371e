"""``timm:NAME``: a network of the timm package, with weights that it knows or a safetensors checkpoint."""

from __future__ import annotations

from typing import Any

from torch import nn

from stylex.classifiers.named import Named, fill, labels_for, outputs_in, package, read_weights
from stylex.classifiers.spec import ClassifierSpec
from stylex.core.errors import ClassifierError
from stylex.core.reference import reason

_COARSE = ("bilinear", "nearest")
"""Of timm's ways to resize, those that are nearer to bilinear than to bicubic."""


def load(given: Named, spec: ClassifierSpec | None) -> tuple[nn.Module, ClassifierSpec]:
    """The network and what its own configuration says of it: size, mean, std, resizing, labels.

    Without the option ``checkpoint``, timm loads the weights of that name from its cache, or downloads them.

    Raises:
        ClassifierError: no such network, no weights for it, or weights and labels that do not fit.
    """
    timm = package("timm", "timm")
    data = package("timm.data", "timm")
    path = given.options.get("checkpoint")
    try:
        model: nn.Module = timm.create_model(given.name, pretrained=path is None)
    except Exception as error:  # whatever a package that downloads makes of a missing name, file or network
        raise ClassifierError(_why_not(timm, given, error)) from error
    about: Any = model
    if path is not None:
        weights = read_weights(path)
        if (outputs := outputs_in(weights, model, about.num_classes, path)) != about.num_classes:
            about.reset_classifier(outputs)
        fill(model, weights, path)
    config = data.resolve_model_data_config(model)
    channels, *sides = config["input_size"]
    own = None
    if path is None or about.num_classes == about.pretrained_cfg.get("num_classes"):
        own = about.pretrained_cfg.get("label_names")
        subset = data.infer_imagenet_subset(model)
        if own is None and subset is not None:
            own = data.ImageNetInfo(subset).label_descriptions()
    labels = labels_for(given, spec, about.num_classes, own)
    if spec is not None:
        return model, spec
    if len(set(sides)) != 1:
        raise ClassifierError(
            f"{given.text} takes images of {sides[0]} x {sides[1]} px; expected a network for squares"
        )
    return model, ClassifierSpec(
        labels=labels,
        input_size=sides[0],
        channels=channels,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        interpolation="bilinear" if config["interpolation"] in _COARSE else "bicubic",
    )


def _why_not(timm: Any, given: Named, error: Exception) -> str:
    if "Unknown model" in str(error):
        near = timm.list_models(f"*{given.name.split('.')[0]}*") or timm.list_models(f"{given.name[:6]}*")
        known = f"it has {', '.join(near[:5])}" if near else "timm.list_models() tells which it has"
        return f"timm has no network {given.name!r}; {known}"
    if "checkpoint" in given.options:
        return f"timm cannot build {given.name!r}: {reason(error)}"
    return (
        f"timm cannot load the weights of {given.name!r}: {reason(error)}; put them into its cache, or give them: "
        f"timm:{given.name},checkpoint=FILE.safetensors"
    )
