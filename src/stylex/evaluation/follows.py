"""Whose answer does a picture get that is drawn from one image's w and another image's maps?"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from stylex.core.evaluation import Interval
from stylex.evaluation.sheet import Sheet
from stylex.evaluation.told import compare_numbers
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
    labels = slice(None) if sheet.output == "softmax" else sheet.targets[:1] if sheet.numbers else sheet.targets
    drawn, beside = torch.from_numpy(sheet.subject.logits(swapped)).to(e.logits), e.logits[others]

    def fraction(logits: Float[Tensor, "n k"], what: str) -> Interval:
        def of(rows: Int[ndarray, " m"]) -> float:
            of_them, of_others, of_drawn = (said[rows][:, labels] for said in (e.logits, beside, logits))
            found = follows(of_them, of_others, of_drawn, sheet.output)[what]
            return found if apart[rows].any() or what == "follows_w" else float("nan")

        return bootstrap(of, len(e.ids), seed=sheet.options.seed)

    own = e.logits.cpu().numpy()
    apart = sheet.decided(own) != sheet.decided(own[sheet.others()])
    for kind, logits, what, note in (
        ("w", drawn, "follows_w", "the answer is that on the image whose w is drawn"),
        ("w_own_maps", e.logits_rec, "follows_w", "the same without a swap"),
        ("w_chance", beside, "follows_w", "another image's answer is the same"),
        ("maps", drawn, "follows_maps", "of pairs answered differently: the answer goes with the maps; small is good"),
        ("maps_own_maps", e.logits_rec, "follows_maps", "the same without a swap"),
    ):
        sheet.add(f"follows.{kind}", fraction(logits, what), images=len(e.ids), note=note)
    if sheet.numbers is not None:
        compare_numbers(sheet, "follows", e.logits, {"_w": drawn, "_w_own_maps": e.logits_rec, "_w_other": beside})
