"""Does another training find the same attributes?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from stylex.evaluation.found import find
from stylex.evaluation.sheet import Sheet, shrunk
from stylex.evaluation.subject import comparable, random_attributes
from stylex.metrics.stability import stability
from stylex.search.encoding import encode
from stylex.search.shifts import apply_attributes


def measure(sheet: Sheet) -> None:
    """Whether another training finds the same attributes: searched on the same images, shown on the same images."""
    against = sheet.inputs.against
    if against is None or not sheet.found.shown:
        return
    searched, held_out = sheet.found.pool, sheet.inputs.held_out
    if searched is None:
        searched = held_out.subset(np.array([name in sheet.found.images for name in held_out.names], dtype=np.bool_))
    options = replace(sheet.options, attributes=max(len(r) for r in sheet.found.rankings.values()))
    goals = list(sheet.found.rankings) or list(sheet.inputs.targets)
    other = find(against, searched, goals, options, listener=sheet.inputs.listener)
    if not other.shown:
        sheet.notes.append("The second training's search found nothing, so no attribute has a counterpart.")
        return
    theirs = other.shown[: len(sheet.found.shown)]
    e = encode(against, sheet.measured.x, sheet.measured.ids, sheet.measured.labels)
    before, base = against.show(e.s)
    small = shrunk(before)
    random, pool = np.random.default_rng(sheet.options.seed), comparable(against, theirs)
    controls = random_attributes(against.space, pool, theirs, len(theirs), random)
    own_changes, own_effects = sheet.after() - sheet.before(), sheet.effects()
    results = {}
    for name, attributes in (("", theirs), ("random_", controls)):
        if not attributes:
            continue
        shown = [against.show(apply_attributes(e.s, [a], against.space)) for a in attributes]
        changes = np.stack([shrunk(pictures) - small for pictures, _ in shown])
        effects = np.stack([logits - base for _, logits in shown]).astype(np.float64)
        results[name] = stability(own_effects, own_changes, effects, changes, seed=sheet.options.seed)
    match = results[""]
    by = f"{len(theirs)} attributes of {against.snapshot.path.name}"
    images = len(sheet.measured.ids)
    sheet.add("stability.matched", match.fraction, images=images, by=by, note=f"similarity {match.threshold:g} or more")
    sheet.add("stability.similarity", float(match.similarity.mean()), images=images, by=by)
    sheet.add(
        "stability.matched_shuffled",
        float(match.null.mean()),
        images=images,
        note=f"who did what shuffled on each image; p {match.p:.3g}",
    )
    sheet.add("stability.p", match.p, images=images, note="of the mean similarity, under the same shuffles")
    if controls:
        sheet.add(
            "stability.matched_random",
            results["random_"].fraction,
            images=images,
            note="with as many random coordinates of the second training instead",
        )
    for (first, second), alike in zip(match.pairs, match.similarity, strict=True):
        sheet.attributes[first] = replace(
            sheet.attributes[first], counterpart=theirs[second].name, similarity=float(alike)
        )
