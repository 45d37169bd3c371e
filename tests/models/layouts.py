"""Checkpoints as other programs write them, made of our networks' weights: the same names, opcodes and nesting."""

from __future__ import annotations

import io
import pickle
import re
import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from stylex.models.discriminator import Discriminator
from stylex.models.generator import Generator
from stylex.models.ops import FIR


def ada_state(network: Generator | Discriminator) -> dict[str, Tensor]:
    """A network's weights by the names of stylegan2-ada-pytorch."""
    top = network.config.resolution
    state = {}
    for name, value in network.state_dict().items():
        name = re.sub(r"^mapping\.fc\.(\d+)", r"mapping.fc\1", name)
        name = re.sub(r"^synthesis\.const$", "synthesis.b4.const", name)
        name = re.sub(r"^synthesis\.layers\.b(\d+)_", r"synthesis.b\1.", name)
        name = re.sub(r"^trunk\.fromrgb", f"b{top}.fromrgb", name)
        name = re.sub(r"^trunk\.blocks\.(\d+)", lambda m: f"b{top >> int(m[1])}", name)
        name = re.sub(r"^(conv|fc|out)\.", r"b4.\1.", name)
        state[name] = value.clone()
    taps = torch.tensor(FIR)
    prefix = "synthesis." if isinstance(network, Generator) else ""
    state |= {
        f"{prefix}b{4 << i}.resample_filter": torch.outer(taps, taps) for i in range(1, len(network.config.widths))
    }
    return state


class Persistent:
    """An object that is kept with the source of its class."""

    def __init__(self, state: Mapping[str, Any], kind: str) -> None:
        self.meta = {
            "type": "class",
            "version": 6,
            "module_src": f"raise SystemExit('the source of {kind} was run')",
            "class_name": kind,
            "state": dict(state),
        }

    def __reduce__(self) -> Any:
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (self.meta,)


def ada_network(state: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> Persistent:
    """A network as that program keeps it: modules in modules, each with its parameters, buffers and numbers."""
    own: dict[str, Any] = {"training": False, "_parameters": OrderedDict(), "_buffers": OrderedDict()}
    own |= {"_modules": OrderedDict(), "_non_persistent_buffers_set": set(), "_init_args": (), "activation": "lrelu"}
    own |= {name: value for name, value in numbers.items() if "." not in name}
    for name, value in state.items():
        if "." not in name:
            is_buffer = name in ("w_avg", "resample_filter", "noise_const")
            group = own["_buffers" if is_buffer else "_parameters"]
            group[name] = value if is_buffer else nn.Parameter(value)
    for part in dict.fromkeys(name.split(".")[0] for name in state if "." in name):
        inner, said = (
            {name.removeprefix(f"{part}."): v for name, v in given.items() if name.startswith(f"{part}.")}
            for given in (state, numbers)
        )
        own["_modules"][part] = ada_network(inner, said)
    return Persistent(own, "Layer")


def ada_pickle(whole: Mapping[str, Any]) -> bytes:
    """The file's bytes."""
    with _modules_of_ada() as easy:
        return pickle.dumps({**whole, "training_set_kwargs": easy(path="a.zip", max_size=7)}, protocol=4)


def ada_checkpoint(generator: Generator, discriminator: Discriminator) -> bytes:
    """A checkpoint of stylegan2-ada-pytorch."""
    gains = {f"mapping.fc{i}.bias_gain": 0.01 for i in range(generator.config.mapping_layers)}
    g = ada_network(ada_state(generator), gains)
    d = ada_network(ada_state(discriminator), {"b4.conv.up": 1})
    return ada_pickle({"G": g, "D": d, "G_ema": g, "augment_pipe": None})


@contextmanager
def _modules_of_ada() -> Iterator[type]:
    """For the pickler, which looks its names up: the modules that the program has."""

    class EasyDict(dict):  # type: ignore[type-arg]
        pass

    def _reconstruct_persistent_obj(meta: Any) -> None:
        raise AssertionError("a pickle was run")

    persistence, util = ModuleType("torch_utils.persistence"), ModuleType("dnnlib.util")
    for module, thing in ((persistence, _reconstruct_persistent_obj), (util, EasyDict)):
        thing.__module__, thing.__qualname__ = module.__name__, thing.__name__
        setattr(module, thing.__name__, thing)
    modules = {m.__name__: m for m in (persistence, util, ModuleType("torch_utils"), ModuleType("dnnlib"))}
    sys.modules.update(modules)
    try:
        yield EasyDict
    finally:
        for name in modules:
            sys.modules.pop(name)


def legacy(value: Any) -> bytes:
    """What ``torch.save`` wrote before it wrote zips."""
    buffer = io.BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def zipped(value: Any) -> bytes:
    """What ``torch.save`` writes."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()
