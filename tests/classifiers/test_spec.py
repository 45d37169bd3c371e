"""ClassifierSpec at the door: what it takes, what it refuses, and that JSON round-trips."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from stylex.classifiers import ClassifierSpec
from stylex.core.errors import ClassifierError

GOOD: dict[str, Any] = {"labels": ["cat", "dog"], "input_size": 16, "channels": 3}


def test_json_round_trips() -> None:
    spec = ClassifierSpec(
        labels=("a", "b", "c"), input_size=32, channels=3, mean=(0.5, 0.4, 0.3), std=(0.2,), value_range=(0, 255)
    )
    assert ClassifierSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_one_number_stands_for_all_channels() -> None:
    spec = ClassifierSpec.from_json(GOOD | {"mean": [1], "std": [2]})
    assert spec.mean == (1.0, 1.0, 1.0)
    assert spec.std == (2.0, 2.0, 2.0)


def test_k_and_activation() -> None:
    assert ClassifierSpec.from_json(GOOD).k == 2
    assert ClassifierSpec.from_json(GOOD).activation == "softmax"
    assert ClassifierSpec.from_json(GOOD | {"output": "multi-label", "labels": ["hat"]}).activation == "sigmoid"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"labels": "cat"}, "list"),
        ({"labels": ["cat", 3]}, "names"),
        ({"labels": ["cat", " "]}, "names"),
        ({"labels": ["cat", "cat"]}, "differ"),
        ({"labels": ["cat"]}, "at least 2"),
        ({"labels": []}, "at least 2"),
        ({"labels": ["a", "b", "c"], "output": "single-logit"}, "exactly 2"),
        ({"output": "softmax"}, "one of logits"),
        ({"output": ["logits"]}, "one of logits"),
        ({"input_size": 0}, "input_size"),
        ({"input_size": 32.0}, "input_size"),
        ({"input_size": True}, "input_size"),
        ({"channels": 4}, "1 or 3"),
        ({"channels": "3"}, "1 or 3"),
        ({"mean": [0.5, 0.5]}, "1 or 3 numbers"),
        ({"mean": 0.5}, "list"),
        ({"mean": [float("nan")]}, "finite"),
        ({"std": [0.0]}, "above 0"),
        ({"std": ["1"]}, "finite numbers"),
        ({"value_range": [1, 1]}, "two different"),
        ({"value_range": [0, 1, 2]}, "two different"),
        ({"colour": 1}, "unknown key colour"),
    ],
)
def test_refuses_what_cannot_be_meant(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ClassifierError, match=says) as caught:
        ClassifierSpec.from_json(GOOD | change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("given", [[], "x", None, {"labels": ["a", "b"]}])
def test_refuses_what_is_no_spec(given: Any) -> None:
    with pytest.raises(ClassifierError):
        ClassifierSpec.from_json(given)


def test_a_regression_has_a_unit_and_says_where_its_numbers_lie() -> None:
    spec = ClassifierSpec(labels=("age",), input_size=16, channels=1, output="regression", unit="years")
    assert spec.activation == "regression"
    known = replace(spec, center=(40.0,), scale=(12.0,))
    assert ClassifierSpec.from_json(known.to_json()) == known
    classes = ClassifierSpec(labels=("a", "b"), input_size=16, channels=1)
    assert not {"unit", "center", "scale"} & classes.to_json().keys()  # so that its fingerprint is what it was
    for wrong, message in (
        ({"unit": 3}, "unit must be a word"),
        ({"scale": (1.0,)}, "one number for each"),
        ({"center": (0.0,), "scale": (0.0,)}, "scale must be above 0"),
    ):
        with pytest.raises(ClassifierError, match=message):
            ClassifierSpec.from_json(spec.to_json() | wrong)
    with pytest.raises(ClassifierError, match="of output regression only"):
        ClassifierSpec.from_json(classes.to_json() | {"unit": "years"})
