"""Black boxes: functions of uint8 images, what they are asked, and what they are not asked twice."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from stylex.classifiers import (
    BlackBox,
    Classifier,
    ClassifierSpec,
    answers,
    check_classifier,
    has_weights,
    is_same,
    load_classifier,
)
from stylex.classifiers.black_box import bound, expect, meter_of
from stylex.core.errors import ClassifierError, ConfigError
from stylex.core.progress import Event


def brightness(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    bright = images.mean(axis=(1, 2, 3)) / 255
    return np.stack([1 - bright, bright], axis=1)


class Asked:
    """Keeps what it was asked."""

    def __init__(self) -> None:
        self.batches: list[NDArray[np.uint8]] = []

    def __call__(self, images: NDArray[np.uint8]) -> Any:
        self.batches.append(images)
        return brightness(images)


def box(function: Any = brightness, **how: Any) -> BlackBox:
    return BlackBox(function, **({"labels": ("dark", "bright"), "input_size": 16} | how))


def test_it_is_shown_whole_numbers_with_channels_last(x: Tensor) -> None:
    asked = Asked()
    classifier = load_classifier(box(asked))
    logits = classifier.logits(x)
    (batch,) = asked.batches
    assert (batch.shape, batch.dtype) == ((4, 16, 16, 3), np.uint8)
    shown = ((x + 1) * 127.5).round().permute(0, 2, 3, 1)
    assert np.array_equal(batch, shown.byte().numpy())
    torch.testing.assert_close(classifier.probabilities(logits)[:, 1], shown.mean(dim=(1, 2, 3)) / 255)


def test_it_is_marked_and_checked_as_one_without_gradient() -> None:
    classifier = load_classifier(box())
    assert not classifier.gradient
    assert not has_weights(classifier)
    assert "no gradient" in str(classifier.remark)
    check_classifier(classifier, channels=3, resolution=32, need_gradient=False)
    with pytest.raises(ClassifierError, match="no gradient"):
        check_classifier(classifier, channels=3, resolution=32)


def test_each_image_is_asked_about_once(x: Tensor) -> None:
    asked = Asked()
    classifier = load_classifier(box(asked, batch=3))
    first = classifier.logits(torch.cat([x, x]))
    assert [len(batch) for batch in asked.batches] == [3, 1]
    assert torch.equal(first[:4], first[4:])
    assert torch.equal(classifier.logits(x[:2]), first[:2])
    meter = meter_of(classifier)
    assert meter is not None
    assert (meter.calls, meter.known) == (4, 6)


def test_answers_stay_in_a_file(x: Tensor, tmp_path: Path) -> None:
    path, asked = tmp_path / "new" / "answers", Asked()
    first = load_classifier(box(asked, cache=path, name="mine")).logits(x)
    again = load_classifier(box(asked, cache=path, name="mine")).logits(x)
    assert torch.equal(first, again)
    assert len(asked.batches) == 1
    with pytest.raises(ClassifierError, match="answers of another classifier"):
        box(asked, cache=path, name="another")
    (tmp_path / "text").write_text("not a data base, but a text that is long enough to be taken for one" * 20)
    with pytest.raises(ClassifierError, match="cannot be used"):
        box(asked, cache=tmp_path / "text")


def test_no_more_is_asked_than_allowed(x: Tensor) -> None:
    asked = Asked()
    classifier = load_classifier(box(asked))
    bound(classifier, 4)
    classifier.logits(x)
    classifier.logits(x)  # known
    with pytest.raises(ClassifierError, match="has answered 4 images, and max_calls allows 4, too few for the next 4"):
        classifier.logits(-x)
    assert len(asked.batches) == 1
    with pytest.raises(ConfigError, match="about 5 calls"):
        expect(classifier, 5, lambda event: None)
    bound(classifier, 10)
    heard: list[Event] = []
    expect(classifier, 5, heard.append)
    assert len(heard) == 1


def test_what_a_cache_holds_is_not_expected_to_be_asked(x: Tensor, tmp_path: Path) -> None:
    load_classifier(box(cache=tmp_path / "answers")).logits(x)
    again = load_classifier(box(cache=tmp_path / "answers"))
    bound(again, 1)
    expect(again, 5, lambda event: None)
    with pytest.raises(ConfigError, match="about 6 calls of the classifier, of which its cache knows 4 at most, and"):
        expect(again, 6, lambda event: None)
    again.logits(x)
    with pytest.raises(ClassifierError, match="has answered 0 images, and max_calls allows 1, too few for the next 4"):
        again.logits(-x)


def test_several_threads_ask_no_more_than_allowed_and_nothing_twice() -> None:
    asked, most = Asked(), 30
    classifier = load_classifier(box(asked, batch=1))
    bound(classifier, most)
    pictures = torch.linspace(-1, 1, 40)[:, None, None, None].expand(40, 3, 16, 16)

    def ask(first: int) -> None:
        for i in range(40):
            with contextlib.suppress(ClassifierError):
                classifier.logits(pictures[[(first + i) % 40]])

    with ThreadPoolExecutor(8) as people:
        for _ in people.map(ask, range(0, 40, 5)):
            pass
    assert len(asked.batches) == most == len({batch.tobytes() for batch in asked.batches})


def test_calls_are_bounded_of_black_boxes_only(x: Tensor) -> None:
    here = Classifier(torch.nn.Flatten(), box().spec)
    bound(here, None)
    with pytest.raises(ConfigError, match="computed here"):
        bound(here, 10)
    with pytest.raises(ConfigError, match="expected 1 or more"):
        bound(load_classifier(box()), 0)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda images: 1 / 0, "function failed on 2 image"),
        (lambda images: np.zeros((3, 2)), r"shape \[3, 2\] for 2 images"),
        (lambda images: [["a", "b"]] * 2, "no numbers"),
        (lambda images: np.full((2, 2), np.nan), "not finite"),
        (lambda images: np.zeros((2, 5)), "5"),
    ],
)
def test_an_answer_that_is_none_is_one_line(function: Any, says: str, x: Tensor) -> None:
    with pytest.raises(ClassifierError, match=says):
        load_classifier(box(function)).logits(x[:2])


def test_probabilities_are_known_again_as_those_of_logits(x: Tensor) -> None:
    def logits(prepared: Tensor) -> Tensor:
        bright = prepared.mean(dim=(1, 2, 3)).clamp(1e-6, 1 - 1e-6)
        return torch.stack([(1 - bright).log() + 3, bright.log() + 3], dim=1)

    here = Classifier(logits, ClassifierSpec(labels=("dark", "bright"), input_size=16, channels=3))
    there = load_classifier(box())
    assert is_same(there, fingerprint_then="", answers_then=answers(here)) is True
    other = load_classifier(box(lambda images: brightness(images)[:, ::-1]))
    assert is_same(other, fingerprint_then="", answers_then=answers(here)) is False


def test_a_pipeline_of_scikit_learn_is_such_a_function(x: Tensor) -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    pipeline = pytest.importorskip("sklearn.pipeline")
    scale = pytest.importorskip("sklearn.preprocessing")
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8) // np.repeat([1, 2], 20)[:, None, None, None]
    rows = pictures.reshape(40, -1)
    model = pipeline.make_pipeline(scale.StandardScaler(), linear.LogisticRegression()).fit(rows, np.repeat([0, 1], 20))
    classifier = load_classifier(box(lambda images: model.predict_proba(images.reshape(len(images), -1))))
    said = classifier.probabilities(classifier.logits(torch.from_numpy(pictures).permute(0, 3, 1, 2) / 127.5 - 1))
    np.testing.assert_allclose(said.numpy(), model.predict_proba(rows), atol=1e-5)


def test_a_text_is_no_list_of_names() -> None:
    with pytest.raises(ClassifierError, match="labels is 'ab'; expected the names"):
        BlackBox(len, labels="ab", input_size=8)
