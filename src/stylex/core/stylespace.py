"""StyleSpace: the layout of the style vector ``s``, and what was observed of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

StyleKind = Literal["conv", "torgb", "map", "direction"]
_ORDER = get_args(StyleKind)


@dataclass(frozen=True, kw_only=True)
class StyleLayer:
    """One affine layer's outputs: ``channels`` style values that scale the input of one convolution.

    Of kind ``map``: an image's own noise input of one convolution, ``resolution`` ** 2 pixels row by row.
    Of kind ``direction``: places along ``channels`` directions in w, which act on all resolutions (written 0).
    """

    name: str
    kind: StyleKind
    resolution: int
    channels: int


@dataclass(frozen=True, order=True)
class StyleCoordinate:
    """One style value, by layer and channel. Prints and parses as ``b16.conv0:7``."""

    layer: str
    channel: int

    def __str__(self) -> str:
        return f"{self.layer}:{self.channel}"

    @classmethod
    def parse(cls, text: str) -> StyleCoordinate:
        """Read ``layer:channel``.

        Raises:
            ValueError: the text is not of that form.
        """
        match = re.fullmatch(r"([A-Za-z0-9_.]+):(\d+)", text)
        if match is None:
            raise ValueError(f"expected a style coordinate like 'b16.conv0:7', got {text!r}")
        return cls(match[1], int(match[2]))


@dataclass(frozen=True, eq=False)
class StyleStatistics:
    """What a set of images showed of every style value; arrays ``[s_dim]``, float32."""

    minimum: NDArray[np.float32]
    maximum: NDArray[np.float32]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]

    @classmethod
    def observe(cls, *parts: NDArray[np.float32]) -> StyleStatistics:
        """Take the statistics over the rows of ``s`` ``[n, s_dim]``; of parts of it side by side, each over its own."""
        return cls(
            np.concatenate([s.min(axis=0) for s in parts]),
            np.concatenate([s.max(axis=0) for s in parts]),
            np.concatenate([s.mean(axis=0, dtype=np.float64) for s in parts]).astype(np.float32),
            np.concatenate([s.std(axis=0, dtype=np.float64) for s in parts]).astype(np.float32),
        )


class StyleSpace:
    """The layout of ``s``: all convolution layers in synthesis order, then all ToRGB layers, then maps and directions.

    The convolutions' part is the published search space (``conv_dim`` values); ToRGB styles follow it,
    so that they can be searched by option without changing any index. Maps say where things lie in the image and travel
    with it; they are never searched. A space with directions is searched along those of its first layer of them;
    further ones are there for comparison.
    """

    def __init__(self, layers: Sequence[StyleLayer], statistics: StyleStatistics | None = None) -> None:
        kinds = [layer.kind for layer in layers]
        assert kinds == sorted(kinds, key=_ORDER.index), (
            "convolutions come before ToRGB layers, then maps, then directions"
        )
        self.layers = tuple(layers)
        self.statistics = statistics
        if statistics is not None:
            assert statistics.minimum.shape == (self.s_dim,)

    @cached_property
    def offsets(self) -> dict[str, int]:
        """Where each layer begins in ``s``."""
        out, position = {}, 0
        for layer in self.layers:
            out[layer.name] = position
            position += layer.channels
        return out

    @cached_property
    def s_dim(self) -> int:
        """The length of ``s``, with all that is in it."""
        return sum(layer.channels for layer in self.layers)

    @cached_property
    def conv_dim(self) -> int:
        """The length of the convolutions' part of ``s``."""
        return sum(layer.channels for layer in self.layers if layer.kind == "conv")

    @cached_property
    def style_dim(self) -> int:
        """The length of the styles' part of ``s``: convolutions and ToRGB, without maps and directions."""
        return self.conv_dim + sum(layer.channels for layer in self.layers if layer.kind == "torgb")

    @cached_property
    def maps(self) -> slice:
        """Where the maps lie in ``s``; empty where there are none."""
        length = sum(layer.channels for layer in self.layers if layer.kind == "map")
        return slice(self.style_dim, self.style_dim + length)

    def layer(self, name: str) -> StyleLayer:
        """The layer of that name; KeyError if there is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)

    def slice(self, name: str) -> slice:
        """Where the layer lies in ``s``."""
        start = self.offsets[name]
        return slice(start, start + self.layer(name).channels)

    def index(self, coordinate: StyleCoordinate) -> int:
        """The flat index of a coordinate; KeyError if the layout has no such coordinate."""
        if not 0 <= coordinate.channel < self.layer(coordinate.layer).channels:
            raise KeyError(str(coordinate))
        return self.offsets[coordinate.layer] + coordinate.channel

    def coordinate(self, index: int) -> StyleCoordinate:
        """The coordinate at a flat index; IndexError outside ``s``."""
        if not 0 <= index < self.s_dim:
            raise IndexError(index)
        for layer in reversed(self.layers):
            start = self.offsets[layer.name]
            if index >= start:
                return StyleCoordinate(layer.name, index - start)
        raise AssertionError("unreachable: offsets begin at 0")

    def indices(self, *, include_torgb: bool) -> NDArray[np.int64]:
        """The flat indices to search."""
        directions = [layer for layer in self.layers if layer.kind == "direction"]
        if directions:
            searched = self.slice(directions[0].name)
            return np.arange(searched.start, searched.stop)
        return np.arange(self.style_dim if include_torgb else self.conv_dim)

    def control(self, *, include_torgb: bool) -> NDArray[np.int64]:
        """The flat indices to compare with: the same coordinates, or the directions that are there for comparison."""
        directions = [layer for layer in self.layers if layer.kind == "direction"]
        if len(directions) < 2:
            return self.indices(include_torgb=include_torgb)
        return np.arange(self.offsets[directions[1].name], self.s_dim)

    def observed(self, statistics: StyleStatistics) -> StyleSpace:
        """The same layout with these observations."""
        return StyleSpace(self.layers, statistics)

    def to_json(self) -> list[dict[str, Any]]:
        """The layout (without observations) as plain JSON."""
        return [
            {"name": x.name, "kind": x.kind, "resolution": x.resolution, "channels": x.channels} for x in self.layers
        ]

    @classmethod
    def from_json(cls, rows: Sequence[Mapping[str, Any]]) -> StyleSpace:
        """Read what ``to_json`` wrote."""
        return cls([StyleLayer(**row) for row in rows])
