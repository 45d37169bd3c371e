"""Answers kept in a file (SQLite), so that a black box is never asked twice about one image."""

from __future__ import annotations

import json
import sqlite3
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy import ndarray

from stylex.core.errors import ClassifierError

_FORMAT = "stylex answers 1"
_PATIENCE_S = 30.0


class AnswerFile:
    """A table from images to answers, which several processes may read and write.

    Args:
        path: the file; made where it is not there.
        whose: what is asked, as JSON: a file of another one's answers is refused.

    Raises:
        ClassifierError: it holds something else, or cannot be read or written.
    """

    def __init__(self, path: Path, whose: Mapping[str, Any]) -> None:
        self._path = path
        about = json.dumps({"format": _FORMAT, **whose}, sort_keys=True)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._base = sqlite3.connect(path, timeout=_PATIENCE_S, check_same_thread=False)
            with self._base as base:
                base.execute("CREATE TABLE IF NOT EXISTS about (whose TEXT)")
                base.execute("CREATE TABLE IF NOT EXISTS answers (image BLOB PRIMARY KEY, answer BLOB) WITHOUT ROWID")
                found = base.execute("SELECT whose FROM about").fetchone()
                if found is None:
                    base.execute("INSERT INTO about VALUES (?)", (about,))
        except (sqlite3.Error, OSError) as error:
            raise ClassifierError(
                f"the cache {path} cannot be used ({error}); choose a place for a new file"
            ) from error
        weakref.finalize(self, self._base.close)
        if found is not None and found[0] != about:
            raise ClassifierError(
                f"the cache {path} holds answers of another classifier, or by another spec; choose another file"
            )

    def __len__(self) -> int:
        """How many answers it holds."""
        return int(self._asked("SELECT count(*) FROM answers")[0])

    def find(self, key: bytes) -> Float32[ndarray, " k"] | None:
        """An image's answer, if it is known."""
        found = self._asked("SELECT answer FROM answers WHERE image = ?", key)
        if found is None:
            return None
        row = np.frombuffer(found[0], dtype="<f4").astype(np.float32)
        return row if len(row) and np.isfinite(row).all() else None

    def keep(self, answers: Mapping[bytes, Float32[ndarray, " k"]]) -> None:
        """Keep some answers, all or none of them."""
        rows = [(key, row.astype("<f4").tobytes()) for key, row in answers.items()]
        try:
            with self._base as base:
                base.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            raise ClassifierError(f"the cache {self._path} cannot be written ({error}); free space there") from error

    def _asked(self, what: str, *values: bytes) -> Any:
        try:
            return self._base.execute(what, values).fetchone()
        except sqlite3.Error as error:
            raise ClassifierError(f"the cache {self._path} cannot be read ({error}); choose a new file") from error
