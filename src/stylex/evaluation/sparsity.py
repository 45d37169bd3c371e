"""How local is each change?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stylex.evaluation.sheet import Sheet
from stylex.metrics.interval import mean_interval
from stylex.metrics.locality import area, overlap


def measure(sheet: Sheet) -> None:
    """How many pixels hold a change, and how far changes by two attributes lie in the same place."""
    before, after = sheet.before(), sheet.after()
    areas = np.stack([area(before, changed) for changed in after])
    for i, values in enumerate(areas):
        measured = mean_interval(values, seed=sheet.options.seed)
        sheet.attributes[i] = replace(sheet.attributes[i], area=measured)
    known = np.isfinite(areas).any(axis=0)
    sheet.add(
        "sparsity.area",
        mean_interval(np.nanmean(areas[:, known], axis=0), seed=sheet.options.seed),
        images=int(known.sum()),
        note="fraction of the pixels that hold 90% of the squared difference",
    )
    if len(after) > 1:
        table = overlap(before, after)[~np.eye(len(after), dtype=bool)]
        sheet.add(
            "sparsity.overlap",
            float(np.nanmean(table)) if np.isfinite(table).any() else float("nan"),
            images=len(before),
            note="of two attributes' places, on average: 0 apart, 1 the same",
        )
