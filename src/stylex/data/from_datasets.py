"""Data sets of the package datasets: by name from a hub, a folder that ``save_to_disk`` wrote, or the object itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylex.core.errors import DataError
from stylex.core.reference import package, reason, with_options
from stylex.core.wording import option
from stylex.data.images import MAX_BYTES, PictureError, read_bytes
from stylex.data.index import Label
from stylex.data.layout import PART_WORDS, part_of
from stylex.data.source import Listing, Photo, number_labels
from stylex.data.tree import Files

HUB = "hf://datasets/"
OPTIONS = ("split", "config", "revision", "image", "label", "group")


def _package() -> Any:
    return package("datasets", "datasets", "this source of images", DataError)


@dataclass(frozen=True, kw_only=True)
class DataSets:
    """What was named, opened: data sets by their parts' names ("" where it has no parts).

    Attributes:
        text: how it was named.
        parts: objects of the package, by name.
        options: columns and the like, by name.
        fetched: whether the package itself has just brought it, and the files that it names.
    """

    text: str
    parts: Mapping[str, Any]
    options: Mapping[str, str]
    fetched: bool = False


def named(source: str) -> DataSets | None:
    """Open a source of the form ``hf://datasets/ORG/NAME,split=...``, or a saved folder; None: it is neither.

    Raises:
        DataError: it cannot be opened, an option is not known, or the package is not installed.
    """
    if source.startswith(HUB):
        name, options = with_options(source.removeprefix(HUB), OPTIONS, "a data set by name", DataError)
        if not name.strip("/"):
            raise DataError(f"{source!r} names no data set; expected {HUB}ORG/NAME")
        try:
            found = _package().load_dataset(
                name.strip("/"), options.get("config"), revision=options.get("revision"), split=None
            )
        except DataError:
            raise
        except Exception as error:  # of the network, of the hub, of the builder
            raise DataError(f"the data set {name} cannot be fetched: {reason(error)}") from error
        return DataSets(text=source, parts=_parts(found), options=options, fetched=True)
    folder = Path(source.partition(",")[0])
    if not _is_saved(folder):
        return None
    name, options = with_options(source, OPTIONS, "a saved data set", DataError)
    try:
        found = _package().load_from_disk(str(Path(name).absolute()))
    except DataError:
        raise
    except Exception as error:  # files of Arrow that are damaged raise nearly anything
        raise DataError(f"{name} is a damaged data set: {reason(error)}; save it again") from error
    return DataSets(text=name, parts=_parts(found), options=options)


def from_object(given: Any) -> DataSets | None:
    """A data set of the package, or a dictionary of them, given as it is; None: it is something else."""
    parts = given if isinstance(given, dict) else {"": given}
    if not parts or not all(hasattr(x, "features") and hasattr(x, "cast_column") for x in parts.values()):
        return None
    return DataSets(text="the data set", parts={str(name): part for name, part in parts.items()}, options={})


def _parts(found: Any) -> dict[str, Any]:
    return {str(name): part for name, part in found.items()} if isinstance(found, dict) else {"": found}


def _is_saved(folder: Path) -> bool:
    try:
        if (folder / "dataset_dict.json").is_file():
            return True
        return (folder / "dataset_info.json").is_file() and (folder / "state.json").is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def open_datasets(given: DataSets, *, label_column: str | None, group_column: str | None) -> tuple[Files, Listing]:
    """The pictures of a data set, with its labels.

    The column of images is the only one of that kind; that of labels the only ``ClassLabel`` (or list of them, for
    several labels a picture), or one called ``label``; others are chosen by ``image``, ``label`` and ``group``.

    Raises:
        DataError: no such column or part, or several that could be meant.
    """
    chosen = _chosen(given)
    asked = {"label": label_column, "group": group_column}
    columns = {key: given.options.get(key) or asked.get(key) for key in ("image", "label", "group")}
    first = next(iter(chosen.values()))
    for key, column in columns.items():
        if column is not None and column not in first.features:
            known = ", ".join(first.features)
            raise DataError(f"{given.text} has no {key} column {column!r}: its columns are {known}")
    image = columns["image"] or _only(first, _is_image, "images", "image", given)
    label = columns["label"] or _label_column(first, given)
    try:
        parts = {part: _bytes_of(part_set, image, given) for part, part_set in chosen.items()}
        return _Rows(parts, image, fetched=given.fetched), _list(given, chosen, label, columns["group"])
    except DataError:
        raise
    except Exception as error:  # files of Arrow that are damaged, and packages that do not fit each other
        raise DataError(f"{given.text} cannot be read: {reason(error)}") from error


def _chosen(given: DataSets) -> dict[str, Any]:
    """The parts that are meant, by name."""
    asked = given.options.get("split")
    known = ", ".join(name for name in given.parts if name) or "none"
    if asked is not None:
        lost = [name for name in asked.split("+") if name not in given.parts]
        if lost or "" in given.parts:
            raise DataError(f"{given.text} has no split {(lost or [asked])[0]!r}: its splits are {known}")
        return {name: given.parts[name] for name in asked.split("+")}
    strange = [name for name in given.parts if name.lower() not in PART_WORDS]
    if len(given.parts) > 1 and strange:
        raise DataError(
            f"{given.text} has the splits {known}: say which are meant, as {given.text},split={next(iter(given.parts))}"
            " (several joined by +)"
        )
    if not given.parts:
        raise DataError(f"{given.text} is empty")
    return dict(given.parts)


def _is_image(feature: Any) -> bool:
    return type(feature).__name__ == "Image"


def _is_class(feature: Any) -> bool:
    return "ClassLabel" in (type(feature).__name__, type(getattr(feature, "feature", None)).__name__)


def _only(part: Any, kind: Any, what: str, key: str, given: DataSets) -> str:
    found = [name for name, feature in part.features.items() if kind(feature)]
    if len(found) == 1:
        return str(found[0])
    known = ", ".join(found or part.features)
    has = f"several columns of {what}" if found else f"no column of {what}"
    how = option(f"{key}_column") if key == "label" else f"{key}=COLUMN"
    raise DataError(f"{given.text} has {has} ({known}): say which with {given.text},{key}=COLUMN or {how}")


def _label_column(part: Any, given: DataSets) -> str | None:
    if any(_is_class(feature) for feature in part.features.values()):
        return "label" if _is_class(part.features.get("label")) else _only(part, _is_class, "classes", "label", given)
    return "label" if "label" in part.features else None


def _bytes_of(part: Any, image: str, given: DataSets) -> Any:
    """One part's pictures as the files that they were, undecoded."""
    feature = part.features[image]
    if not _is_image(feature):
        raise DataError(f"{given.text}: the column {image} holds {type(feature).__name__}, expected Image")
    alone = part.select_columns([image]).with_format(None)
    return alone.cast_column(image, _package().Image(decode=False))


