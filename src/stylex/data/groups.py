"""A table of groups: which group each image belongs to, for a training that shows all groups as often."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from stylex.core.errors import DataError
from stylex.core.files import read_whole
from stylex.core.untrusted import parse_json
from stylex.data.descriptors import IMAGE_COLUMNS, rows_of

GROUP = "group"
"""The column that names an image's group."""
_LARGEST = 2**28


def read_groups(path: str | Path) -> Mapping[str, str]:
    """The group of each image: a CSV or ``.jsonl`` with a column ``image`` (or ``file_name``) and a column ``group``.

    Other columns are not read.

    Raises:
        DataError: it cannot be read, has no such columns, or says an image twice.
    """
    path = Path(path)
    pairs = _of_lines(path) if path.suffix == ".jsonl" else _of_table(path)
    twice = [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]
    if twice:
        raise DataError(f"{path} says twice which group the image {twice[0]!r} belongs to; leave one of its rows")
    return dict(pairs)


def _of_table(path: Path) -> list[tuple[str, str]]:
    header, rows = rows_of(path)
    column = next((header.index(name) for name in IMAGE_COLUMNS if name in header), None)
    if column is None or GROUP not in header:
        raise DataError(
            f"{path} has the columns {', '.join(header[:6])}; expected {' or '.join(IMAGE_COLUMNS)} with the images' "
            f"names, and {GROUP}"
        )
    return [(row[column], row[header.index(GROUP)]) for row in rows]


def _of_lines(path: Path) -> list[tuple[str, str]]:
    try:
        lines = [parse_json(line) for line in read_whole(path, largest=_LARGEST).splitlines() if line.strip()]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); expected a table of groups") from None
    except ValueError as error:
        raise DataError(f"{path} has a line that is not JSON ({error}); expected an object a line") from None
    pairs = []
    for number, line in enumerate(lines, start=1):
        name = next((line[key] for key in IMAGE_COLUMNS if key in line), None) if isinstance(line, dict) else None
        if not isinstance(name, str) or not isinstance(line.get(GROUP), str | int):
            raise DataError(
                f"{path}, row {number}: expected an object with {' or '.join(IMAGE_COLUMNS)} and {GROUP}, such as "
                f"{json.dumps({IMAGE_COLUMNS[0]: 'leaf.png', GROUP: 'sick high'})}"
            )
        pairs.append((name, str(line[GROUP])))
    if not pairs:
        raise DataError(f"{path} is empty; expected an object a line")
    return pairs


def weights_of(groups: Mapping[str, str], images: Sequence[str], path: str | Path) -> Float[ndarray, " n"]:
    """How often to show each image so that every group is shown as often; the weights' sum is 1.

    Args:
        groups: the group of each image, by its name.
        images: names of the images that are trained on.
        path: the table, for the message.

    Raises:
        DataError: it does not know one of the images.
    """
    lost = [name for name in images if name not in groups]
    if lost:
        raise DataError(
            f"{path} does not say which group {lost[0]!r} belongs to ({len(lost)} of {len(images)} training images are "
            "not in it); give a row for each, named as in the archive"
        )
    own = [groups[name] for name in images]
    counts = Counter(own)
    return np.array([1 / (len(counts) * counts[group]) for group in own])


def groups_table(groups: Mapping[str, tuple[str, str]]) -> str:
    """Such a table as text: a row for each image with its label and place, whose pair is its group."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([IMAGE_COLUMNS[0], "label", "place", GROUP])
    writer.writerows([name, label, place, f"{label} {place}"] for name, (label, place) in groups.items())
    return text.getvalue()
