"""How folders are read: which of them are classes, which are parts (training, test), which lie beside those."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stylex.data.index import SplitName

_TRAINING = frozenset({"train", "training", "trainval"})
_VALIDATION = frozenset({"val", "valid", "validation", "dev"})
_TEST = frozenset({"test", "testing", "eval", "holdout"})
PART_WORDS = _TRAINING | _VALIDATION | _TEST
"""What people call the parts of a set, in small letters."""

_ASIDE = frozenset({"unlabeled", "unlabelled", "unlabeled2017", "unsup", "unsupervised", "extra", "extras"})
"""Folders that are beside the parts, not classes beside a class called ``train``."""
_REMEDY = "move the pictures so that only one reading is left, or name their classes in a metadata.csv"


@dataclass(frozen=True)
class Place:
    """Where a picture lies: its part's folder, if there are such, and its class folder."""

    part: str | None = None
    folder: str | None = None


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What the folders mean.

    Attributes:
        places: of the pictures that are meant.
        aside: pictures that are not, with the reason.
        reading: how the folders were read, for a person; None if there was nothing to decide.
        doubt: both readings and the remedy, where the folders can be read in two ways.
    """

    places: Mapping[str, Place]
    aside: Mapping[str, str] = field(default_factory=dict)
    reading: str | None = None
    doubt: str | None = None


def read_layout(names: Sequence[str]) -> Layout:
    """Understand ``train/CLASS/...``, ``CLASS/train/...``, ``CLASS/...`` or pictures in one place.

    Two or more folders named as parts, with the same class folders below (or none at all), are parts; what lies
    beside them is set aside. One folder alone is no class.
    """
    tops = _by_first(names)
    parts = [top for top in tops if top.lower() in PART_WORDS]
    below = {top: _by_first(tops[top]) for top in tops if top}
    classes = {part: sorted(folder for folder in below[part] if folder) for part in parts}
    others = [top for top in tops if top and top not in parts]
    if len(parts) >= 2:
        return _parts_on_top(names, parts, classes, others, below)
    if len(parts) == 1 and others and len(classes[parts[0]]) >= 2 and not any(set(below[x]) - {""} for x in others):
        if all(other.lower() in _ASIDE for other in others):
            return _within(parts[0], names, f"the classes in {parts[0]}/")
        return Layout(
            places=_classes(names),
            doubt=f"its folders can be read in two ways: {_listed(tops)} are classes, or {_listed(classes[parts[0]])} "
            f"in {parts[0]}/ are, and {_listed(others)} lies beside them: {_REMEDY}",
        )
    hidden = [top for top in others if len(parts) == 1 and {x.lower() for x in below[top]} & PART_WORDS]
    if hidden and classes[parts[0]]:
        return Layout(
            places=_classes(names),
            doubt=f"its folders can be read in two ways: {_listed(tops)} are classes, or {_listed(parts)} and the "
            f"parts in {_listed(hidden)} are parts: {_REMEDY}",
        )
    divided = [top for top in below if _is_divided(below[top])]
    if divided:
        return _parts_below(names, divided, below)
    if len(below) == 1:
        (only,) = below
        inside = [folder for folder in below[only] if folder]
        if len(inside) >= 2 and len(tops.get("", ())) < len(tops[only]):  # a stray picture beside the one folder
            return _within(only, names, None)
    return Layout(places=_classes(names))


def part_of(word: str, words: Iterable[str]) -> SplitName:
    """Which part a folder or a table's word means, where ``words`` are all that are used.

    Validation pictures are the test part where there is a training part and no other to test on.
    """
    used = {each.lower() for each in words}
    held = word.lower() in _TEST or (word.lower() in _VALIDATION and not used & _TEST and bool(used & _TRAINING))
    return "test" if held else "train"


def is_validation(word: str) -> bool:
    """Whether a part is called so."""
    return word.lower() in _VALIDATION


def _by_first(names: Iterable[str]) -> dict[str, list[str]]:
    """Names by their first folder (``""``: none), without it."""
    out: dict[str, list[str]] = {}
    for name in names:
        first, slash, rest = name.partition("/")
        out.setdefault(first if slash else "", []).append(rest if slash else name)
    return out


def _classes(names: Iterable[str], part: str | None = None, prefix: str = "") -> dict[str, Place]:
    """Each picture's class by its first folder behind the prefix; a single folder is no class."""
    firsts = {name: name[len(prefix) :].partition("/") for name in names}
    folders = {name: first if slash else None for name, (first, slash, _) in firsts.items()}
    if len(set(folders.values()) - {None}) < 2:
        folders = dict.fromkeys(folders)
    return {name: Place(part, folder) for name, folder in folders.items()}


