"""Directions in w as knobs: a synthesis network whose style vector has extra values, one for each direction.

The extra values stand beside the style values like those of one more layer, so whatever moves style coordinates
(the search, counterfactuals, an editor) moves directions too, and need not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor, nn

from stylex.core.stylespace import StyleLayer, StyleSpace, StyleStatistics
from stylex.models.generator import Basis, Noise, Synthesis, SynthesisState


@dataclass(frozen=True, eq=False, kw_only=True)
class Directions:
    """Directions in w, with how to tell an image's place along each of them.

    Attributes:
        name: of the layer that they make.
        centre: ``[w_dim]``, where all places are 0.
        projection: ``[m, w_dim]``; the place of a latent along a direction is its product with ``w - centre``.
        basis: ``[m, w_dim]``, what is added to w for a step of 1; the diagonal of ``projection @ basis.T`` is 1.
        statistics: observed places; the extremes are those that 99% of the images keep within.
    """

    name: str
    centre: Float[ndarray, " w_dim"]
    projection: Float[ndarray, "m w_dim"]
    basis: Float[ndarray, "m w_dim"]
    statistics: StyleStatistics

    def __len__(self) -> int:
        return len(self.projection)

    @classmethod
    def observed(
        cls,
        name: str,
        w: Float[ndarray, "n w_dim"],
        *,
        projection: Float[ndarray, "m w_dim"],
        basis: Float[ndarray, "m w_dim"],
        centre: Float[ndarray, " w_dim"] | None = None,
    ) -> Directions:
        """Directions with the range that the latents ``w`` cover along them, from a centre: by default their mean."""
        centre = w.mean(axis=0) if centre is None else centre
        places = (w - centre) @ projection.T
        low, high = np.quantile(places, [0.005, 0.995], axis=0)
        columns = (low, high, places.mean(axis=0), places.std(axis=0))
        statistics = StyleStatistics(*(column.astype(np.float32) for column in columns))
        return cls(name=name, centre=centre, projection=projection, basis=basis, statistics=statistics)


class SteeredSynthesis(Synthesis):
    """A synthesis network whose style vectors end in the images' places along directions in w: styles, maps, places.

    The style values before them are what is left without the directions' part, so that the picture follows from both
    together: ``s = rest + places @ styles of the directions``.

    Attributes:
        space: the network's layout, and a layer for each set of directions. Observations of the style values are
            those of the network itself.
    """

    projection: Tensor
    centre: Tensor
    style: Tensor

    def __init__(self, synthesis: Synthesis, space: StyleSpace, directions: Sequence[Directions]) -> None:
        nn.Module.__init__(self)
        assert space.statistics is not None
        self.network = synthesis
        self.c_dim = synthesis.c_dim
        layers = [StyleLayer(name=d.name, kind="direction", resolution=0, channels=len(d)) for d in directions]
        observed = [space.statistics, *(d.statistics for d in directions)]
        names = ("minimum", "maximum", "mean", "std")
        statistics = StyleStatistics(*(np.concatenate([getattr(o, name) for o in observed]) for name in names))
        self.space = StyleSpace([*space.layers, *layers], statistics)
        self.steps = (*(d.name for d in directions), *synthesis.steps)
        self._extra = len(directions)
        self.register_buffer("projection", _tensor([d.projection for d in directions]))
        self.register_buffer("centre", torch.from_numpy(directions[0].centre.astype(np.float32)))
        basis = _tensor([d.basis for d in directions])
        c = torch.zeros(1, self.c_dim) if self.c_dim else None
        zero, some = torch.zeros(1, basis.shape[1]), None if c is None else c.expand(len(basis), -1)
        with torch.no_grad():
            self.register_buffer("style", synthesis.styles(basis, some) - synthesis.styles(zero, c))

    def styles(
        self,
        w: Float[Tensor, "n w_dim"],
        c: Float[Tensor, "n c_dim"] | None = None,
        maps: Float[Tensor, "n m_dim"] | None = None,
    ) -> Float[Tensor, "n s_dim"]:
        """The style vector of latents w and of c, and of an image's maps, with the places along the directions."""
        places = (w.float() - self.centre) @ self.projection.T
        return torch.cat([self.network.styles(w, c, maps) - places @ self.style, places], dim=1)

    def between(
        self,
        s: Float[Tensor, "n s_dim"],
        start: int,
        stop: int,
        *,
        noise: Noise = "const",
        state: SynthesisState | None = None,
    ) -> SynthesisState:
        """As in ``Synthesis``; the directions are its first steps."""
        begun, ended = (max(step - self._extra, 0) for step in (start, stop))
        return self.network.between(self._own(s), begun, ended, noise=noise, state=state if begun else None)

    def prefix(self, s: Float[Tensor, "n s_dim"], *, noise: Noise = "const") -> list[SynthesisState]:
        """As in ``Synthesis``."""
        return [SynthesisState(None, None)] * self._extra + self.network.prefix(self._own(s), noise=noise)

    def basis(
        self, s: Float[Tensor, "n s_dim"], step: int, state: SynthesisState, drawn: Float[Tensor, "n c h w"]
    ) -> Basis:
        """As in ``Synthesis``; a direction moves every layer, so there is nothing to prepare."""
        return Basis(step, s, drawn, None, None)

    def moved(
        self, basis: Basis, image: Int64[Tensor, " j"], index: Int64[Tensor, " j"], value: Float[Tensor, " j"]
    ) -> Float[Tensor, "j c h w"]:
        """As in ``Synthesis``."""
        rows = basis.s.expand(len(image), -1).clone() if len(basis.s) == 1 else basis.s[image]
        rows[torch.arange(len(rows), device=rows.device), index] = value
        drawn: Tensor = self(rows)
        return drawn

    def draw_noise(self, n: int, generator: torch.Generator) -> list[Tensor]:
        """As in ``Synthesis``."""
        return self.network.draw_noise(n, generator)

    def _own(self, s: Tensor) -> Tensor:
        # The network's style vectors; float32, because it is small and everything hangs on it.
        split = s.shape[1] - len(self.style)
        with torch.autocast(s.device.type, enabled=False):
            return torch.addmm(s[:, :split], s[:, split:], self.style)


def _tensor(parts: Sequence[ndarray]) -> Tensor:
    return torch.from_numpy(np.concatenate(parts).astype(np.float32))
