"""A class explained along directions."""

from __future__ import annotations

import re
from importlib.resources import as_file, files

import numpy as np
import pytest
import torch

from stylex.data.archive import open_images
from stylex.search import encoding
from stylex.search.class_search import explain_class
from stylex.search.config import SearchConfig
from stylex.search.encoding import Encoded, encode_stream
from stylex.search.subject import TrainedSubject

pytestmark = pytest.mark.integration


def test_a_class_is_explained_along_directions(shipped: tuple[TrainedSubject, Encoded]) -> None:
    subject, encoded = shipped
    explanation = explain_class(subject, encoded, SearchConfig(), target=None, settings={})
    assert explanation is not None
    assert {attribute.coordinate.layer for attribute in explanation.ranking} <= {"independent"}
    assert len(explanation.ranking) > 0
    assert all(attribute.significance is not None for attribute in explanation.ranking)
    assert explanation.space is not None
    assert explanation.space.layers[-2].name == "independent"


def test_images_that_stay_in_their_archive_are_explained_alike(
    shipped: tuple[TrainedSubject, Encoded], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, encoded = shipped
    with as_file(files("stylex") / "demo_data") as folder:
        images = open_images(folder / "shoes.zip")
        images = images.subset(np.concatenate([np.arange(12), np.arange(len(images) - 12, len(images))]))
        held: list[int] = []
        monkeypatch.setattr(encoding, "AT_ONCE", 10)
        batch = type(images).batch
        monkeypatch.setattr(type(images), "batch", lambda self, rows: held.append(len(rows)) or batch(self, rows))
        streamed = encode_stream(subject, images, encoded.labels)
        assert held == [10, 10, 4]
        assert streamed.ids == encoded.ids
        for name in ("s", "logits", "logits_rec"):
            torch.testing.assert_close(getattr(streamed, name), getattr(encoded, name), atol=1e-4, rtol=1e-4)
        assert streamed.pixel_l1() == pytest.approx(encoded.pixel_l1(), abs=1e-6)
        for one, other in zip(streamed.pair(3), encoded.pair(3), strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
        found = [explain_class(subject, e, SearchConfig(), target=None, settings={}) for e in (streamed, encoded)]
    assert found[0] is not None
    assert found[1] is not None
    assert [a.name for a in found[0].ranking] == [a.name for a in found[1].ranking]
    assert [image.id for image in found[0].images] == [image.id for image in found[1].images]


def test_the_list_is_as_long_as_the_finding_says(shipped: tuple[TrainedSubject, Encoded]) -> None:
    subject, encoded = shipped
    explanation = explain_class(subject, encoded, SearchConfig(), target=None, settings={})
    assert explanation is not None
    finding, listed = explanation.ranking.finding, len(explanation.ranking)
    named = sum(int(number) for number in re.findall(r"(\d+) of \d+ directions? drives?", finding))
    assert named > listed
    distinct = re.search(r"is listed once: (\d+) in all", finding)
    assert distinct is not None
    assert int(distinct[1]) == listed