def _within(top: str, names: Sequence[str], reading: str | None) -> Layout:
    """The layout inside one folder; the others are set aside."""
    inside = [name for name in names if name.startswith(f"{top}/")]
    aside = {name: f"not in {top}/" for name in names if not name.startswith(f"{top}/")}
    inner = read_layout([name[len(top) + 1 :] for name in inside])
    return Layout(
        places={f"{top}/{name}": place for name, place in inner.places.items()},
        aside=aside | {f"{top}/{name}": reason for name, reason in inner.aside.items()},
        reading=reading or inner.reading,
        doubt=inner.doubt,
    )


def _parts_on_top(
    names: Sequence[str],
    parts: Sequence[str],
    classes: Mapping[str, Sequence[str]],
    others: Sequence[str],
    below: Mapping[str, Mapping[str, Sequence[str]]],
) -> Layout:
    labelled = [part for part in parts if classes[part]]
    most = max(labelled, key=lambda part: len(classes[part]), default=None)
    words = f"{_listed(parts)} are parts"
    doubt = None
    if most is None:
        if strange := [x for x in others if x.lower() not in _ASIDE]:
            doubt = f"{_listed([*parts, *others])} are classes, or {words} and {_listed(strange)} lies beside them"
    elif any(set(classes[part]) - set(classes[most]) for part in labelled):
        each = "; ".join(f"{part}/ has {_listed(classes[part])}" for part in labelled)
        doubt = f"{_listed([*parts, *others])} are classes, or {words} although their class folders differ ({each})"
    elif any(set(below[other]) & set(classes[most]) for other in others if other.lower() not in _ASIDE):
        doubt = f"{_listed([*parts, *others])} are classes, or {_listed([*parts, *others])} are all parts"
    if doubt:
        return Layout(places=_classes(names), doubt=f"its folders can be read in two ways: {doubt}: {_REMEDY}")
    meant = labelled or list(parts)
    whole = len(meant) > 1  # pictures of one part alone are divided as if there were none
    aside: dict[str, str] = {}
    places: dict[str, Place] = {}
    several = most is not None and len({x for part in labelled for x in classes[part]}) >= 2
    for name in names:
        top, slash, rest = name.partition("/")
        if not slash or top not in parts:
            aside[name] = f"beside the folders {_listed(parts)}"
        elif several and "/" not in rest:
            aside[name] = "not in a class folder"
        else:
            places[name] = Place(top if whole else None, rest.partition("/")[0] if several else None)
    return Layout(places=places, aside=aside, reading=_reading(meant) if whole else f"the classes in {meant[0]}/")


def _is_divided(below: Mapping[str, Sequence[str]]) -> bool:
    folders = {folder.lower() for folder in below if folder}
    return len(folders & PART_WORDS) >= 2 and folders <= PART_WORDS | _ASIDE


def _parts_below(
    names: Sequence[str], divided: Sequence[str], below: Mapping[str, Mapping[str, Sequence[str]]]
) -> Layout:
    """Classes of which some are divided inside: ``CLASS/train/...``."""
    words = sorted({folder for top in divided for folder in below[top] if folder.lower() in PART_WORDS})
    classes = _classes(names)
    if all(place.folder is None for place in classes.values()):  # one folder around the parts, and strays
        return _within(divided[0], names, None)
    deeper = sorted({x for top in divided for word in below[top] for x in _by_first(below[top][word]) if word and x})
    if len(deeper) >= 2:
        return Layout(
            places=classes,
            doubt=f"its folders can be read in two ways: {_listed(sorted(below))} are classes, or {_listed(deeper)} "
            f"in the folders {_listed(words)} are: {_REMEDY}",
        )
    places: dict[str, Place] = {}
    aside: dict[str, str] = {}
    for name in names:
        top, slash, rest = name.partition("/")
        part = rest.partition("/")[0] if "/" in rest else ""
        if not slash:
            places[name] = Place()
        elif part in words:
            places[name] = Place(part, top)
        elif top in divided:
            aside[name] = f"beside the folders {_listed(words)}"
        else:
            places[name] = Place(None, top)
    return Layout(places=places, aside=aside, reading=_reading(words, "in the class folders"))


def _reading(parts: Sequence[str], where: str = "") -> str:
    test = [part for part in parts if part_of(part, parts) == "test"]
    trained = [part for part in parts if is_validation(part) and part not in test]
    words = f"by the folders {_listed(parts)}" + (f" {where}" if where else "")
    said = [f"{_listed(test)} is the test part"] * (bool(test) and test != ["test"])
    said += [f"{_listed(trained)} counts as training"] * bool(trained)
    return "; ".join([words, *said])


def _listed(words: Iterable[str]) -> str:
    known = [word for word in words if word]
    return ", ".join(known[:6]) + (f" and {len(known) - 6} more" if len(known) > 6 else "")
