"""Can a machine tell the attributes apart on images that it has not seen?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from stylex.core.evaluation import About
from stylex.evaluation.sheet import Sheet
from stylex.metrics.observer import observe


def measure(sheet: Sheet) -> None:
    """Whether a small network can tell the attributes apart, among the first four and among all."""
    before, after = sheet.before(), sheet.after()
    if len(after) < 2:
        sheet.notes.append("No machine observer: there are not two attributes to tell apart.")
        return
    everything = None
    for count in sorted({min(4, len(after)), len(after)}):
        seen = everything = observe(before, after[:count], steps=sheet.options.observer_steps, seed=sheet.options.seed)
        how: dict[str, Any] = {"images": seen.images[1], "by": f"a network trained on {seen.images[0]} others"}
        sheet.add(About("observer", "accuracy", top=count), seen.accuracy, **how, note=f"by chance {seen.chance:.2f}")
        sheet.add(About("observer", "coherence", top=count), seen.coherence, **how, note="of two pairs; by chance 0.50")
    assert everything is not None
    for i in range(len(after)):
        sheet.attributes[i] = replace(
            sheet.attributes[i],
            recognised=float(everything.recognised[i]),
            coherent=float(everything.coherent[i]),
        )
