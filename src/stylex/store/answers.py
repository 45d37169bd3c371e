"""Raters' answers in one SQLite file: kept before the rater is told so, and checked when the file comes back."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

from stylex.core.errors import StoreError
from stylex.core.study import LONGEST_WORDS, Answer, Answers, Study, problem_of
from stylex.store.study import digest_of

ANSWERS = "answers.sqlite"
_KIND = "stylex-answers 1"
_LARGEST = 2**31
_TABLES = {
    "about": "CREATE TABLE about (kind TEXT NOT NULL, study TEXT NOT NULL) STRICT",
    "raters": "CREATE TABLE raters (rater INTEGER PRIMARY KEY, withdrawn INTEGER NOT NULL) STRICT",
    "answers": (
        "CREATE TABLE answers (rater INTEGER NOT NULL, place INTEGER NOT NULL, seconds REAL NOT NULL, side INTEGER, "
        "words TEXT, plausible TEXT, PRIMARY KEY (rater, place)) STRICT, WITHOUT ROWID"
    ),
}


class Ledger:
    """The file, open for writing by one server: what it has taken is on the disk.

    Every change is a transaction of its own in a write-ahead log that is synchronised before the change is reported
    (``synchronous=FULL``), so that neither a killed process nor a lost current undoes it. What is taken back is
    overwritten.
    """

    def __init__(self, folder: str | Path, study: Study) -> None:
        self.study, self.folder = study, Path(folder)
        self._alone = threading.Lock()
        file = self.folder / ANSWERS
        if file.exists():
            read_answers(self.folder, study)
        try:
            self._file = sqlite3.connect(file, check_same_thread=False, isolation_level=None, timeout=30)
            for line in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "trusted_schema=OFF"):
                self._file.execute(f"PRAGMA {line}")
            with self._change():
                if not _tables_of(self._file):
                    for table in _TABLES.values():
                        self._file.execute(table)
                    self._file.execute("INSERT INTO about VALUES (?, ?)", (_KIND, digest_of(folder)))
        except sqlite3.Error as error:
            raise _refused(file, error) from error

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._alone:
            self._file.close()

    def state_of(self, rater: int) -> tuple[bool, bool, set[int]]:
        """Whether a rater consented, whether all was taken back, and the places answered."""
        with self._alone:
            row = self._file.execute("SELECT withdrawn FROM raters WHERE rater = ?", (rater,)).fetchone()
            places = self._file.execute("SELECT place FROM answers WHERE rater = ?", (rater,)).fetchall()
        return row is not None, bool(row and row[0]), {place for (place,) in places}

    def consent(self, rater: int) -> None:
        """A rater agrees to take part."""
        with self._change():
            self._file.execute("INSERT OR IGNORE INTO raters VALUES (?, 0)", (rater,))

    def keep(self, answer: Answer) -> bool:
        """Keep an answer; of one place the first counts, so that one may be sent again. False: there was one.

        Raises:
            StoreError: the disk refuses.
        """
        row = (answer.rater, answer.place, answer.seconds, answer.side, answer.words, answer.plausible)
        with self._change():
            done = self._file.execute(
                "INSERT OR IGNORE INTO answers SELECT ?, ?, ?, ?, ?, ? WHERE EXISTS "
                "(SELECT 1 FROM raters WHERE rater = ?1 AND withdrawn = 0)",
                row,
            )
        return done.rowcount == 1

    def withdraw(self, rater: int) -> None:
        """Take back all that a rater has answered; the link answers nothing more."""
        with self._change():
            self._file.execute("DELETE FROM answers WHERE rater = ?", (rater,))
            self._file.execute("INSERT INTO raters VALUES (?, 1) ON CONFLICT DO UPDATE SET withdrawn = 1", (rater,))
        with self._alone:
            self._file.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    @contextmanager
    def _change(self) -> Iterator[None]:
        with self._alone:
            try:
                self._file.execute("BEGIN IMMEDIATE")
                try:
                    yield
                except BaseException:
                    self._file.execute("ROLLBACK")
                    raise
                self._file.execute("COMMIT")
            except sqlite3.Error as error:
                raise _refused(self.folder / ANSWERS, error) from error


def read_answers(folder: str | Path, study: Study, file: str | Path | None = None) -> Answers:
    """All answers to a study, while it is served too; nothing in the file is believed unchecked.

    Args:
        folder: of the study.
        study: what was asked.
        file: of the answers, where it has come from elsewhere; not given: the folder's own.

    Raises:
        StoreError: it is missing, no such file, damaged, or of another study.
    """
    file = Path(folder) / ANSWERS if file is None else Path(file)
    if not file.is_file():
        raise StoreError(f"there are no answers {file}; let raters answer first: stylex study serve {folder}")
    try:
        if file.stat().st_size > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST // 2**20} MiB")
        with closing(_opened(file)) as opened:
            return _checked(opened, study, digest_of(folder))
    except (sqlite3.Error, OSError, ValueError, OverflowError) as error:
        raise StoreError(
            f"{file} holds no answers to this study that can be read ({str(error)[:300]}); give the file of the study "
            "in this folder, as its server wrote it"
        ) from error


def _opened(file: Path) -> sqlite3.Connection:
    """The file for reading; nothing that it declares is run."""
    opened = sqlite3.connect(f"file:{quote(str(file.absolute()))}?mode=ro", uri=True, timeout=30)
    for line in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "query_only=ON"):
        opened.execute(f"PRAGMA {line}")
    opened.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2**20)
    return opened


def _checked(opened: sqlite3.Connection, study: Study, digest: str) -> Answers:
    if _tables_of(opened) != _TABLES:
        raise ValueError("its tables are others")
    if opened.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
        raise ValueError("it is damaged")
    about = opened.execute("SELECT kind, study FROM about").fetchmany(2)
    if about != [(_KIND, digest)]:
        raise ValueError("they are answers to another study")
    raters: dict[int, int] = dict(opened.execute("SELECT rater, withdrawn FROM raters"))
    if not all(0 <= rater < len(study.orders) and withdrawn in (0, 1) for rater, withdrawn in raters.items()):
        raise ValueError("it names a rater who was not asked")
    rows = opened.execute(
        "SELECT rater, place, seconds, side, words, plausible FROM answers ORDER BY rater, place"
    ).fetchall()
    return Answers(
        consented=tuple(rater for rater, withdrawn in sorted(raters.items()) if not withdrawn),
        withdrawn=tuple(rater for rater, withdrawn in sorted(raters.items()) if withdrawn),
        given=tuple(_answer(row, study, raters) for row in rows),
    )


def _answer(row: tuple[Any, ...], study: Study, raters: dict[int, int]) -> Answer:
    rater, place, seconds, side, words, plausible = row
    if raters.get(rater) != 0:
        raise ValueError(f"rater {rater + 1} answers without having agreed")
    if not 0 <= place < len(study.orders[rater]):
        raise ValueError(f"rater {rater + 1} was not asked at place {place}")
    asked = study.items[study.orders[rater][place].item]
    problem = problem_of(asked, side=side, words=words, plausible=plausible, seconds=seconds)
    if problem is not None:
        raise ValueError(f"of rater {rater + 1}, place {place}: {problem}")
    assert words is None or len(words) <= LONGEST_WORDS
    return Answer(rater=rater, place=place, seconds=seconds, side=side, words=words, plausible=plausible)


def _tables_of(opened: sqlite3.Connection) -> dict[str, str]:
    """Everything that the file declares, by name; of a table, an index, a view or a trigger."""
    rows = opened.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchmany(20)
    return {str(name): str(sql) for name, sql in rows}


def _refused(file: Path, error: sqlite3.Error) -> StoreError:
    return StoreError(f"cannot write {file}: {error}; free some space, or choose a place you may write to")
