"""The analysis as files: one page that loads nothing, a table without formulas, numbers that JSON can say."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from stylex.core.errors import StoreError
from stylex.core.study import Answers
from stylex.store.answers import read_answers
from stylex.store.study import read_study
from stylex.study.analysis import analyse, rows_of
from stylex.study.machine import observed
from stylex.study.page import (
    analysis_page,
    cautions,
    chance,
    findings,
    lines_of,
    reach,
    share,
    table_of,
    write_analysis,
)

RECORD = Path(__file__).parents[1] / "data_files" / "study"


@pytest.fixture(scope="module")
def study():
    return read_study(RECORD)


@pytest.fixture(scope="module")
def answers(study):
    return read_answers(RECORD, study)


@pytest.fixture(scope="module")
def analysis(study, answers):
    return analyse(study, answers, machine=observed(RECORD, study))


def test_the_page_says_what_was_found_beside_what_passes_by_accident(analysis, study) -> None:
    page = analysis_page(analysis, study, RECORD)
    for said in (
        "ours: 93% of 15 pictures were sorted to the right attribute (70 to 99%), which guessing may do as well",
        "Between ours and baseline no difference is shown (p = 0.500; 3 raters).",
        "1 rater failed a check of attention and is left out",
        "With fewer than 5 raters nothing can be called more than chance.",
        "who always presses left",
        "the same attribute on both sides",
        "a machine, by the first picture alone: ours",
    ):
        assert said in page
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page


def test_what_people_type_is_text_in_the_page(study, answers, analysis) -> None:
    given = tuple(replace(a, words="<b>evil</b>") if a.words else a for a in answers.given)
    subjects = tuple(replace(s, name="<script>alert(1)</script>") for s in study.subjects)
    other = replace(study, subjects=subjects)
    page = analysis_page(analyse(other, replace(answers, given=given), most_failed=9), other, RECORD)
    assert "<script" not in page
    assert "<b>evil" not in page


def test_before_anybody_answers(study) -> None:
    empty = analyse(study, Answers(consented=(), withdrawn=(), given=()))
    assert "Nobody has answered yet." in analysis_page(empty, study, RECORD)
    assert lines_of(empty) == ["0 of 6 raters began, 0 finished, 0 stopped early, 0 left out"]


def test_the_table_holds_every_answer(study, answers) -> None:
    rows = list(csv.DictReader(io.StringIO(table_of(study, rows_of(study, answers, 0)))))
    assert len(rows) == len(answers.given) == 70
    first = next(row for row in rows if row["role"] == "question")
    assert first == {
        "rater": "1", "place": "2", "task": "sort", "role": "question", "method": "ours", "attribute": "corner 0",
        "other": "corner 1", "image": first["image"], "side": "left", "correct": "1", "chosen": "corner 0", "words": "",
        "plausible": "", "seconds": "1.5", "left_out": "0",
    }  # fmt: skip
    assert {row["left_out"] for row in rows if row["rater"] == "4"} == {"1"}


@pytest.mark.parametrize("typed", ["=cmd|' /C calc'!A0", "+1", "-1", "@x", "\t=1"])
def test_no_typed_text_becomes_a_formula(study, answers, typed) -> None:
    given = tuple(replace(a, words=typed) if a.words else a for a in answers.given)
    rows = csv.DictReader(io.StringIO(table_of(study, rows_of(study, replace(answers, given=given), 0))))
    assert not any(row["words"].startswith(("=", "+", "-", "@", "\t")) for row in rows)


def test_numbers_are_json_and_what_was_not_measured_is_null(analysis, study, answers, tmp_path: Path) -> None:
    out = tmp_path / "analysis"
    page = write_analysis(analysis, study, rows_of(study, answers, 0), pictures=RECORD, out=out)
    assert page == out / "analysis.html"
    content = json.loads((out / "analysis.json").read_text())
    assert (content["schema"], content["version"]) == ("stylex-analysis", 1)
    assert content["methods"][0]["accuracy"]["value"] == 14 / 15
    assert content["attributes"]["0"]["alpha"] is None
    assert content["subjects"][0]["method"] == "ours"


def test_an_analysis_is_replaced_when_that_is_said(analysis, study, answers, tmp_path: Path) -> None:
    rows = rows_of(study, answers, 0)
    write_analysis(analysis, study, rows, pictures=RECORD, out=tmp_path / "a")
    (tmp_path / "a" / "mine.txt").write_text("note")
    with pytest.raises(StoreError, match="already holds an analysis"):
        write_analysis(analysis, study, rows, pictures=RECORD, out=tmp_path / "a")
    write_analysis(analysis, study, rows, pictures=RECORD, out=tmp_path / "a", overwrite=True)
    assert (tmp_path / "a" / "mine.txt").read_text() == "note"
    with pytest.raises(StoreError, match="holds something else"):
        write_analysis(analysis, study, rows, pictures=RECORD, out=tmp_path, overwrite=True)


def test_warnings_where_something_else_than_the_change_tells(analysis) -> None:
    high = replace(analysis.methods[0], accuracy=replace(analysis.methods[0].accuracy, value=0.9, low=0.7, high=0.97))
    told = replace(analysis, controls=(replace(high, about="a machine, by the first picture alone: ours"),))
    assert any("raters may have told images apart" in said for said in cautions(told))
    told = replace(analysis, controls=(replace(high, about="the same attribute on both sides"),))
    assert any("something else tells sides apart" in said for said in cautions(told))


def test_words_for_numbers(analysis) -> None:
    assert share(float("nan")) == "–"
    assert share(0.5) == "50%"
    assert chance(0.0001) == "p < 0.001"
    assert reach(analysis.methods[0].accuracy) == "70 to 99%"
    sure = replace(analysis.differences[0], p_corrected=0.01)
    said = list(findings(replace(analysis, differences=(sure,))))
    assert "Raters told ours apart better than baseline, by 17 points on average (p = 0.010)." in said
