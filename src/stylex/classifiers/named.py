"""What the adapters share: a reference with its options, a package that may be missing, weights and names in files.

A reference is ``KIND:NAME`` with options behind it, ``timm:resnet18,checkpoint=mine.safetensors``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from stylex.classifiers.spec import ClassifierSpec
from stylex.core.errors import ClassifierError
from stylex.core.files import read_whole
from stylex.core.reference import package as optional
from stylex.core.reference import reason, with_options
from stylex.core.untrusted import parse_json
from stylex.core.wording import option

_LARGEST_NAMES = 2**24


@dataclass(frozen=True, kw_only=True)
class Named:
    """A classifier by name.

    Attributes:
        text: the whole reference.
        name: what stands behind its kind, without options.
        options: by name.
    """

    text: str
    name: str
    options: Mapping[str, str]

    @classmethod
    def parse(cls, text: str, rest: str, known: Collection[str]) -> Named:
        """Read a reference, of which ``rest`` stands behind its kind.

        Raises:
            ClassifierError: no name, or an option that is not ``known`` or is given twice.
        """
        name, options = with_options(rest, known, "this kind of classifier", ClassifierError)
        if not name:
            raise ClassifierError(f"{text[:200]!r} names no classifier; say which behind the colon")
        return cls(text=text, name=name, options=options)


def package(name: str, extra: str) -> Any:
    """An optional package, imported.

    Args:
        name: of the package or of a module in it.
        extra: of stylex that brings it.

    Raises:
        ClassifierError: it is not installed, or cannot be imported.
    """
    return optional(name, extra, "this classifier", ClassifierError)


def read_weights(path: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        ClassifierError: it is another kind of file, is not there, or is damaged.
    """
    if Path(path).suffix.lower() != ".safetensors":
        raise ClassifierError(
            f"checkpoint is {path}; expected a .safetensors file, since other checkpoints are pickled and opening them "
            "runs code: save the weights with safetensors.torch.save_file(model.state_dict(), 'file.safetensors')"
        )
    from safetensors.torch import load

    try:
        return load(read_whole(Path(path)))
    except Exception as error:  # the reader has errors of its own
        raise ClassifierError(
            f"the checkpoint {path} cannot be read: {reason(error)}; copy or save it again"
        ) from error


def outputs_in(weights: Mapping[str, Tensor], model: nn.Module, now: int, path: str) -> int:
    """How many outputs a checkpoint's last layer has; ``model`` is the same network with ``now`` outputs.

    Raises:
        ClassifierError: it has no such layer.
    """
    last = [name for name, value in model.state_dict().items() if value.dim() and len(value) == now]
    found = weights.get(last[-1]) if last else None
    if found is None or not found.dim():
        raise ClassifierError(
            f"the checkpoint {path} holds weights of another network: it has no {last[-1] if last else 'last layer'!r} "
            f"but {', '.join(list(weights)[:3])}, ...; name the network that it was trained as"
        )
    return len(found)


def fill(model: nn.Module, weights: Mapping[str, Tensor], path: str) -> None:
    """Put weights into a network, all of them.

    Raises:
        ClassifierError: some are missing, left over, or of other shapes.
    """
    own = model.state_dict()
    wrong = [f"{name} is missing" for name in own if name not in weights]
    wrong += [f"{name} is not in the network" for name in weights if name not in own]
    wrong += [
        f"{name} is {list(weights[name].shape)}, the network has {list(value.shape)}"
        for name, value in own.items()
        if name in weights and weights[name].shape != value.shape
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ClassifierError(
            f"the weights of {path} do not fit the network: {'; '.join(wrong[:3])}{more}; name the network that they "
            "were trained as"
        )
    with torch.no_grad():
        model.load_state_dict(dict(weights))


def names_from(path: str) -> tuple[str, ...]:
    """Labels out of a file: a JSON list, or one a line.

    Raises:
        ClassifierError: it cannot be read, or holds something else.
    """
    try:
        content = read_whole(Path(path), largest=_LARGEST_NAMES)
        found = parse_json(content) if path.lower().endswith(".json") else content.decode().split("\n")
    except (OSError, ValueError) as error:
        raise ClassifierError(f"the labels {path} cannot be read: {reason(error)}") from error
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise ClassifierError(f"the labels {path} are no list of names; give a JSON list, or one name a line")
    return tuple(name.strip() for name in found if name.strip())


def labels_for(given: Named, spec: ClassifierSpec | None, outputs: int, own: Sequence[str] | None) -> tuple[str, ...]:
    """The names of a network's outputs: the spec's, those of the option ``labels``, or its own.

    Raises:
        ClassifierError: there are none, or another number of them.
    """
    if spec is not None:
        names: Sequence[str] | None = spec.labels
    elif "labels" in given.options:
        names = names_from(given.options["labels"])
    else:
        names = own
    if names is None:
        raise ClassifierError(
            f"{given.text} has {outputs} outputs and no names for them; add ,labels=FILE (one name a line, or a JSON "
            f"list), or give {option('classifier_spec')}"
        )
    single = spec is not None and spec.output in ("single-logit", "probabilities") and len(names) == 2
    if len(names) != outputs and not (single and outputs == 1):
        raise ClassifierError(
            f"{given.text} has {outputs} outputs, but {len(names)} labels were given ({', '.join(names[:5])}); give "
            "one for each output, in their order"
        )
    return distinct(names)


def layout_of(shape: Sequence[int | None], spec: ClassifierSpec) -> Literal["first", "last"] | None:
    """Where a program's input of four sides (None: any) has its channels; None: it is not what the spec says."""
    size, channels = spec.input_size, spec.channels
    layouts: dict[Literal["first", "last"], tuple[int, ...]] = {
        "first": (channels, size, size),
        "last": (size, size, channels),
    }
    for name, layout in layouts.items():
        if len(shape) == 4 and all(a in (None, b) for a, b in zip(shape[1:], layout, strict=True)):
            return name
    return None


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Names that differ from each other: ImageNet has two cranes."""
    count = Counter(names)
    return tuple(f"{name} ({i})" if count[name] > 1 else name for i, name in enumerate(names))
