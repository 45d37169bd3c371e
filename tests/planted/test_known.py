"""What is known of drawn images: told by their names, and by nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from stylex.data.images import to_tensor
from stylex.planted import known
from stylex.planted.images import Planted


def test_photographs_are_not_known() -> None:
    assert known.known_of(("cat-1.png", "dog-2.png"), 16) is None


@pytest.mark.integration
def test_drawn_images_bring_their_causes_and_a_reader_of_their_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "_DRAWINGS", 900)
    drawn = Planted.sample("leaves", range(40), seed=0)
    found = known.known_of(drawn.names, 16)
    assert found is not None
    assert [found.family.factors[i] for i in found.causes] == list(drawn.family.causes)
    read = found.reader.read(to_tensor(drawn.pictures(16)))
    assert read.shape == drawn.factors.shape
    width = found.family.factors.index("width")
    assert np.corrcoef(read[:, width], drawn.factors[:, width])[0, 1] > 0.8
    assert (found.noise >= 0).all()
