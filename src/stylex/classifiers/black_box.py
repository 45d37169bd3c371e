"""Black boxes: classifiers of which only answers are known. They have no gradient, and their answers are counted."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from numpy import ndarray
from torch import Tensor

from stylex.classifiers.answers import AnswerFile
from stylex.classifiers.classifier import Classifier
from stylex.classifiers.spec import ClassifierSpec, OutputKind
from stylex.core.errors import ClassifierError, ConfigError
from stylex.core.progress import Found, Listener
from stylex.core.reference import reason
from stylex.core.wording import option

_REMEMBERED_BYTES = 2**26
"""Of answers, with their keys, that are held in memory; the longest unasked are forgotten."""
_ENTRY_BYTES = 200


@dataclass(eq=False, kw_only=True)
class Meter:
    """How often a black box was asked.

    Attributes:
        calls: images that it answered.
        known: images whose answers were known already, and which it was not asked about.
        most: calls that it may get; None: any number.
        kept: answers that its file held as it was opened.
    """

    calls: int = 0
    known: int = 0
    most: int | None = None
    kept: int = 0

    def take(self, images: int) -> None:
        """Count images that are about to be asked about.

        Raises:
            ClassifierError: they are more than allowed.
        """
        if self.most is not None and self.calls + images > self.most:
            raise ClassifierError(
                f"the classifier has answered {self.calls:,} images, and {option('max_calls')} allows {self.most:,}, "
                f"too few for the next {images:,}: "
                "allow more, give fewer images, or keep its answers in a cache and go on with the same command"
            )
        self.calls += images

    @property
    def said(self) -> str:
        """The count, in words."""
        known = f"; {self.known:,} more were known already" if self.known else ""
        return f"the classifier was called for {self.calls:,} images{known}"


class BlackBox:
    """A function of uint8 images as a classifier: a scikit-learn pipeline, a service, another framework's model.

    It takes images ``[n h w c]`` (an array of uint8, c is 1 or 3) and answers with an array ``[n k]`` of probabilities,
    in the order of ``labels``. It is given each image once: answers are remembered, those of the last ones in memory
    and all of them in a file where ``cache`` names one. Of several threads one asks at a time.

    Args:
        function: what to ask.
        labels: names of the outputs.
        input_size: side of the square images that it takes, in px.
        channels: 1 or 3.
        output: what its numbers are, as in a spec.
        batch: images of one call, at most.
        cache: a file to keep answers in. They are never asked for again: delete it when the function changes.
        name: of the function, for the cache (default: its own).
    """

    gradient = False
    remark = (
        "the classifier is a black box: it gives answers and no gradient, so what needs gradients is left out (lost "
        "causes, heatmaps, attacks, the screen of a search, the classifier's part in the losses of a training)"
    )

    def __init__(
        self,
        function: Callable[[UInt8[ndarray, "n h w c"]], Any],
        *,
        labels: Sequence[str],
        input_size: int,
        channels: int = 3,
        output: OutputKind = "probabilities",
        batch: int = 64,
        cache: str | Path | None = None,
        name: str | None = None,
    ) -> None:
        if not callable(function):
            raise ClassifierError(
                f"function is a {type(function).__name__}; expected one that takes pictures and answers"
            )
        if isinstance(labels, str) or not isinstance(labels, Sequence):
            raise ClassifierError(f"labels is {labels!r}; expected the names of the classes, as ('cat', 'dog')")
        self.spec = ClassifierSpec(
            labels=tuple(labels),
            input_size=input_size,
            channels=1 if channels == 1 else 3,
            value_range=(0.0, 255.0),
            output=output,
        )
        if channels not in (1, 3) or batch < 1:
            raise ClassifierError(f"channels is {channels} and batch {batch}; expected 1 or 3, and 1 or more")
        self._asking = threading.Lock()
        self._function, self._batch = function, batch
        self._memory: OrderedDict[bytes, ndarray] = OrderedDict()
        self._room = _REMEMBERED_BYTES // (_ENTRY_BYTES + 4 * len(self.spec.labels))
        name = name or getattr(function, "__qualname__", type(function).__qualname__)
        self._file = None if cache is None else AnswerFile(Path(cache), {"asked": name, **self.spec.to_json()})
        self.meter = Meter(kept=0 if self._file is None else len(self._file))

    def __call__(self, x: Tensor) -> Tensor:
        """Answers ``[n k]`` for images ``[n c h w]`` from 0 to 255, which are rounded."""
        pictures = x.detach().round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()
        keys = [hashlib.sha256(picture.tobytes()).digest() for picture in pictures]
        with self._asking:
            known = {key: row for key in dict.fromkeys(keys) if (row := self._known(key)) is not None}
            positions = {key: i for i, key in enumerate(keys) if key not in known}
            fresh = list(positions.items())
            self.meter.known += len(keys) - len(fresh)
            for start in range(0, len(fresh), self._batch):
                part = fresh[start : start + self._batch]
                self.meter.take(len(part))
                rows = self._asked(pictures[[i for _, i in part]])
                new = {key: row for (key, _), row in zip(part, rows, strict=True)}
                if self._file is not None:
                    self._file.keep(new)
                for key, row in new.items():
                    self._remember(key, row)
                known |= new
        return torch.from_numpy(np.stack([known[key] for key in keys])).to(x.device)

    def _known(self, key: bytes) -> ndarray | None:
        if key in self._memory:
            self._memory.move_to_end(key)
            return self._memory[key]
        row = None if self._file is None else self._file.find(key)
        if row is not None:
            self._remember(key, row)
        return row

    def _remember(self, key: bytes, row: ndarray) -> None:
        self._memory[key] = row
        while len(self._memory) > self._room:
            self._memory.popitem(last=False)

    def _asked(self, pictures: UInt8[ndarray, "n h w c"]) -> Float32[ndarray, "n k"]:
        try:
            answer = self._function(pictures)
        except ClassifierError:
            raise
        except Exception as error:  # of whoever wrote the function
            raise ClassifierError(
                f"the classifier's function failed on {len(pictures)} image(s): {reason(error)}"
            ) from error
        try:
            rows = np.asarray(answer, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise ClassifierError(f"the classifier's function answered with no numbers: {reason(error)}") from error
        rows = rows[:, None] if rows.ndim == 1 else rows
        if rows.ndim != 2 or len(rows) != len(pictures):
            raise ClassifierError(
                f"the classifier's function answered with shape {list(rows.shape)} for {len(pictures)} images; "
                f"expected [{len(pictures)}, {self.spec.k}]"
            )
        if not np.isfinite(rows).all():
            raise ClassifierError("the classifier's function answered with numbers that are not finite (NaN, infinity)")
        return rows


def meter_of(classifier: Classifier) -> Meter | None:
    """The count of a classifier's calls; None where it is no black box."""
    found = getattr(classifier.model, "meter", None)
    return found if isinstance(found, Meter) else None


