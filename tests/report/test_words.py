"""Plain words: sentences say what the numbers say, and warnings come when they should."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from stylex.core.explanation import Explanation
from stylex.core.figures import flips_in
from stylex.core.numbers import Numbers
from stylex.report import words
from stylex.report.page import render_report


def with_figures(explanation: Explanation, **figures: float) -> Explanation:
    return dataclasses.replace(explanation, figures=figures, flips=flips_in(figures))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0%"), (1, "100%"), (0.5, "50%"), (0.994, "99%"), (0.996, "99.6%"), (0.9996, "99.96%"), (0.004, "0.4%")],
)
def test_a_share_is_complete_only_when_it_is(value: float, text: str) -> None:
    assert words.percent(value) == text
    assert words.percent(1e-9) == "under 0.01%"
    assert words.percent(1 - 1e-9) == "over 99.99%"


def test_the_sentence_counts_what_is_shown(explanation: Explanation) -> None:
    shown = [cf for cf in explanation.counterfactuals if cf.attributes == (0,)]
    mean = np.mean([cf.probabilities[1] - explanation.image(cf.image).reconstruction_probabilities[1] for cf in shown])
    flipped = sum(words.flips(cf, explanation) for cf in shown)
    assert words.what_it_does(explanation.ranking[0], shown, explanation) == (
        f"Turning this up raises P(ankle boot) by {mean:.2f} on average; it flips {flipped} of 3 images shown."
    )
    assert words.what_it_does(explanation.ranking[1], shown[:1], explanation).startswith("Turning this up raises")
    # Up is where the slider goes, whatever the coordinate's sign.
    assert (explanation.ranking[0].sign, explanation.ranking[1].sign) == (1, -1)
    assert "by +1.30 on average" in words.what_it_does(explanation.ranking[0], [], explanation)


def test_an_answer_that_becomes_a_third_class_is_no_flip(explanation: Explanation) -> None:
    cf = next(cf for cf in explanation.counterfactuals if words.flips(cf, explanation))
    labels = ("sneaker", "ankle boot", "sandal")
    before = dataclasses.replace(
        explanation.image(cf.image), reconstruction_probabilities=np.array([0.9, 0.1, 0.0], np.float32)
    )
    of_three = dataclasses.replace(explanation, labels=labels, images=(before,))
    sandal, boot = (
        dataclasses.replace(cf, target=1, probabilities=np.array(p, np.float32))
        for p in ([0.1, 0.2, 0.7], [0.1, 0.7, 0.2])
    )
    assert words.flips(boot, of_three)
    assert not words.flips(sandal, of_three)


def test_answers_of_several_labels_are_about_the_target(explanation: Explanation) -> None:
    both = dataclasses.replace(explanation, output="sigmoid")
    p = np.array([0.9, 0.4], np.float32)
    assert words.answer(p, explanation, 1) == "sneaker"
    assert words.answer(p, both, 1) == "not ankle boot"
    assert words.answer(p, both, 0) == "sneaker"


def test_an_attribute_turned_back_is_recognised(explanation: Explanation) -> None:
    cf = explanation.counterfactuals[0]
    back = dataclasses.replace(cf, logits=explanation.image(cf.image).reconstruction_logits - np.float32([0, 1]))
    assert not words.turned_back(cf, explanation)
    assert words.turned_back(back, explanation)


@pytest.mark.parametrize(
    ("figures", "level", "says"),
    [
        ({"agreement": 0.99}, "good", "the same of photograph and reconstruction for 99.0%"),
        ({"agreement": 0.93}, "care", "a longer training helps"),
        ({"agreement": 0.5}, "warning", "train longer before believing"),
        ({"agreement": 1.0, "agreement_other": 0.99}, "warning", "gives nearly all images one answer"),
        ({}, "care", "not measured"),
        ({"agreement": 1.0, "probability_error": 0.2}, "warning", "differ by 0.20"),
        ({"flips_top3_to_x": 0.9, "random_flips_equal_range_to_x": 0.1}, "good", "flip 90%"),
        ({"flips_top3_to_x": 0.3, "random_flips_equal_range_to_x": 0.1}, "care", "only 30%"),
        ({"flips_top3_to_x": 0.6, "random_flips_equal_range_to_x": 0.4}, "warning", "hardly more than chance"),
    ],
)
def test_measurements_become_checks(explanation: Explanation, figures: dict[str, float], level: str, says: str) -> None:
    found = words.checks(with_figures(explanation, **figures))
    assert [check.level for check in found if says in check.text] == [level]
    order = ["warning", "care", "good"]
    assert [c.level for c in found] == sorted((c.level for c in found), key=order.index)


def test_an_image_that_is_rebuilt_as_something_else_warns(explanation: Explanation) -> None:
    one = explanation.images[0]
    assert one.probabilities is not None
    other = dataclasses.replace(one, probabilities=one.probabilities[::-1].copy())
    for image, level in ((one, "good"), (other, "warning")):
        local = dataclasses.replace(explanation, scope="image", images=(image,), counterfactuals=())
        assert [c.level for c in words.checks(local) if "of the photograph" in c.text] == [level]


def test_weak_attributes_are_named(explanation: Explanation) -> None:
    first, second = explanation.ranking
    weak = dataclasses.replace(
        explanation.ranking,
        images=5,
        attributes=(dataclasses.replace(first, significance=0.4), dataclasses.replace(second, shift_range=2.0)),
    )
    text = " ".join(check.text for check in words.checks(dataclasses.replace(explanation, ranking=weak)))
    assert "(p above 0.05): Shaft height." in text
    assert "partly invented: Attribute 2." in text
    assert "only 5 images" in text


def test_a_q_value_is_called_so(explanation: Explanation) -> None:
    first, second = explanation.ranking
    kept = dataclasses.replace(first, significance=0.4, tested="q")
    assert "q = 0.400" in words.how_it_was_measured(kept, explanation)
    rated = dataclasses.replace(explanation.ranking, attributes=(kept, second))
    text = " ".join(check.text for check in words.checks(dataclasses.replace(explanation, ranking=rated)))
    assert "(q above 0.05): Shaft height." in text
    assert "(p above" not in text


def test_a_number_is_told_in_its_unit(explanation: Explanation) -> None:
    numbers = Numbers(names=("age", "age"), unit="years", center=(40.0, -40.0), scale=(10.0, 10.0), by=5.0)
    told = dataclasses.replace(
        explanation,
        labels=("more age", "less age"),
        output="regression",
        settings={**explanation.settings, "regression": numbers.to_json()},
        figures={"agreement": 0.9, "agreement_other": 0.3, "correlation": 0.8, "answer_error": 0.2},
        strips=(),
    )
    told = dataclasses.replace(told, figures=told.figures | {"answer_error_other": 0.9, "kl": 0.1})
    assert Numbers.of(told) is not None
    assert Numbers.of(explanation) is None
    assert numbers.said(0.5, 0) == numbers.said(0.5, 1) == "40.0 years"
    assert numbers.value(0.9, 0) > 40 > numbers.value(0.9, 1)  # towards less age is down
    shown = [cf for cf in told.counterfactuals if cf.attributes == (0,)]
    sentence = words.what_it_does(told.ranking[0], shown, told)
    assert sentence.startswith("Turning this up lowers age by ")
    assert "and by 5.0 years or more on " in sentence
    page = re.sub(r"<(script|style).*?</\1>", "", render_report(told), flags=re.DOTALL)
    text = re.sub(r"<[^>]*>", " ", page)
    assert "years" in text
    assert "P(" not in text
    assert "the classifier’s number" in text
    assert words.effect(dataclasses.replace(told.ranking[0], target=1, effect=3.0), told) == "−3.0 years"
    assert "correlation 0.80" in text
    assert numbers.ends(0) == numbers.ends(1) == (15.0, 65.0)  # two and a half standard deviations about the mean
    measured = dataclasses.replace(numbers, low=(20.0, 20.0), high=(90.0, 90.0))
    assert Numbers.of(dataclasses.replace(told, settings={"regression": measured.to_json()})).high == [90.0, 90.0]
    assert measured.along(0.5, 0) == measured.along(0.5, 1) == pytest.approx(2 / 7)
    before = {key: value for key, value in numbers.to_json().items() if key not in ("low", "high")}
    assert Numbers.of(dataclasses.replace(told, settings={"regression": before})) is not None
    for damaged in ({"low": [1.0, 2.0]}, {"unit": 3}, {"names": ["age"]}, {"by": None}, {"center": []}):
        settings = {"regression": numbers.to_json() | damaged}
        assert Numbers.of(dataclasses.replace(told, settings=settings)) is None
