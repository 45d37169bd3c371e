"""Does the classifier decide on the rebuilt picture for the reason it has on the photograph?"""

from __future__ import annotations

import numpy as np
import torch

from stylex.evaluation.sheet import Sheet
from stylex.metrics.reason import evidence, same_reason


def measure(sheet: Sheet) -> None:
    """Correlation of evidence maps on photograph and rebuilt picture, beside another image's rebuilt picture."""
    if not sheet.pairs:
        sheet.notes.append("No reason: the classifier gives no gradient to the image.")
        return
    others = torch.from_numpy(sheet.others())
    same, other = [], []
    for _, pairs in sheet.pairs:
        maps, maps_rec = evidence(pairs.slope), evidence(pairs.slope_rec)
        same.append(same_reason(maps, maps_rec).double().cpu().numpy())
        other.append(same_reason(maps, maps_rec[others.to(maps.device)]).double().cpu().numpy())
    for kind, values, note in (
        ("same", same, "correlation of the evidence on photograph and rebuilt picture"),
        ("same_other", other, "the same with another image's rebuilt picture: what chance gives"),
    ):
        value = sheet.mean(np.mean(values, axis=0))
        sheet.add(f"reason.{kind}", value, images=len(sheet.measured.ids), note=note)
