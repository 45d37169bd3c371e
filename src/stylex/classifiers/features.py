"""Feature maps of an arbitrary classifier, tapped without naming layers, and the perceptual distance on them."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, fx, nn

STAGES = 4
"""At most so many feature maps are tapped."""


def perceptual_distance(
    a: Sequence[Float[Tensor, "n ..."]], b: Sequence[Float[Tensor, "n ..."]]
) -> Float[Tensor, " n"]:
    """Distance of two images as the classifier's feature maps see them, one number an image.

    Every position's channels are scaled to unit length; squared differences are summed over channels,
    averaged over positions and over the stages. Symmetric, 0 for equal maps, at most 4.

    Args:
        a, b: the stages of each image, as ``Classifier.features`` gives them; at least one.

    Source: LPIPS (Zhang et al. 2018) without its learned weights.
    """
    assert len(a) == len(b) > 0, "a distance needs at least one stage of features, the same for both"
    stages = [_stage_distance(p.float(), q.float()) for p, q in zip(a, b, strict=True)]
    return torch.stack(stages).mean(dim=0)


def _stage_distance(a: Tensor, b: Tensor) -> Tensor:
    """Mean over positions of the squared difference of channels scaled to unit length, ``[n]``.

    The difference is multiplied out, so that no scaled copy of a map is ever made (a third of the time). Where
    nearly nothing fires, channels stay short instead of becoming unit noise: the floor under a position's square
    is a hundredth of its image's mean.
    """
    aa, bb, ab = (a * a).sum(dim=1), (b * b).sum(dim=1), (a * b).sum(dim=1)
    scale_a, scale_b = (
        (square + 1e-2 * square.detach().flatten(1).mean(dim=1).view(-1, 1, 1) + 1e-12).rsqrt() for square in (aa, bb)
    )
    difference = aa * scale_a * scale_a + bb * scale_b * scale_b - 2 * ab * scale_a * scale_b
    return difference.clamp(min=0).flatten(1).mean(dim=1)


Tap = Callable[[Tensor], tuple[Any, list[Tensor]]]
"""Runs a model on a prepared batch and hands back its output together with the tapped maps."""


def tap_for(model: Callable[[Tensor], Any], x: Tensor) -> Tap:
    """Find the stages of a model with one pass over ``x``, and return the way to tap them.

    Module trees are tapped by forward hooks (which live only during a call), exported programs by an
    interpreter of their graph. TorchScript and plain callables give no maps.
    """
    with torch.no_grad():
        if isinstance(model, torch.jit.ScriptModule) or not isinstance(model, nn.Module):
            return _Untapped(model)
        if isinstance(model, fx.GraphModule) and not any(_is_convolution(m) for m in model.modules()):
            interpreter = _Interpreter(model, None)
            interpreter.run(x)
            nodes = _choose(interpreter.found, x.shape[-1])
            return _GraphTap(model, nodes) if nodes else _Untapped(model)
        modules = _discover_modules(model, x)
        return _ModuleTap(model, modules) if modules else _Untapped(model)


class _Found(NamedTuple):
    """An output that was seen during discovery."""

    key: Any
    shape: tuple[int, ...]
    convolution: bool
    token_block: bool = False


def _choose(found: Sequence[_Found], size: int) -> list[Any]:
    """The last square map of every octave below the image's size, largest first; else tokens of blocks.

    Maps before the first convolution do not count. Octaves, not sizes: paddings make 114, 113 and 112 px of one stage.
    """
    first = next((i for i, f in enumerate(found) if f.convolution), len(found))
    by_octave: dict[int, Any] = {}
    for f in found[first:]:
        # Only square maps: an image is square here, so anything else is not n c h w. Never 1x1: that is a label.
        if len(f.shape) == 4 and f.shape[2] == f.shape[3] > 1:
            by_octave[round(math.log2(size / f.shape[2]))] = f.key
    maps = [by_octave[octave] for octave in sorted(by_octave)][:STAGES]
    blocks = [f.key for f in found if f.token_block and len(f.shape) == 3 and f.shape[1] > 1]
    if len(maps) > 1 or not blocks:
        return maps
    # A transformer: its patch embedding is the only map; its blocks, evenly chosen, are the stages.
    picks = sorted({round((i + 1) * len(blocks) / STAGES) - 1 for i in range(STAGES)} - {-1})
    return [blocks[i] for i in picks]


class _Untapped:
    def __init__(self, model: Callable[[Tensor], Any]) -> None:
        self.model = model

    def __call__(self, x: Tensor) -> tuple[Any, list[Tensor]]:
        return self.model(x), []


class _ModuleTap:
    def __init__(self, model: nn.Module, modules: Sequence[nn.Module]) -> None:
        self.model, self.modules = model, tuple(modules)

    def __call__(self, x: Tensor) -> tuple[Any, list[Tensor]]:
        taken: dict[int, Tensor] = {}

        def keep(module: nn.Module, args: Any, output: Any) -> None:
            tensor = _tensor_of(output)
            if tensor is not None:
                taken[id(module)] = tensor

        with _hooked(self.modules, keep):
            output = self.model(x)
        return output, [_as_map(taken[id(m)]) for m in self.modules if id(m) in taken]


def _discover_modules(model: nn.Module, x: Tensor) -> list[nn.Module]:
    in_list = {id(child) for m in model.modules() if isinstance(m, nn.ModuleList | nn.Sequential) for child in m}
    watched = [m for m in model.modules() if _is_convolution(m) or id(m) in in_list or next(m.children(), None) is None]
    seen: dict[int, _Found] = {}

    def note(module: nn.Module, args: Any, output: Any) -> None:
        tensor = _tensor_of(output)
        if tensor is None:
            return
        leaf = _is_convolution(module) or next(module.children(), None) is None
        if tensor.dim() == 4 and not leaf:
            return
        block = tensor.dim() == 3 and not leaf and id(module) in in_list
        seen.pop(id(module), None)  # a module called twice counts where it was called last
        seen[id(module)] = _Found(module, tuple(tensor.shape), _is_convolution(module), block)

    with _hooked(watched, note):
        model(x)
    return _choose(list(seen.values()), x.shape[-1])


@contextmanager
def _hooked(modules: Sequence[nn.Module], hook: Callable[[nn.Module, Any, Any], None]) -> Iterator[None]:
    """Forward hooks for the time of a call, which hear what this thread runs and nobody else; always removed."""
    own = threading.get_ident()

    def heard(module: nn.Module, args: Any, output: Any) -> None:
        if threading.get_ident() == own:
            hook(module, args, output)

    handles = [module.register_forward_hook(heard) for module in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Interpreter(fx.Interpreter):
    """Runs a graph and keeps the outputs of some of its nodes (None: notes the shapes of all)."""

    def __init__(self, module: fx.GraphModule, keep: Sequence[fx.Node] | None) -> None:
        super().__init__(module)
        self.keep = None if keep is None else frozenset(keep)
        self.kept: dict[fx.Node, Tensor] = {}
        self.found: list[_Found] = []

    def run_node(self, n: fx.Node) -> Any:
        output = super().run_node(n)
        if self.keep is None:
            if n.op == "call_function" and isinstance(output, Tensor):
                self.found.append(_Found(n, tuple(output.shape), "conv" in str(n.target)))
        elif n in self.keep:
            self.kept[n] = output
        return output


class _GraphTap:
    def __init__(self, model: fx.GraphModule, nodes: Sequence[fx.Node]) -> None:
        self.model, self.nodes = model, tuple(nodes)

    def __call__(self, x: Tensor) -> tuple[Any, list[Tensor]]:
        interpreter = _Interpreter(self.model, self.nodes)
        output = interpreter.run(x)
        return output, [interpreter.kept[node] for node in self.nodes]


def _is_convolution(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d | nn.ConvTranspose2d)


def _tensor_of(output: Any) -> Tensor | None:
    if isinstance(output, tuple) and output:
        output = output[0]
    return output if isinstance(output, Tensor) else None


def _as_map(feature: Tensor) -> Tensor:
    """Tokens ``n t d`` as a map ``n d t 1``; maps as they are."""
    return feature.transpose(1, 2).unsqueeze(3) if feature.dim() == 3 else feature
