"""Moves: pictures in which one style coordinate is replaced, drawn and classified as cheaply as the network allows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from numpy import ndarray
from torch import Tensor

from stylex.core.progress import Found, Listener, silent
from stylex.core.stylespace import StyleSpace
from stylex.models.precision import has_fast_bf16
from stylex.search.config import Precision
from stylex.search.render import Mover, Synthesizer
from stylex.search.shifts import extremes, towards
from stylex.search.subject import Subject

TOLERANCE = 0.02
"""Largest error that bfloat16 may make, as a fraction of the largest effect: beyond it a screen wins nothing by it."""

CACHED = 2**30
"""Bytes of features kept to start from, for all the images that are worked on together."""

_FEATURES_AT_ONCE = {"cpu": 2**23, "cuda": 2**30}
"""Bytes of the largest features in a chunk: what a thread of the processor works well on, or fills an accelerator."""
_SMALLEST_CHUNK, _LARGEST_CHUNK = 4, 1024
_IMAGES_TOGETHER = 64
"""Images whose features are kept at once, at most."""
_SAMPLE = 256
"""Moves that bfloat16 is tried on."""


class Evaluator:
    """Draws and classifies pictures that differ from a reconstruction in one style coordinate.

    A coordinate changes nothing before its own layer, so synthesis starts there, from features that are computed once
    for each image. Where the network offers it (``Mover``), the layer itself is not repeated either. Moves of one
    layer are drawn together, of as many images as it takes to fill a chunk.

    Memory: the networks; at most ``CACHED`` bytes of features (one image's, where those are more); and, for the chunk
    at work, some times the bytes of its largest features.
    """

    def __init__(
        self,
        subject: Subject,
        *,
        chunk: int | None = None,
        precision: Precision = "float32",
    ) -> None:
        """Prepare.

        Args:
            subject: what draws and classifies, frozen and in eval mode.
            chunk: pictures drawn at once (default: from the measured size of one picture's features).
            precision: ``bf16`` draws and classifies under autocast.
        """
        self.synthesis, self.classifier, self.space = subject.synthesis, subject.classifier, subject.space
        self.chunk, self.precision = chunk, precision
        self.step_of = np.empty(self.space.s_dim, dtype=np.int64)
        for step, name in enumerate(self.synthesis.steps):
            self.step_of[self.space.slice(name)] = step
        self._bytes = 0

    @torch.inference_mode()
    def logits(
        self,
        s: Float[Tensor, "n s_dim"],
        image: Int64[Tensor, " j"],
        index: Int64[Tensor, " j"],
        value: Float[Tensor, " j"],
    ) -> tuple[Float[Tensor, "n k"], Float[Tensor, "j k"]]:
        """Logits of the reconstructions, and of each move: ``s[image]`` with ``index`` replaced by ``value``."""
        if self.chunk is None:
            self._measure(s[:1])
        order = torch.argsort(image, stable=True)
        image, index, value = image[order], index[order], value[order]
        begins = torch.searchsorted(image, torch.arange(len(s) + 1, device=s.device)).tolist()
        together = self._together(len(image) / len(s))
        base, moved = [], []
        for start in range(0, len(s), together):
            end = min(start + together, len(s))
            own = slice(begins[start], begins[end])
            one, many = self._of_group(s[start:end], image[own] - start, index[own], value[own])
            base.append(one)
            moved.append(many)
        out = torch.empty_like(torch.cat(moved))
        out[order] = torch.cat(moved)
        return torch.cat(base), out

    def effects(
        self,
        s: Float[Tensor, "n s_dim"],
        indices: Int64[ndarray, " m"],
        shift_range: float,
        wanted: Bool[ndarray, "*n 2 m"] | None = None,
    ) -> tuple[Float32[ndarray, "n 2 m k"], Float32[ndarray, "n k"], int]:
        """Effects of moves to the extremes, the reconstructions' logits, and how many pictures were drawn for them.

        A move that changes nothing, or is not wanted, is not drawn; its effect is zero.

        Args:
            s: the images' style vectors.
            indices: flat indices of the coordinates.
            shift_range: fraction of the way to the extreme.
            wanted: which moves, of every image or of each (default: all).
        """
        at = torch.from_numpy(indices).to(s.device)
        moved = moves_to_extremes(self.space, s, indices, shift_range)
        drawn = moved != s[:, None, at]
        if wanted is not None:
            drawn &= torch.from_numpy(wanted).to(s.device)
        image, sign, column = drawn.nonzero(as_tuple=True)
        base, logits = self.logits(s, image, at[column], moved[image, sign, column])
        table = torch.zeros(*moved.shape, base.shape[1], device=s.device)
        table[image, sign, column] = logits - base[image]
        return table.cpu().numpy(), base.cpu().numpy(), len(base) + len(logits)

    def try_bf16(
        self,
        s: Float[Tensor, "1 s_dim"],
        indices: Int64[ndarray, " m"],
        shift_range: float,
        *,
        tolerance: float = TOLERANCE,
        listener: Listener = silent,
    ) -> None:
        """Go on in bfloat16, if the hardware has it and it is exact enough on moves of one image; say which.

        Args:
            s: the image.
            indices: of the coordinates that the moves are taken from, evenly.
            shift_range: fraction of the way to the extreme.
            tolerance: the largest error allowed, as a fraction of the largest effect.
            listener: hears what was decided, and why.
        """
        if not has_fast_bf16(s.device):
            listener(
                Found(
                    message="This processor has no bfloat16 in hardware, and would be slower with it: float32 is used."
                )
            )
            return
        some = indices[:: max(1, 2 * len(indices) // _SAMPLE)]
        exact = self.effects(s, some, shift_range)[0]
        self.precision = "bf16"
        rough = self.effects(s, some, shift_range)[0]
        error = float(np.abs(rough - exact).max() / max(np.abs(exact).max(), 1e-12))
        if error <= tolerance:
            said = f"Pictures are drawn in bfloat16, which changes effects by {error:.2%} of the largest at most"
        else:
            self.precision = "float32"
            said = (
                f"bfloat16 would change effects by {error:.1%} of the largest, more than {tolerance:.1%}; float32 is "
                "used instead"
            )
        listener(Found(message=f"{said} (measured on {2 * len(some)} moves of one image)."))

    def _of_group(self, s: Tensor, image: Tensor, index: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        with self._autocast(s):
            states = self.synthesis.prefix(s, noise="const")
            last = len(states) - 1
            drawn = self.synthesis(s, noise="const", start=last, state=states[last])
            base = self._judge(drawn)
            out = torch.empty(len(image), base.shape[1], device=s.device)
            steps = torch.from_numpy(self.step_of).to(s.device)[index]
            for step in range(len(states)):
                moves = (steps == step).nonzero()[:, 0]
                if len(moves) == 0:
                    continue
                drawer = self._drawer(s, step, states[step], drawn)
                done = 0
                while done < len(moves):
                    part = moves[done : done + self._part(len(moves) - done)]
                    try:
                        out[part] = self._judge(drawer(image[part], index[part], value[part]))
                    except torch.OutOfMemoryError:
                        if self.chunk == 1:
                            raise
                        torch.cuda.empty_cache()
                        self.chunk = max(1, len(part) // 2)
                        continue
                    done += len(part)
        return base, out

    def _drawer(self, s: Tensor, step: int, state: Any, drawn: Tensor) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        # What draws moves of one step, given their images, indices and values.
        if isinstance(self.synthesis, Mover):
            mover, basis = self.synthesis, self.synthesis.basis(s, step, state, drawn)
            return lambda image, index, value: mover.moved(basis, image, index, value)

        def draw(image: Tensor, index: Tensor, value: Tensor) -> Tensor:
            rows = s[image]
            rows[torch.arange(len(rows), device=s.device), index] = value
            return self.synthesis(rows, noise="const", start=step, state=_rows(state, image))

        return draw

    def _judge(self, x: Tensor) -> Tensor:
        return self.classifier.logits(x.clamp(-1, 1)).float()

    def _autocast(self, s: Tensor) -> torch.autocast:
        return torch.autocast(s.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def _part(self, left: int) -> int:
        # Even parts of at most a chunk; smaller ones from then on where memory did not suffice.
        assert self.chunk is not None
        return math.ceil(left / math.ceil(left / self.chunk))

    def _together(self, moves_an_image: float) -> int:
        # As many images as it takes for a layer's moves to fill some chunks, as far as memory goes.
        assert self.chunk is not None
        wanted = 2 * self.chunk * len(self.synthesis.steps) / max(moves_an_image, 1)
        room = CACHED // self._bytes if self._bytes else _IMAGES_TOGETHER
        return max(1, min(math.ceil(wanted), room, _IMAGES_TOGETHER))

    def _measure(self, s: Tensor) -> None:
        # How many bytes one picture's features have, and so how many fit. No clock is asked: the same search, with as
        # many threads, draws the same chunks wherever it is cut, and its results are the same to the last bit.
        with self._autocast(s):
            self._bytes, largest = feature_bytes(self.synthesis, s)
        threads = 1 if s.device.type == "cuda" else torch.get_num_threads()
        room = threads * _FEATURES_AT_ONCE.get(s.device.type, _FEATURES_AT_ONCE["cpu"]) // largest
        self.chunk = max(_SMALLEST_CHUNK, min(_LARGEST_CHUNK, room))


def feature_bytes(synthesis: Synthesizer, s: Float[Tensor, "1 s_dim"]) -> tuple[int, int]:
    """Bytes of one picture's features: of all of them together, and of the largest."""
    states = synthesis.prefix(s, noise="const")
    sizes = {id(t): t.nbytes for state in states for t in state if isinstance(t, Tensor)}
    return max(1, sum(sizes.values())), max(1, *sizes.values(), 1)


def moves_to_extremes(
    space: StyleSpace, s: Float[Tensor, "n s_dim"], indices: Int64[ndarray, " m"], shift_range: float
) -> Float[Tensor, "n 2 m"]:
    """The value of every coordinate moved to its observed minimum (sign index 0) and maximum (1).

    Args:
        space: layout and observations.
        s: the images' style vectors.
        indices: flat indices of the coordinates.
        shift_range: fraction of the way.
    """
    at = torch.from_numpy(indices).to(s.device)
    own = s[:, None, at].expand(-1, 2, -1)
    bounds = extremes(space, s)[None, :, at].expand(len(s), -1, -1)
    return towards(own, bounds, shift_range)


def _rows(state: Any, image: Tensor) -> Any:
    # The states of the images that the moves are about; of a single image without copying.
    def pick(tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        return tensor.expand(len(image), *tensor.shape[1:]) if len(tensor) == 1 else tensor[image]

    return type(state)(*(pick(tensor) for tensor in state))
