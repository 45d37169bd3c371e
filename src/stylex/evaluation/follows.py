"""Whose answer does a picture get that is drawn from one image's w and another image's maps?"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from stylex.core.evaluation import Interval
from stylex.evaluation.sheet import Sheet
from stylex.metrics.follows import follows
from stylex.metrics.interval import bootstrap


def measure(sheet: Sheet) -> None:
    """Whether the classifier's answer goes with w or with the maps, beside pictures of one image's w and maps."""
    e, maps = sheet.measured, sheet.subject.space.maps
    if maps.stop == maps.start:
        sheet.notes.append("No follows: the generator has no maps to swap.")
        return
    others = torch.from_numpy(sheet.others()).to(e.s.device)
    swapped = e.s.clone()
    swapped[:, maps] = e.s[others][:, maps]
    drawn, beside = torch.from_numpy(sheet.subject.logits(swapped)).to(e.logits), e.logits[others]

    def share(logits: Float[Tensor, "n k"], what: str) -> Interval:
        def of(rows: Int[ndarray, " m"]) -> float:
            told = follows(e.logits[rows], beside[rows], logits[rows], sheet.output)[what]
            return told if apart[rows].any() or what == "follows_w" else float("nan")

        return bootstrap(of, len(e.ids), seed=sheet.options.seed)

    apart = _decided(e.logits, sheet.output) != _decided(beside, sheet.output)
    for kind, logits, what, note in (
        ("w", drawn, "follows_w", "the answer is that on the image whose w is drawn"),
        ("w_own_maps", e.logits_rec, "follows_w", "the same without a swap"),
        ("w_chance", beside, "follows_w", "another image's answer is the same"),
        ("maps", drawn, "follows_maps", "of pairs answered differently: the answer goes with the maps; small is good"),
        ("maps_own_maps", e.logits_rec, "follows_maps", "the same without a swap"),
    ):
        sheet.add(f"follows.{kind}", share(logits, what), images=len(e.ids), note=note)


def _decided(logits: Float[Tensor, "n k"], output: str) -> Int[ndarray, " n"]:
    """Each image's decisions as one number."""
    if output == "softmax":
        return np.asarray(logits.argmax(dim=1).cpu().numpy())
    return np.unique((logits >= 0).cpu().numpy(), axis=0, return_inverse=True)[1].reshape(-1)
