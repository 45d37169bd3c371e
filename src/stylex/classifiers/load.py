"""load_classifier: one door for every way in which a classifier can be given."""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import fx, nn

from stylex.classifiers.black_box import BlackBox
from stylex.classifiers.classifier import Classifier
from stylex.classifiers.named import Named
from stylex.classifiers.programs import load_exported, load_torchscript
from stylex.classifiers.small import load_small_classifier
from stylex.classifiers.spec import ClassifierSpec
from stylex.core.errors import ClassifierError
from stylex.core.files import read_whole
from stylex.core.reference import reason
from stylex.core.untrusted import parse_json
from stylex.core.wording import option

Reference = str | os.PathLike[str] | nn.Module | Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Adapter:
    """How classifiers of one kind are opened, which are named ``KIND:NAME,option=value``.

    Attributes:
        module: in this folder, imported when it is needed; its ``load`` takes a ``Named`` and a spec.
        options: that its references take.
        described: it needs a spec, for a file the one beside it.
        recorded: a run that names it has it opened, where its file or folder is there: that calls nobody and imports
            nothing that the file names.
    """

    module: str
    options: tuple[str, ...] = ()
    described: bool = False
    recorded: bool = False


ASKING = ("body", "batch", "rate", "timeout", "retries", "cache", "token")
"""How a server is asked; see ``from_http.py``."""

ADAPTERS = {
    "timm": Adapter(module="from_timm", options=("checkpoint", "labels")),
    "torchvision": Adapter(module="from_torchvision", options=("checkpoint", "weights", "labels")),
    "hf": Adapter(module="from_transformers", options=("labels",), recorded=True),
    "onnx": Adapter(module="from_onnx", described=True, recorded=True),
    "keras": Adapter(module="from_keras", described=True),
    "http": Adapter(module="from_http", options=ASKING),
    "https": Adapter(module="from_http", options=ASKING),
}
"""By kind."""

_FORMS = (
    "expected pkg.module:callable, a TorchScript file (.pt, .ts, .torchscript), a torch.export program (.pt2), a "
    f"folder with classifier.json and weights.safetensors, or {', '.join(f'{kind}:...' for kind in ADAPTERS)}"
)
_SAME = 1e-5
"""Of the largest answer: the same sums, taken in another order, differ by less."""
_TORCHSCRIPT = (".pt", ".ts", ".torchscript")
_BY_SUFFIX = {".onnx": "onnx", ".keras": "keras"}
_OTHER_PROGRAMS = {
    ".h5": "Keras's older format is not opened: save the model with model.save('file.keras') in Keras 3",
    ".tflite": "TensorFlow Lite is not opened: export the model to ONNX",
    ".pb": "TensorFlow is not opened: export the model to ONNX",
}
_SUFFIXES = (*_TORCHSCRIPT, ".pt2", ".pth", ".ckpt", ".bin", ".pkl", ".safetensors", *_BY_SUFFIX, *_OTHER_PROGRAMS)


def load_classifier(reference: Reference, spec: ClassifierSpec | None = None) -> Classifier:
    """The classifier that a reference means, frozen and in eval mode.

    Args:
        reference: a Classifier, a module or another callable of a batch; ``pkg.module:callable`` (the
            callable takes nothing and returns a module, a Classifier or a pair of module and spec; the
            working directory is searched as ``python -m`` does); a TorchScript file; a ``.pt2`` program;
            the folder of a small classifier; or ``KIND:NAME`` of one of the ``ADAPTERS``.
        spec: what the classifier takes and answers. Without it: the pair's, the module's ``spec``
            attribute, or for a file ``<file>.json`` beside it.

    Raises:
        ClassifierError: nothing usable is there, no spec was found, or the user's own code failed.
    """
    return in_fast_order(_opened(reference, spec))


@torch.no_grad()
def in_fast_order(classifier: Classifier) -> Classifier:
    """The same classifier, its convolutions' weights stored channels last where that is faster and changes nothing.

    Only of a plain torch module on the processor. One that asks for another order (``view`` of features, say), or whose
    answers to two images of noise change by more than 1e-5 of the largest, is left as it was.
    """
    model, spec = classifier.model, classifier.spec
    if not isinstance(model, nn.Module) or isinstance(model, torch.jit.ScriptModule | fx.GraphModule):
        return classifier
    weights = [m.weight for m in model.modules() if isinstance(m, nn.Conv2d) and m.weight.device.type == "cpu"]
    if not weights or all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights):
        return classifier
    random = torch.Generator().manual_seed(0)
    x = torch.rand(2, spec.channels, spec.input_size, spec.input_size, generator=random) * 2 - 1
    before = {weight: weight.data for weight in weights}
    try:
        own = classifier.logits(x)
        for weight in weights:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        if bool((classifier.logits(x) - own).abs().max() <= _SAME * own.abs().max()):
            return classifier
    except Exception:  # the user's own code, on an order it was not written for; what is wrong anyway is told later
        pass
    for weight, data in before.items():
        weight.data = data
    return classifier


