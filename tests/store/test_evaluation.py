"""The evaluation's file: what was written is read, everything else is told in one line and stays."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from stylex.core.errors import StoreError
from stylex.core.evaluation import Evaluation, Interval, Measure, MeasuredAttribute
from stylex.core.explanation import Explanation
from stylex.store.evaluation import check_file, evaluation_in, read_evaluation, write_evaluation
from stylex.store.folder import EVALUATION, write_explanation


@pytest.fixture
def evaluation() -> Evaluation:
    interval = Interval(value=0.4, low=0.1, high=0.6)
    return Evaluation(
        title="How far",
        labels=("sneaker", "ankle boot"),
        searched=10,
        measured=20,
        measures=(
            Measure(name="reconstruction.agreement", value=0.97, low=0.95, high=1.0, images=20, kind="agreement"),
            Measure(name="sufficiency.top3_to_ankle boot", value=math.nan, note="no image"),
            Measure(name="realism.kid_real", value=-0.01, low=-0.02, high=0.01, images=20, by="a net"),
        ),
        attributes=(
            MeasuredAttribute(name="b4.conv1:3+", target_label="sneaker", shift_range=1.0),
            MeasuredAttribute(
                name="heel", target_label="sneaker", shift_range=2.0, effect=interval, p=0.01, q=0.02, claimed=True,
                area=Interval.nothing(), counterpart="b4.conv1:7-", similarity=0.8,
            ),
        ),
        settings={"seed": 0},
        snapshot={"path": "run", "sha256": "0"},
        notes=("a note",),
    )  # fmt: skip


def test_what_is_written_is_read(evaluation: Evaluation, tmp_path: Path) -> None:
    path = write_evaluation(evaluation, tmp_path / "deep" / "e.json")
    read = read_evaluation(path)
    assert read.to_json() == evaluation.to_json()
    assert read["reconstruction.agreement"] == 0.97
    assert math.isnan(read["sufficiency.top3_to_ankle boot"])  # null in JSON
    with pytest.raises(KeyError):
        read["reconstruction.nothing"]
    assert [part for part, _ in read.parts()] == ["reconstruction", "sufficiency", "realism"]


def test_a_file_of_before_the_photographs_were_measured_still_opens(evaluation: Evaluation, tmp_path: Path) -> None:
    row = evaluation.to_json()
    for attribute in row["attributes"]:
        for later in ("flips", "flips_photograph", "random_flips_photograph", "picture_change"):
            del attribute[later]
    (tmp_path / "e.json").write_text(json.dumps(row))
    assert read_evaluation(tmp_path / "e.json").to_json() == evaluation.to_json()
    del row["attributes"][0]["effect"]
    (tmp_path / "e.json").write_text(json.dumps(row))
    with pytest.raises(StoreError, match="damaged"):
        read_evaluation(tmp_path / "e.json")


def test_it_lies_in_the_explanation_folder_until_that_is_replaced(
    evaluation: Evaluation, explanation: Explanation, tmp_path: Path
) -> None:
    folder = write_explanation(explanation, tmp_path / "explanation")
    assert evaluation_in(folder) is None
    write_evaluation(evaluation, folder / EVALUATION)
    found = evaluation_in(folder)
    assert found is not None
    assert found.to_json() == evaluation.to_json()
    write_explanation(explanation, folder, overwrite=True)  # it was of the older explanation
    assert evaluation_in(folder) is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"schema": "stylex-evaluation", "version": 9}', b"\xff"]
)
def test_what_is_no_evaluation_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "e.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"e\.json is not an evaluation"):
        read_evaluation(tmp_path / "e.json")
    with pytest.raises(StoreError, match="holds something else and stays"):
        check_file(tmp_path / "e.json", overwrite=True)


def test_a_place_is_checked_before_any_work(evaluation: Evaluation, tmp_path: Path) -> None:
    check_file(tmp_path / "new.json", overwrite=False)
    path = write_evaluation(evaluation, tmp_path / "e.json")
    check_file(path, overwrite=True)
    with pytest.raises(StoreError, match="overwrite=True"):
        check_file(path, overwrite=False)
    with pytest.raises(StoreError, match="not a file"):
        check_file(tmp_path, overwrite=True)
    with pytest.raises(StoreError, match="there is no evaluation"):
        read_evaluation(tmp_path / "none.json")


def test_settings_that_json_cannot_say_are_told(evaluation: Evaluation, tmp_path: Path) -> None:
    evaluation.settings["x"] = {1, 2}  # type: ignore[index]
    with pytest.raises(StoreError, match="JSON cannot say"):
        write_evaluation(evaluation, tmp_path / "e.json")
    assert list(tmp_path.iterdir()) == []
