"""The pictures of an explanation: images, what attributes make of them, and strips from end to end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int64
from numpy import ndarray

from stylex.core.attribute import Attribute, AttributeRanking
from stylex.core.explanation import Counterfactual, ExplainedImage, Strip
from stylex.core.progress import Done, Listener, Started, Step, silent
from stylex.core.studio import Turn
from stylex.data.images import to_pictures
from stylex.search.decision import predicted
from stylex.search.decision import turned as turns_to
from stylex.search.editor import StyleEditor
from stylex.search.encoding import Searched
from stylex.search.select import choose_images
from stylex.search.subject import TrainedSubject
from stylex.search.task import Task
from stylex.search.tuning import tune

SHOWN = 6
"""Images to show each attribute on."""
SHOWN_TUNED = 2
"""The same where the generator is tuned to each image, which takes some seconds."""
STRIP_IMAGES = 4
"""Images on which every attribute is turned from end to end, for sliders without networks."""
STRIP_FRAMES = 11
"""Of each, at most."""
_STRIP_END = 1.5
"""Where a strip ends, at least, as a fraction of the way to the observed extreme: a little is extrapolated."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """A picture to draw.

    Attributes:
        role: as in ``Counterfactual``.
        row: of the image.
        attributes: what to apply, in order.
        positions: of these in the explanation's ranking.
        target: the class that it is about.
    """

    role: Literal["shows", "independent", "subset"]
    row: int
    attributes: Sequence[Attribute]
    positions: tuple[int, ...]
    target: int


@dataclass(frozen=True, eq=False)
class Easel:
    """Draws the images that are shown, by the generator as trained, or by copies of it tuned to each photograph.

    Attributes:
        subject: the networks as trained.
        encoded: all images.
        tunes: whether to tune.
        listener: hears of it.
    """

    subject: TrainedSubject
    encoded: Searched
    tunes: bool = False
    listener: Listener = silent
    _tuned: dict[int, tuple[TrainedSubject, Searched]] = field(default_factory=dict)

    def of(self, row: int) -> tuple[TrainedSubject, Searched, int]:
        """Who draws an image, and where it is found: among images, at a position."""
        if not self.tunes:
            return self.subject, self.encoded, row
        if row not in self._tuned:
            self._tuned[row] = tune(self.subject, self.encoded.alone(row), listener=self.listener)
        return (*self._tuned[row], 0)

    def what_tuning_did(self, changes: Sequence[Counterfactual], ranking: AttributeRanking) -> str:
        """What tuning did to the pictures that are shown, in a sentence: how near they are, and how many are turned."""
        before, after = np.array([
            [float((x - rec).abs().mean()) for x, rec in (self.encoded.pair(row), self._tuned[row][1].pair(0))]
            for row in self._tuned
        ]).mean(axis=0)  # fmt: skip
        turned = [0, 0]
        meant = [change for change in changes if change.role == "shows"]
        for change in meant:
            row = self.encoded.ids.index(change.image)
            for i, (subject, encoded, at) in enumerate(((self.subject, self.encoded, row), self.of(row))):
                own = encoded.s[at : at + 1]
                before_it = subject.logits(own)
                after_it = subject.logits(subject.moved(own, [ranking[change.attributes[0]]]))
                already = predicted(before_it, change.target, subject.output)[0]
                turns = turns_to(before_it, after_it, change.target, subject.output, subject.by)[0]
                turned[i] += bool(turns and not already)
        return (
            "The pictures shown are drawn by copies of the generator that were tuned to each photograph: they differ "
            f"by {after:.3f} from it on average (as trained, {before:.3f}; on [-1, 1]), and {turned[1]} of "
            f"{len(meant)} turn to the other answer (as trained, {turned[0]}). Numbers over all images are as trained."
        )


def show_class(
    easel: Easel,
    tasks: Sequence[Task],
    measured: Int64[ndarray, " r"],
    ranking: AttributeRanking,
    *,
    shown: int = SHOWN,
    listener: Listener,
) -> tuple[AttributeRanking, tuple[ExplainedImage, ...], tuple[Counterfactual, ...]]:
    """The images (of those measured) that show each attribute best, both ways, and what they become.

    Returns:
        The ranking, with a note on each attribute that few images show; the images; the images changed.
    """
    changes: list[Change] = []
    noted: list[Attribute] = []
    by_target = {task.target: task for task in tasks}
    listener(Started(task="pictures", total=len(ranking), unit="attributes"))
    for position, attribute in enumerate(ranking):
        note = None
        for turned, wanted in ((False, shown), (True, shown // 2)):
            showing = choose_images(by_target[attribute.target], attribute, images=wanted, turned=turned)
            if showing.note and not turned:
                note = f"{showing.note[0].upper()}{showing.note[1:]}."
            changes += [
                Change(
                    role="shows",
                    row=int(row),
                    attributes=[showing.attribute],
                    positions=(position,),
                    target=attribute.target,
                )
                for row in measured[showing.rows]
            ]
        noted.append(replace(attribute, note=note))
        listener(Step(task="pictures", done=position + 1))
    listener(Done(task="pictures"))
    rows = sorted({change.row for change in changes})
    ranking = replace(ranking, attributes=tuple(noted))
    return ranking, images_of(easel, rows), render(easel, changes)


def render(easel: Easel, changes: Sequence[Change]) -> tuple[Counterfactual, ...]:
    """Draw and classify changed images."""
    out: list[Counterfactual] = []
    for change in changes:
        subject, encoded, row = easel.of(change.row)
        x = subject.draw(subject.moved(encoded.s[row : row + 1], change.attributes))
        with torch.inference_mode():
            logits = subject.classifier.logits(x)
            probabilities = subject.classifier.probabilities(logits)
        out.append(
            Counterfactual(
                image=encoded.ids[row],
                attributes=change.positions,
                picture=to_pictures(x)[0],
                logits=logits[0].cpu().numpy(),
                probabilities=probabilities[0].cpu().numpy(),
                target=change.target,
                role=change.role,
            )
        )
    return tuple(out)


def images_of(easel: Easel, rows: Sequence[int]) -> tuple[ExplainedImage, ...]:
    """Images with their reconstructions, and what the classifier says of both."""
    out: list[ExplainedImage] = []
    for subject, encoded, row in map(easel.of, rows):
        original, reconstruction = (to_pictures(x)[0] for x in encoded.pair(row))
        p, p_rec = (
            subject.classifier.probabilities(logits[row : row + 1])[0].cpu().numpy()
            for logits in (encoded.logits, encoded.logits_rec)
        )
        out.append(
            ExplainedImage(
                id=encoded.ids[row],
                original=original,
                reconstruction=reconstruction,
                logits=encoded.logits[row].cpu().numpy(),
                probabilities=p,
                reconstruction_logits=encoded.logits_rec[row].cpu().numpy(),
                reconstruction_probabilities=p_rec,
                label=encoded.labels[row],
            )
        )
    return tuple(out)


def strips_of(
    easel: Easel,
    ranking: AttributeRanking,
    counterfactuals: Sequence[Counterfactual],
    listener: Listener,
) -> tuple[Strip, ...]:
    """Every attribute turned from end to end, on the images that show the first attributes best."""
    best = [
        next((cf.image for cf in counterfactuals if cf.attributes[0] == position), None)
        for position in range(len(ranking))
    ]
    shown = [*dict.fromkeys([*(image for image in best if image), *(cf.image for cf in counterfactuals)])]
    shown = shown[:STRIP_IMAGES]
    if not shown:
        return ()
    strips: list[Strip] = []
    listener(Started(task="sliders", total=len(shown) * len(ranking), unit="strips"))
    for image in shown:
        subject, encoded, row = easel.of(easel.encoded.ids.index(image))
        editor = StyleEditor(subject, encoded.s[row : row + 1], [image], ranking.attributes)
        for position, attribute in enumerate(ranking):
            stops = strip_fractions(attribute.shift_range)
            pictures, logits = editor.render_all([Turn(image=image, knobs={position: stop}) for stop in stops])
            strips.append(
                Strip(
                    image=image,
                    attribute=position,
                    shares=stops,
                    frames=np.stack(pictures),
                    probabilities=subject.classifier.probabilities(torch.from_numpy(logits)).numpy(),
                )
            )
            listener(Step(task="sliders", done=len(strips)))
    listener(Done(task="sliders"))
    return tuple(strips)


def strip_fractions(shift_range: float) -> tuple[float, ...]:
    """Where a strip has frames, as fractions of the attribute's shift: past one observed extreme to past the other.

    Nothing and the whole shift are always among them, and the end of what was observed the other way.
    """
    end = max(_STRIP_END / shift_range, 1.0)
    back = [-end, *np.linspace(-1 / shift_range, 0, 3, endpoint=False)]
    beyond = np.linspace(1, end, 3)[1:].tolist() if end > 1 else []
    stops = np.round([*back, 0, 0.25, 0.5, 0.75, 1, *beyond], 6)
    return tuple(float(stop) for stop in np.unique(stops))
