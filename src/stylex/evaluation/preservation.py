"""What does an attribute leave alone?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy import ndarray
from torch import Tensor

from stylex.classifiers.classifier import Classifier, opposite_name
from stylex.evaluation.sheet import Sheet
from stylex.evaluation.subject import random_moves_alike
from stylex.metrics.photograph import mean_change
from stylex.search.shifts import apply_attributes

_DRAWS = 4
_NOTES = {
    "perceptual": "of each attribute alone; 0: the same picture",
    "pixels": "mean absolute change, in the unit of [-1, 1]",
    "other_logits": "mean absolute change of the other classes' logits",
}


def measure(sheet: Sheet) -> None:
    """How far each attribute alone changes the picture and the other classes' logits, beside random directions.

    Over all measured images not of the attribute's target yet; small beside random is good. The picture's change is
    judged by a network that is not the explained classifier, and pixel by pixel.
    """
    random = np.random.default_rng([sheet.options.seed, 6])
    tables: dict[str, list[Float[ndarray, " n"]]] = {}
    for i, attribute in enumerate(sheet.found.shown):
        _, s, rows = sheet.starts(attribute.target)
        if len(rows) == 0:
            continue
        end = apply_attributes(s, [attribute], sheet.subject.space)
        own = _changes(sheet, rows, end, attribute.target)
        ends = (random_moves_alike(sheet.subject, s, end, random) for _ in range(_DRAWS))
        draws = [_changes(sheet, rows, moved, attribute.target) for moved in ends]
        sheet.attributes[i] = replace(sheet.attributes[i], picture_change=sheet.mean(own["pixels"]))
        for kind, values in own.items():
            for name, of_it in ((kind, values), (f"{kind}_random", np.mean([draw[kind] for draw in draws], axis=0))):
                row = np.full(len(sheet.base), np.nan)
                row[rows] = of_it
                tables.setdefault(name, []).append(row)
    for name, table in tables.items():
        kind = name.removesuffix("_random")
        values = np.stack(table)
        values = values[:, np.isfinite(values).any(axis=0)]
        sheet.add(
            f"preservation.{name}",
            sheet.mean(np.nanmean(values, axis=0)),
            images=values.shape[1],
            by=sheet.outside.name if kind == "perceptual" else None,
            note=_NOTES[kind] if name == kind else "random directions moved as far",
        )
    if tables and "other_logits" not in tables:
        sheet.notes.append("No preservation of other classes: the classifier has too few of them.")


def _changes(
    sheet: Sheet, rows: Int64[ndarray, " n"], moved: Float[Tensor, "n s_dim"], target: int
) -> dict[str, Float[ndarray, " n"]]:
    """How far a move changes each of these images, by kind."""
    pictures, logits = sheet.subject.show(moved)
    before = sheet.measured.x_rec[torch.from_numpy(rows).to(moved.device)]
    after = torch.from_numpy(pictures).to(before)
    changed = {
        "perceptual": sheet.outside.distance(before, after).double().cpu().numpy(),
        "pixels": mean_change(before, after).double().cpu().numpy(),
    }
    others = others_changed(sheet.base[rows], logits, target, sheet.subject.classifier)
    if others is not None:
        changed["other_logits"] = others
    return changed


def others_changed(
    before: Float[ndarray, "n k"], after: Float[ndarray, "n k"], target: int, classifier: Classifier
) -> Float[ndarray, " n"] | None:
    """Mean absolute change of the other classes' logits on each image; None where there are too few of them.

    Args:
        before, after: logits.
        target: the class that is not counted (with its opposite, of several labels).
        classifier: whose logits they are.
    """
    labels = classifier.spec.labels
    if (numbers := classifier.numbers) is not None:
        others = [k for k in range(classifier.own) if numbers.names[k] != numbers.names[target]]
        return np.abs((after - before)[:, others].astype(np.float64)).mean(axis=1) if others else None
    name, softmax = labels[target], classifier.activation == "softmax"  # of several labels it may be one's absence
    kept = [k for k, label in enumerate(labels[: classifier.own]) if name not in (label, opposite_name(label))]
    if len(kept) <= softmax:
        return None
    rise = (after - before)[:, kept].astype(np.float64)
    if softmax:  # only differences between logits say anything
        rise -= rise.mean(axis=1, keepdims=True)
    return np.asarray(np.abs(rise).mean(axis=1))
