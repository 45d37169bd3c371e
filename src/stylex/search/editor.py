"""A live editor over the networks: turns an explanation's knobs on any of its images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from stylex.core.attribute import AttributeRanking
from stylex.core.errors import SearchError
from stylex.core.explanation import Picture
from stylex.core.stylespace import StyleSpace
from stylex.data.images import to_pictures
from stylex.search.render import Judge, Synthesizer, draw
from stylex.search.shifts import apply_attributes


class StyleEditor:
    """The core ``Editor`` over a synthesis network, a classifier and some images' style vectors."""

    def __init__(
        self,
        synthesis: Synthesizer,
        classifier: Judge,
        space: StyleSpace,
        s: Float[Tensor, "n s_dim"],
        image_ids: Sequence[str],
        ranking: AttributeRanking,
    ) -> None:
        assert len(s) == len(image_ids)
        self.synthesis, self.classifier, self.space = synthesis, classifier, space
        self.ranking = ranking
        self._s = dict(zip(image_ids, s, strict=True))

    @torch.inference_mode()
    def render(self, image_id: str, knobs: Mapping[int, float]) -> tuple[Picture, NDArray[np.float32]]:
        """The picture of an image with attributes moved, and its logits ``[k]``.

        Args:
            image_id: which image.
            knobs: position in the ranking -> how much of the attribute's shift to take: 0 nothing, 1 all of it,
                negative as far towards the opposite extreme. The order in which knobs are named does not matter.

        Raises:
            SearchError: there is no such image, or no such attribute, or a knob is not a finite number.
        """
        if image_id not in self._s:
            raise SearchError(f"there is no image {image_id!r} to edit; there are {len(self._s)}: {_some(self._s)}")
        for knob, fraction in knobs.items():
            if not 0 <= knob < len(self.ranking):
                raise SearchError(f"there is no attribute {knob} to turn; expected 0 to {len(self.ranking) - 1}")
            if not np.isfinite(fraction):
                raise SearchError(f"attribute {knob} cannot be turned to {fraction}; expected a finite number")
        order = sorted(knobs)
        s = apply_attributes(
            self._s[image_id][None],
            [self.ranking[knob] for knob in order],
            self.space,
            fractions=[knobs[knob] for knob in order],
        )
        x = draw(self.synthesis, s)
        return to_pictures(x)[0], self.classifier.logits(x)[0].float().cpu().numpy()


def _some(names: Mapping[str, Tensor]) -> str:
    return ", ".join(list(names)[:3]) + (", ..." if len(names) > 3 else "")
