"""Runs are seen as they are: by lock, log and snapshot, and without touching anything."""

from __future__ import annotations

import json
import os
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

import stylex
from stylex.cli import main
from stylex.core.errors import StoreError
from stylex.core.lock import sole_writer
from stylex.store.runs import RunLog, panels, read_run, runs_in


def made(folder: Path, *, nimg: int = 1000, total: int = 2000, snapshot: int | None = 500, **figures: float) -> Path:
    """A run as a training leaves it: a log, perhaps a snapshot with its panel, a state."""
    folder.mkdir(parents=True)
    rows: list[dict[str, Any]] = [
        {"nimg": at, "total_nimg": total, "seconds": 1.0, "images_per_s": 10.0, "pixel": 1 / at}
        for at in range(100, nimg + 1, 100)
    ]
    if snapshot is not None:
        figures = figures or {"agreement": 0.75, "agreement_other": 0.5}
        rows.append({"nimg": snapshot, "held_out": figures})
        where = folder / "snapshots" / f"{snapshot:09d}"
        where.mkdir(parents=True)
        training = {"schedule": {"kimg": total / 1000, "batch": 8}}
        (where / "snapshot.json").write_text(json.dumps({"nimg": snapshot, "figures": figures, "training": training}))
        header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
        (where / "weights.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
        (where / "panel.png").write_bytes(b"a panel")
    (folder / "stats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with zipfile.ZipFile(folder / "state.pt", "w") as state:
        state.writestr("data", "x")
    return folder


def test_states_are_told_by_lock_log_and_snapshot(tmp_path: Path) -> None:
    stopped, done = made(tmp_path / "a"), made(tmp_path / "b", nimg=2000, snapshot=2000)
    assert read_run(stopped).state == "stopped"
    assert read_run(done).state == "finished"
    with sole_writer(stopped, verb="train"):
        run = read_run(stopped)
    assert run.state == "training"
    assert run.left_s == 100
    assert run.writer is not None
    assert run.writer.startswith(f"stylex train, process {os.getpid()}")
    assert read_run(stopped).left_s is None
    assert (run.nimg, run.total_nimg, run.images_per_s) == (1000, 2000, 10)
    assert (run.agreement, run.agreement_other) == (0.75, 0.5)
    assert run.panel == stopped / "snapshots" / "000000500" / "panel.png"
    assert panels(stopped) == {500: run.panel}


def test_a_lock_that_a_killed_process_left_is_not_believed(tmp_path: Path) -> None:
    run = made(tmp_path / "a")
    (tmp_path / ".a.lock").write_text(json.dumps({"verb": "train", "process": os.getpid(), "began": "0"}))
    assert read_run(run).state == "stopped"
    assert (tmp_path / ".a.lock").exists()
    (tmp_path / ".a.lock").write_text(json.dumps({"verb": "train", "process": 1, "host": "elsewhere"}))
    assert read_run(run).state == "training"


def test_what_has_no_log_is_whole_as_it_is(tmp_path: Path) -> None:
    run = made(tmp_path / "mixed")
    (run / "stats.jsonl").unlink()
    (run / "state.pt").unlink()
    assert read_run(run).state == "finished"
    early = made(tmp_path / "early", snapshot=None)
    assert (read_run(early).state, read_run(early).agreement, read_run(early).panel) == ("stopped", None, None)


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("snapshots/000000500/snapshot.json", b"{", "is not JSON"),
        ("snapshots/000000500/snapshot.json", b"[]", "does not describe a snapshot"),
        ("snapshots/000000500/weights.safetensors", b"\0\0", "is missing or cut short"),
        ("snapshots/000000500/weights.safetensors", b"\xff" * 40, "is missing or cut short"),
        ("state.pt", b"", "state.pt is cut short"),
    ],
)
def test_damage_is_named(tmp_path: Path, file: str, content: bytes, says: str) -> None:
    run = made(tmp_path / "a")
    (run / file).write_bytes(content)
    seen = read_run(run)
    assert seen.state == "damaged"
    assert seen.trouble is not None
    assert says in seen.trouble


def test_a_log_is_read_on_and_anew_where_it_was_cut_back(tmp_path: Path) -> None:
    run = made(tmp_path / "a", nimg=300, snapshot=None)
    log = RunLog(run)
    log.refresh()
    assert [row["nimg"] for row in log.rows] == [100, 200, 300]
    with open(run / "stats.jsonl", "a") as file:
        file.write('{"nimg": 400, "images_per_s": 1, "pixel": NaN}\n{"nimg": "x"}\nno JSON\n{"nimg": 500, "ima')
    log.refresh()
    assert [row["nimg"] for row in log.rows] == [100, 200, 300, 400]
    assert [at for at, _ in log.curves(10)["pixel"]] == [100, 200, 300]
    (run / "stats.jsonl").write_text('{"nimg": 100, "images_per_s": 1}\n')
    log.refresh()
    assert [row["nimg"] for row in log.rows] == [100]


def test_long_curves_are_thinned_and_keep_their_end(tmp_path: Path) -> None:
    log = RunLog(made(tmp_path / "a", nimg=100_000, snapshot=None))
    log.refresh()
    points = log.curves(60)["pixel"]
    assert len(points) <= 60
    assert points[-1][0] == 100_000


def test_runs_are_found_below_and_the_last_written_is_first(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    made(tmp_path / "shoes" / "old")
    made(tmp_path / "new", nimg=2000, snapshot=2000)
    made(tmp_path / ".hidden" / "x")
    (tmp_path / "empty").mkdir()
    for file in (tmp_path / "shoes" / "old").rglob("*"):
        os.utime(file, (time.time() - 7300, time.time() - 7300))
    assert [run.path.name for run in runs_in(tmp_path)] == ["new", "old"]
    assert stylex.runs(tmp_path)[0].state == "finished"
    capsys.readouterr()
    assert main(["runs", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    for words in ("finished", "stopped", "2 / 2", "1 / 2", "75%", "50%", "2 h", "panel.png"):
        assert words in said
    assert main(["runs", str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["state"] for row in rows] == ["finished", "stopped"]
    assert rows[1]["path"] == str(tmp_path / "shoes" / "old")
    assert main(["runs", str(tmp_path / "empty")]) == 0
    assert "no run in" in capsys.readouterr().out
    assert main(["runs", str(tmp_path / "none")]) == 2
    with pytest.raises(StoreError, match="holds no run"):
        read_run(tmp_path / "empty")
