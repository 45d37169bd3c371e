"""The analysis of a recorded file of answers equals what is computed by hand; and what passes by accident stands there.

The record (``tests/data_files/study``): six links, five raters. 0, 1 and 2 finish; of the pictures to be sorted, 1 errs
on one of ``baseline``, 2 on one of ``ours`` and two of ``baseline``. 3 always presses left and fails the word to be
typed. 4 is right three times with ``ours`` and leaves.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from stylex.core.evaluation import Interval
from stylex.core.study import Answer, Answers, Study
from stylex.store.answers import read_answers
from stylex.store.study import read_study
from stylex.study.analysed import Analysis, Sorted
from stylex.study.analysis import analyse, rows_of
from stylex.study.machine import observed, simulate

RECORD = Path(__file__).parents[1] / "data_files" / "study"


@pytest.fixture(scope="module")
def study() -> Study:
    return read_study(RECORD)


@pytest.fixture(scope="module")
def answers(study: Study) -> Answers:
    return read_answers(RECORD, study)


@pytest.fixture(scope="module")
def analysis(study: Study, answers: Answers) -> Analysis:
    return analyse(study, answers, machine=observed(RECORD, study))


def close(interval: Interval, value: float, low: float, high: float) -> bool:
    return (interval.value, interval.low, interval.high) == pytest.approx((value, low, high), abs=2e-4)


def test_who_took_part(analysis: Analysis) -> None:
    raters = analysis.raters
    assert (raters.invited, raters.began, raters.finished, raters.stopped, raters.withdrew) == (6, 5, 4, 1, 0)
    assert raters.left_out == (3,)
    # Two checks for each of four, one for who left: 8 of 9 passed.
    assert close(raters.checks, 8 / 9, 0.5650, 0.9801)


def test_accuracy_of_the_methods(analysis: Analysis) -> None:
    ours, baseline = analysis.methods
    # 4, 4, 3 of 4 and 3 of 3. Wilson of 14 of 15: 0.84498 -+ 1.56035 * sqrt(0.0041481 + 0.0042683).
    assert (ours.answers, ours.raters) == (15, 4)
    assert close(ours.accuracy, 14 / 15, 0.7018, 0.9881)
    # Raters 1, 1, 3/4, 1; of 16 patterns of signs only one reaches the sum of their distances from one half.
    assert ours.of_raters.value == pytest.approx(15 / 16)
    assert ours.p == 1 / 16
    # 4, 3, 2 of 4. Distances 1/2, 1/4, 0: two of eight patterns reach their sum. Holm: 2/16, and 1/4.
    assert (baseline.answers, baseline.raters, baseline.accuracy.value) == (12, 3, 0.75)
    assert baseline.p == 1 / 4
    assert (ours.p_corrected, baseline.p_corrected) == (1 / 8, 1 / 4)


def test_agreement_in_what_was_chosen(analysis: Analysis) -> None:
    ours, baseline = analysis.methods
    # Of 15 choices 6 are side 0. One picture is disputed, 1 against 3: D_o = 6/3/15, D_e = 2 * 6 * 9 / (15 * 14).
    assert ours.alpha == pytest.approx(1 - (2 / 15) / (108 / 210))
    # Of 12, 7 are side 0; two pictures are disputed, 1 against 2: D_o = 4/12, D_e = 2 * 7 * 5 / (12 * 11).
    assert baseline.alpha == pytest.approx(1 - (4 / 12) / (70 / 132))


def test_accuracy_of_each_attribute(analysis: Analysis) -> None:
    told = {i: (round(entry.accuracy.value * entry.answers), entry.answers) for i, entry in analysis.attributes.items()}
    assert told == {0: (6, 7), 1: (8, 8), 2: (4, 6), 3: (5, 6)}
    # Distances: of 0: 1/2, 1/2, 0, 1/2 (2 of 16); of 1: four of 1/2 (1 of 16); of 2: 1/2, 0, 0; of 3: 1/2, 1/2, 0.
    assert [entry.p for entry in analysis.attributes.values()] == [1 / 8, 1 / 16, 1 / 2, 1 / 4]
    # Holm: 4/16; 3/8; 2/4; then not less than the one before.
    assert [entry.p_corrected for entry in analysis.attributes.values()] == [3 / 8, 1 / 4, 1 / 2, 1 / 2]


def test_the_difference_between_methods(analysis: Analysis) -> None:
    (row,) = analysis.differences
    # Over the three who saw both: 0, 1/4, 1/4; two of eight patterns on each side.
    assert (row.one, row.other, row.raters) == ("ours", "baseline", 3)
    assert row.accuracy.value == pytest.approx(1 / 6)
    assert (row.p, row.p_corrected) == (1 / 2, 1 / 2)


def test_what_was_said(analysis: Analysis) -> None:
    ours, baseline = analysis.words
    # {bright, corner} twice and {light}; {dark, right} twice and {dark, corner}.
    assert ours.attributes[0].words == (("brighter", 2 / 3), ("corner", 2 / 3), ("light", 1 / 3))
    assert [entry.shared for entry in ours.attributes] == pytest.approx([1 / 3, 1])
    assert ours.shared == pytest.approx(4 / 6)
    # Of six pairs of two raters two share the corner; nobody is a pair with himself.
    assert ours.by_accident == pytest.approx(2 / 6)
    # D_o = (4/2 + 4 * 2/3 / 2) / 6; D_e = 2 * (2 + 4 + 4/3 + 2 + 1 + 4/3) / 30.
    assert ours.alpha == pytest.approx(1 - (10 / 3 / 6) / (70 / 3 / 30))
    assert (ours.common, ours.collisions) == (2, 0)
    # {bright, corner}, {corner}, {noise}; {right, side, dark}, {dark}, {noise}: D_o = 31/36, D_e = 79/90.
    assert baseline.alpha == pytest.approx(1 - (31 / 36) / (79 / 90))
    assert (baseline.shared, baseline.by_accident) == pytest.approx((1 / 3, 0))  # both noises are one rater's


def test_time(analysis: Analysis) -> None:
    # Rater r takes r + 1.5 seconds to sort and r + 11 to describe.
    assert [entry.seconds for entry in analysis.methods] == [2.5, 2.5]
    assert [entry.seconds for entry in analysis.words[0].attributes] == [12, 12]


def control(analysis: Analysis, about: str) -> Sorted:
    return next(entry for entry in analysis.controls if entry.about == about)


def test_what_passes_by_accident_stands_beside(analysis: Analysis) -> None:
    # 27 answers: one half -+ 1.96 * sqrt(1/4 / 27).
    assert close(control(analysis, "who guesses").accuracy, 0.5, 0.3114, 0.6886)
    assert control(analysis, "who always presses left").accuracy.value == pytest.approx(14 / 27)
    same = control(analysis, "the same attribute on both sides")
    assert (same.answers, same.accuracy.value) == (8, 1 / 8)
    left_out = control(analysis, "raters who failed checks")
    assert (left_out.answers, left_out.accuracy.value) == (8, 0.5)
    # Corners change exactly alike on every picture.
    assert control(analysis, "a machine, by what changes: ours").accuracy.value == 1


def test_who_may_fail_a_check_is_counted(study: Study, answers: Answers) -> None:
    lenient = analyse(study, answers, most_failed=1)
    assert lenient.raters.left_out == ()
    assert [entry.answers for entry in lenient.methods] == [19, 16]
    assert "raters who failed checks" not in [entry.about for entry in lenient.controls]


def test_a_word_that_was_asked_for_may_be_written_in_capitals(study: Study, answers: Answers) -> None:
    typed = [row for row in rows_of(study, answers, 0) if row.item.word is not None]
    assert [row.correct for row in typed] == [True, True, True, False]


def test_nobody_has_answered(study: Study) -> None:
    empty = analyse(study, Answers(consented=(), withdrawn=(), given=()))
    assert (empty.methods, empty.controls, empty.differences, empty.words) == ((), (), (), ())
    assert math.isnan(empty.raters.checks.value)


def test_one_answer_is_enough_to_be_said(study: Study, answers: Answers) -> None:
    first = next(answer for answer in answers.given if answer.side is not None and answer.place == 1)
    one = analyse(study, Answers(consented=(0,), withdrawn=(), given=(first,)))
    assert [entry.answers for entry in one.methods] == [1]
    assert one.methods[0].p == 1 / 2


def test_clinicians_judgements(made) -> None:
    _, study = made(tasks=("clinical",), attributes=2, images=2, checks=0, raters=4)
    # Two methods of two attributes with two pictures each; rater 3 says no to all, others yes; 0 is not sure once.
    given = [
        Answer(
            rater=rater,
            place=place,
            seconds=10,
            words="heart larger",
            plausible="no" if rater == 3 else "unsure" if (rater, entry.item) == (0, 0) else "yes",
        )
        for rater, order in enumerate(study.orders)
        for place, entry in enumerate(order)
    ]
    analysis = analyse(study, Answers(consented=(0, 1, 2, 3), withdrawn=(), given=tuple(given)))
    both = [entry for entry in analysis.judged if entry.subject is None]
    assert [entry.answers for entry in both] == [16, 16]
    assert [entry.plausible.value for entry in both] == [11 / 16, 12 / 16]
    assert [entry.implausible.value for entry in both] == [4 / 16, 4 / 16]
    # Each picture of the second: 1 against 3. D_o = 4 * 6/3 / 16, D_e = 2 * 12 * 4 / (16 * 15).
    assert both[1].alpha == pytest.approx(1 - (8 / 16) / (96 / 240))
    assert len(analysis.judged) == 6
    assert {words.task for words in analysis.words} == {"clinical"}
    assert analysis.words[0].shared == analysis.words[0].by_accident == 1


@pytest.mark.integration
def test_guessers_and_who_presses_left_are_found_at_one_half_and_who_looks_is_not(made) -> None:
    folder, study = made(raters=30, checks=0)
    simulate(folder, [*["looks"] * 10, *["guesses"] * 10, *["left"] * 10])
    answers = read_answers(folder, study)
    for raters, right in (((0, 10), True), ((10, 20), False), ((20, 30), False)):
        given = tuple(answer for answer in answers.given if raters[0] <= answer.rater < raters[1])
        analysis = analyse(study, replace(answers, given=given))
        for entry in analysis.methods:
            assert (entry.accuracy.low > 0.8) == right
            assert (entry.p_corrected < 0.05) == right
            assert right or entry.accuracy.low < 0.5 < entry.accuracy.high
