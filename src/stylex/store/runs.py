"""Runs on the disk, read without torch and without touching them: how far each is, its log, its panels."""

from __future__ import annotations

import math
import re
import struct
import time
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from stylex.core.errors import StoreError, first_line
from stylex.core.files import read_whole
from stylex.core.lock import writer_of
from stylex.core.untrusted import parse_json

State = Literal["training", "stopped", "finished", "damaged"]
STATS, STATE = "stats.jsonl", "state.pt"
_LARGEST_LOG = 2**28
_LARGEST_DESCRIPTION = 2**27
_DEEPEST = 3
"""Folders below the given one in which runs are looked for."""
_MOST_FOLDERS = 20_000
_NOT_LOSSES = ("nimg", "total_nimg", "seconds", "images_per_s", "held_out")


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """What can be seen of a run.

    Attributes:
        path: its folder.
        state: ``training`` while somebody writes to it, ``finished``, ``stopped`` before its end, or ``damaged``.
        trouble: what is damaged; None otherwise.
        writer: who is writing, and since when; None: nobody.
        nimg: images seen.
        total_nimg: images of the whole training; None: not known yet.
        images_per_s: by its last report; None: it has none.
        agreement: newest on held-out images; None: not measured yet.
        agreement_other: with other images' reconstructions, which is what passes by accident.
        panel: the newest panel; None: there is none yet.
        age_s: seconds since something was written.
    """

    path: Path
    state: State
    trouble: str | None
    writer: str | None
    nimg: int
    total_nimg: int | None
    images_per_s: float | None
    agreement: float | None
    agreement_other: float | None
    panel: Path | None
    age_s: float

    @property
    def left_s(self) -> float | None:
        """Seconds that are left by its last speed; None: not known, or nothing trains."""
        if self.state != "training" or self.total_nimg is None or not self.images_per_s:
            return None
        return max(self.total_nimg - self.nimg, 0) / self.images_per_s

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        row = asdict(self) | {"left_s": self.left_s}
        return {key: str(value) if isinstance(value, Path) else value for key, value in row.items()}


class RunLog:
    """A training's log, read on as it grows.

    Args:
        path: the run's folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Mapping[str, Any]] = []
        self._read = b""

    def refresh(self) -> None:
        """Read what has come since the last time; a log that was cut back is read anew.

        Raises:
            StoreError: it cannot be read.
        """
        try:
            data = read_whole(self.path / STATS, largest=_LARGEST_LOG)
        except FileNotFoundError:
            data = b""
        except OSError as error:
            raise StoreError(f"{self.path / STATS} cannot be read: {first_line(error)}; look at its rights") from None
        whole = data[: data.rfind(b"\n") + 1]  # the last line may be half written
        if not whole.startswith(self._read):
            self.rows, self._read = [], b""
        self.rows += _rows(whole[len(self._read) :])
        self._read = whole

    def ticks(self) -> list[Mapping[str, Any]]:
        """The reports of losses and speed."""
        return [row for row in self.rows if "images_per_s" in row]

    def measured(self) -> list[Mapping[str, Any]]:
        """The reports of held-out figures."""
        return [row for row in self.rows if isinstance(row.get("held_out"), dict)]

    def curves(self, most: int) -> dict[str, list[tuple[int, float]]]:
        """Each loss by images seen, averaged to at most ``most`` points; figures of held-out images whole."""
        series: dict[str, list[tuple[int, float]]] = {}
        for row in self.ticks():
            for name, value in row.items():
                if name not in _NOT_LOSSES and _is_number(value):
                    series.setdefault(name, []).append((row["nimg"], float(value)))
        thinned = {name: _thinned(points, most) for name, points in series.items()}
        for row in self.measured():
            for name, value in row["held_out"].items():
                if _is_number(value):
                    thinned.setdefault(f"held_out/{name}", []).append((row["nimg"], float(value)))
        return thinned


def read_run(path: str | Path, log: RunLog | None = None) -> RunInfo:
    """What can be seen of one run.

    Args:
        path: its folder.
        log: its log, where it is read on.

    Raises:
        StoreError: there is no run.
    """
    folder = Path(path)
    if not is_run(folder):
        raise StoreError(f"{folder} holds no run; give the folder that a training was given as out")
    log = RunLog(folder) if log is None else log
    newest = next(iter(_snapshots(folder)), None)
    writer, trouble = writer_of(folder), None
    description: Mapping[str, Any] = {}
    try:
        log.refresh()
        if newest is not None:
            description = _description(newest)
            _check_weights(newest / "weights.safetensors")
        if (folder / STATE).exists() and not zipfile.is_zipfile(folder / STATE):
            raise StoreError(f"{STATE} is cut short or none")
    except (StoreError, OSError, ValueError) as error:
        trouble = first_line(error)
    ticks, measured = log.ticks(), log.measured()
    figures: Mapping[str, Any] = measured[-1]["held_out"] if measured else description.get("figures", {})
    nimg = max([row["nimg"] for row in (*ticks, *measured)] + [description.get("nimg", 0)])
    total = _total(description, ticks)
    # Without a log there was no training: what was mixed, guided or imported is whole as it is.
    done = newest is not None and (not log.rows or (total is not None and nimg >= total))
    state: State = "stopped"
    if writer is not None:
        state = "training"
    elif trouble is not None:
        state = "damaged"
    elif done:
        state = "finished"
    return RunInfo(
        path=folder,
        state=state,
        trouble=trouble if state == "damaged" else None,
        writer=None if writer is None else _signed(writer),
        nimg=nimg,
        total_nimg=total,
        images_per_s=_number(ticks[-1]["images_per_s"]) if ticks else None,
        agreement=_number(figures.get("agreement")),
        agreement_other=_number(figures.get("agreement_other")),
        panel=next((where / "panel.png" for where in _snapshots(folder) if (where / "panel.png").is_file()), None),
        age_s=max(0.0, time.time() - _written(folder, newest)),
    )


def runs_in(folder: str | Path) -> tuple[RunInfo, ...]:
    """The runs of a folder, itself or up to three levels below it; the one written last is first.

    Raises:
        StoreError: there is no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise StoreError(f"{root} is no folder; give one in which runs lie, such as runs/")
    return tuple(sorted((read_run(path) for path in _folders(root)), key=lambda run: run.age_s))


