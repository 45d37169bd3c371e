"""The live studio: images, knobs and networks at hand, for whoever shows them. See the protocol in core."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from stylex.classifiers.classifier import Classifier
from stylex.core.attribute import Attribute
from stylex.core.errors import SearchError
from stylex.core.explanation import Explanation
from stylex.core.progress import Listener, silent
from stylex.core.studio import Flip, Frame, Knob, OwnKnobs, StudioImage, Turn
from stylex.core.stylespace import StyleSpace
from stylex.core.verdict import classifier_remark
from stylex.data.archive import ImageSet
from stylex.data.images import read_picture, to_pictures, to_tensor
from stylex.live.by_hand import shows_first, turned_by_hand
from stylex.live.drafts import Pace, in_bfloat16
from stylex.live.fitted import Copies, said_of
from stylex.live.own import other_class, own_attributes, said_of_flip
from stylex.models.snapshot import Snapshot
from stylex.search.class_search import in_unit
from stylex.search.decision import probabilities, reach
from stylex.search.editor import StyleEditor
from stylex.search.encoding import encode
from stylex.search.greedy import greedy
from stylex.search.subject import TrainedSubject
from stylex.store.names import save_hidden, save_labels

MAX_PIXELS = 40_000_000
"""A person's own picture may have as many: more than any telephone takes, and it decodes in 120 MB."""
MAX_OWN = 32
"""Own pictures kept at once; the oldest goes when one more comes."""

_BATCH = 16


