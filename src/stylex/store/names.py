"""What a person typed into an explanation folder, names and hidden marks: saved one by one, never lost.

It belongs to an attribute: a style coordinate (of a direction: what was observed along it, which tells it from others)
of a snapshot, with its sign and target. Where a folder is written anew it goes on with the same attribute; what finds
none waits in ``names.json`` until its attribute is found again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from stylex.core.attribute import Attribute
from stylex.core.errors import StoreError
from stylex.core.explanation import Explanation
from stylex.core.files import read_whole, write_whole
from stylex.core.lock import sole_writer
from stylex.core.stylespace import StyleCoordinate, StyleSpace
from stylex.core.untrusted import parse_json
from stylex.store.manifest import MANIFEST, dump_manifest, load_manifest
from stylex.store.members import load_space

NAMES = "names.json"
_SCHEMA, _VERSION = "stylex-names", 1
_LONGEST_LABEL = 120
_PATIENCE_S = 10.0


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What a person typed for one attribute.

    Attributes:
        label, hidden: the name, and whether it is not worth showing.
        snapshot: SHA-256 of the snapshot's weights.
        layer, channel, sign, target_label: of the attribute.
        observed: of a direction, what was observed along it: minimum, maximum, mean, deviation; else None.
    """

    label: str | None
    hidden: bool
    snapshot: str
    layer: str
    channel: int
    sign: int
    target_label: str
    observed: tuple[float, ...] | None

    @property
    def key(self) -> tuple[object, ...]:
        """What the attribute is known by."""
        return self.snapshot, self.layer, self.observed or self.channel, self.sign, self.target_label


# Typing.


def save_labels(path: str | Path, labels: Mapping[int, str | None], *, seen: Explanation | None = None) -> None:
    """Name attributes in a written folder: position in the ranking -> a person's name (None or blank: no name).

    Args:
        path: the folder.
        labels: the names.
        seen: the explanation as the person saw it: if the folder has another attribute there by now, nothing is named.

    Raises:
        StoreError: no such folder or attribute, another attribute than was seen, or a name longer than 120 characters.
    """
    words = {position: " ".join((label or "").split()) or None for position, label in labels.items()}
    for position, name in words.items():
        if name is not None and len(name) > _LONGEST_LABEL:
            raise StoreError(
                f"the name of attribute {position} has {len(name)} characters; use at most {_LONGEST_LABEL}"
            )
    _save(Path(path), "label", words, seen)


def save_hidden(path: str | Path, hidden: Mapping[int, bool], *, seen: Explanation | None = None) -> None:
    """Mark attributes in a written folder as not worth showing, or as worth it again: position -> whether hidden.

    Args:
        path: the folder.
        hidden: the marks.
        seen: as in ``save_labels``.

    Raises:
        StoreError: no such folder or attribute, or another attribute than was seen.
    """
    _save(Path(path), "hidden", hidden, seen)


@contextmanager
def naming(folder: Path) -> Iterator[None]:
    """Be the only one to read names and write them back, or to replace the folder with them, while the block runs.

    Raises:
        StoreError: somebody else is at it for ten seconds.
    """
    with sole_writer(folder, verb="naming", kind="names", patience_s=_PATIENCE_S):
        yield


def _save(folder: Path, key: str, values: Mapping[int, str | bool | None], seen: Explanation | None) -> None:
    load_manifest(folder)  # before a lock is laid beside what is no explanation
    with naming(folder):
        manifest = load_manifest(folder)
        attributes = manifest["ranking"]["attributes"]
        for position, value in values.items():
            if not 0 <= position < len(attributes):
                raise StoreError(
                    f"{folder} has {len(attributes)} attributes, numbered from 0, and none at {position}; "
                    "give a position that exists"
                )
            if seen is not None and not _is_seen(manifest, attributes[position], seen, position):
                raise StoreError(
                    f"{folder} was written anew since it was opened, and its attribute {position + 1} is another now; "
                    "open it again"
                )
            attributes[position][key] = value
        write_whole(folder / MANIFEST, dump_manifest(manifest))


def _is_seen(manifest: Mapping[str, Any], row: Mapping[str, Any], seen: Explanation, position: int) -> bool:
    attribute = seen.ranking[position]
    return (
        manifest["snapshot"].get("sha256") == seen.snapshot.get("sha256")
        and (row["layer"], row["channel"]) == (attribute.coordinate.layer, attribute.coordinate.channel)
        and (row["sign"], row["target"]) == (attribute.sign, attribute.target)
    )


# Carrying over.


