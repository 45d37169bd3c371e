"""Names go on with the attribute that does the same to the same images, and are doubted where it nearly does."""

from __future__ import annotations

from pathlib import Path

import pytest

import stylex
from stylex.core.progress import Alarm, Event, Found
from stylex.store.names import NAMES, save_labels

pytestmark = pytest.mark.integration

SEARCH = {"data": "demo", "images": 12, "device": "cpu", "overwrite": True}


def said(heard: list[Event], kind: type) -> str:
    return " ".join(event.message for event in heard if isinstance(event, kind))  # type: ignore[attr-defined]


@pytest.mark.parametrize("alike", [0.8, 0.5])
def test_a_name_goes_on_where_the_coordinate_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alike: float
) -> None:
    folder, heard = tmp_path / "e", list[Event]()
    monkeypatch.setattr("stylex.search.followed.ALIKE", alike)
    stylex.find("demo", out=folder, method="sefa", attributes=4, **SEARCH)
    save_labels(folder, {3: "shaft height"})
    # What SeFa's fourth direction does, one of EigenFind's does nearly so (r .58), under another name.
    other = stylex.find("demo", out=folder, method="eigenfind", attributes=6, listener=heard.append, **SEARCH)
    named = next(a for a in other.ranking if a.label == "shaft height")
    doubted = alike == 0.8
    assert "'shaft height' is now attribute" in said(heard, Alarm if doubted else Found)
    assert ("look whether the name still fits" in said(heard, Alarm)) == doubted
    assert ("only nearly so" in (named.note or "")) == doubted
    assert not (folder / NAMES).exists(), "it waits for no other"


def test_what_does_something_else_gets_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "e"
    stylex.find("demo", out=folder, method="sefa", attributes=2, **SEARCH)
    save_labels(folder, {0: "shaft height"})
    monkeypatch.setattr("stylex.search.followed.DOUBTFUL", 1.1)
    other = stylex.find("demo", out=folder, method="eigenfind", attributes=3, **SEARCH)
    assert [a.label for a in other.ranking] == [None] * len(other.ranking)
    assert "shaft height" in (folder / NAMES).read_text()
    again = stylex.find("demo", out=folder, method="sefa", attributes=2, **SEARCH)
    assert again.ranking[0].label == "shaft height", "it waited for its own attribute"
