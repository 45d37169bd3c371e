"""Names for attributes that were found: the descriptor whose probe moves most when the attribute is turned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from stylex.core.attribute import Attribute, AttributeRanking, Meaning
from stylex.core.explanation import Explanation
from stylex.core.progress import Found, Listener, silent
from stylex.data.archive import ImageSet
from stylex.data.descriptors import Descriptors
from stylex.search.choosing import spread
from stylex.search.latents import InS, Read, reader
from stylex.search.probes import Probes, fit_on
from stylex.search.shifts import apply_attributes
from stylex.search.subject import Subject, TrainedSubject

SMALLEST_CHANGE = 0.25
"""Standard deviations of a descriptor that an attribute must change it by, from end to end, to be named after it."""
SMALLEST_R = 0.5
_IMAGES = 32
_OTHERS = 2
"""Further descriptors that are told at most."""
_FRACTIONS = (-1.0, -0.5, 0.0, 0.5, 1.0)


def named(
    explanation: Explanation,
    subject: TrainedSubject,
    s: Float[Tensor, "n s_dim"],
    archive: ImageSet,
    descriptors: Descriptors,
    *,
    listener: Listener = silent,
) -> Explanation:
    """An explanation with the meaning of its attributes, and how well each descriptor is read among its notes.

    Args:
        explanation: of a class.
        subject: the networks, in its space.
        s: style vectors of the images that were searched.
        archive: all images; probes are fitted on others than those that were searched.
        descriptors: what is known of images.
        listener: hears how well they are read.

    Raises:
        DataError: the table knows none of the images.
        SearchError: too little is known of them.
    """
    read = reader(InS(subject))
    searched = set(explanation.settings.get("searched", ()))
    probes = fit_on(read, archive, descriptors, without=searched, device=subject.device)
    lines = sayings(probes)
    for line in lines:
        listener(Found(message=line))
    ranking = with_meanings(subject, s, explanation.ranking, probes, read)
    note = f"What attributes change was read by probes of descriptors: {'; '.join(lines)}."
    return replace(explanation, ranking=ranking, notes=(*explanation.notes, note))


def with_meanings(
    subject: Subject, s: Float[Tensor, "n s_dim"], ranking: AttributeRanking, probes: Probes, read: Read
) -> AttributeRanking:
    """The ranking, its attributes with their meaning where a probe tells it.

    Each attribute is turned from end to end on some images, alone; what is drawn is encoded, and every probe reads
    it. The meaning is the descriptor that changes most, in its own standard deviations, of those that can be read well
    enough, change by a quarter of one or more and follow the attribute; others that do are told beside it.

    Args:
        subject: the networks, in the space of the ranking.
        s: style vectors of images.
        ranking: what was found.
        probes: of the descriptors.
        read: what they read of pictures.
    """
    some = s[torch.from_numpy(spread(len(s), min(len(s), _IMAGES))).to(s.device)]
    named = [replace(each, meaning=_meaning(subject, some, each, probes, read)) for each in ranking]
    return replace(ranking, attributes=tuple(named))


def _meaning(
    subject: Subject, s: Float[Tensor, "n s_dim"], attribute: Attribute, probes: Probes, read: Read
) -> Meaning | None:
    index = subject.space.index(attribute.coordinate)
    turned = [apply_attributes(s, [attribute], subject.space, fractions=[fraction]) for fraction in _FRACTIONS]
    readings = np.stack([probes.read(read(subject.draw(each))) for each in turned])  # [fractions, n, descriptors]
    value = attribute.sign * np.stack([each[:, index].float().cpu().numpy() for each in turned])
    change = (readings[-1] - readings[0]).mean(axis=0)
    most = np.argsort(-np.abs(change), kind="stable")
    told = [
        Meaning(descriptor=probes.probes[each].descriptor, r=r, change=float(change[each]))
        for each in most[probes.strong[most]].tolist()
        if abs(change[each]) >= SMALLEST_CHANGE and abs(r := within(value, readings[:, :, each])) >= SMALLEST_R
    ]
    return replace(told[0], others=tuple(told[1 : 1 + _OTHERS])) if told else None


def within(a: Float[ndarray, "turns n"], b: Float[ndarray, "turns n"]) -> float:
    """Correlation over turns of the same image, however images differ from each other; nan where nothing varies."""
    x, y = a - a.mean(axis=0), b - b.mean(axis=0)
    scale = np.linalg.norm(x) * np.linalg.norm(y)
    return float((x * y).sum() / scale) if scale > 0 else float("nan")


def sayings(probes: Probes) -> Sequence[str]:
    """A line for each probe: how well it reads, beside what comes by chance."""
    return [
        f"{probe.descriptor}: {probe.measure} {probe.quality:.2f} held out "
        f"(shuffled {round(probe.shuffled, 2) + 0:.2f})" + (", too weak for claims" if probe.weak else "")
        for probe in probes.probes
    ]
