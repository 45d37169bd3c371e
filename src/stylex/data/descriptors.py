"""A table of what is known of images: a CSV with a column of their names, the others binary or continuous."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int64
from numpy import ndarray

from stylex.core.errors import DataError
from stylex.core.files import read_whole
from stylex.data.source import separator_of

IMAGE_COLUMNS = ("image", "file_name")
"""What the column of the images' names may be called."""
_LARGEST = 2**28
_FEWEST = 2
"""Values that a descriptor must have to say anything."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Descriptors:
    """What is known of some images.

    Attributes:
        names: of the descriptors.
        binary: of each, whether it has two values (0 and 1 here) rather than numbers.
        images: names of the images.
        values: ``[images, descriptors]``; nan where nothing is said.
        left_out: columns that are neither, for a person.
    """

    names: tuple[str, ...]
    binary: tuple[bool, ...]
    images: tuple[str, ...]
    values: Float[ndarray, "n m"]
    left_out: tuple[str, ...] = ()

    def of(
        self, images: Sequence[str], files: Sequence[str] = ()
    ) -> tuple[Int64[ndarray, " r"], Float[ndarray, "r m"]]:
        """Which of these images the table knows (positions among those given), and what it says of each.

        An image is known by its name; or by the name's last part, without its ending, where only one row and only one
        of these images is called so, and the row names no folder that is another one than the image's. Where it knows
        none of them so, by the names of the archive's files.

        Args:
            images: the images' names, as they were in their source.
            files: the same images' files in the archive; not given: these do not count.

        Raises:
            DataError: it knows none of them.
        """
        exact = {name: row for row, name in enumerate(self.images)}
        endings = Counter(_short(name) for name in self.images)
        alike = Counter(_short(name) for name in images)
        short = {_short(name): row for row, name in enumerate(self.images) if endings[_short(name)] == 1}

        def row_of(name: str) -> int | None:
            row = short.get(_short(name)) if alike[_short(name)] == 1 else None
            return row if row is not None and _is_within(_folders(self.images[row]), _folders(name)) else None

        found = [(at, exact.get(name, row_of(name))) for at, name in enumerate(images)]
        pairs = [(at, row) for at, row in found if row is not None]
        pairs = pairs or [(at, exact[name]) for at, name in enumerate(files) if name in exact]
        if not pairs:
            given, known = (", ".join(map(repr, names[:2])) for names in (images, self.images))
            raise DataError(
                f"the table of descriptors knows none of the images: they are called {given}, its rows {known}; "
                "write the images' names as they were in the source that was prepared (the archive's stylex.json lists "
                "them), or those of the archive's files"
            )
        return np.array([at for at, _ in pairs], np.int64), self.values[[row for _, row in pairs]]


def _folders(name: str) -> list[str]:
    return name.replace("\\", "/").split("/")[:-1]


def _is_within(said: list[str], folders: list[str]) -> bool:
    """Whether the folders that a row names are the last ones of the image's."""
    return not said or folders[-len(said) :] == said


def _short(name: str) -> str:
    """The last part of a name, without its ending."""
    return name.replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[0]


def read_descriptors(path: str | Path) -> Descriptors:
    """Read a table: one column ``image`` (or ``file_name``) with names, the others numbers, or two words each.

    Of numbers two different ones make a binary descriptor (the larger is 1), more a continuous one; of two words the
    later in the alphabet is 1, and the descriptor is called ``column=word``. Empty cells are not known. Columns of
    more words, or of one value, are left out and named.

    Raises:
        DataError: it cannot be read, names no images, an image twice, or has no column that describes anything.
    """
    header, rows = rows_of(Path(path))
    column = next((header.index(name) for name in IMAGE_COLUMNS if name in header), None)
    if column is None:
        raise DataError(
            f"{path} has the columns {', '.join(header[:6])}, none of them {' or '.join(IMAGE_COLUMNS)}: call the "
            "column of the images' names so"
        )
    images = tuple(row[column] for row in rows)
    twice = [name for name, count in Counter(images).items() if count > 1]
    if twice:
        raise DataError(f"{path} says twice what the image {twice[0]!r} is; leave one of its rows")
    names, binary, values, left_out = list[str](), list[bool](), list[list[float]](), list[str]()
    for at, name in enumerate(header):
        read = None if at == column else _column(name, [row[at] for row in rows])
        if read is not None:
            names.append(read[0])
            binary.append(read[1])
            values.append(read[2])
        elif at != column:
            left_out.append(name)
    if not names:
        raise DataError(f"{path} has no column of numbers, or of two words, that differ between images; add one")
    return Descriptors(
        names=tuple(names),
        binary=tuple(binary),
        images=images,
        values=np.array(values, np.float64).T,
        left_out=tuple(left_out),
    )


def table_of(images: Sequence[str], columns: Mapping[str, Sequence[float]]) -> str:
    """Such a table as text, ready to be written: a row for each image, a column for each descriptor."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([IMAGE_COLUMNS[0], *columns])
    writer.writerows(zip(images, *([f"{value:.6g}" for value in given] for given in columns.values()), strict=True))
    return text.getvalue()


_DECIMAL = re.compile(r"^([+-]?\d+),(\d+)$")


def rows_of(path: Path) -> tuple[list[str], list[list[str]]]:
    """The columns' names of a CSV table, and its rows as text, all of the same length.

    Raises:
        DataError: it cannot be read, or is no such table.
    """
    try:
        text = read_whole(path, largest=_LARGEST).decode("utf-8-sig")
        separator = separator_of(text, IMAGE_COLUMNS)
        lines = csv.reader(io.StringIO(text), strict=True, delimiter=separator)
        header, *rows = [[cell.strip() for cell in row] for row in lines if row] or [[]]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); expected a CSV table") from None
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; save the table as CSV in UTF-8") from None
    except (csv.Error, ValueError) as error:
        raise DataError(f"{path} is no CSV table ({error}); expected a line of column names, then rows") from None
    if not header:
        raise DataError(f"{path} is empty; expected a line of column names, then rows")
    if separator == ";":  # written where a comma stands before the decimals
        rows = [[_DECIMAL.sub(r"\1.\2", cell) for cell in row] for row in rows]
    if len(set(header)) != len(header):
        raise DataError(f"{path} has two columns of one name; name them apart")
    uneven = [number for number, row in enumerate(rows, start=2) if len(row) != len(header)]
    if uneven or not rows:
        problem = f"a row {uneven[0]} of another length than its {len(header)} columns" if uneven else "no rows"
        raise DataError(f"{path} has {problem}; expected a value (or nothing) in each column")
    return header, rows


def _column(name: str, cells: Sequence[str]) -> tuple[str, bool, list[float]] | None:
    """A descriptor's name, whether it is binary, and its values; None where the column is none."""
    said = sorted({cell for cell in cells if cell})
    try:
        numbers = [float(cell) if cell else math.nan for cell in cells]
    except ValueError:
        if len(said) != _FEWEST:
            return None
        return f"{name}={said[1]}", True, [float(said.index(cell)) if cell else math.nan for cell in cells]
    kinds = sorted({number for number in numbers if math.isfinite(number)})
    if len(kinds) < _FEWEST or any(math.isinf(number) for number in numbers):
        return None
    if len(kinds) == _FEWEST:
        return name, True, [number if math.isnan(number) else float(number == kinds[1]) for number in numbers]
    return name, False, numbers
