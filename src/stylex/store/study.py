"""The study folder: ``study.json``, its pictures and one secret link for each rater; checked on reading."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stylex.core.errors import StoreError
from stylex.core.explanation import Picture
from stylex.core.files import check_writable, new_folder, read_whole, write_whole
from stylex.core.study import Asked, Flicker, Item, Study, Subject
from stylex.store.manifest import dump_manifest, load_checked
from stylex.store.members import png

STUDY, STUDY_SCHEMA, STUDY_VERSION = "study.json", "stylex-study", 1
LINKS = "links.csv"
_LARGEST_PICTURE = 2**24
_LARGEST_LINKS = 2**22
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}")


def check_study_place(target: Path) -> None:
    """Say before any work that a study could not be written there: no study is ever replaced.

    Raises:
        StoreError: something stands there, or the system refuses.
    """
    check_writable(target)
    if not os.path.lexists(target):
        return
    if not target.is_dir() or target.is_symlink():
        raise StoreError(f"{target} is not a folder; choose another place for the study")
    if any(target.iterdir()):
        kind = "already holds a study, whose answers would be lost" if (target / STUDY).exists() else "is not empty"
        raise StoreError(f"{target} {kind}; choose another folder")


def write_study(study: Study, pictures: Mapping[str, Picture], path: str | Path) -> Path:
    """Write the folder, whole or not at all, with a new secret link for each rater; returns its path.

    Args:
        study: what is asked.
        pictures: of its flickers, by the names of their files.
        path: an empty or new folder.

    Raises:
        StoreError: the place is taken, or the disk refuses.
    """
    target = Path(path).absolute()
    check_study_place(target)
    content = {
        "schema": STUDY_SCHEMA,
        "version": STUDY_VERSION,
        **dataclasses.asdict(study),
        "orders": [[[asked.item, int(asked.flipped), asked.right] for asked in order] for order in study.orders],
    }
    _check_references(study, STUDY)
    with new_folder(target) as building:
        (building / "pictures").mkdir()
        for name, pixels in pictures.items():
            (building / name).write_bytes(png(pixels))
        (building / STUDY).write_bytes(dump_manifest(content))
        write_links(building, [secrets.token_urlsafe(16) for _ in study.orders], "")
    return target


def read_study(path: str | Path) -> Study:
    """Read what ``write_study`` wrote.

    Raises:
        StoreError: the folder is missing, foreign, of another version or damaged; the message names the file.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise StoreError(f"{folder} is not a folder; give the folder that 'stylex study new' wrote")
    content = load_checked(folder / STUDY, STUDY_SCHEMA, STUDY_VERSION)
    study = Study(
        title=content["title"],
        consent=content["consent"],
        seed=content["seed"],
        subjects=tuple(Subject(**_only(Subject, row)) for row in content["subjects"]),
        flickers=tuple(Flicker(**_only(Flicker, row)) for row in content["flickers"]),
        items=tuple(_item(row) for row in content["items"]),
        orders=tuple(
            tuple(Asked(item=item, flipped=bool(flipped), right=right) for item, flipped, right in order)
            for order in content["orders"]
        ),
        notes=tuple(content["notes"]),
    )
    _check_references(study, str(folder / STUDY))
    return study


def digest_of(path: str | Path) -> str:
    """What tells this study from every other: answers name it."""
    try:
        return hashlib.sha256(read_whole(Path(path) / STUDY)).hexdigest()
    except OSError as error:
        raise StoreError(f"{Path(path) / STUDY} cannot be read ({error}); make the study again") from error


def read_picture(folder: Path, name: str) -> bytes:
    """A picture's file, for a browser.

    Raises:
        StoreError: it is missing, or no PNG of this size.
    """
    file = folder / name
    try:
        data = read_whole(file, largest=_LARGEST_PICTURE)
    except OSError as error:
        raise StoreError(f"{file} cannot be read ({error}); make the study again") from error
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise StoreError(f"{file} is no PNG; make the study again")
    return data


# Links.


def write_links(folder: Path, tokens: list[str], address: str) -> None:
    """Write the raters' links, which only their owner may read.

    Args:
        folder: of the study.
        tokens: a secret for each rater.
        address: where the study is served; the link is behind it.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["rater", "link"])
    rows.writerows([number, f"{address.rstrip('/')}/r/{token}/"] for number, token in enumerate(tokens, start=1))
    file = folder / LINKS
    write_whole(file, text.getvalue().encode())
    file.chmod(0o600)


def read_tokens(folder: Path) -> list[str]:
    """The raters' secrets, in order.

    Raises:
        StoreError: the file is missing or damaged.
    """
    file = folder / LINKS
    try:
        rows = list(csv.reader(io.StringIO(read_whole(file, largest=_LARGEST_LINKS).decode())))
    except (OSError, ValueError, csv.Error) as error:
        raise StoreError(f"{file} cannot be read ({error}); raters need the links in it") from error
    found = [row[1].rstrip("/").rpartition("/r/")[2] if len(row) == 2 else "" for row in rows[1:]]
    if rows[:1] != [["rater", "link"]] or not found or not all(map(_TOKEN.fullmatch, found)):
        raise StoreError(f"{file} is damaged: expected a table of raters and links that end in /r/SECRET/")
    if len(set(found)) < len(found):
        raise StoreError(f"{file} is damaged: two raters have one link")
    return found


# Checks.


def _only(kind: type, row: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: row[field.name] for field in dataclasses.fields(kind)}


def _item(row: Mapping[str, Any]) -> Item:
    return Item(
        **{
            **_only(Item, row),
            "subjects": tuple(row["subjects"]),
            "examples": tuple(tuple(example) for example in row["examples"]),
        }
    )


def _check_references(study: Study, where: str) -> None:
    """What a JSON schema cannot say: numbers point at what exists, and items are what their kind needs."""

    def check(true: bool, problem: str) -> None:
        if not true:
            raise StoreError(f"{where} contradicts itself: {problem}; make the study again")

    for i, item in enumerate(study.items):
        sides = len(item.subjects)
        shown = [*(place for row in item.examples for place in row), *([] if item.picture is None else [item.picture])]
        check(all(place < len(study.flickers) for place in shown), f"item {i} shows a picture that is not there")
        check(all(place < len(study.subjects) for place in item.subjects), f"item {i} is about an attribute not there")
        if item.kind == "sort":
            check(sides == len(item.examples) == 2, f"item {i} needs two sides")
            check((item.truth is None) == (item.role == "same"), f"item {i} needs a right side, or none")
        if item.kind == "clinical" or item.kind == "sort":
            check(item.picture is not None, f"item {i} needs a picture")
        if item.kind != "sort":
            check(item.word is not None if item.role == "check" else sides == 1, f"item {i} needs an attribute")
    for rater, order in enumerate(study.orders):
        numbers = [asked.item for asked in order]
        check(len(set(numbers)) == len(numbers), f"rater {rater + 1} is asked something twice")
        for asked in order:
            check(asked.item < len(study.items), f"rater {rater + 1} is asked what is not there")
            item = study.items[asked.item]
            known = item.truth is None or asked.right == item.truth ^ asked.flipped
            check((asked.right is not None) == (item.kind == "sort"), f"rater {rater + 1}: a side is missing")
            check(known, f"rater {rater + 1}: the wrong side counts as right")