class _Rows:
    """Pictures by part and row."""

    def __init__(self, parts: Mapping[str, Any], image: str, *, fetched: bool) -> None:
        self._parts, self._image, self._fetched = parts, image, fetched

    def read(self, name: str) -> bytes:
        part, _, row = name.rpartition("/")
        try:
            value = self._parts[part][int(row)][self._image]
        except Exception as error:  # files of Arrow that are damaged raise nearly anything
            raise PictureError(name, f"cannot be read ({reason(error)})") from None
        if value is None:
            raise PictureError(name, "no picture in its row")
        data = value.get("bytes")
        if data is None and self._fetched and value.get("path"):
            return read_bytes(Path(value["path"]), name)
        if data is None:  # a path, which may be anybody's: what a folder from elsewhere names is not opened
            raise PictureError(name, "its picture lies elsewhere: save the set with save_to_disk, which takes it along")
        if len(data) > MAX_BYTES:
            raise PictureError(name, f"larger than {MAX_BYTES // 2**20} MiB: refused")
        return bytes(data)


def _list(given: DataSets, chosen: Mapping[str, Any], label: str | None, group: str | None) -> Listing:
    parts = list(chosen)
    divided = len(parts) > 1 and all(part.lower() in PART_WORDS for part in parts)
    feature = None if label is None else next(iter(chosen.values())).features[label]
    if label is not None and any(part.features.get(label) != feature for part in chosen.values()):
        raise DataError(f"{given.text}: the splits name the classes of {label} differently: choose one with split=")
    columns = [name for name in (label, group) if name is not None]
    rows: list[tuple[str, str | None, Any, Any]] = []
    for part, part_set in chosen.items():
        told = part_set.select_columns(columns).with_format(None) if columns else None
        values = {} if told is None else {name: told[name][:] for name in columns}
        for i in range(len(part_set)):
            said, belongs = (values[name][i] if name is not None else None for name in (label, group))
            rows.append((f"{part}/{i:08d}", part or None, said, belongs))
    names, label_of = _numbered(feature, [said for _, _, said, _ in rows])
    photos = []
    skipped = []
    for name, part_name, said, belongs in rows:
        number = None if said is None else label_of(said)
        if label is not None and number is None:
            skipped.append((name, f"no {label} in its row"))
        elif group is not None and belongs is None:
            skipped.append((name, f"no {group} in its row"))
        else:
            photos.append(
                Photo(
                    file=name,
                    name=name.lstrip("/"),
                    label=number,
                    split=part_of(part_name, parts) if divided and part_name else None,
                    group=None if belongs is None else str(belongs),
                )
            )
    return Listing(
        photos=tuple(photos),
        label_names=names,
        labels_from="none (no column of labels)" if label is None else f"the column {label} of {given.text}",
        divided_by=f"by the splits {', '.join(parts)}" if divided else None,
        skipped=skipped,
    )


def _numbered(feature: Any, said: list[Any]) -> tuple[tuple[str, ...] | None, Any]:
    """Names of the labels, and what gives a row's label of what it says (None: it says none)."""
    if feature is None:
        return None, lambda value: None
    inner = getattr(feature, "feature", None)
    own = getattr(inner if inner is not None else feature, "names", None)
    if own is not None:
        k = len(own)

        def single(value: Any) -> Label | None:
            return int(value) if 0 <= int(value) < k else None  # -1: not known

        def several(value: Any) -> Label | None:
            return tuple(int(i in value) for i in range(k))

        return tuple(map(str, own)), single if inner is None else several
    names, number = number_labels([str(value) for value in said if value is not None])
    return names, lambda value: number[str(value)]
