"""A domain as what is added to a generator's weights: trained as few parameters, folded into plain weights, kept apart.

While an adaptation runs, the chosen weights are reparametrised: the generator's own stay frozen, and what is trained is
added to them. What was added is the *domain vector*. At the end it is folded into the generator's plain weights; kept
apart, it can be scaled, added to others and given to a sibling of the generator.

Source: Alanov et al., StyleDomain, ICCV 2023.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn
from torch.nn.utils import parametrize

from stylex.core.errors import ConfigError, SnapshotError, first_line
from stylex.core.files import read_whole
from stylex.core.untrusted import parse_json
from stylex.core.wording import option
from stylex.models.config import AdaptMethod, GeneratorConfig, config_from_json
from stylex.models.generator import Generator

FORMAT = "stylex-domain"
VERSION = 1
_JSON = "domain.json"
_WEIGHTS = "domain.safetensors"
_RANK = 5
"""Of what affinelight+ adds to each affine layer's weights."""
_LARGEST_BLOCK = 64
"""The block that the published affine+ trains, of generators of 256 px and more."""

_LOW_RANK_SIDE = {"u": 1, "v": 0}
"""Along which side the factors of several products are set beside each other, so that their product is the sum."""

_AFFINE = re.compile(r"synthesis\.layers\.b\d+_\w+\.affine\.(weight|bias)")
_AFFINE_WEIGHT = re.compile(r"synthesis\.layers\.b\d+_\w+\.affine\.weight")
_STYLE = re.compile(r"synthesis\.layers\.b\d+_conv\d\.affine\.bias")
_CONV = re.compile(r"synthesis\.layers\.b(\d+)_\w+\.weight")
_MAPPING = re.compile(r"mapping\..*")
_ALL = re.compile(r".*")


class _Method(NamedTuple):
    """Which parameters get an offset of their own shape or, of affine layers, of low rank; and whether a block does.

    The block's convolutions get one offset for all taps of a kernel.
    """

    own: re.Pattern[str] | None
    low_rank: bool
    block: bool
    said: str


METHODS: Mapping[AdaptMethod, _Method] = {
    "affine+": _Method(_AFFINE, False, True, "the affine layers, and one offset for each kernel of the {} px block"),
    "affinelight+": _Method(
        None, True, True, f"rank {_RANK} of the affine layers' weights, one offset for each kernel of the {{}} px block"
    ),
    "affine": _Method(_AFFINE, False, False, "the affine layers"),
    "stylespace": _Method(_STYLE, False, False, "one vector, added to the style values of the convolutions"),
    "stylespace-sparse": _Method(_STYLE, False, False, "one vector, added to the style values of the convolutions"),
    "full": _Method(_ALL, False, False, "all of it"),
    "mapping": _Method(_MAPPING, False, False, "the mapping network"),
    "synthesis-convs": _Method(_CONV, False, False, "the weights of convolutions and ToRGB layers"),
}


def block_for(resolution: int) -> int:
    """Which block affine+ trains unless it is told: 64 px as published, or a quarter of a smaller image's side."""
    return min(_LARGEST_BLOCK, resolution // 4)


class _Offset(nn.Module):
    """What is added to a weight, zero in the beginning; sides of length 1 stand for all."""

    def __init__(self, shape: Sequence[int], device: torch.device) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(tuple(shape), device=device))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.offset


class _LowRank(nn.Module):
    """A product of two narrow matrices, added to a weight; zero in the beginning, the rows of v of unit length."""

    def __init__(self, shape: Sequence[int], device: torch.device) -> None:
        super().__init__()
        outputs, inputs = shape
        self.u = nn.Parameter(torch.zeros(outputs, _RANK, device=device))
        self.v = nn.Parameter(nn.functional.normalize(torch.randn(_RANK, inputs, device=device), dim=1))

    def forward(self, weight: Tensor) -> Tensor:
        return weight + self.u @ self.v


def reparametrise(generator: Generator, method: AdaptMethod, block: int) -> None:
    """Freeze the generator, and add what the method trains to its weights, as nothing at first.

    Args:
        generator: changed in place.
        method: what is trained.
        block: resolution in pixels of the block that methods with a plus train too.

    Raises:
        ConfigError: the generator has no such block.
    """
    known = [layer.resolution for layer in generator.synthesis.space.layers if layer.kind == "torgb"]
    if METHODS[method].block and block not in known:
        raise ConfigError(
            f"the generator has no block of {block} px for {method}; its blocks are {', '.join(map(str, known))}: "
            f"choose one of them with {option('block')}"
        )
    generator.requires_grad_(False)
    for name, weight in list(generator.named_parameters()):
        if (added := _added(METHODS[method], block, name, weight)) is not None:
            place, _, leaf = name.rpartition(".")
            parametrize.register_parametrization(generator.get_submodule(place), leaf, added)


