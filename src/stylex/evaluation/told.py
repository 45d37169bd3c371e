"""How near the numbers are that a regression tells of two sets of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from stylex.evaluation.sheet import Sheet
from stylex.metrics.interval import bootstrap

_WHAT = {
    "correlation": "Pearson's, with the number told of the photograph",
    "r2": "fraction of the variance that is told right: 1 less the squared error over it; below 0: worse than the mean",
}
_CHANCE = "the same with another image's picture: what passes by accident"


def compare_numbers(
    sheet: Sheet, part: str, told: Float[Tensor, "n k"], beside: Mapping[str, Float[Tensor, "n k"]]
) -> None:
    """Correlation, R2 and mean absolute difference, in the unit, of the number that is asked for.

    Args:
        sheet: to write on, as ``part.correlation``, ``part.r2`` and ``part.answer_error``.
        part: of the evaluation.
        told: logits of the photographs.
        beside: logits of other pictures, by what is added to the names; ``_other`` are other images' pictures.
    """
    numbers = sheet.numbers
    assert numbers is not None
    own, scale = told[:, numbers.asked].double().cpu().numpy(), numbers.scale[numbers.asked]
    for end, logits in beside.items():
        other = logits[:, numbers.asked].double().cpu().numpy()
        for kind, of in (("correlation", correlation), ("r2", _r2)):
            note = _CHANCE if end.endswith("_other") else _WHAT[kind]
            value = bootstrap(partial(of, own, other), len(own), seed=sheet.options.seed)
            sheet.add(f"{part}.{kind}{end}", value, images=len(own), note=note)
        note = _CHANCE if end.endswith("_other") else f"mean difference of {numbers.names[numbers.asked]}"
        unit = f", in {numbers.unit}" if numbers.unit else ""
        sheet.add(
            f"{part}.answer_error{end}", sheet.mean(np.abs(own - other) * scale), images=len(own), note=note + unit
        )


def correlation(a: Float[ndarray, " n"], b: Float[ndarray, " n"], rows: Int[ndarray, " m"]) -> float:
    """Pearson's, over some rows; nan where one of them does not vary."""
    a, b = (values[rows] - values[rows].mean() for values in (a, b))
    length = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / length if length > 0 else float("nan")


def _r2(a: Float[ndarray, " n"], b: Float[ndarray, " n"], rows: Int[ndarray, " m"]) -> float:
    error, variance = float(((a - b)[rows] ** 2).sum()), float(((a[rows] - a[rows].mean()) ** 2).sum())
    return 1 - error / variance if variance > 0 else float("nan")
