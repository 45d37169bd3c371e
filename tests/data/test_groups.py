"""Tables of groups: read as they are written, weights that make groups equal, and mistakes told in a line."""

from __future__ import annotations

from pathlib import Path

import pytest

from stylex.core.errors import DataError
from stylex.data.groups import groups_table, read_groups, weights_of

GROUPS = {"a/1.png": ("sick", "high"), "a,2.png": ("sick", "low"), "3.png": ("healthy", "low")}


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_text(groups_table(GROUPS))
    assert read_groups(tmp_path / "groups.csv") == {name: " ".join(pair) for name, pair in GROUPS.items()}


def test_lines_of_json_say_the_same(tmp_path: Path) -> None:
    (tmp_path / "groups.jsonl").write_text('{"file_name": "a.png", "group": 1}\n\n{"image": "b.png", "group": "x"}\n')
    assert read_groups(tmp_path / "groups.jsonl") == {"a.png": "1", "b.png": "x"}


def test_every_group_weighs_the_same() -> None:
    weights = weights_of({"a": "1", "b": "1", "c": "1", "d": "2", "e": "3"}, ["a", "b", "c", "d"], "t.csv")
    assert weights.sum() == pytest.approx(1)
    assert weights[:3].sum() == pytest.approx(weights[3])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.csv", "name,group\na,1\n", "expected image or file_name"),
        ("t.csv", "image,place\na,1\n", "and group"),
        ("t.csv", "image,group\na,1\na,2\n", "says twice"),
        ("t.csv", "", "is empty"),
        ("t.jsonl", "[1]\n", "row 1"),
        ("t.jsonl", '{"image": "a"}\n', "row 1"),
        ("t.jsonl", "{\n", "not JSON"),
        ("t.jsonl", "\n", "is empty"),
        ("lost.csv", None, "cannot be read"),
        ("lost.jsonl", None, "cannot be read"),
    ],
)
def test_what_is_no_table_of_groups_is_told(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=said):
        read_groups(tmp_path / name)


def test_images_that_the_table_does_not_know_are_told() -> None:
    with pytest.raises(DataError, match="'b' belongs to"):
        weights_of({"a": "1"}, ["a", "b"], "t.csv")