def _added(method: _Method, block: int, name: str, weight: Tensor) -> nn.Module | None:
    if method.own is not None and method.own.fullmatch(name):
        return _Offset(weight.shape, weight.device)
    if method.low_rank and _AFFINE_WEIGHT.fullmatch(name):
        return _LowRank(weight.shape, weight.device)
    conv = _CONV.fullmatch(name) if method.block else None
    return _Offset((*weight.shape[:2], 1, 1), weight.device) if conv and int(conv[1]) == block else None


def trained_parameters(generator: Generator) -> int:
    """How many numbers a reparametrised generator trains."""
    return sum(weight.numel() for weight in generator.parameters() if weight.requires_grad)


def _additions(generator: Generator) -> Iterator[tuple[str, nn.Module]]:
    """What was added to which weight."""
    for place, module in generator.named_modules():
        for leaf, parts in getattr(module, "parametrizations", {}).items():
            yield f"{place}.{leaf}", parts[0]


@dataclass(frozen=True, eq=False, kw_only=True)
class DomainVector:
    """What is added to a generator's weights to bring it to another domain.

    Attributes:
        generator: the shape of the generator that it is for.
        offsets: by the weight's name, to be added to it, sides of length 1 standing for all; or of low rank, as
            ``NAME.u`` and ``NAME.v``, whose product is added.
        record: JSON of where it comes from: ``method``, ``parent`` (of whose weights it is the difference), ...
    """

    generator: GeneratorConfig
    offsets: Mapping[str, Tensor]
    record: Mapping[str, Any]

    @classmethod
    def of(cls, generator: Generator, record: Mapping[str, Any]) -> DomainVector:
        """What a reparametrised generator has learnt."""
        offsets = {
            name if leaf == "offset" else f"{name}.{leaf}": value.detach().cpu().clone()
            for name, added in _additions(generator)
            for leaf, value in added.named_parameters()
        }
        return cls(generator=generator.config, offsets=offsets, record=record)

    @property
    def size(self) -> int:
        """How many numbers it is, those that are zero not counted."""
        return sum(int(offset.count_nonzero()) for offset in self.offsets.values())

    def pruned(self, keep: float) -> DomainVector:
        """The same with all but this fraction of its numbers, the largest by magnitude, set to zero.

        Not for factors of low rank, whose numbers mean nothing one by one. Source: Alanov et al. 2023, who keep a fifth
        of a StyleSpace vector.
        """
        if keep == 1:
            return self
        together = torch.cat([offset.flatten().abs() for offset in self.offsets.values()])
        kept = torch.zeros_like(together)
        kept[together.argsort(descending=True, stable=True)[: max(1, round(keep * together.numel()))]] = 1
        parts = kept.split([offset.numel() for offset in self.offsets.values()])
        offsets = {
            name: offset * part.view(offset.shape)
            for (name, offset), part in zip(self.offsets.items(), parts, strict=True)
        }
        return dataclasses.replace(self, offsets=offsets)

    def times(self, power: float) -> DomainVector:
        """The same, so many times as strong."""
        scaled = {name: value if name.endswith(".v") else value * power for name, value in self.offsets.items()}
        return dataclasses.replace(self, offsets=scaled)

    def plus(self, other: DomainVector) -> DomainVector:
        """Both together.

        Raises:
            SnapshotError: they are for generators of different shapes.
        """
        if self.generator != other.generator:
            raise SnapshotError("domain vectors of differently shaped generators cannot be added; mix those of one run")
        total = dict(self.offsets)
        for name, value in other.offsets.items():
            side = _LOW_RANK_SIDE.get(name.rpartition(".")[2])
            mine = total.get(name)
            joined = value if mine is None else mine + value if side is None else torch.cat([mine, value], dim=side)
            total[name] = joined
        return dataclasses.replace(self, offsets=total)

    @torch.no_grad()
    def added_to(self, generator: Generator) -> Generator:
        """A generator with the vector in its weights; the one given stays as it is.

        Raises:
            SnapshotError: it is of another shape.
        """
        if generator.config != self.generator:
            raise SnapshotError(
                f"the domain vector is for a generator of {self.generator.resolution} px and widths "
                f"{self.generator.widths}, this one has {generator.config.resolution} px and {generator.config.widths}"
                "; give a run of the same preset and kind of images"
            )
        moved = copy.deepcopy(generator)
        weights = dict(moved.named_parameters())
        for name, value in self.offsets.items():
            weight, leaf = name.rpartition(".")[::2]
            if leaf == "u":
                weights[weight].add_((value @ self.offsets[f"{weight}.v"]).to(weights[weight].device))
            elif leaf != "v":
                weights[name].add_(value.to(weights[name].device))
        return moved

    def files(self) -> dict[str, bytes]:
        """The vector as files, by name."""
        description = {
            "format": FORMAT,
            "version": VERSION,
            "generator": dataclasses.asdict(self.generator),
            "size": self.size,
            **self.record,
        }
        return {
            _JSON: json.dumps(description, indent=1).encode(),
            _WEIGHTS: save_tensors({name: value.contiguous() for name, value in self.offsets.items()}),
        }


