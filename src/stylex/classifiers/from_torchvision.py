"""``torchvision:NAME``: an image classifier of torchvision, with its published weights or a safetensors checkpoint."""

from __future__ import annotations

from typing import Any

from torch import nn

from stylex.classifiers.named import Named, fill, labels_for, outputs_in, package, read_weights
from stylex.classifiers.spec import ClassifierSpec
from stylex.core.errors import ClassifierError
from stylex.core.reference import reason

_PUBLISHED: dict[str, dict[str, Any]] = {
    "googlenet": {"transform_input": True, "init_weights": False},
    "inception_v3": {"transform_input": True, "init_weights": False},
}
"""How two networks are built for their published weights."""


def load(given: Named, spec: ClassifierSpec | None) -> tuple[nn.Module, ClassifierSpec]:
    """The network, and what its weights' own transforms and categories say of it.

    The option ``weights`` chooses among published ones (``IMAGENET1K_V1``; not given: torchvision's default), which
    torchvision loads from its cache or downloads. A ``checkpoint`` is taken instead, with their transforms.

    Raises:
        ClassifierError: no such classifier, no weights for it, or weights and labels that do not fit.
    """
    models = package("torchvision.models", "torchvision")
    known = models.list_models(module=models)
    if given.name not in known:
        near = [name for name in known if given.name[:5] in name] or known
        raise ClassifierError(f"torchvision has no image classifier {given.name!r}; it has {', '.join(near[:8])}")
    published = models.get_model_weights(given.name)
    wanted = given.options.get("weights", "DEFAULT")
    if wanted not in published.__members__:
        raise ClassifierError(
            f"torchvision has no weights {wanted!r} of {given.name}; it has {', '.join(published.__members__)}"
        )
    chosen, path = published[wanted], given.options.get("checkpoint")
    if path is None:
        try:
            weights = chosen.get_state_dict(progress=False, check_hash=True, weights_only=True)
        except Exception as error:  # whatever a download makes of a missing network
            raise ClassifierError(
                f"torchvision cannot load the weights of {given.name}: {reason(error)}; put them into its cache, or "
                f"give them: torchvision:{given.name},checkpoint=FILE.safetensors"
            ) from error
        outputs = len(chosen.meta["categories"])
        model: nn.Module = models.get_model(given.name, weights=None, **_PUBLISHED.get(given.name, {}))
    else:
        weights = read_weights(path)
        quick = {"init_weights": False} if given.name in _PUBLISHED else {}
        model = models.get_model(given.name, weights=None, **quick)
        outputs = outputs_in(weights, model, len(chosen.meta["categories"]), path)
        if outputs != len(chosen.meta["categories"]):
            model = models.get_model(given.name, weights=None, num_classes=outputs, **quick)
    fill(model, weights, path or f"torchvision's {chosen}")
    own = chosen.meta["categories"] if outputs == len(chosen.meta["categories"]) else None
    labels = labels_for(given, spec, outputs, own)
    if spec is not None:
        return model, spec
    transforms = chosen.transforms()
    return model, ClassifierSpec(
        labels=labels,
        input_size=transforms.crop_size[0],
        channels=3,
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
        interpolation="bilinear" if transforms.interpolation.value in ("bilinear", "nearest") else "bicubic",
    )
