"""The evaluation's file: JSON, written whole, checked on reading; ``evaluation.json`` in an explanation folder."""

from __future__ import annotations

import json
import os
from pathlib import Path

from stylex.core.errors import StoreError, first_line
from stylex.core.evaluation import Evaluation
from stylex.core.files import check_writable, read_whole, write_whole
from stylex.core.untrusted import parse_json
from stylex.core.wording import option
from stylex.store.folder import EVALUATION

_LARGEST = 2**26


def write_evaluation(evaluation: Evaluation, path: str | Path) -> Path:
    """Write the file, whole or not at all, and return its path.

    Raises:
        StoreError: it cannot be written, or the settings hold what JSON cannot say.
    """
    try:
        text = json.dumps(evaluation.to_json(), allow_nan=False, ensure_ascii=False, indent=1)
    except (TypeError, ValueError) as error:
        raise StoreError(f"the evaluation holds a value that JSON cannot say ({error}); use plain numbers") from error
    write_whole(Path(path), f"{text}\n".encode())
    return Path(path)


def read_evaluation(path: str | Path) -> Evaluation:
    """Read what ``write_evaluation`` wrote; of an explanation folder, its ``evaluation.json``.

    Raises:
        StoreError: it is missing, something else, of another version or damaged.
    """
    file = Path(path) / EVALUATION if Path(path).is_dir() else Path(path)
    try:
        row = parse_json(read_whole(file, largest=_LARGEST))
        if not isinstance(row, dict):
            raise ValueError("it is not a JSON object")
        return Evaluation.from_json(row)
    except FileNotFoundError:
        raise StoreError(f"there is no evaluation {file}; make one with `stylex evaluate`") from None
    except (OSError, ValueError, OverflowError) as error:
        raise StoreError(
            f"{file} is not an evaluation that can be read: {first_line(error)}; evaluate again"
        ) from error


def evaluation_in(folder: str | Path) -> Evaluation | None:
    """The evaluation that lies in an explanation folder, if one does.

    Raises:
        StoreError: it is damaged.
    """
    return read_evaluation(folder) if (Path(folder) / EVALUATION).exists() else None


def check_file(path: Path, *, overwrite: bool) -> None:
    """Say before any work that an evaluation could not be written there.

    Raises:
        StoreError: something else stands there, an evaluation that may not be replaced, or the system refuses.
    """
    check_writable(path)
    if not os.path.lexists(path):
        return
    if not path.is_file():
        raise StoreError(
            f"{path} is not a file; give {option('out')} a name for the evaluation, such as evaluation.json"
        )
    try:
        read_evaluation(path)
    except StoreError:
        raise StoreError(f"{path} holds something else and stays as it is; choose another name") from None
    if not overwrite:
        raise StoreError(
            f"{path} already holds an evaluation; choose another name, or give {option('overwrite', True)} to replace "
            "it"
        )
