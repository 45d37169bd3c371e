"""An explanation as picture files, for papers, slides and READMEs: a strip or a flicker for each attribute."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from stylex.core.explanation import Counterfactual, Explanation
from stylex.report.figures import flicker, panel, save_picture
from stylex.report.words import about, name_of, place, turned_back


def write_strips(explanation: Explanation, folder: str | Path, *, images: int = 6, cell: int = 160) -> list[Path]:
    """Write a PNG for each attribute: the rebuilt pictures above, the changed ones below, with probabilities.

    Args:
        explanation: what to draw.
        folder: where to put ``attribute-1-its-name.png`` and so on.
        images: how many images to draw at most.
        cell: side of a picture in pixels.

    Raises:
        StoreError: a file cannot be written.
    """
    out = []
    for position, shown in _shown(explanation, images):
        sheet = panel(
            [[explanation.image(cf.image).reconstruction for cf in shown], [cf.picture for cf in shown]],
            ["rebuilt", "changed"],
            notes=[[_probability(cf, explanation, changed=changed) for cf in shown] for changed in (False, True)],
            title=_title(explanation, position),
            cell=cell,
        )
        out.append(save_picture(sheet, Path(folder) / f"{_stem(explanation, position)}.png"))
    return out


def write_flickers(
    explanation: Explanation,
    folder: str | Path,
    kind: Literal["webp", "gif"] = "webp",
    *,
    images: int = 6,
    cell: int = 160,
    seconds_each: float = 1.0,
) -> list[Path]:
    """Write an animation for each attribute that changes between the rebuilt and the changed pictures.

    Args:
        explanation: what to draw.
        folder: where to put ``attribute-1-its-name.webp`` and so on.
        kind: the animation's format.
        images: how many images to draw at most.
        cell: side of a picture in pixels.
        seconds_each: how long each state is seen.

    Raises:
        ConfigError: a flicker faster than 3 a second.
        StoreError: a file cannot be written.
    """
    out = []
    for position, shown in _shown(explanation, images):
        rows = [explanation.image(cf.image).reconstruction for cf in shown], [cf.picture for cf in shown]
        before, after = (
            panel(
                [row],
                notes=[[_probability(cf, explanation, changed=changed) for cf in shown]],
                title=_title(explanation, position),
                cell=cell,
            )
            for row, changed in zip(rows, (False, True), strict=True)
        )
        path = Path(folder) / f"{_stem(explanation, position)}.{kind}"
        out.append(flicker(before, after, path, seconds_each))
    return out


def _shown(explanation: Explanation, images: int) -> Iterator[tuple[int, list[Counterfactual]]]:
    """The attributes that have pictures, with the first of them."""
    for position in range(len(explanation.ranking)):
        shown = [
            cf
            for cf in explanation.counterfactuals
            if cf.attributes == (position,) and cf.role != "subset" and not turned_back(cf, explanation)
        ]
        if shown:
            yield position, shown[:images]


def _probability(cf: Counterfactual, explanation: Explanation, *, changed: bool) -> str:
    p = cf.probabilities if changed else explanation.image(cf.image).reconstruction_probabilities
    return place(float(p[cf.target]), explanation, cf.target)


def _title(explanation: Explanation, position: int) -> str:
    return f"{name_of(explanation.ranking, position)}: {about(explanation, explanation.ranking[position].target)}"


def _stem(explanation: Explanation, position: int) -> str:
    """A file name that any system takes, whatever a person called the attribute."""
    label = explanation.ranking[position].label or ""
    words = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")[:60]
    return f"attribute-{position + 1}" + (f"-{words}" if words else "")
