"""The overview's folder: known by its JSON, never in another's place, and one that was interrupted goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stylex.core.errors import StoreError
from stylex.core.overview import Overview
from stylex.store.overview import OVERVIEW, PAGE, begin_overview, check_overview, finish_overview

EMPTY = Overview(rows=(), images=0, figures={}, settings={})


def test_what_is_begun_may_be_gone_on_with_and_what_is_finished_is_not_replaced_unasked(tmp_path: Path) -> None:
    folder = tmp_path / "birds"
    check_overview(folder, overwrite=False)
    begin_overview(folder)
    check_overview(folder, overwrite=False)
    finish_overview(EMPTY, "<!doctype html>", folder)
    assert json.loads((folder / OVERVIEW).read_text())["finished"] is True
    assert (folder / PAGE).read_text() == "<!doctype html>"
    with pytest.raises(StoreError, match=r"already holds an overview; .*overwrite"):
        check_overview(folder, overwrite=False)
    check_overview(folder, overwrite=True)


def test_a_folder_of_another_kind_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(StoreError, match="holds something else and stays as it is"):
            check_overview(tmp_path, overwrite=overwrite)


def test_settings_that_json_cannot_say_leave_the_folder_unfinished(tmp_path: Path) -> None:
    begin_overview(tmp_path / "new")
    bad = Overview(rows=(), images=0, figures={}, settings={"x": float("nan")})
    with pytest.raises(StoreError, match="JSON cannot say"):
        finish_overview(bad, "", tmp_path / "new")
    check_overview(tmp_path / "new", overwrite=False)
