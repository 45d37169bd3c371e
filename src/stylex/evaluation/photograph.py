"""Does what the attributes do to rebuilt pictures hold for the photographs themselves?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy import ndarray
from torch import Tensor

from stylex.core.attribute import Attribute
from stylex.core.evaluation import About
from stylex.evaluation.sheet import Sheet
from stylex.evaluation.subject import random_moves_alike
from stylex.metrics.photograph import on_photograph
from stylex.search.decision import predicted
from stylex.search.shifts import apply_attributes

_DRAWS = 8


def measure(sheet: Sheet) -> None:
    """Images that the attributes turn when rebuilt, and when their change is laid on the photograph.

    All measured images count that are of another class as photograph and rebuilt. Beside both: random directions
    moved as far.
    """
    random = np.random.default_rng([sheet.options.seed, 5])
    for target, ranking in sheet.found.rankings.items():
        label, rows = _others(sheet, target)
        if len(rows) == 0:
            sheet.notes.append(f"No photograph is of another class than {label!r} with its rebuilt picture.")
            continue
        for top in sheet.tops(len(ranking)):
            for kind, turned in _turned(sheet, rows, ranking[:top], target, random).items():
                note = "random directions moved as far" if kind.startswith("random_") else sheet.turning
                about = About("photograph", kind, target=label, top=top)
                sheet.add(about, sheet.mean(turned.mean(axis=0)), images=len(rows), note=note)
    for i, attribute in enumerate(sheet.found.shown):
        _, rows = _others(sheet, attribute.target)
        if len(rows):
            fractions = {
                kind: sheet.mean(of_it.mean(axis=0))
                for kind, of_it in _turned(sheet, rows, [attribute], attribute.target, random).items()
            }
            sheet.attributes[i] = replace(
                sheet.attributes[i],
                flips=fractions["rebuilt"],
                flips_photograph=fractions["photograph"],
                random_flips_photograph=fractions["random_photograph"].value,
            )


def _others(sheet: Sheet, target: int) -> tuple[str, Int64[ndarray, " n"]]:
    """The label, and the images whose reconstruction and photograph are both not of it yet."""
    label, _, rows = sheet.starts(target)
    said = sheet.measured.logits.cpu().numpy()[rows]
    return label, rows[~predicted(said, target, sheet.output)]


def _turned(
    sheet: Sheet,
    rows: Int64[ndarray, " n"],
    attributes: Sequence[Attribute],
    target: int,
    random: np.random.Generator,
) -> dict[str, Bool[ndarray, "draws n"]]:
    """Which images become the target: rebuilt and as photographs, by the attributes and by random directions."""
    subject, picked = sheet.subject, torch.from_numpy(rows).to(sheet.measured.s.device)
    s, x, x_rec = sheet.measured.s[picked], sheet.measured.x[picked], sheet.measured.x_rec[picked]
    end, said = apply_attributes(s, attributes, subject.space), sheet.measured.logits.cpu().numpy()[rows]

    def turned(moved: Float[Tensor, "n s_dim"]) -> tuple[Bool[ndarray, " n"], Bool[ndarray, " n"]]:
        pictures, logits = subject.show(moved)
        laid = on_photograph(x, x_rec, torch.from_numpy(pictures).to(x))
        return sheet.turned(sheet.base[rows], logits, target), sheet.turned(said, sheet.said(laid), target)

    rebuilt, photograph = turned(end)
    controls = [turned(random_moves_alike(subject, s, end, random)) for _ in range(_DRAWS)]
    return {
        "rebuilt": rebuilt[None],
        "photograph": photograph[None],
        "random_rebuilt": np.stack([control[0] for control in controls]),
        "random_photograph": np.stack([control[1] for control in controls]),
    }
