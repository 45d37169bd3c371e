"""Answers: kept once and at once, taken back to the last byte, and nothing of a foreign file believed."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from tests.store.test_study import STUDY_OF_TWO

from stylex.core.errors import StoreError
from stylex.core.study import Answer, problem_of
from stylex.store.answers import ANSWERS, Ledger, read_answers
from stylex.store.study import read_study, write_study

SORTED = Answer(rater=0, place=0, seconds=1.5, side=1)
DESCRIBED = Answer(rater=0, place=1, seconds=9.25, words="the heel is higher")
JUDGED = Answer(rater=0, place=3, seconds=20.0, words="opacity", plausible="unsure")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = [name for flicker in STUDY_OF_TWO.flickers for name in (flicker.before, flicker.after)]
    return write_study(STUDY_OF_TWO, dict.fromkeys(names, np.zeros((4, 4, 1), np.uint8)), tmp_path / "study")


@pytest.fixture
def answered(folder: Path) -> Path:
    with Ledger(folder, STUDY_OF_TWO) as ledger:
        ledger.consent(0)
        for answer in (SORTED, DESCRIBED, JUDGED):
            assert ledger.keep(answer)
    return folder


def test_what_is_kept_is_read(answered: Path) -> None:
    known = read_answers(answered, STUDY_OF_TWO)
    assert known.given == (SORTED, DESCRIBED, JUDGED)
    assert (known.consented, known.withdrawn) == ((0,), ())


def test_of_one_place_the_first_answer_counts(answered: Path) -> None:
    with Ledger(answered, STUDY_OF_TWO) as ledger:
        assert not ledger.keep(Answer(rater=0, place=0, seconds=1.0, side=0))
        assert ledger.state_of(0) == (True, False, {0, 1, 3})
    assert read_answers(answered, STUDY_OF_TWO).given[0] == SORTED


def test_nobody_answers_without_having_agreed(folder: Path) -> None:
    with Ledger(folder, STUDY_OF_TWO) as ledger:
        assert not ledger.keep(SORTED)
        assert ledger.state_of(0) == (False, False, set())


def test_what_is_taken_back_is_gone_from_the_disk(answered: Path) -> None:
    with Ledger(answered, STUDY_OF_TWO) as ledger:
        ledger.withdraw(0)
        assert not ledger.keep(SORTED)
        ledger.consent(0)
        assert ledger.state_of(0) == (True, True, set())
        assert not any(b"heel" in file.read_bytes() for file in answered.glob(f"{ANSWERS}*"))
    known = read_answers(answered, STUDY_OF_TWO)
    assert (known.consented, known.withdrawn, known.given) == ((), (0,), ())


def test_answers_are_read_while_they_are_taken(folder: Path) -> None:
    with Ledger(folder, STUDY_OF_TWO) as ledger:
        ledger.consent(0)
        ledger.keep(SORTED)
        assert read_answers(folder, STUDY_OF_TWO).given == (SORTED,)
        ledger.keep(DESCRIBED)
        assert len(read_answers(folder, STUDY_OF_TWO).given) == 2


def test_the_log_is_synchronised_before_an_answer_is_kept(folder: Path) -> None:
    with Ledger(folder, STUDY_OF_TWO) as ledger:
        said = [ledger._file.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert said == ["wal", 2]


def test_many_threads_lose_nothing(folder: Path) -> None:
    with Ledger(folder, STUDY_OF_TWO) as ledger:
        for rater in (0, 1):
            ledger.consent(rater)
        kept: list[bool] = []
        threads = [
            threading.Thread(target=lambda r=rater, p=place: kept.append(ledger.keep(answer(r, p))))
            for rater in (0, 1)
            for place in range(4)
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(kept) == [False] * 16 + [True] * 8
    assert len(read_answers(folder, STUDY_OF_TWO).given) == 8


def answer(rater: int, place: int) -> Answer:
    kind = STUDY_OF_TWO.items[STUDY_OF_TWO.orders[rater][place].item].kind
    said = {"sort": {"side": 0}, "describe": {"words": "x"}, "clinical": {"words": "x", "plausible": "no"}}[kind]
    return Answer(rater=rater, place=place, seconds=1.0, **said)  # type: ignore[arg-type]


# Files that come back from elsewhere.


def changed(line: str) -> Callable[[Path], None]:
    def harm(file: Path) -> None:
        with closing(sqlite3.connect(file)) as opened:
            opened.execute(line)
            opened.commit()

    return harm


HARMS: dict[str, Callable[[Path], object]] = {
    "no file at all": lambda file: file.unlink(),
    "no database": lambda file: file.write_bytes(b"rater,answer\n" * 100),
    "empty": lambda file: file.write_bytes(b""),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:5000]),
    "overwritten": lambda file: file.write_bytes(file.read_bytes()[:8192] + b"\xff" * (file.stat().st_size - 8192)),
    "another table": changed("CREATE TABLE more (x)"),
    "a trigger": changed("CREATE TRIGGER t AFTER INSERT ON answers BEGIN DELETE FROM answers; END"),
    "a view": changed("CREATE VIEW v AS SELECT 1"),
    "another study": changed("UPDATE about SET study = 'x'"),
    "another version": changed("UPDATE about SET kind = 'stylex-answers 2'"),
    "nothing about it": changed("DELETE FROM about"),
    "a rater who was not asked": changed("INSERT INTO raters VALUES (2, 0)"),
    "a negative rater": changed("INSERT INTO raters VALUES (-1, 0)"),
    "a rater who has not agreed": changed("INSERT INTO answers VALUES (1, 0, 1, 0, NULL, NULL)"),
    "a place that is none": changed("INSERT INTO answers VALUES (0, 4, 1, 0, NULL, NULL)"),
    "a third side": changed("UPDATE answers SET side = 2 WHERE place = 0"),
    "no side": changed("UPDATE answers SET side = NULL WHERE place = 0"),
    "words for a side": changed("UPDATE answers SET words = 'a' WHERE place = 0"),
    "endless words": changed("UPDATE answers SET words = hex(zeroblob(5000)) WHERE place = 1"),
    "no words": changed("UPDATE answers SET words = ' ' WHERE place = 1"),
    "another judgement": changed("UPDATE answers SET plausible = 'perhaps' WHERE place = 3"),
    "negative time": changed("UPDATE answers SET seconds = -1"),
    "infinite time": changed("UPDATE answers SET seconds = 9e999"),
    "withdrawn by halves": changed("UPDATE raters SET withdrawn = 1"),
    "withdrawn otherwise": changed("UPDATE raters SET withdrawn = 7"),
}


@pytest.mark.parametrize("harm", HARMS)
def test_a_file_that_is_no_answers_to_this_study_is_refused(answered: Path, tmp_path: Path, harm: str) -> None:
    file = tmp_path / "back.sqlite"
    with closing(sqlite3.connect(answered / ANSWERS)) as opened:
        opened.execute("PRAGMA journal_mode=DELETE")
    shutil.copy(answered / ANSWERS, file)
    assert len(read_answers(answered, STUDY_OF_TWO, file).given) == 3
    HARMS[harm](file)
    with pytest.raises(StoreError, match=r"back\.sqlite"):
        read_answers(answered, STUDY_OF_TWO, file)


def test_a_server_does_not_write_on_what_it_cannot_read(answered: Path) -> None:
    changed("UPDATE about SET study = 'x'")(answered / ANSWERS)
    with pytest.raises(StoreError, match="answers to another study"):
        Ledger(answered, read_study(answered))


@pytest.mark.parametrize(
    ("item", "said", "fits"),
    [
        (0, {"side": 1, "seconds": 2}, True),
        (0, {"side": True, "seconds": 2}, False),
        (0, {"side": 1.0, "seconds": 2}, False),
        (0, {"side": 1}, False),
        (0, {"side": 1, "seconds": True}, False),
        (0, {"side": 1, "seconds": float("nan")}, False),
        (1, {"words": "heel", "seconds": 2}, True),
        (1, {"words": 7, "seconds": 2}, False),
        (1, {"words": "heel", "plausible": "yes", "seconds": 2}, False),
        (3, {"words": "heel", "plausible": "yes", "seconds": 2}, True),
        (3, {"words": "heel", "seconds": 2}, False),
    ],
)
def test_what_answers_an_item(item: int, said: dict[str, object], fits: bool) -> None:
    assert (problem_of(STUDY_OF_TWO.items[item], **said) is None) == fits
