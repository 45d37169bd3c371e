"""Copies of a generator, each fitted to one photograph while somebody waits, and who draws a turn: they, or it."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from stylex.core.errors import SearchError
from stylex.core.progress import Event, Listener, Step
from stylex.core.studio import Fitted, Frame, StudioImage, Turn
from stylex.data.images import to_pictures, to_tensor
from stylex.search.decision import probabilities
from stylex.search.editor import CACHE_BYTES, StyleEditor
from stylex.search.encoding import Encoded, encode
from stylex.search.render import Synthesizer
from stylex.search.subject import TrainedSubject
from stylex.search.tuning import TuneConfig, tune

MOST_FITTED = 4
"""Copies kept at once, each as large as the generator; the one longest unused goes when one more comes."""
HOW = TuneConfig()


@dataclass(frozen=True, eq=False, kw_only=True)
class Drawer:
    """Who draws an image: networks, and an editor over them.

    Attributes:
        subject, editor: these.
        fitted: whether they are fitted to it.
    """

    subject: TrainedSubject
    editor: StyleEditor
    fitted: bool = True


class Copies:
    """The copies at hand, beside the generator as trained. Safe to be used from several threads at once.

    Args:
        subject, plain: the networks as trained, and their editor, whose attributes the copies' editors share.
        drafts: the network that draws a network's drafts, where that is worth it.
    """

    def __init__(
        self, subject: TrainedSubject, plain: StyleEditor, drafts: Callable[[Synthesizer], Synthesizer | None]
    ) -> None:
        self._as_trained = Drawer(subject=subject, editor=plain, fitted=False)
        self._drafts = drafts
        self._kept: OrderedDict[str, Drawer] = OrderedDict()
        self._lock, self._measuring = threading.Lock(), threading.Lock()
        self.seconds: float | None = None

    def drawer(self, image: str, fitted: bool) -> Drawer:
        """Who draws an image: the generator as trained, or the copy fitted to it.

        Raises:
            SearchError: no copy fitted to it is kept.
        """
        found = self._found(image) if fitted else self._as_trained
        if found is None:
            raise SearchError(
                f"no copy of the generator is fitted to {image!r}, or it has made room for newer ones ({MOST_FITTED} "
                "are kept); fit it to the photograph first"
            )
        return found

    def shared(self, turns: Sequence[Turn], rows: Sequence[int]) -> list[tuple[Drawer, list[int]]]:
        """Of these rows, who draws which of them; where no copy is kept, it is the generator as trained."""
        shares: dict[int, tuple[Drawer, list[int]]] = {}
        for row in rows:
            turn = turns[row]
            drawer = (self._found(turn.image) if turn.fitted else None) or self._as_trained
            shares.setdefault(id(drawer), (drawer, []))[1].append(row)
        return list(shares.values())

    def fit(self, image: StudioImage, listener: Listener) -> tuple[Fitted, list[str]]:
        """Fit one more copy; what it draws, and the images whose copies made room for it.

        Raises:
            SearchError: the image has no photograph.
        """
        before = self._encoded(image)
        began = time.perf_counter()
        subject, after = tune(self._as_trained.subject, before, HOW, listener=listener)
        self.seconds = time.perf_counter() - began
        editor = StyleEditor(
            subject, after.s, [image.id], (), drafts=self._drafts(subject.synthesis),
            cache_bytes=CACHE_BYTES // MOST_FITTED,
        )  # fmt: skip
        editor.attributes = self._as_trained.editor.attributes
        editor.half = self._as_trained.editor.half  # a copy draws nearly as it does
        with self._lock:
            self._kept.pop(image.id, None)
            self._kept[image.id] = Drawer(subject=subject, editor=editor)
            gone = [self._kept.popitem(last=False)[0] for _ in range(len(self._kept) - MOST_FITTED)]
        shares = _shares(after.logits_rec, subject)
        rebuilt = Frame(picture=to_pictures(after.x_rec)[0], probabilities=shares, fitted=True)
        return Fitted(rebuilt=rebuilt, l1=after.pixel_l1(), l1_before=before.pixel_l1()), gone

    def measure(self, image: StudioImage) -> float:
        """About how many seconds a fit takes, from the second of two steps, unless it is known.

        Raises:
            SearchError: the image has no photograph.
        """
        with self._measuring:
            if self.seconds is None:
                times = [time.perf_counter()]

                def clock(event: Event) -> None:
                    if isinstance(event, Step):
                        times.append(time.perf_counter())

                tune(self._as_trained.subject, self._encoded(image), replace(HOW, steps=2), listener=clock)
                self.seconds = time.perf_counter() - times[0] + (HOW.steps - 2) * (times[2] - times[1])
            return self.seconds

    def forget(self, image: str) -> None:
        """Drop an image's copy, if it has one."""
        with self._lock:
            self._kept.pop(image, None)

    def _found(self, image: str) -> Drawer | None:
        with self._lock:
            if image in self._kept:
                self._kept.move_to_end(image)
            return self._kept.get(image)

    def _encoded(self, image: StudioImage) -> Encoded:
        if image.original is None:
            raise SearchError(f"{image.name} has no photograph that a copy of the generator could be fitted to")
        subject = self._as_trained.subject
        return encode(subject, to_tensor(image.original[None]).to(subject.device), [image.name], [image.label])


def said_of(fitted: Fitted) -> str:
    """What a copy came to, in a sentence."""
    return (
        "Drawn by a copy of the generator that was fitted to this photograph: the pixels differ from it by "
        f"{fitted.l1:.3f} on average instead of {fitted.l1_before:.3f} (on [-1, 1])."
    )


def _shares(logits: Tensor, subject: TrainedSubject) -> NDArray[np.float32]:
    return probabilities(logits[0].float().cpu().numpy(), subject.output).astype(np.float32)
