"""``hf:ORG/NAME`` or ``hf:FOLDER``: an image classifier of transformers, from the hub or a folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from torch import nn

from stylex.classifiers.named import Named, labels_for, package
from stylex.classifiers.spec import ClassifierSpec
from stylex.core.errors import ClassifierError
from stylex.core.reference import reason
from stylex.core.wording import option

_RESAMPLING: dict[int, Literal["bilinear", "bicubic"]] = {0: "bilinear", 1: "bicubic", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers: nearest, Lanczos, bilinear, bicubic; each as the nearer of two."""


def load(given: Named, spec: ClassifierSpec | None) -> tuple[nn.Module, ClassifierSpec]:
    """The network, its processor's numbers, and the labels of its configuration.

    Weights are read from safetensors only, and no code of a repository is run.

    Raises:
        ClassifierError: it is not there, is no image classifier, has weights missing, or takes images in a way that a
            spec cannot say.
    """
    transformers = package("transformers", "hf")
    base = package("transformers.image_processing_base", "hf")
    here = Path(given.name).is_dir()
    how = {"local_files_only": here, "trust_remote_code": False}
    bars = transformers.logging.is_progress_bar_enabled()
    loudness = transformers.logging.get_verbosity()
    transformers.logging.disable_progress_bar()
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)  # what does not fit is told below, in one line
    try:
        config = transformers.AutoConfig.from_pretrained(given.name, **how)
        model, loaded = transformers.AutoModelForImageClassification.from_pretrained(
            given.name,
            config=config,
            use_safetensors=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **how,
        )
    except Exception as error:  # of the hub, of files and of weights, each in its own way
        raise ClassifierError(
            f"transformers cannot open {given.name!r} as an image classifier: {reason(error)}; expected a folder that "
            "save_pretrained wrote (config.json, model.safetensors), or the name of one on the hub"
        ) from error
    finally:
        transformers.logging.set_verbosity(loudness)
        if bars:
            transformers.logging.enable_progress_bar()
    other = sorted(key if isinstance(key, str) else key[0] for key in loaded["mismatched_keys"])
    if other:
        raise ClassifierError(
            f"{given.text} has weights of another shape than its config.json says: {_some(other)}; give a folder "
            "whose two files were saved together"
        )
    lacking = sorted(loaded["missing_keys"])
    if lacking:
        raise ClassifierError(
            f"{given.text} has no weights for {_some(lacking)}, which "
            "would be random: it was not saved as an image classifier; fine-tune it, or name another one"
        )
    outputs = int(config.num_labels)
    if config.problem_type == "regression" or outputs == 1:
        raise ClassifierError(f"{given.text} answers with {outputs} number(s) of a regression; expected classes")
    own = [str(config.id2label[i]) for i in range(outputs)]
    labels = labels_for(given, spec, outputs, own)
    if spec is not None:
        return model, spec
    try:
        takes, _ = base.ImageProcessingMixin.get_image_processor_dict(given.name, local_files_only=here)
    except Exception as error:
        raise ClassifierError(
            f"{given.text} comes without preprocessor_config.json ({reason(error)[:120]}), which says how it takes "
            f"images; save its processor beside it, or give {option('classifier_spec')}"
        ) from error
    return model, _spec(given, takes, config, labels)


def _spec(given: Named, takes: Mapping[str, Any], config: Any, labels: tuple[str, ...]) -> ClassifierSpec:
    """What a processor's JSON says, as a spec.

    Raises:
        ClassifierError: it says something that a spec cannot.
    """
    try:
        for key in ("do_flip_channel_order", "rescale_offset"):
            if takes.get(key):
                raise ValueError(f"it has {key}")
        crop = takes.get("crop_size") if takes.get("do_center_crop") else None
        side = _side(crop or takes["size"])
        white = 255 * float(takes.get("rescale_factor", 1 / 255)) if takes.get("do_rescale", True) else 255.0
        channels = int(getattr(config, "num_channels", 3))
        mean, std = [0.0] * channels, [1.0] * channels
        if takes.get("do_normalize", True):
            mean, std = [float(v) for v in takes["image_mean"]], [float(v) for v in takes["image_std"]]
        if takes.get("include_top") and "EfficientNet" in str(takes.get("image_processor_type")):
            std = [v * v for v in std]  # that processor divides by it twice
        return ClassifierSpec(
            labels=labels,
            input_size=side,
            channels=1 if channels == 1 else 3,
            mean=tuple(mean),
            std=tuple(std),
            value_range=(0.0, white),
            output="multi-label" if config.problem_type == "multi_label_classification" else "logits",
            interpolation=_RESAMPLING.get(int(takes.get("resample") or 2), "bicubic"),
        )
    except (KeyError, TypeError, ValueError, ClassifierError) as error:
        raise ClassifierError(
            f"the preprocessor_config.json of {given.text} cannot be taken as a spec ({reason(error)}); give "
            f"{option('classifier_spec')}, or wrap the model in a function of your own"
        ) from error


def _side(size: Any) -> int:
    """The side of a square, as one of the ways in which processors write it."""
    if isinstance(size, Mapping):
        if "shortest_edge" in size:
            return int(size["shortest_edge"])
        if size["height"] != size["width"]:
            raise ValueError(f"it takes images of {size['height']} x {size['width']} px")
        return int(size["height"])
    return int(size)


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
