"""How many images do the attributes turn, beside random coordinates?"""

from __future__ import annotations

from stylex.core.evaluation import About
from stylex.evaluation.sheet import Sheet
from stylex.search.counterfactual import random_control
from stylex.search.shifts import apply_attributes


def measure(sheet: Sheet) -> None:
    """Fraction of images that the top attributes turn together, beside as many random coordinates."""
    for target, ranking in sheet.found.rankings.items():
        label, s, rows = sheet.starts(target)
        if len(s) == 0:
            sheet.notes.append(f"Every measured image is {label!r} already, so none can be turned to it.")
            continue
        for top in sheet.tops(len(ranking)):
            logits = sheet.subject.logits(apply_attributes(s, ranking[:top], sheet.subject.space))
            flips = sheet.mean(sheet.turned(sheet.base[rows], logits, target))
            sheet.add(
                About("sufficiency", "attributes", target=label, top=top), flips, images=len(s), note=sheet.turning
            )
        control = random_control(
            sheet.subject, s, ranking, target, indices=sheet.subject.indices, seed=sheet.options.seed
        )
        sheet.add(
            About("sufficiency", "random", target=label, top=len(ranking)),
            float(control.fractions.mean()),
            images=control.images,
            note=f"random directions moved as far, {len(control.fractions)} of them: standard deviation "
            f"{control.fractions.std():.2f}",
        )
