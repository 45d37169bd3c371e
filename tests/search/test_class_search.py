"""A class explained along directions."""

from __future__ import annotations

import re
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from stylex.classifiers import Classifier, ClassifierSpec
from stylex.classifiers.classifier import Directed, standardised
from stylex.core.numbers import Numbers
from stylex.data.archive import open_images
from stylex.report.page import render_report
from stylex.report.words import flips, rise
from stylex.search import encoding
from stylex.search.class_search import explain_class
from stylex.search.config import SearchConfig
from stylex.search.decision import predicted, turned
from stylex.search.encoding import Encoded, encode, encode_stream
from stylex.search.subject import TrainedSubject
from stylex.store.folder import read_explanation, write_explanation

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
    # What directions account for is the same of two classes, and is said once.
    assert finding.count("together account for") == 1


class Light(torch.nn.Module):
    """Tells how light a picture is, and its upper half, in percent: an exact function of what is drawn."""

    def forward(self, x: Tensor) -> Tensor:
        return 100 * torch.stack([x.mean((1, 2, 3)), x[:, :, :16].mean((1, 2, 3))], dim=1)


def test_of_a_number_its_causes_are_found_both_ways_in_its_unit(
    shipped: tuple[TrainedSubject, Encoded], tmp_path: Path
) -> None:
    subject, encoded = shipped
    spec = ClassifierSpec(labels=("light", "top"), input_size=32, channels=1, output="regression", unit="percent")
    told = Directed(standardised(Classifier(Light(), spec), [encoded.x]), 0, by=2.0)
    numbers = TrainedSubject.of(subject.snapshot, told)
    seen = encode(numbers, encoded.x, encoded.ids)
    for target, sign in ((0, 1), (2, -1)):
        explanation = explain_class(numbers, seen, SearchConfig(), target=target, settings={})
        assert explanation is not None
        assert explanation.output == "regression"
        assert len(explanation.ranking) > 0
        own = Numbers.of(explanation)
        assert own is not None
        assert (own.unit, own.names[target]) == ("percent", "light")
        assert own.by == pytest.approx(2.0)
        forth = [cf for cf in explanation.counterfactuals if rise(cf, explanation) > 0]
        assert len(forth) > len(explanation.counterfactuals) / 3
        for cf in explanation.counterfactuals:
            before, after = (
                100 * picture.astype(np.float64).mean() / 255
                for picture in (explanation.image(cf.image).reconstruction, cf.picture)
            )
            p, p_rec = cf.probabilities, explanation.image(cf.image).reconstruction_probabilities
            assert own.value(float(p[target]), target) == pytest.approx(after, abs=0.6)
            assert own.value(float(p_rec[target]), target) == pytest.approx(before, abs=0.6)
            assert (sign * (after - before) > 0) == (rise(cf, explanation) > 0) or abs(after - before) < 0.3
            assert flips(cf, explanation) == (abs(after - before) >= 2) or abs(abs(after - before) - 2) < 0.3
        (moved,) = explanation.flips
        assert moved.random is not None
        assert moved.top[moved.count] > moved.random
        assert {"correlation", "answer_error", "answer_error_other"} <= explanation.figures.keys()
    write_explanation(explanation, tmp_path / "explanation")
    again = read_explanation(tmp_path / "explanation")
    assert Numbers.of(again) == own
    page = render_report(again)
    assert "percent" in page
    assert "P(" not in re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.DOTALL)


def test_a_number_that_moves_by_too_little_is_not_turned() -> None:
    before, after = np.array([[0.0, 0.0], [0.0, 0.0]]), np.array([[0.9, -0.9], [-1.1, 1.1]])
    assert turned(before, after, 0, "regression", 1.0).tolist() == [False, False]
    assert turned(before, after, 1, "regression", 1.0).tolist() == [False, True]
    assert not predicted(after, 1, "regression").any()
