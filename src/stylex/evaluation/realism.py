"""Are reconstructions, samples and changed pictures like real images?"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int64
from numpy import ndarray

from stylex.classifiers.classifier import Classifier
from stylex.core.attacked import Likeness
from stylex.data.archive import ImageSet
from stylex.evaluation.extractors import Extractor
from stylex.evaluation.options import FEWEST_IMAGES
from stylex.evaluation.sheet import Sheet
from stylex.evaluation.subject import random_moves_alike
from stylex.metrics.frechet import frechet_distance
from stylex.metrics.kid import kernel_distance
from stylex.metrics.manifold import precision_recall
from stylex.models.latents import normal_latents
from stylex.search.attack_images import Turned
from stylex.search.decision import predicted
from stylex.search.encoding import Encoded, encode_set
from stylex.search.shifts import apply_attributes

_PHOTOGRAPHS = 512
"""Photographs that turned pictures are set beside, at most."""


def measure(sheet: Sheet) -> None:
    """Distances from other real images: of real images (as near as can be), their reconstructions, and new ones.

    New ones are sampled from noise by the mapping network, and drawn from latents like the encoder's.
    """
    held_out, training, extractor = sheet.inputs.held_out, sheet.inputs.training, sheet.inputs.extractor
    if training is None:
        order = np.random.default_rng(sheet.options.seed).permutation(len(held_out))
        images, others = (held_out.subset(half) for half in np.array_split(order, 2))
    else:
        images, others = sheet.sample(held_out), sheet.sample(training)
    if min(len(images), len(others)) < FEWEST_IMAGES:
        sheet.notes.append("No realism: there are too few real images beside each other to compare.")
        return
    snapshot, e = sheet.subject.snapshot, encode_set(sheet.subject, images)
    generator = snapshot.generator
    reference = extractor.features(others.batch(np.arange(len(others))).to(e.x.device))
    random = torch.Generator().manual_seed(sheet.options.seed)
    pictures = {"real": e.x, "reconstructed": e.x_rec}
    parts = sheet.subject.condition(e.logits).split(64)
    with torch.inference_mode():
        z = [torch.randn(len(condition), generator.config.z_dim, generator=random).to(condition) for condition in parts]
        latents = {"sampled": [generator.mapping(*part) for part in zip(z, parts, strict=True)]}
        if snapshot.latents is not None:
            drawn = normal_latents(snapshot.latents, len(images), seed=sheet.options.seed)
            latents["drawn"] = list(drawn.to(e.x).split(64))
        for name, rows in latents.items():
            new = [
                generator(w, condition, snapshot.some_maps(len(w))).clamp(-1, 1)
                for w, condition in zip(rows, parts, strict=True)
            ]
            pictures[name] = torch.cat(new)
    for name, x in pictures.items():
        features = extractor.features(x)
        distance, kernel = frechet_distance(reference, features), kernel_distance(reference, features)
        coverage = precision_recall(reference, features)
        for what, value in (
            ("frechet", distance.value),
            ("kid", kernel.interval),
            ("precision", coverage.precision),
            ("recall", coverage.recall),
        ):
            sheet.add(
                f"realism.{what}_{name}",
                value,
                images=len(x),
                by=extractor.name,
                note=f"beside {len(reference)} other real images",
            )
        if name == "real" and distance.warning:
            sheet.alarms.append(f"{distance.warning[0].upper()}{distance.warning[1:]}.")
    _changed(sheet, e, others)


def _changed(sheet: Sheet, e: Encoded, others: ImageSet) -> None:
    """Pictures turned by one attribute each, to which another class belongs, beside random directions moved as far.

    Each is set beside another photograph that gets the same answer: turned pictures are of other classes than their
    originals, and a set of other classes is far from any. What looks at them is not the explained classifier, which the
    attributes were chosen to move.
    """
    s, base, random = e.s.clone(), e.logits_rec.cpu().numpy(), np.random.default_rng([sheet.options.seed, 7])
    attributes = [a for ranking in sheet.found.rankings.values() for a in ranking]
    turned = np.zeros(len(s), dtype=np.bool_)
    for i in range(len(s)):
        own = [a for a in attributes if not predicted(base[i], a.target, sheet.output)]
        if own:
            s[i : i + 1] = apply_attributes(s[i : i + 1], [own[i % len(own)]], sheet.subject.space)
            turned[i] = True
    if not turned.any():
        return
    rows = torch.from_numpy(np.flatnonzero(turned)).to(s.device)
    x, instrument = others.batch(np.arange(len(others))).to(e.x), sheet.outside
    sets = {
        "changed": sheet.subject.draw(s[rows]),
        "unchanged": e.x_rec[rows],
        "changed_random": sheet.subject.draw(random_moves_alike(sheet.subject, e.s[rows], s[rows], random)),
    }
    answers = sheet.decided(sheet.said(x))
    pairs = {name: paired(sheet.decided(sheet.said(those)), answers, random) for name, those in sets.items()}
    count = min(map(len, pairs.values()))
    if count < FEWEST_IMAGES:
        sheet.notes.append("No realism of changed pictures: too few other photographs get the same answers.")
        return
    for name, note in (
        ("changed", "each turned by one attribute"),
        ("unchanged", "the same rebuilt pictures, not turned"),
        ("changed_random", "moved as far along random directions"),
    ):
        own, beside = torch.from_numpy(pairs[name][:count].T).to(s.device)
        features, reference = instrument.features(sets[name][own]), instrument.features(x[beside])
        for what, value in (
            ("frechet", frechet_distance(reference, features).value),
            ("kid", kernel_distance(reference, features).interval),
        ):
            sheet.add(f"realism.{what}_{name}", value, images=count, by=instrument.name, note=note)


def likeness(turned: Turned, photographs: ImageSet, classifier: Classifier, extractor: Extractor) -> Likeness | None:
    """How far turned pictures are from photographs that get the same answers; None where these are too few.

    Of several labels each by itself, an answer is the label of the largest logit.

    Args:
        turned: the pictures, of at least one image.
        photographs: none of which was turned.
        classifier: whose answers are meant.
        extractor: who looks.
    """
    if min(len(photographs), len(turned.attacked[0])) < FEWEST_IMAGES:
        return None
    some = np.linspace(0, len(photographs) - 1, min(len(photographs), _PHOTOGRAPHS)).round().astype(int)
    x = photographs.batch(some).to(turned.attacked[0])
    with torch.inference_mode():
        said = torch.cat([classifier.logits(part) for part in x.split(64)]).argmax(dim=1).cpu().numpy()
    random = np.random.default_rng(0)
    pairs = {
        name: paired(logits.argmax(dim=1).cpu().numpy(), said, random) for name, (_, logits) in turned._asdict().items()
    }
    count = min(map(len, pairs.values()))
    if count < FEWEST_IMAGES:
        return None
    distances = {}
    for name, (pictures, _) in turned._asdict().items():
        own, beside = torch.from_numpy(pairs[name][:count].T).to(x.device)
        features, reference = extractor.features(pictures[own]), extractor.features(x[beside])
        distances[name] = kernel_distance(reference, features).interval
    return Likeness(**distances, images=count, by=extractor.name)


def paired(
    own: Int64[ndarray, " n"], others: Int64[ndarray, " m"], random: np.random.Generator
) -> Int64[ndarray, "pairs 2"]:
    """Positions of pictures, each with one of another picture of the same answer, none twice, in random order."""
    found = []
    for answer in np.unique(own):
        a, b = (random.permutation(np.flatnonzero(answers == answer)) for answers in (own, others))
        found += list(zip(a.tolist(), b.tolist(), strict=False))
    return random.permutation(np.array(found, dtype=np.int64).reshape(-1, 2))