def _opened(reference: Reference, spec: ClassifierSpec | None) -> Classifier:
    if not isinstance(reference, str | os.PathLike):
        return _wrapped(reference, spec, describe(reference))
    text = os.fspath(reference)
    path = Path(text)
    if isinstance(reference, str) and (named := re.fullmatch(r"(.+?)\.py(?::(.+))?", text)):
        module = ".".join(Path(named[1]).parts) if not Path(named[1]).is_absolute() else Path(named[1]).name
        raise ClassifierError(
            f"{text!r} is Python code, which is named by its module and a function in it, without .py: "
            f"{module}:{named[2] or 'load'} (the function takes nothing and returns the classifier, with its spec)"
        )
    if isinstance(reference, str) and (adapter := adapter_of(text)) is not None:
        return _from_adapter(text, adapter, spec)
    if path.is_dir():
        return load_small_classifier(path, spec)
    if path.is_file():
        return _from_file(path, spec)
    if isinstance(reference, str) and ":" in text and not text.lower().endswith(_SUFFIXES):
        return _from_import(text, spec)
    where = "" if path.is_absolute() else f" under {os.getcwd()}"
    raise ClassifierError(f"no classifier at {text!r}: no such file or folder{where}; {_FORMS}")


def recorded_place(reference: str, snapshot: Path) -> str:
    """Where the classifier is that a snapshot names: beside the snapshot's folder, or where a command finds it."""
    beside = snapshot.absolute().parent / reference
    return str(beside) if "\0" not in reference and beside.exists() else reference


def load_recorded(reference: str, spec: ClassifierSpec | None = None) -> Classifier:
    """The classifier that a run names, if opening it runs no code of the run's author: a file or a folder.

    Raises:
        ClassifierError: it is ``package.module:callable``, which is imported only for whoever gives it himself; or
            it is not there, or damaged.
    """
    adapter = adapter_of(reference) or ADAPTERS.get(_BY_SUFFIX.get(Path(reference).suffix.lower(), ""))
    if "\0" not in reference and os.path.exists(reference) and (adapter is None or adapter.recorded):
        return load_classifier(Path(reference), spec)
    if adapter is not None:
        if adapter.recorded and "\0" not in reference and os.path.exists(reference.split(":", 1)[1]):
            return load_classifier(reference, spec)
        raise ClassifierError(
            f"the run was trained with the classifier {reference!r}, and nobody is called, nor another library's file "
            f"opened, because a run names it: give it again, {option('classifier', reference)}"
        )
    if is_import(reference):
        raise ClassifierError(
            f"the run was trained with the classifier {reference!r}, which is Python code, and no code is imported "
            f"because a run names it: give it again, {option('classifier', reference)}, if you trust it"
        )
    where = "" if os.path.isabs(reference) else f", seen from {os.getcwd()},"
    raise ClassifierError(
        f"the run was trained with the classifier {reference!r}, which{where} is not there: say where it is now, "
        f"with {option('classifier')}"
    )


def adapter_of(reference: str) -> Adapter | None:
    """The row of a reference's kind; None: it is of none of these kinds."""
    kind, colon, _ = reference.partition(":")
    return ADAPTERS.get(kind) if colon else None


def is_import(reference: str) -> bool:
    """Whether a text has the form ``package.module:callable``."""
    module, colon, attribute = reference.partition(":")
    return bool(colon) and all(part.isidentifier() for part in f"{module}.{attribute}".split("."))


def describe(reference: Reference) -> str:
    """A stable name of a reference for the snapshot: the text itself, or the class of an object."""
    if isinstance(reference, str | os.PathLike):
        return os.fspath(reference)
    thing: Any = reference.model if isinstance(reference, Classifier) else reference
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{named.__qualname__}"


def _wrapped(given: Any, spec: ClassifierSpec | None, name: str) -> Classifier:
    """A Classifier around what was given: a Classifier, a (module, spec) pair, a module or another callable."""
    if isinstance(given, tuple) and len(given) == 2:
        given, own = given
        spec = spec or _read_spec(own, name)
    if isinstance(given, BlackBox):
        return Classifier(given, given.spec)
    if isinstance(given, Classifier):
        return given if spec is None or spec == given.spec else Classifier(given.model, spec)
    if not callable(given):
        raise ClassifierError(
            f"{name} gave {type(given).__name__}; expected a torch module, a Classifier or (module, ClassifierSpec)"
        )
    if spec is None and getattr(given, "spec", None) is not None:
        spec = _read_spec(given.spec, name)
    if spec is None:
        raise ClassifierError(
            f"{name} comes without a spec; give ClassifierSpec(labels=..., input_size=..., channels=..., mean=..., "
            "std=..., output=...), as an argument, as the module's attribute 'spec', or return (module, spec)"
        )
    return Classifier(given, spec)


