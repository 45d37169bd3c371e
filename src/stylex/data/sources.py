"""Whatever pictures are taken from, opened: a folder, a zip, shards, a data set by name, on the disk or in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stylex.data import from_datasets, from_shards
from stylex.data.from_memory import open_memory
from stylex.data.source import Listing, list_photos
from stylex.data.tree import Files, open_tree


@contextmanager
def open_source(
    source: Any, *, leave_out: Path, label_column: str | None, group_column: str | None
) -> Iterator[tuple[Files, Listing]]:
    """The files of a source, and what it says of each; ``leave_out`` is not among them.

    Raises:
        DataError: it is nothing that can be read, or says what cannot be meant.
    """
    columns = {"label_column": label_column, "group_column": group_column}
    if not isinstance(source, str | Path):
        datasets = from_datasets.from_object(source)
        yield open_memory(source, **columns) if datasets is None else from_datasets.open_datasets(datasets, **columns)
        return
    datasets = from_datasets.named(str(source))
    if datasets is not None:
        yield from_datasets.open_datasets(datasets, **columns)
        return
    shards = from_shards.shards_of(str(source))
    if shards is not None:
        from_shards.refuse_columns(label_column, group_column)
        with from_shards.open_shards(shards) as opened:
            yield opened
        return
    with open_tree(Path(source), leave_out=leave_out) as tree:
        yield tree, list_photos(tree, **columns)


def shown(source: Any) -> str:
    """A source's name for a person."""
    return str(source) if isinstance(source, str | Path) else "the data set"
