"""A live editor over the networks: turns knobs on images, many at once, from cached features where it can."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from stylex.core.attribute import Attribute
from stylex.core.errors import SearchError
from stylex.core.explanation import Picture
from stylex.core.studio import Turn
from stylex.data.images import to_pictures
from stylex.search.render import ROWS_PER_PASS, Synthesizer
from stylex.search.shifts import apply_attributes
from stylex.search.subject import Subject

CACHE_BYTES = 256 * 2**20
"""Features kept for the images turned last."""


@dataclass(eq=False)
class _Anchor:
    """Features of one image at one setting of the knobs, and the setting that was asked for last."""

    s: Tensor
    states: list[Any]
    size: int
    last: Tensor


class StyleEditor:
    """The core ``Editor`` over a synthesis network, a classifier and some images' style vectors.

    To turn one knob again and again draws only what lies behind it: the features before the first layer that a new
    setting touches are kept from an earlier one (an anchor for each image; those used least recently are dropped).

    Args:
        subject: what draws, what classifies, and the layout of ``s``.
        s, image_ids: style vectors, and what they are called.
        attributes: what can be turned.
        drafts: the same network, faster and less exact, to draw drafts.
        cache_bytes: of features to keep.
    """

    def __init__(
        self,
        subject: Subject,
        s: Float[Tensor, "n s_dim"],
        image_ids: Sequence[str],
        attributes: Iterable[Attribute],
        *,
        drafts: Synthesizer | None = None,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        assert len(s) == len(image_ids)
        self.subject = subject
        self.synthesis, self.classifier, self.space = subject.synthesis, subject.classifier, subject.space
        self.drafts = drafts
        self.attributes: list[Attribute] = list(attributes)
        self.cache_bytes = cache_bytes
        self._s = dict(zip(image_ids, s, strict=True))
        self._anchors: OrderedDict[tuple[str, bool], _Anchor] = OrderedDict()  # of an image, and of drafts of it
        # Where drawing must start again when a style value changes. What no step draws by itself (a direction, say)
        # may enter anywhere.
        steps = {name: step for step, name in enumerate(self.synthesis.steps)}
        self._step_of = torch.cat([torch.full((x.channels,), steps.get(x.name, 0)) for x in self.space.layers])

    def style(self, image_id: str) -> Float[Tensor, "1 s_dim"]:
        """The style vector of an image.

        Raises:
            SearchError: there is no such image.
        """
        if image_id not in self._s:
            raise SearchError(f"there is no image {image_id!r} to edit; there are {len(self._s)}: {_some(self._s)}")
        return self._s[image_id][None]

    def add(self, image_id: str, s: Float[Tensor, " s_dim"]) -> None:
        """One more image, or another one in the place of an old one."""
        self.remove(image_id)
        self._s[image_id] = s

    def remove(self, image_id: str) -> None:
        """Forget an image."""
        for draft in (False, True):
            self._anchors.pop((image_id, draft), None)
        self._s.pop(image_id, None)

    def render(self, image_id: str, knobs: Mapping[int, float]) -> tuple[Picture, NDArray[np.float32]]:
        """The picture of an image with attributes moved, and its logits ``[k]``.

        Args:
            image_id: which image.
            knobs: position of the attribute -> how much of its shift to take: 0 nothing, 1 all of it, negative as
                far towards the opposite extreme. The order in which knobs are named does not matter.

        Raises:
            SearchError: there is no such image, or no such attribute, or a knob is not a finite number.
        """
        pictures, logits = self.render_all([Turn(image=image_id, knobs=knobs)])
        return pictures[0], logits[0]

    @torch.inference_mode()
    def render_all(self, turns: Sequence[Turn], *, draft: bool = False) -> tuple[list[Picture], NDArray[np.float32]]:
        """Several pictures, drawn together, and their logits ``[n, k]``; as in ``render``; drafts where they exist.

        Raises:
            SearchError: as in ``render``.
        """
        s = [self._turned(turn) for turn in turns]
        draft = draft and self.drafts is not None
        x = torch.cat([self._draw(turns[i : i + ROWS_PER_PASS], s[i : i + ROWS_PER_PASS], draft)
                       for i in range(0, len(s), ROWS_PER_PASS)])  # fmt: skip
        return list(to_pictures(x)), self.classifier.logits(x).float().cpu().numpy()

    def _turned(self, turn: Turn) -> Tensor:
        own = self.style(turn.image)
        for knob, fraction in turn.knobs.items():
            if not 0 <= knob < len(self.attributes):
                raise SearchError(f"there is no attribute {knob} to turn; expected 0 to {len(self.attributes) - 1}")
            if not np.isfinite(fraction):
                raise SearchError(f"attribute {knob} cannot be turned to {fraction}; expected a finite number")
        order = sorted(turn.knobs)
        return apply_attributes(
            own, [self.attributes[knob] for knob in order], self.space, fractions=[turn.knobs[knob] for knob in order]
        )

    def _draw(self, turns: Sequence[Turn], s: Sequence[Tensor], draft: bool) -> Tensor:
        """The pictures, in [-1, 1]: rows that start at the same step are drawn together."""
        synthesis = self._drawing(draft)
        fresh: dict[str, int] = {}
        for row, turn in enumerate(turns):
            anchor = self._anchors.get((turn.image, draft))
            if turn.image in fresh:
                continue
            # Worth a new anchor: none is there, or a knob is turned that stands behind others which have moved since.
            if anchor is None or self._first_change(anchor.last, s[row]) > self._first_change(anchor.s, s[row]):
                fresh[turn.image] = row
            else:
                self._anchors.move_to_end((turn.image, draft))
        out: dict[int, Tensor] = {}
        if fresh:
            drawn = self._anchored(list(fresh), [s[row] for row in fresh.values()], draft)
            out |= zip(fresh.values(), drawn, strict=True)
        by_step: dict[int, list[int]] = {}
        for row, turn in enumerate(turns):
            if row not in out:
                anchor = self._anchors.get(
                    (turn.image, draft)
                )  # none where the cache is smaller than one image's features
                by_step.setdefault(self._first_change(anchor.s, s[row]) if anchor else 0, []).append(row)
                if anchor:
                    anchor.last = s[row]
        for step, rows in by_step.items():
            state = _joined([self._anchors[turns[row].image, draft].states[step] for row in rows]) if step else None
            x = synthesis(torch.cat([s[row] for row in rows]), noise="const", start=step, state=state)
            out |= zip(rows, x.split(1), strict=True)
        return torch.cat([out[row] for row in range(len(turns))]).clamp(-1, 1)

    def _first_change(self, a: Tensor, b: Tensor) -> int:
        """The first step that differs between two style vectors; the last step where none does."""
        changed = (a != b)[0].cpu()
        last = len(self.synthesis.steps) - 1
        return min(last, int(self._step_of[changed].min())) if bool(changed.any()) else last

    def _drawing(self, draft: bool) -> Synthesizer:
        return self.drafts if draft and self.drafts is not None else self.synthesis

    def _anchored(self, images: Sequence[str], s: Sequence[Tensor], draft: bool) -> Sequence[Tensor]:
        """Draw from the beginning, and keep the features on the way."""
        joined, synthesis = torch.cat(list(s)), self._drawing(draft)
        states = synthesis.prefix(joined, noise="const")
        x = synthesis(joined, noise="const", start=len(states) - 1, state=states[-1])
        for row, image in enumerate(images):
            # Copies, each made once though several steps begin with it: an anchor is dropped alone.
            own: dict[int, Tensor] = {}
            for tensor in (tensor for state in states for tensor in state if tensor is not None):
                if id(tensor) not in own:
                    own[id(tensor)] = tensor[row : row + 1].clone() if len(joined) > 1 else tensor
            kept = [type(state)(*(None if t is None else own[id(t)] for t in state)) for state in states]
            size = sum(tensor.nbytes for tensor in own.values())
            self._anchors[image, draft] = _Anchor(s=s[row], states=kept, size=size, last=s[row])
            self._anchors.move_to_end((image, draft))
        while self._anchors and sum(anchor.size for anchor in self._anchors.values()) > self.cache_bytes:
            self._anchors.popitem(last=False)
        return x.split(1)


def _joined(states: Sequence[Any]) -> Any:
    return type(states[0])(*(None if column[0] is None else torch.cat(column) for column in zip(*states, strict=True)))


def _some(names: Mapping[str, Tensor]) -> str:
    return ", ".join(list(names)[:3]) + (", ..." if len(names) > 3 else "")