def _read_spec(given: Any, name: str) -> ClassifierSpec:
    if isinstance(given, ClassifierSpec):
        return given
    if isinstance(given, Mapping):
        return ClassifierSpec.from_json(given)
    raise ClassifierError(
        f"{name}: the spec must be a ClassifierSpec or a dict of its fields, got {type(given).__name__}"
    )


def _from_import(reference: str, spec: ClassifierSpec | None) -> Classifier:
    module_name, _, attribute = reference.partition(":")
    if not is_import(reference):
        raise ClassifierError(f"cannot read the classifier reference {reference!r}; {_FORMS}")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        thing: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(error.name + ".")):
            raise ClassifierError(
                f"no module {error.name!r} for the classifier {reference!r}; it must be installed, or lie under {here}"
            ) from error
        raise ClassifierError(f"importing {module_name!r} failed: {reason(error)}; install what it needs") from error
    except (Exception, SystemExit) as error:
        raise ClassifierError(f"importing {module_name!r} for the classifier failed: {reason(error)}") from error
    for name in attribute.split("."):
        try:
            thing = getattr(thing, name)
        except AttributeError as error:
            public = ", ".join(sorted(key for key in dir(thing) if not key.startswith("_"))[:8]) or "nothing"
            raise ClassifierError(f"{module_name!r} has no {name!r} for the classifier; it has {public}") from error
        except Exception as error:  # a package that imports its parts when they are asked for
            raise ClassifierError(f"importing {reference!r} for the classifier failed: {reason(error)}") from error
    if not isinstance(thing, nn.Module | tuple):
        if not callable(thing):
            raise ClassifierError(
                f"{reference!r} is {type(thing).__name__}, not a callable that returns the classifier"
            )
        try:
            thing = thing()
        except ClassifierError:
            raise
        except (Exception, SystemExit) as error:
            raise ClassifierError(f"calling {reference!r} (without arguments) failed: {reason(error)}") from error
    return _wrapped(thing, spec, repr(reference))


def _from_adapter(text: str, adapter: Adapter, spec: ClassifierSpec | None) -> Classifier:
    given = Named.parse(text, text.partition(":")[2], adapter.options)
    if adapter.described and spec is None:
        path = Path(given.name)
        if not path.is_file():
            raise ClassifierError(f"no classifier at {given.name!r}: no such file under {os.getcwd()}")
        spec = _sidecar(path)
    load = importlib.import_module(f"stylex.classifiers.{adapter.module}").load
    return Classifier(*load(given, spec))


def _from_file(path: Path, spec: ClassifierSpec | None) -> Classifier:
    suffix = path.suffix.lower()
    if suffix in _BY_SUFFIX:
        return _from_adapter(f"{_BY_SUFFIX[suffix]}:{path}", ADAPTERS[_BY_SUFFIX[suffix]], spec)
    if suffix not in (".pt2", *_TORCHSCRIPT):
        reason = _OTHER_PROGRAMS.get(suffix, "weights alone are no program")
        raise ClassifierError(f"cannot load a classifier from {path}: {reason}; {_FORMS}")
    spec = spec or _sidecar(path)
    if suffix == ".pt2":
        return Classifier(load_exported(path), spec)
    return Classifier(load_torchscript(path, channels=spec.channels, size=spec.input_size), spec)


def _sidecar(path: Path) -> ClassifierSpec:
    beside = path.with_name(path.name + ".json")
    if not beside.exists():
        raise ClassifierError(
            f"{path} comes without a spec; write {beside.name} beside it, with labels, input_size, channels, mean, std "
            "and output"
        )
    return read_spec(beside)


def read_spec(path: Path) -> ClassifierSpec:
    """Read a spec from a JSON file.

    Raises:
        ClassifierError: the file cannot be read, or is not a spec.
    """
    try:
        given = parse_json(read_whole(path, largest=2**24))
    except (OSError, ValueError) as error:
        raise ClassifierError(f"the spec {path} cannot be read: {reason(error)}") from error
    try:
        return ClassifierSpec.from_json(given)
    except ClassifierError as error:
        raise ClassifierError(f"{path}: {error}") from error
