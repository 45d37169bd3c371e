"""A live editor over the networks: turns knobs on images, many at once, from cached features where it can."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
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
from stylex.search.half import HalfSize
from stylex.search.render import ROWS_PER_PASS, Synthesizer
from stylex.search.shifts import apply_attributes
from stylex.search.subject import Subject

CACHE_BYTES = 128 * 2**20
"""Features kept of what was turned last."""
_REMEMBERED = 2**15
"""Marks of settings drawn last; each leaves one a step."""


class StyleEditor:
    """The core ``Editor`` over a synthesis network, a classifier and some images' style vectors.

    To turn one knob again and again draws only what lies behind it. The features before a layer hang on the style
    values of the earlier layers alone: a mark of these tells which features a setting shares with those before it,
    whoever turned them. Features that are asked for a second time are kept (an image at rest counts as the first
    time); those used least recently are dropped.

    Pictures drawn together go through each layer in one pass, which rows join at the layer that they begin with.

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
        self.half = HalfSize.of(self.space, self.synthesis.steps)
        self.attributes: list[Attribute] = list(attributes)
        self.cache_bytes = cache_bytes
        self._s: dict[str, Tensor] = {}
        self._at_rest: dict[str, list[bytes]] = {}
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self._kept: OrderedDict[tuple[bool, int, bytes], Any] = OrderedDict()  # of drafts or not, before a step
        self._kept_bytes = 0
        # Where drawing must start again when a style value changes. What no step draws by itself (a map, say) may
        # enter anywhere.
        steps = {name: step for step, name in enumerate(self.synthesis.steps)}
        self._step_of = torch.cat([torch.full((x.channels,), steps.get(x.name, 0)) for x in self.space.layers])
        self._by_step = self._step_of.argsort(stable=True).numpy()
        self._ends = self._step_of.bincount(minlength=len(steps)).cumsum(0).tolist()
        for image_id, own in zip(image_ids, s, strict=True):
            self.add(image_id, own)

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
        self._s[image_id] = s
        self._at_rest[image_id] = self._marks(s[None])[0]

    def remove(self, image_id: str) -> None:
        """Forget an image."""
        self._s.pop(image_id, None)
        self._at_rest.pop(image_id, None)

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
        x = self._drawn(turns, draft, len(self.synthesis.steps))
        return list(to_pictures(x)), self.classifier.logits(x).float().cpu().numpy()

    @property
    def can_half(self) -> bool:
        """Whether ``render_half`` can be called."""
        return self.half is not None and self.half.images > 0

    @torch.inference_mode()
    def render_half(self, turns: Sequence[Turn], *, draft: bool = False) -> list[Picture]:
        """About the pictures at half their size, which ``half`` must have learnt to read; else as ``render_all``.

        Raises:
            SearchError: as in ``render``.
        """
        assert self.half is not None
        return list(to_pictures(self._drawn(turns, draft, self.half.step)))

    def _drawn(self, turns: Sequence[Turn], draft: bool, stop: int) -> Tensor:
        s = torch.cat([self._turned(turn) for turn in turns])
        draft = draft and self.drafts is not None
        return torch.cat([self._draw(turns[i : i + ROWS_PER_PASS], s[i : i + ROWS_PER_PASS], draft, stop)
                          for i in range(0, len(s), ROWS_PER_PASS)])  # fmt: skip

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

    def _draw(self, turns: Sequence[Turn], s: Tensor, draft: bool, stop: int) -> Tensor:
        """The pictures, in [-1, 1]; those of half the size where ``stop`` is not behind the last step."""
        synthesis = self.drafts if draft and self.drafts is not None else self.synthesis
        marks = self._marks(s)
        begins = [self._begin(own[: stop + 1], draft) for own in marks]
        keeping: dict[int, list[int]] = {}  # before a step, the features of these rows
        for row, (turn, own) in enumerate(zip(turns, marks, strict=True)):
            if known := self._known(own[: stop + 1], self._at_rest[turn.image], begins[row][0]):
                keeping.setdefault(known, []).append(row)
        for own in marks:
            self._remember(own)

        order = sorted(range(len(s)), key=lambda row: begins[row][0])
        place = {row: i for i, row in enumerate(order)}
        s = s[order]
        stops = sorted({*keeping, *(step for step, _ in begins)})
        state, drawn, at = None, 0, stops[0]
        for step in stops:
            if drawn:
                state = synthesis.between(s[:drawn], at, step, noise="const", state=state)
            joining = [begins[row][1] for row in order[drawn:] if begins[row][0] == step]
            drawn += len(joining)
            state = _joined([state, *joining]) if state is not None else _joined(joining)
            for row in keeping.get(step, ()):
                self._keep((draft, step, marks[row][step]), state, place[row])
            at = step
        if stop < len(self.synthesis.steps):
            assert self.half is not None
            x = self.half.picture(synthesis.between(s, at, stop, noise="const", state=state))
        else:
            x = synthesis(s, noise="const", start=at, state=state)
        return x[[place[row] for row in range(len(s))]].clamp(-1, 1)

    def _marks(self, s: Float[Tensor, "n s_dim"]) -> list[list[bytes]]:
        """Of each row, for each step, a hash of all that the features before the step hang on."""
        marks = []
        for row in s.cpu().numpy()[:, self._by_step]:
            seen, own = blake2b(digest_size=16), [b""]
            for begin, end in zip([0, *self._ends], self._ends[:-1], strict=False):
                seen.update(row[begin:end].tobytes())
                own.append(seen.digest())
            marks.append(own)
        return marks

    def _begin(self, own: Sequence[bytes], draft: bool) -> tuple[int, Any]:
        """The last step before which features of such a setting are kept, and these."""
        for step in range(len(own) - 1, 0, -1):
            key = (draft, step, own[step])
            if key in self._kept:
                self._kept.move_to_end(key)
                return step, self._kept[key]
        return 0, None

    def _known(self, own: Sequence[bytes], at_rest: Sequence[bytes], begin: int) -> int:
        """The last step behind ``begin`` whose features have been asked for before; 0 where there is none."""
        behind = range(len(own) - 1, begin, -1)
        return next((step for step in behind if own[step] == at_rest[step] or own[step] in self._seen), 0)

    def _remember(self, own: Sequence[bytes]) -> None:
        for mark in own:
            self._seen[mark] = None
            self._seen.move_to_end(mark)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    def _keep(self, key: tuple[bool, int, bytes], state: Any, row: int) -> None:
        if key in self._kept:
            return
        # A copy: the others' rows are not kept with it.
        own = type(state)(*(None if t is None else t[row : row + 1].clone() for t in state))
        self._kept[key] = own
        self._kept_bytes += _size(own)
        while self._kept_bytes > self.cache_bytes:
            self._kept_bytes -= _size(self._kept.popitem(last=False)[1])


def _joined(states: Sequence[Any]) -> Any:
    if states[0] is None:  # before the first step there is nothing
        return None
    if len(states) == 1:
        return states[0]
    return type(states[0])(*(None if column[0] is None else torch.cat(column) for column in zip(*states, strict=True)))


def _size(state: Any) -> int:
    return sum(tensor.nbytes for tensor in state if tensor is not None)


def _some(names: Mapping[str, Tensor]) -> str:
    return ", ".join(list(names)[:3]) + (", ..." if len(names) > 3 else "")