_DAMAGE = (OSError, SafetensorError, ValueError, TypeError, KeyError, MemoryError, OverflowError, ConfigError)
"""What the readers raise at files that are not what they should be."""


def is_adapted(folder: Path) -> bool:
    """Whether a domain vector lies in a snapshot's folder."""
    return (folder / _JSON).is_file()


def read_domain(folder: Path) -> DomainVector:
    """Read the domain vector that lies in a snapshot's folder.

    Raises:
        SnapshotError: there is none, or it is damaged, foreign or of another version.
    """
    if not is_adapted(folder):
        raise SnapshotError(f"{folder} holds no domain vector ({_JSON}); give a run that `stylex adapt` wrote")
    try:
        description = parse_json(read_whole(folder / _JSON, largest=2**24))
        if not isinstance(description, dict) or description.get("format") != FORMAT:
            raise ValueError(f"{_JSON} does not describe a domain vector")
        if description.get("version") != VERSION:
            raise ValueError(f"version {description.get('version')}, this stylex reads {VERSION}")
        offsets = load_tensors(read_whole(folder / _WEIGHTS))
        config = config_from_json(GeneratorConfig, dict(description["generator"]))
        _check(offsets, config)
    except _DAMAGE as error:
        raise SnapshotError(
            f"the domain vector in {folder} cannot be read ({first_line(error)[:200]}); copy the snapshot again"
        ) from None
    record = {key: value for key, value in description.items() if key not in ("format", "version", "generator", "size")}
    return DomainVector(generator=config, offsets=offsets, record=record)


def _check(offsets: Mapping[str, Tensor], config: GeneratorConfig) -> None:
    """Raises ValueError where the offsets are not for such a generator."""
    if config.mapping_layers > 64:
        raise ValueError("more mapping layers than any generator has")
    with torch.device("meta"):
        shapes = {name: tuple(weight.shape) for name, weight in Generator(config).named_parameters()}
    for name, value in offsets.items():
        weight, leaf = name.rpartition(".")[::2]
        low_rank = leaf in _LOW_RANK_SIDE
        shape = shapes.get(weight if low_rank else name)
        if shape is None:
            raise ValueError(f"{name[:80]} is no weight of its generator")
        if value.dtype != torch.float32 or not value.isfinite().all():
            raise ValueError(f"{name} is not finite float32")
        if low_rank:
            other = offsets.get(f"{weight}.{'v' if leaf == 'u' else 'u'}")
            side = _LOW_RANK_SIDE[leaf]
            fits = value.dim() == len(shape) == 2 and value.shape[1 - side] == shape[1 - side]
            fits = fits and other is not None and other.dim() == 2 and other.shape[1 - side] == value.shape[side]
        else:
            fits = value.dim() == len(shape) and all(a in (1, b) for a, b in zip(value.shape, shape, strict=True))
        if not fits:
            raise ValueError(f"{name} has shape {list(value.shape)}, its weight {list(shape)}")


@torch.no_grad()
def between(one: Generator, other: Generator, fraction: float) -> Generator:
    """The generator whose weights lie so far on the way from one to another.

    Raises:
        SnapshotError: they are of different shapes.
    """
    if one.config != other.config:
        raise SnapshotError(
            f"a generator of {one.config.resolution} px and widths {one.config.widths} does not turn into one of "
            f"{other.config.resolution} px and widths {other.config.widths}; give a run and what was adapted from it"
        )
    moved, end = copy.deepcopy(one), dict(other.named_parameters())
    for name, weight in moved.named_parameters():
        weight.lerp_(end[name].to(weight.device), fraction)
    return moved
