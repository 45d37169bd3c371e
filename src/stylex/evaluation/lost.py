"""What is decisive and not drawn?"""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from stylex.evaluation.sheet import Sheet
from stylex.metrics.interval import bootstrap
from stylex.search.lost import lost_causes


def measure(sheet: Sheet) -> None:
    """What becomes of the photographs' answers when only their most decisive tenth is drawn anew, beside another tenth.

    Before any attribute, and whatever answers the rebuilt pictures get as a whole.
    """
    if not sheet.pairs:
        sheet.notes.append("No lost causes: the classifier gives no gradient to the image.")
        return
    seed, classifier = sheet.options.seed, sheet.subject.classifier
    told = [lost_causes(classifier, decision, pairs, seed=seed) for decision, pairs in sheet.pairs]
    margin, fall, fall_other, turned, turned_other, kept, restored, estimated, true = (
        np.concatenate([getattr(lost, name) for lost in told]).astype(np.float64)
        for name in (
            "margin", "fall", "fall_other", "turned", "turned_other", "kept", "restored", "estimated", "true"
        )
    )  # fmt: skip
    order = np.random.default_rng([seed, 9]).permutation(len(true))
    sheet.add("lost.turned", sheet.mean(turned), images=len(turned), note="the most decisive tenth drawn anew")
    sheet.add("lost.turned_other", sheet.mean(turned_other), images=len(turned), note="another image's tenth")
    for name, numbers in (("not_drawn", fall), ("not_drawn_other", fall_other)):
        sheet.add(
            f"lost.{name}",
            sheet.ratio(numbers, margin),
            images=len(margin),
            note="share of the decision's margin that goes with that tenth",
        )
    for name, rows, numbers, note in (
        ("kept", turned == 1, kept, "of those turned: rebuilt as a whole they get the photograph's answer"),
        (
            "restored",
            kept == 0,
            restored,
            "of those answered otherwise: right with that tenth of the photograph",
        ),
    ):
        if rows.any():
            sheet.add(f"lost.{name}", sheet.mean(numbers[rows]), images=int(rows.sum()), note=note)
    for name, numbers in (("estimate", estimated), ("estimate_other", estimated[order])):
        sheet.add(
            f"lost.{name}",
            bootstrap(partial(_correlation, numbers, true), len(true), seed=seed),
            images=len(true),
            note="correlation of the margin's difference with what the gradient tells of it",
        )
    sheet.alarms += [sentence for lost in told for sentence in lost.sentences()]


def _correlation(a: Float[ndarray, " n"], b: Float[ndarray, " n"], rows: Int[ndarray, " m"]) -> float:
    a, b = (values[rows] - values[rows].mean() for values in (a, b))
    length = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / length if length > 0 else float("nan")
