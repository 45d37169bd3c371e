"""What is known of drawn images, told by their names: their causes, and a reader of their factors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from numpy import ndarray

from stylex.core.errors import DataError
from stylex.core.progress import Listener, silent
from stylex.data.images import to_tensor
from stylex.planted.changes import reader_noise
from stylex.planted.families import Family
from stylex.planted.images import Planted
from stylex.planted.readers import FactorReader, ReaderConfig, fit_reader

_DRAWINGS, _EPOCHS, _NOISE = 6000, 6, 200
_READ, _TRIED = 1000, 3000
"""Added to the seed: the reader is fitted to other drawings than those that are explained, and tried on yet others."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Known:
    """Drawn images' making.

    Attributes:
        family: what is drawn, from which factors.
        reader: of the factors.
        noise: what it sees of each factor where that does not change.
    """

    family: Family
    reader: FactorReader
    noise: Float[ndarray, " f"]

    @property
    def causes(self) -> tuple[int, ...]:
        """Positions of the factors that drive the label, the spurious one included."""
        return tuple(self.family.factors.index(name) for name in self.family.causes)


def known_of(names: Sequence[str], resolution: int, *, listener: Listener = silent) -> Known | None:
    """What is known of images with these names; None where they are not called as drawn ones are.

    A reader of their factors is fitted to other drawings first (a minute at 32 px).

    Args:
        names: of the images of an archive that ``write_planted`` wrote.
        resolution: side in pixels.
        listener: hears how the reader is fitted.
    """
    try:
        drawn = Planted.named(list(names)[:1])
    except DataError:
        return None
    # Independent and uniform, so that the reader cannot infer one factor from another, nor guess what is rare.
    kind = "local" if drawn.kind == "local" else "uniform"
    others = Planted.sample(drawn.family.name, range(_DRAWINGS), seed=_READ + drawn.seed, bias=0, kind=kind)
    config = ReaderConfig(epochs=_EPOCHS, seed=drawn.seed)
    x = to_tensor(others.pictures(resolution))
    reader = fit_reader(x, others.factors, others.family.factors, config, listener=listener)
    tried = Planted.sample(drawn.family.name, range(_NOISE), seed=_TRIED + drawn.seed, kind=drawn.kind)
    return Known(family=drawn.family, reader=reader, noise=reader_noise(reader, tried, resolution))
