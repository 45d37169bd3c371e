"""``keras:FILE.keras``: a Keras 3 model, run by its torch backend, so that gradients go through it."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stylex.classifiers.named import Named, labels_for, layout_of, package
from stylex.classifiers.spec import ClassifierSpec
from stylex.core.errors import ClassifierError
from stylex.core.files import read_whole
from stylex.core.reference import reason
from stylex.core.untrusted import parse_json

_RUNS_CODE = {"Lambda", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "TFSMLayer", "__lambda__"}
"""Keras's own layers that hold code, or run it out of other files."""
_MODULES = {"builtins", "keras"} | {
    f"keras.{room}"
    for room in (
        "activations", "constraints", "dtype_policies", "initializers", "layers", "losses", "metrics", "models",
        "optimizers", "optimizers.schedules", "regularizers",
    )
}  # fmt: skip
"""Where the classes of an ordinary model come from; other rooms have functions that fetch and write files."""
_MODELS = {("keras.src.models.functional", "Functional"), ("keras.src.models.sequential", "Sequential")}


class _Keras(nn.Module):
    """A Keras model for images ``[n c h w]``, which it takes with channels last."""

    def __init__(self, keras: Any, model: Any, *, last: bool) -> None:
        super().__init__()
        self.model = model
        self._keras, self._last = keras, last

    def forward(self, x: Tensor) -> Any:
        where = "cpu" if x.device.type == "cpu" else f"gpu:{x.device.index or 0}"
        with self._keras.device(where):
            return self.model(x.permute(0, 2, 3, 1) if self._last else x, training=False)


def load(given: Named, spec: ClassifierSpec) -> tuple[nn.Module, ClassifierSpec]:
    """The model of a ``.keras`` file.

    Raises:
        ClassifierError: it is no such file, holds code, or does not fit its spec; Keras runs with another backend.
    """
    path = Path(given.name)
    try:
        content = read_whole(path)
    except OSError as error:
        raise ClassifierError(f"{path} cannot be read: {error.strerror or error}") from error
    if held := _holds(content):
        raise ClassifierError(
            f"{path} is not opened: {held}; save the model with model.save('file.keras') in Keras 3, of Keras's own "
            "layers, or give package.module:callable"
        )
    os.environ.setdefault("KERAS_BACKEND", "torch")
    keras = package("keras", "keras")
    if keras.backend.backend() != "torch":
        raise ClassifierError(
            f"Keras runs with its {keras.backend.backend()} backend here; set KERAS_BACKEND=torch before Python starts"
        )
    try:
        model: Any = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever a foreign file makes of the reader
        raise ClassifierError(f"Keras cannot open {path}: {reason(error)}") from error
    shape = tuple(model.input_shape) if isinstance(model.input_shape, tuple) else ()
    layout = layout_of(shape, spec)
    if layout is None:
        raise ClassifierError(
            f"{path} takes images of shape {list(shape[1:])}, its spec says {spec.input_size} px and {spec.channels} "
            "channel(s); correct input_size and channels"
        )
    labels_for(given, spec, int(model.output_shape[-1]), None)
    return _Keras(keras, model, last=layout == "last").to(torch.device("cpu")), spec


def _holds(content: bytes) -> str | None:
    """What in a ``.keras`` archive is not to be opened, if anything: code, or classes from elsewhere than Keras."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if archive.getinfo("config.json").file_size > 2**26:
                return "its config.json is larger than 64 MiB"
            config = parse_json(archive.read("config.json"))
    except Exception as error:  # zipfile, zlib and friends raise nearly anything on damaged data
        return f"it is no .keras file of Keras 3 ({reason(error)})"
    if isinstance(config, dict):
        config.pop("compile_config", None)  # of training, which is not read
    return next(_foreign(config), None)


def _foreign(tree: Any) -> Iterator[str]:
    if isinstance(tree, dict):
        module, name = tree.get("module"), tree.get("class_name")
        if "class_name" in tree and name in _RUNS_CODE:
            yield f"it has a {name}, which can run code"
        elif "class_name" in tree and module is not None and module not in _MODULES and (module, name) not in _MODELS:
            yield f"it has a class of {str(module)[:60]!r}"
        elif "class_name" in tree and tree.get("registered_name") not in (None, "", name):
            yield f"it has a class registered as {str(tree['registered_name'])[:60]!r}"
        for value in tree.values():
            yield from _foreign(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _foreign(value)