def carried_over(explanation: Explanation, folder: Path) -> tuple[Explanation, list[Mark], list[Mark]]:
    """An explanation with what was typed in the folder that it is to replace.

    Returns:
        The explanation, what waits for its attribute to be found, and what of that waits from now on.

    Raises:
        StoreError: the names that wait there cannot be read.
    """
    typed, waiting = _typed_in(folder), waiting_in(folder)
    known = {mark.key: mark for mark in [*waiting, *typed]}
    attributes = []
    for attribute in explanation.ranking:
        mark = known.pop(_mark(attribute, explanation.space, explanation.snapshot).key, None)
        if mark is not None:
            attribute = replace(attribute, label=attribute.label or mark.label, hidden=attribute.hidden or mark.hidden)
        attributes.append(attribute)
    # A name that has gone on with an attribute that does the same waits for no other.
    standing = {attribute.label for attribute in attributes if attribute.label}
    known = {key: mark for key, mark in known.items() if mark.label is None or mark.label not in standing}
    named = replace(explanation, ranking=replace(explanation.ranking, attributes=tuple(attributes)))
    return named, list(known.values()), [mark for mark in typed if mark.key in known]


def waiting_in(folder: Path) -> list[Mark]:
    """The names that wait in a folder for their attributes to be found again.

    Raises:
        StoreError: they cannot be read.
    """
    file = folder / NAMES
    try:
        content = parse_json(read_whole(file, largest=2**24))
        if not isinstance(content, dict) or (content.get("schema"), content.get("version")) != (_SCHEMA, _VERSION):
            raise ValueError(f'expected "schema": "{_SCHEMA}", "version": {_VERSION}')
        return [_unpacked(row) for row in content["names"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError, OverflowError) as error:
        raise StoreError(f"{file} cannot be read ({error}); mend it, or move it away") from error


def packed(marks: Sequence[Mark]) -> bytes:
    """The names that wait, as the file's bytes."""
    content = {"schema": _SCHEMA, "version": _VERSION, "names": [asdict(mark) for mark in marks]}
    return json.dumps(content, ensure_ascii=False, indent=1).encode()


def said_of(marks: Sequence[Mark], folder: Path) -> str:
    """A line about names that wait from now on."""
    names = ", ".join(repr(mark.label) if mark.label else f"(hidden {mark.layer}:{mark.channel})" for mark in marks)
    return (
        f"typed for attributes that were not found again: {names}; kept in {folder / NAMES}, and given back when they "
        "are found"
    )


def _unpacked(row: Mapping[str, Any]) -> Mark:
    kinds: dict[str, type | tuple[type, ...]] = {
        "label": (str, type(None)),
        "hidden": bool,
        "channel": int,
        "sign": int,
        "observed": (list, type(None)),
    }
    for field in fields(Mark):
        if not isinstance(row[field.name], kinds.get(field.name, str)):
            raise ValueError(f"{field.name} is {row[field.name]!r:.80}")
    observed = row["observed"]
    if observed is not None:
        observed = tuple(float(value) for value in observed)
    return Mark(**{field.name: row[field.name] for field in fields(Mark)} | {"observed": observed})


def _typed_in(folder: Path) -> list[Mark]:
    """Of a folder that cannot be read, nothing."""
    try:
        manifest = load_manifest(folder)
        rows = [row for row in manifest["ranking"]["attributes"] if row["label"] or row.get("hidden")]
        if not rows:
            return []
        space = load_space(folder, manifest["space"])
    except StoreError:
        return []
    marks = []
    for row in rows:
        attribute = Attribute(
            coordinate=StyleCoordinate(row["layer"], row["channel"]),
            sign=row["sign"],
            shift_range=1.0,
            target=row["target"],
            target_label=row["target_label"],
            effect=0.0,
            label=row["label"],
            hidden=row.get("hidden", False),
        )
        marks.append(_mark(attribute, space, manifest["snapshot"]))
    return marks


def _mark(attribute: Attribute, space: StyleSpace, snapshot: Mapping[str, str]) -> Mark:
    coordinate, observed = attribute.coordinate, None
    if space.statistics is not None and space.layer(coordinate.layer).kind == "direction":
        index, s = space.index(coordinate), space.statistics
        observed = tuple(float(values[index]) for values in (s.minimum, s.maximum, s.mean, s.std))
    return Mark(
        label=attribute.label,
        hidden=attribute.hidden,
        snapshot=str(snapshot.get("sha256")),
        layer=coordinate.layer,
        channel=int(coordinate.channel),
        sign=int(attribute.sign),
        target_label=attribute.target_label,
        observed=observed,
    )
