"""Does the classifier decide on the rebuilt picture for the reason it has on the photograph?"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from stylex.evaluation.sheet import Sheet
from stylex.metrics.reason import evidence, same_reason


def measure(sheet: Sheet) -> None:
    """Correlation of evidence maps on photograph and rebuilt picture, beside another image's rebuilt picture."""
    e = sheet.measured
    said, said_rec = sheet.gradients(e.x, e.logits), sheet.gradients(e.x_rec, e.logits)
    if said is None or said_rec is None:
        sheet.notes.append("No reason: the classifier gives no gradient to the image.")
        return
    maps, maps_rec = evidence(said), evidence(said_rec)
    others = torch.from_numpy(sheet.others()).to(maps.device)
    for kind, beside, note in (
        ("same", maps_rec, "correlation of the evidence on photograph and rebuilt picture"),
        ("same_other", maps_rec[others], "the same with another image's rebuilt picture: what chance gives"),
    ):
        sheet.add(f"reason.{kind}", sheet.mean(_numbers(same_reason(maps, beside))), images=len(e.ids), note=note)


def _numbers(values: Float[Tensor, " n"]) -> Float[np.ndarray, " n"]:
    return np.asarray(values.double().cpu().numpy())
