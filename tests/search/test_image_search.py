"""One image explained along directions."""

from __future__ import annotations

import pytest

from stylex.search.config import SearchConfig
from stylex.search.encoding import Encoded
from stylex.search.image_search import explain_image
from stylex.search.subject import TrainedSubject

pytestmark = pytest.mark.integration


def test_an_image_is_explained_along_directions(shipped: tuple[TrainedSubject, Encoded]) -> None:
    subject, encoded = shipped
    one = Encoded(
        ids=encoded.ids[:1],
        labels=encoded.labels[:1],
        **{name: getattr(encoded, name)[:1] for name in ("x", "x_rec", "logits", "logits_rec", "s")},
    )
    explanation = explain_image(subject, one, SearchConfig(attributes=5), target=None, settings={})
    assert {attribute.coordinate.layer for attribute in explanation.ranking} == {"independent"}
