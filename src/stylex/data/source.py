"""The source: a folder or zip of photographs as people keep them, and what it says of each: label, group, split."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from stylex.core.errors import DataError
from stylex.data.images import SUFFIXES, PictureError, how_to_convert
from stylex.data.index import (
    INDEX,
    LABELS,
    Label,
    SplitName,
    archive_root,
    is_archive_member,
    parse_about,
    parse_labels,
    picture_files,
)
from stylex.data.layout import PART_WORDS, Place, is_validation, part_of, read_layout
from stylex.data.tree import Tree, printable

TABLES = ("metadata.csv", "metadata.jsonl")


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A file to be read, and what the source says of it.

    Attributes:
        file: its name in the source.
        name: its name for people.
        label: its class number or 0/1 vector; None if there are no labels.
        split: where the source puts it, if it does.
        group: whom or what it shows, if the source says so.
        split_key, content: those an archive has for it already.
    """

    file: str
    name: str
    label: Label | None = None
    split: SplitName | None = None
    group: str | None = None
    split_key: str | None = None
    content: str | None = None


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All that a source holds.

    Attributes:
        photos: the files to read, in a fixed order.
        label_names: names of the labels; None if unlabelled or unknown.
        labels_from: one phrase saying what the labels were taken from.
        answered: whether they are a classifier's answers.
        divided_by: one phrase saying what the pictures' parts were taken from; None if the source does not divide them.
        skipped: files left out already, with the reason.
        noted: names and what is worth knowing of them.
    """

    photos: tuple[Photo, ...]
    label_names: tuple[str, ...] | None
    labels_from: str
    answered: bool = False
    divided_by: str | None = None
    skipped: list[tuple[str, str]] = field(default_factory=list)
    noted: list[tuple[str, str]] = field(default_factory=list)


def list_photos(tree: Tree, *, label_column: str | None, group_column: str | None) -> Listing:
    """What there is to read, and what is said of it.

    Raises:
        DataError: a table that cannot be meant: broken, without the columns asked for, leading outside, ...
    """
    root = archive_root(tree.names)
    inside = [name.removeprefix(root) for name in tree.names]
    if root + LABELS in tree.names or (inside and all(map(is_archive_member, inside))):
        if label_column or group_column:
            raise DataError(f"{tree.path} is an archive with {LABELS}: it has no columns to choose labels or groups by")
        return _list_archive(tree, root)
    files = [name for name in tree.names if _may_be_picture(name)]
    root = _common_folder([*files, *(name for name in tree.names if PurePosixPath(name).name in TABLES)])
    tables = [name for name in TABLES if root + name in tree.names]
    if len(tables) > 1:
        raise DataError(f"{tree.path} has both {' and '.join(tables)}: keep one")
    pictures = [name[len(root) :] for name in files]
    known = {*files, *(root + name for name in tables)}
    skipped = [(name, _no_picture(name)) for name in tree.names if name not in known]
    if tables:
        listing = _list_table(tree, root, tables[0], pictures, label_column, group_column)
    else:
        for option, column in (("label", label_column), ("group", group_column)):
            if column is not None:
                raise DataError(f"{option} column {column!r} was given, but {tree.path} has no {' or '.join(TABLES)}")
        listing = _list_folders(root, pictures, str(tree.path))
    return Listing(
        photos=listing.photos,
        label_names=listing.label_names,
        labels_from=listing.labels_from,
        divided_by=listing.divided_by,
        skipped=skipped + listing.skipped,
        noted=listing.noted,
    )


def _no_picture(name: str) -> str:
    return how_to_convert(name) or f"not a picture file ({PurePosixPath(name).suffix})"


def _may_be_picture(name: str) -> bool:
    suffix = PurePosixPath(name).suffix.lower()
    return suffix in SUFFIXES or not suffix


def _common_folder(names: Sequence[str]) -> str:
    """The folders that all files share, as a prefix: zips often have one around everything."""
    shared = os.path.commonpath([os.path.dirname(name) for name in names]) if names else ""
    return f"{shared}/" if shared else ""


# Folders.


def _list_folders(root: str, pictures: Sequence[str], where: str) -> Listing:
    layout = read_layout(pictures)
    if layout.doubt:
        raise DataError(f"{where}: {layout.doubt}")
    places = layout.places
    label_names = sorted({place.folder for place in places.values() if place.folder is not None})
    number = {label: i for i, label in enumerate(label_names)}
    parts = sorted({place.part for place in places.values() if place.part})
    photos = []
    skipped = list(layout.aside.items())
    noted: list[tuple[str, str]] = []
    for name, place in places.items():
        if label_names and place.folder is None:
            skipped.append((name, "not in a class folder"))
            continue
        label = None if place.folder is None else number[place.folder]
        photos.append(Photo(file=root + name, name=name, label=label, split=_split(place.part, parts, name, noted)))
    return Listing(
        photos=tuple(photos),
        label_names=tuple(label_names) or None,
        labels_from="class folders" if label_names else _no_labels(root, places),
        divided_by=layout.reading,
        skipped=skipped,
        noted=noted,
    )


def _no_labels(root: str, places: Mapping[str, Place]) -> str:
    """Why there are none; one class folder alone makes no classes."""
    folders = {root + name.rpartition("/")[0] for name in places}
    alone = folders.pop().strip("/") if len(folders) == 1 else ""
    return f"none (no class folders: all pictures lie in {alone}/)" if alone else "none (no class folders)"


def _split(word: str | None, words: Sequence[str], name: str, noted: list[tuple[str, str]]) -> SplitName | None:
    if not word:
        return None
    part = part_of(word, words)
    if part == "train" and is_validation(word):
        noted.append((name, "of the validation part: counted as training"))
    return part


# Tables.


@dataclass(frozen=True)
class _Row:
    """One line of a table: its values as text, and the columns whose values are lists or objects."""

    line: int
    cells: Mapping[str, str]
    nested: tuple[str, ...] = ()


def _list_table(
    tree: Tree,
    root: str,
    table: str,
    pictures: Sequence[str],
    label_column: str | None,
    group_column: str | None,
) -> Listing:
    where = f"{tree.path}: {table}"
    columns, rows = _read_table(tree.read(root + table), where, table)
    if "file_name" not in columns:
        raise DataError(f"{where} has no column file_name: its columns are {', '.join(columns)}")
    if group_column is not None and group_column not in columns:
        raise DataError(f"{where} has no group column {group_column!r}: its columns are {', '.join(columns)}")
    by_name = _rows_by_name(rows, where)
    layout = read_layout(pictures)
    places = {name: layout.places.get(name, Place()) for name in pictures}
    free = [x for x in columns if x not in ("file_name", "split", group_column)]
    chosen = _label_columns(label_column, columns, free, by_name, places, where)
    if layout.doubt and not chosen:
        raise DataError(f"{tree.path}: {layout.doubt}")
    used = {*chosen, group_column, "split", "file_name"}
    for listed in by_name.values():
        for column in listed.nested:
            if column not in used:
                continue
            raise DataError(
                f"{where}, line {listed.line}: {column} is a list or object, expected one value "
                "(for several labels a picture, give a column of 0 and 1 for each)"
            )

    known = set(pictures)
    skipped = [
        (name, f"named in {table}, line {row.line}, but not there")
        for name, row in by_name.items()
        if name not in known
    ]
    kept: list[tuple[str, Mapping[str, str]]] = []
    for name in pictures:
        row = by_name.get(name)
        if row is None and (chosen or group_column):
            skipped.append((name, f"not listed in {table}"))
        elif group_column and row is not None and not row.cells.get(group_column):
            skipped.append((name, f"no {group_column} in {table}, line {row.line}"))
        elif name in layout.aside and not chosen:
            skipped.append((name, layout.aside[name]))
        else:
            kept.append((name, {} if row is None else row.cells))

    label_names, label_of, labels_from = _labels(table, chosen, kept, places)
    told = {name: cells.get("split") or places[name].part for name, cells in kept}
    parts = sorted({word for word in told.values() if word})
    photos = []
    noted: list[tuple[str, str]] = []
    for name, cells in kept:
        try:
            label = label_of(name, cells)
        except PictureError as error:
            skipped.append((name, error.reason))
            continue
        word = told[name]
        if word and word.lower() not in PART_WORDS:
            raise DataError(f"{where}, line {by_name[name].line}: split is {word!r}, expected train or test")
        group = cells.get(group_column) if group_column else None
        photos.append(
            Photo(file=root + name, name=name, label=label, split=_split(word, parts, name, noted), group=group)
        )
    by_table = any(cells.get("split") for _, cells in kept)
    return Listing(
        photos=tuple(photos),
        label_names=label_names,
        labels_from=labels_from,
        divided_by=f"by the column split of {table}" if by_table else layout.reading,
        skipped=skipped,
        noted=noted,
    )


def _read_table(data: bytes, where: str, table: str) -> tuple[tuple[str, ...], list[_Row]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(f"{where}, line {line}: not UTF-8 text: save the table as UTF-8") from None
    rows = list((_csv_rows if table.endswith(".csv") else _jsonl_rows)(text, where))
    if not rows:
        raise DataError(f"{where} has no rows")
    return tuple(dict.fromkeys(column for row in rows for column in row.cells)), rows


def separator_of(text: str, names: Collection[str]) -> str:
    """What stands between the columns of a table, one of which has one of these names: comma, semicolon or tab.

    Spreadsheets of many countries write semicolons.
    """
    first = text.partition("\n")[0]
    return next((x for x in ",;\t" if {cell.strip(' "\r') for cell in first.split(x)} & set(names)), ",")


def _csv_rows(text: str, where: str) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=separator_of(text, ("file_name",)))
    try:
        header = [cell.strip() for cell in next(reader, [])]
        twice = [column for column, count in Counter(header).items() if count > 1]
        if twice:
            raise DataError(f"{where} has two columns named {twice[0]!r}")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise DataError(f"{where}, line {reader.line_num}: {len(cells)} values for {len(header)} columns")
            yield _Row(reader.line_num, {column: cell.strip() for column, cell in zip(header, cells, strict=True)})
    except csv.Error as error:
        raise DataError(f"{where}, line {reader.line_num}: broken CSV ({error})") from None


def _jsonl_rows(text: str, where: str) -> Iterator[_Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}, line {number}: broken JSON ({error})") from None
        if not isinstance(values, dict):
            raise DataError(f"{where}, line {number}: expected an object {{...}}")
        cells = {column.strip(): _cell(value) for column, value in values.items()}
        yield _Row(number, cells, tuple(x.strip() for x, value in values.items() if isinstance(value, list | dict)))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return value.strip() if isinstance(value, str) else json.dumps(value)


def _rows_by_name(rows: Sequence[_Row], where: str) -> dict[str, _Row]:
    by_name: dict[str, _Row] = {}
    for row in rows:
        given = row.cells.get("file_name", "")
        if not given:
            raise DataError(f"{where}, line {row.line}: no file_name")
        path = PurePosixPath(given.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in path.parts[0]:
            raise DataError(f"{where}, line {row.line}: file_name {given!r} leads out of the folder: give it relative")
        (name,) = printable([path.as_posix()])
        before = by_name.setdefault(name, row)
        if {**before.cells, "file_name": ""} != {**row.cells, "file_name": ""}:
            raise DataError(f"{where}: lines {before.line} and {row.line} say different things of {given!r}: keep one")
    return by_name


def _label_columns(
    given: str | None,
    columns: Sequence[str],
    free: Sequence[str],
    by_name: Mapping[str, _Row],
    places: Mapping[str, Place],
    where: str,
) -> tuple[str, ...]:
    """The columns the labels are in; none of them if the class folders are the labels, or nothing is."""
    if given is not None:
        chosen = (given,) if given in columns else tuple(dict.fromkeys(x.strip() for x in given.split(",")))
        unknown = [x for x in chosen if x not in columns]
        if unknown:
            raise DataError(f"{where} has no label column {unknown[0]!r}: its columns are {', '.join(columns)}")
        return chosen
    if "label" in free:
        return ("label",)
    if any(place.folder is not None for place in places.values()):
        return ()
    if len(free) == 1:
        return (free[0],)
    if free and all(_truth(row.cells.get(x, "")) is not None for x in free for row in by_name.values()):
        return tuple(free)
    return ()


def _truth(cell: str) -> int | None:
    return {"0": 0, "1": 1, "0.0": 0, "1.0": 1, "false": 0, "true": 1}.get(cell.lower())


def _labels(
    table: str,
    chosen: Sequence[str],
    kept: Sequence[tuple[str, Mapping[str, str]]],
    places: Mapping[str, Place],
) -> tuple[tuple[str, ...] | None, Callable[[str, Mapping[str, str]], Label | None], str]:
    """The labels' names, how to tell a picture's label (PictureError: it has none), and where they are from."""
    if len(chosen) > 1:

        def vector(name: str, cells: Mapping[str, str]) -> Label:
            values = [_truth(cells.get(column, "")) for column in chosen]
            for column, value in zip(chosen, values, strict=True):
                if value is None:
                    raise PictureError(name, f"{column} is {cells.get(column, '')!r} in {table}, expected 0 or 1")
            return tuple(value for value in values if value is not None)

        return tuple(chosen), vector, f"{table}, columns {', '.join(chosen)}"

    def words(name: str, cells: Mapping[str, str]) -> str | None:
        return (cells.get(chosen[0]) or None) if chosen else places[name].folder

    found = [word for name, cells in kept if (word := words(name, cells)) is not None]
    label_names, number = number_labels(found, counted=bool(chosen))

    def single(name: str, cells: Mapping[str, str]) -> Label | None:
        word = words(name, cells)
        if word is None and (chosen or label_names):
            raise PictureError(name, f"no {chosen[0]} in {table}" if chosen else "not in a class folder")
        return None if word is None else number[word]

    if chosen:
        source = f"{table}, column {chosen[0]}"
    else:
        source = "class folders" if label_names else f"none (no label column chosen from {table})"
    return label_names or None, single, source


def number_labels(words: Iterable[str], *, counted: bool = True) -> tuple[tuple[str, ...], dict[str, int]]:
    """Names of labels in order, and the number of each; ``counted``: names that are all numbers are sorted as such."""
    found = set(words)
    numbers = counted and all(word.isdecimal() for word in found)
    names = sorted(found, key=lambda word: (int(word), word)) if numbers else sorted(found)
    return tuple(names), {name: i for i, name in enumerate(names)}


# Archives.


def _list_archive(tree: Tree, root: str) -> Listing:
    """The pictures of an archive of any size and kind, with all that it says of them."""
    files = [name.removeprefix(root) for name in picture_files(tree.names)]
    where = str(tree.path)
    labels = parse_labels(tree.read(root + LABELS), files, where) if root + LABELS in tree.names else None
    about = parse_about(tree.read(root + INDEX), files, where) if root + INDEX in tree.names else None
    photos = []
    for i, file in enumerate(files):
        label = None if labels is None else labels[i]
        if about is None:
            photos.append(Photo(file=root + file, name=file, label=label))
            continue
        photos.append(
            Photo(
                file=root + file,
                name=about.names[i],
                label=label,
                split=about.splits[i],
                group=about.groups[i],
                split_key=about.split_keys[i],
                content=about.contents[i],
            )
        )
    return Listing(
        photos=tuple(photos),
        label_names=about.label_names if about is not None and labels is not None else None,
        labels_from="none" if labels is None else f"the archive's {LABELS}",
    )