class LiveStudio:
    """The core ``Studio`` over a snapshot and its classifier.

    Args:
        snapshot, classifier: the networks.
        explanation: made in the snapshot's space; its attributes become the first knobs, its photographs the first
            images.
        folder: where the explanation lies, to keep names in.
        images: further images, in the order in which they are to be read.
        identity: of the classifier, for the record, as in ``Run``.
        repeat: how the studio was opened.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        classifier: Classifier,
        *,
        explanation: Explanation | None = None,
        folder: Path | None = None,
        images: ImageSet | None = None,
        identity: Mapping[str, Any] = MappingProxyType({}),
        repeat: Mapping[str, str | bool | None] = MappingProxyType({}),
    ) -> None:
        self.snapshot, self.classifier = snapshot, classifier
        self.labels, self.output, self.numbers = classifier.spec.labels, classifier.activation, classifier.numbers
        config = snapshot.generator.config
        self.resolution = config.resolution
        self.channels: Literal[1, 3] = 1 if config.channels == 1 else 3
        self.title = "What does this classifier look at?" if explanation is None else explanation.title
        self.notes = () if explanation is None else explanation.notes
        self.first = None if explanation is None else shows_first(explanation)
        self.remark = classifier_remark(identity)
        self.repeat: Mapping[str, str | bool | None] = dict(repeat)
        self._identity = dict(identity)
        self._folder, self._explained = folder, explanation
        ranking = () if explanation is None else explanation.ranking.attributes
        self._knobs = [Knob(attribute=attribute, image=None, kept=folder is not None) for attribute in ranking]
        self._subject = TrainedSubject.of(snapshot, classifier)
        self._space: StyleSpace = snapshot.space
        self._editor = StyleEditor(
            self._subject,
            torch.empty(0, self._space.s_dim),
            [],
            ranking,
            drafts=in_bfloat16(self._subject.synthesis, self._subject.device),
        )
        device = self._subject.device
        self._copies = Copies(self._subject, self._editor, lambda synthesis: in_bfloat16(synthesis, device))
        self._pace = {drafts: Pace() for drafts in (False, True)}
        self._images: dict[str, StudioImage] = {}
        self._own = 0
        # One lock for all that changes, one for the editor's features: a search does not stop the knobs.
        self._changing, self._drawing = threading.RLock(), threading.Lock()
        self._waiting: list[tuple[str, str | None, NDArray[np.uint8]]] = [
            (image.id, image.label, image.original)
            for image in (explanation.images if explanation else ())
            if image.original is not None
        ]
        self._archive = images
        self._archive_labels: Sequence[str | None] = () if images is None else images.label_texts()
        self._read = 0

    @property
    def knobs(self) -> tuple[Knob, ...]:
        """All knobs; a knob never changes its position."""
        return tuple(self._knobs)

    @property
    def images(self) -> Mapping[str, StudioImage]:
        """The images that are ready, in order."""
        with self._changing:
            return dict(self._images)

    @property
    def coming(self) -> int:
        """How many images are still to be read."""
        return len(self._waiting) + (len(self._archive) - self._read if self._archive is not None else 0)

    def load_more(self) -> bool:
        """Read a few of the images that are still to come; False when there are none."""
        if self._waiting:
            now = self._waiting[:_BATCH]
            ids, labels = [image_id for image_id, _, _ in now], [label for _, label, _ in now]
            self._take(np.stack([picture for _, _, picture in now]), ids, labels, ids=ids)
            self._waiting = self._waiting[_BATCH:]
        elif self._archive is not None and self._read < len(self._archive):
            rows = range(self._read, min(self._read + _BATCH, len(self._archive)))
            names = [self._archive.names[row] for row in rows]
            pictures = self._archive.pictures(rows)
            self._take(pictures, names, [self._archive_labels[row] for row in rows])
            self._read += len(rows)
        return self.coming > 0

    def render(self, turns: Sequence[Turn], *, draft: bool = False, small: bool = False) -> list[Frame]:
        """Draw what is asked for, together; drafts and small ones where ``live.drafts`` finds them worth it.

        Raises:
            SearchError: an image or knob that is not there, or a share that is not finite.
        """
        # With all knobs at rest it is there already.
        frames = {
            row: image.fitted.rebuilt if turn.fitted and image.fitted else image.rebuilt
            for row, turn in enumerate(turns)
            if not turn.knobs and (image := self._images.get(turn.image))
        }
        for drawer, rows in self._copies.shared(turns, [row for row in range(len(turns)) if row not in frames]):
            editor, asked = drawer.editor, [turns[row] for row in rows]
            drafts = draft and editor.drafts is not None
            half = draft and small and editor.can_half and self._pace[drafts].slow(len(rows))
            with self._drawing:
                if half:
                    pictures, shares = editor.render_half(asked, draft=drafts), np.empty((len(rows), 0), np.float32)
                else:
                    with self._pace[drafts].of(len(rows)):
                        pictures, logits = editor.render_all(asked, draft=drafts)
                    shares = probabilities(logits, self.output).astype(np.float32)
            for row, picture, p in zip(rows, pictures, shares, strict=True):
                frames[row] = Frame(picture=picture, probabilities=p, draft=drafts or half, fitted=drawer.fitted)
        return [frames[row] for row in range(len(turns))]

    def add(self, name: str, data: bytes) -> StudioImage:
        """Take in a person's own picture.

        Raises:
            DataError: not a picture, or too large.
        """
        name = " ".join(name.split())[:80] or "own picture"
        read = read_picture(data, name, resolution=self.resolution, channels=self.channels, max_pixels=MAX_PIXELS)
        with self._changing:
            self._own += 1
            own = f"own-{self._own}"
            while own in self._images:
                self._own += 1
                own = f"own-{self._own}"
            self._take(read.pixels[None].copy(), [name], [None], ids=[own], own=True, notes=read.notes)
            mine = [image.id for image in self._images.values() if image.own]
            for old in mine[:-MAX_OWN]:
                del self._images[old]
                self._copies.forget(old)
                with self._drawing:
                    self._editor.remove(old)
            return self._images[own]

    def fit(self, image: str, listener: Listener = silent) -> StudioImage:
        """Fit a copy of the generator to an image's photograph; an exception of the listener ends it.

        Raises:
            SearchError: no such image, or it has no photograph.
        """
        fitted, gone = self._copies.fit(self._image(image), listener)
        with self._changing:
            for old in (old for old in gone if old in self._images):
                self._images[old] = replace(self._images[old], fitted=None)
            if image not in self._images:  # it made room for others meanwhile
                self._copies.forget(image)
            self._images[image] = replace(self._image(image), fitted=fitted)
            return self._images[image]

    @property
    def fit_seconds(self) -> float | None:
        """About how long a fit takes here; None before ``measure_fit`` or a fit."""
        return self._copies.seconds

    def measure_fit(self, image: str) -> float:
        """About how long a fit takes here, by a step of one on this image, unless it is known.

        Raises:
            SearchError: no such image, or it has no photograph.
        """
        return self._copies.measure(self._image(image))

    def search(self, image: str, target: int | None, listener: Listener = silent, *, fitted: bool = False) -> OwnKnobs:
        """Look for the attributes that drive one image's answer; an exception of the listener ends it.

        Raises:
            SearchError: no such image or class, or no copy fitted to it.
        """
        goal, drawer = self._goal(image, target, fitted), self._copies.drawer(image, fitted)
        alone, together = own_attributes(drawer.subject, image, drawer.editor.style(image), goal, listener)
        with self._changing:
            shown, path = (
                [
                    self._knob_for(attribute, image)
                    for attribute in (ranking if self.numbers is None else in_unit(ranking, self.numbers))
                ]
                for ranking in (alone, together.ranking)
            )
        name = self._images[image].name
        flip = Flip(
            knobs=dict.fromkeys(path, 1.0),
            target=goal,
            flipped=together.flipped,
            sentence=said_of_flip(len(path), self.labels[goal], together.flipped, self.numbers),
        )
        order = tuple(dict.fromkeys([*shown, *path]))
        does = ("drive", "drives", f"the answer on {name} towards {self.labels[goal]}")
        if self.numbers is not None:
            verb = "lower" if self.numbers.falls(goal) else "raise"
            does = (verb, f"{verb}s", f"{self.numbers.names[goal]} on {name}")
        finding = (
            f"{len(order)} changes {does[0]} {does[2]}. {flip.sentence}"
            if order
            else f"No single change {does[1]} {does[2]}."
        )
        return OwnKnobs(knobs=order, flip=flip, finding=finding)

    def flip(self, image: str, target: int | None, knobs: Sequence[int], *, fitted: bool = False) -> Flip:
        """The fewest of these knobs that turn the answer on the image, found one by one, each for what it adds.

        Raises:
            SearchError: no such image, class or knob, or no copy fitted to it.
        """
        goal, drawer = self._goal(image, target, fitted), self._copies.drawer(image, fitted)
        with self._drawing:
            at_rest = drawer.editor.render_all([Turn(image=image, knobs={})])[1][:, goal]

        def reach_of(settings: Sequence[Mapping[int, float]]) -> NDArray[np.float32]:
            with self._drawing:
                turns = [Turn(image=image, knobs=knobs) for knobs in settings]
                logits = drawer.editor.render_all(turns)[1]
            if self.numbers is not None:  # from where the number is at rest, as far as counts
                return np.asarray(logits[:, goal] - at_rest - self.classifier.by)
            return reach(logits, goal, self.output)

        def reached(chosen: Sequence[tuple[int, float]], added: Sequence[tuple[int, float]]) -> NDArray[np.float32]:
            return reach_of([dict([*chosen, one]) for one in added])

        pool = [(knob, fraction) for knob in dict.fromkeys(knobs) for fraction in (1.0, -1.0)]
        start = float(reach_of([{}])[0])
        chosen = dict(greedy(pool, reached, start=start, num=len(pool), excludes=lambda a, b: a[0] == b[0], enough=0.0))
        flipped = bool(reach_of([chosen])[0] >= 0)
        # What came early may have become needless.
        for knob in list(chosen)[:-1]:
            rest = {other: fraction for other, fraction in chosen.items() if other != knob}
            if flipped and reach_of([rest])[0] >= 0:
                chosen = rest
        sentence = said_of_flip(len(chosen), self.labels[goal], flipped, self.numbers)
        return Flip(knobs=chosen, target=goal, flipped=flipped, sentence=sentence)

    def rename(self, knob: int, label: str | None) -> None:
        """Give a knob a person's name; in the explanation folder where it came from one.

        Raises:
            StoreError: the name is too long, or cannot be written.
            SearchError: there is no such knob.
        """
        words = " ".join((label or "").split()) or None
        if words is not None and len(words) > 120:
            raise SearchError(f"the name has {len(words)} characters; use at most 120")
        with self._changing:
            old = self._knob(knob)
            if old.kept and self._folder is not None:
                save_labels(self._folder, {knob: words}, seen=self._explained)
            self._knobs[knob] = replace(old, attribute=replace(old.attribute, label=words))

    def hide(self, knob: int, hidden: bool) -> None:
        """Mark a knob as one not to be shown; in the explanation folder where it came from one.

        Raises:
            StoreError: it cannot be written.
            SearchError: there is no such knob.
        """
        with self._changing:
            old = self._knob(knob)
            if old.kept and self._folder is not None:
                save_hidden(self._folder, {knob: hidden}, seen=self._explained)
            self._knobs[knob] = replace(old, attribute=replace(old.attribute, hidden=hidden))

    def explanation(self, turn: Turn) -> Explanation:
        """What is on screen as an explanation of one image: each knob added in turn.

        Raises:
            SearchError: an image, knob or fitted copy that is not there, or no knob is turned.
        """
        knobs = {knob: fraction for knob, fraction in turn.knobs.items() if fraction != 0}
        if not knobs:
            raise SearchError("no knob is turned; turn one, then export")
        image, order = self._image(turn.image), sorted(knobs)
        drawer = self._copies.drawer(turn.image, turn.fitted)
        steps = [{knob: knobs[knob] for knob in order[:n]} for n in range(1, len(order) + 1)]
        alone = [{knob: knobs[knob]} for knob in order]
        with self._drawing:
            pictures, logits = drawer.editor.render_all(
                [Turn(image=turn.image, knobs=each) for each in ({}, *alone, *steps)]
            )
        return turned_by_hand(
            drawer.subject,
            image,
            [(self._knob(knob).attribute, knobs[knob]) for knob in order],
            (pictures, logits),
            settings={
                **self.repeat,
                **self._identity,
                "image": image.id,
                "fitted": turn.fitted,
                "knobs": {str(k): v for k, v in knobs.items()},
            },
            notes=(said_of(image.fitted),) if turn.fitted and image.fitted else (),
        )

    # What the others are made of.

    @torch.inference_mode()
    def _take(
        self,
        pictures: NDArray[np.uint8],
        names: Sequence[str],
        labels: Sequence[str | None],
        *,
        ids: Sequence[str] | None = None,
        own: bool = False,
        notes: tuple[str, ...] = (),
    ) -> None:
        """Encode pictures and put them among the images; what an explanation has shown already is passed over.

        Its ids were made of the archive's names in the same way (by ``encode``), unless they are given here.
        """
        encoded = encode(self._subject, to_tensor(pictures).to(self._subject.device), names, labels)
        both = (logits.float().cpu().numpy() for logits in (encoded.logits, encoded.logits_rec))
        shares, shares_rec = (probabilities(logits, self.output).astype(np.float32) for logits in both)
        rebuilt = to_pictures(encoded.x_rec)
        with self._changing, self._drawing:
            for row, image_id in enumerate(ids or encoded.ids):
                if image_id in self._images:
                    continue
                self._editor.add(image_id, encoded.s[row])
                self._images[image_id] = StudioImage(
                    id=image_id,
                    name=names[row],
                    label=labels[row],
                    original=pictures[row],
                    probabilities=shares[row],
                    rebuilt=Frame(picture=rebuilt[row], probabilities=shares_rec[row]),
                    own=own,
                    notes=notes,
                )
            if self._editor.half is not None:
                self._editor.half.learn(self._editor.synthesis, encoded.s, encoded.x_rec)
            drafts, drawer = self._editor.drafts is not None, self._editor.drafts or self._editor.synthesis
            self._pace[drafts].begin(lambda: self.classifier.logits(drawer(encoded.s[:1])).tolist())

    def _image(self, image: str) -> StudioImage:
        self._editor.style(image)  # says what is wrong with a name
        return self._images[image]

    def _knob(self, knob: int) -> Knob:
        if not 0 <= knob < len(self._knobs):
            raise SearchError(f"there is no knob {knob}; expected 0 to {len(self._knobs) - 1}")
        return self._knobs[knob]

    def _knob_for(self, attribute: Attribute, image: str) -> int:
        """The position of an image's own attribute among the knobs; a new one if it is not there."""
        wanted = image, attribute.coordinate, attribute.sign, attribute.target
        for position, knob in enumerate(self._knobs):
            known = knob.attribute
            if (knob.image, known.coordinate, known.sign, known.target) == wanted:
                return position
        with self._drawing:
            self._editor.attributes.append(attribute)
        self._knobs.append(Knob(attribute=attribute, image=image, kept=False))
        return len(self._knobs) - 1

    def _goal(self, image: str, target: int | None, fitted: bool) -> int:
        """The class to drive to: the likeliest other one; of several labels the least certain, turned on; more."""
        if target is not None:
            if not 0 <= target < len(self.labels):
                raise SearchError(f"there is no class {target}; expected 0 to {len(self.labels) - 1}")
            return target
        if self.numbers is not None:
            return self.numbers.asked
        shown = self._image(image)
        rebuilt = shown.fitted.rebuilt if fitted and shown.fitted else shown.rebuilt
        return other_class(rebuilt.probabilities, self.output)
