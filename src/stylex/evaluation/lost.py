"""What is decisive and not drawn?"""

from __future__ import annotations

from functools import partial

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from stylex.evaluation.sheet import Sheet
from stylex.evaluation.told import correlation
from stylex.metrics.interval import bootstrap
from stylex.search.lost import lost_causes


def measure(sheet: Sheet) -> None:
    """What becomes of the photographs' answers when only their most decisive tenth is drawn anew, beside another tenth.

    Before any attribute, and whatever answers the rebuilt pictures get as a whole.
    """
    if not sheet.pairs:
        sheet.notes.append("No lost causes: the classifier gives no gradient to the image.")
        return
    if sheet.numbers is not None:
        sheet.notes.append("No lost causes: they are answers that turn, and a number does not.")
        return
    seed, classifier = sheet.options.seed, sheet.subject.classifier
    found = [lost_causes(classifier, decision, pairs, seed=seed) for decision, pairs in sheet.pairs]

    def of_all(name: str) -> Float[ndarray, " n"]:
        return np.concatenate([getattr(lost, name) for lost in found]).astype(np.float64)

    margin, turned, kept, estimated = of_all("margin"), of_all("turned"), of_all("kept"), of_all("estimated")
    for end, note in (
        ("", "the most decisive tenth drawn anew"),
        ("_other", "another image's tenth drawn anew"),
        ("_mixed", "that tenth changed as another image is there"),
    ):
        sheet.add(f"lost.turned{end}", sheet.mean(of_all(f"turned{end}")), images=len(margin), note=note)
        fraction = sheet.ratio(of_all(f"fall{end}"), margin)
        sheet.add(f"lost.not_drawn{end}", fraction, images=len(margin), note="of the margin: what goes with it")
    for name, rows, numbers, note in (
        ("kept", turned == 1, kept, "of those turned: rebuilt as a whole they get the photograph's answer"),
        ("restored", kept == 0, of_all("restored"), "of those rebuilt with another answer: right with that tenth"),
    ):
        if rows.any():
            sheet.add(f"lost.{name}", sheet.mean(numbers[rows]), images=int(rows.sum()), note=note)
    others = np.random.default_rng([seed, 9]).permutation(len(margin))
    for end, numbers in (("", estimated), ("_other", estimated[others])):
        together = bootstrap(partial(correlation, numbers, of_all("true")), len(margin), seed=seed)
        note = "correlation of the margin's difference with what the gradient tells of it"
        sheet.add(f"lost.estimate{end}", together, images=len(margin), note=note)
    sheet.alarms += [sentence for lost in found for sentence in lost.sentences()]