def bound(classifier: Classifier, most: int | None) -> None:
    """Let a black box be called for so many images.

    Raises:
        ConfigError: the number cannot be meant, or the classifier is computed here and no call is counted.
    """
    if most is None:
        return
    if most < 1:
        raise ConfigError(f"{option('max_calls')} is {most}; expected 1 or more")
    meter = meter_of(classifier)
    if meter is None:
        raise ConfigError(
            f"{option('max_calls')} bounds how often a black box is called, but this classifier is computed here; "
            "leave it out"
        )
    meter.most = most


def expect(classifier: Classifier, calls: int, listener: Listener) -> None:
    """Say how often a black box is going to be called, before it is.

    Raises:
        ConfigError: that is more than allowed, even if all answers in its file are among them.
    """
    meter = meter_of(classifier)
    if meter is None:
        return
    known = f", of which its cache knows {meter.kept:,} at most" if meter.kept else ""
    if meter.most is not None and calls - meter.kept > meter.most - meter.calls:
        raise ConfigError(
            f"this takes about {calls:,} calls of the classifier{known}, and {option('max_calls')} allows "
            f"{meter.most:,}; allow more, or ask for fewer images"
        )
    listener(Found(message=f"about {calls:,} calls of the classifier are expected, one for each image{known}"))


def tell_calls(classifier: Classifier, listener: Listener) -> None:
    """Say how often a black box was called."""
    if (meter := meter_of(classifier)) is not None:
        listener(Found(message=meter.said))
