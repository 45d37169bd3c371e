"""Features: what an extractor saw in a set of images, and which extractor it was."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from numpy import ndarray

from stylex.core.errors import EvaluationError


@dataclass(frozen=True, eq=False, kw_only=True)
class Features:
    """One row of numbers for each image.

    Attributes:
        values: ``[n, d]``.
        extractor: the name of what made them: two sets compare only under one name.
    """

    values: Float[ndarray, "n d"]
    extractor: str

    def __len__(self) -> int:
        return len(self.values)

    def at(self, rows: Int[ndarray, " m"]) -> Features:
        """Those of some images."""
        return Features(values=self.values[rows], extractor=self.extractor)


def one_extractor(a: Features, b: Features) -> str:
    """The extractor of both.

    Raises:
        EvaluationError: there are two: distances under different extractors mean different things.
    """
    if a.extractor != b.extractor or a.values.shape[1] != b.values.shape[1]:
        raise EvaluationError(
            f"features by {a.extractor} ({a.values.shape[1]} numbers) are not compared with features by "
            f"{b.extractor} ({b.values.shape[1]}); use one extractor for both"
        )
    return a.extractor