def is_run(folder: Path) -> bool:
    """Whether a training has written there."""
    return (folder / STATS).is_file() or (folder / STATE).is_file() or bool(_snapshots(folder))


def panels(folder: Path) -> dict[int, Path]:
    """The panels of a run by images seen, the oldest first."""
    where = {int(path.name): path / "panel.png" for path in reversed(_snapshots(folder))}
    return {nimg: path for nimg, path in where.items() if path.is_file()}


def _folders(root: Path) -> Iterator[Path]:
    waiting, seen = [(root, 0)], 0
    while waiting and seen < _MOST_FOLDERS:
        folder, depth = waiting.pop()
        seen += 1
        if is_run(folder):
            yield folder
        elif depth < _DEEPEST:
            try:
                below = sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
            except OSError:
                continue
            waiting += [(path, depth + 1) for path in below if not path.name.startswith(".")]


def _snapshots(folder: Path) -> list[Path]:
    """Folders of whole snapshots, the newest first."""
    try:
        found = [path for path in (folder / "snapshots").iterdir() if re.fullmatch(r"\d{1,15}", path.name)]
    except OSError:
        return []
    whole = [path for path in found if (path / "snapshot.json").is_file()]
    return sorted(whole, key=lambda path: int(path.name), reverse=True)


def _rows(data: bytes) -> list[Mapping[str, Any]]:
    rows: list[Mapping[str, Any]] = []
    for line in data.splitlines():
        try:
            row = parse_json(line)
        except ValueError:
            continue  # cut short by a kill, and dropped by the next training
        if isinstance(row, dict) and type(row.get("nimg")) is int and 0 <= row["nimg"] < 2**53:
            rows.append(row)
    return rows


def _description(snapshot: Path) -> Mapping[str, Any]:
    path = snapshot / "snapshot.json"
    try:
        given = parse_json(read_whole(path, largest=_LARGEST_DESCRIPTION))
    except ValueError as error:
        raise StoreError(f"{path} is not JSON: {first_line(error)}") from None
    if not isinstance(given, dict) or type(given.get("nimg")) is not int or not isinstance(given.get("figures"), dict):
        raise StoreError(f"{path} does not describe a snapshot")
    return given


def _check_weights(path: Path) -> None:
    """Whether a safetensors file has the length that its header says; its numbers are not read."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            header = parse_json(file.read(length)) if length <= min(size, 2**27) else {}
        ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
        whole = size == 8 + length + max(ends)
    except (OSError, struct.error, ValueError, TypeError, KeyError, IndexError, AttributeError):
        whole = False
    if not whole:
        raise StoreError(f"{path} is missing or cut short")


def _total(description: Mapping[str, Any], ticks: Sequence[Mapping[str, Any]]) -> int | None:
    """Images of the whole training, by its last report or its newest snapshot."""
    said = ticks[-1].get("total_nimg") if ticks else None
    if type(said) is int and said > 0:
        return said
    training = description.get("training")
    schedule = training.get("schedule") if isinstance(training, dict) else None
    kimg = _number(schedule.get("kimg")) if isinstance(schedule, dict) else None
    batch = schedule.get("batch") if isinstance(schedule, dict) else None
    if kimg is None or type(batch) is not int or batch < 1 or not 0 < kimg < 2**40:
        return None
    return max(1, round(kimg * 1000 / batch)) * batch


def _written(folder: Path, newest: Path | None) -> float:
    times = [0.0]
    for path in (folder / STATS, folder / STATE, *([] if newest is None else [newest / "snapshot.json"])):
        try:
            times.append(path.stat().st_mtime)
        except OSError:
            continue
    return max(times)


def _signed(writer: Mapping[str, Any]) -> str:
    verb, process, since = (str(writer.get(key, "?"))[:60] for key in ("verb", "process", "since"))
    return f"stylex {verb}, process {process}, since {since}"


def _thinned(points: Sequence[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """Neighbours averaged, so that few points are left; the last images seen stay."""
    step = math.ceil(len(points) / most)
    parts = [points[i : i + step] for i in range(0, len(points), step)] if step > 1 else [[point] for point in points]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _number(value: Any) -> float | None:
    return float(value) if _is_number(value) else None
