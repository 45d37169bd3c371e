"""What a training leaves in its folder to go on exactly where it stopped, however it stopped."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from stylex.core.errors import ConfigError, SnapshotError, TrainingError, first_line
from stylex.core.files import cannot_write, read_whole, write_whole
from stylex.core.untrusted import parse_json
from stylex.core.wording import option
from stylex.training.config import TrainConfig

FORMAT = "stylex-state"
VERSION = 1


def save_state(path: Path, *, nimg: int, identity: Mapping[str, Any], parts: Mapping[str, Any]) -> None:
    """Write the state, whole or not at all.

    Args:
        path: the file.
        nimg: images trained on.
        identity: JSON of what the training is (options, data, classifier); the same command must bring the same.
        parts: state dicts by name.

    Raises:
        SnapshotError: it cannot be written; the state before it is still there.
    """
    state = {"format": FORMAT, "version": VERSION, "nimg": nimg, "identity": dict(identity), "parts": dict(parts)}
    buffer = io.BytesIO()  # torch.save has its own error for a full disk
    torch.save(state, buffer)
    write_whole(path, buffer.getbuffer(), error=SnapshotError)


def load_state(path: Path, *, identity: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """Read a state (never unpickling anything but tensors and plain values).

    A finished training may go on as a longer one: ``schedule.kimg`` alone may then be larger than it was.

    Raises:
        SnapshotError: it is foreign or damaged.
        ConfigError: it belongs to a training with other options.
    """
    try:
        state = torch.load(io.BytesIO(read_whole(path)), map_location="cpu", weights_only=True)
    except Exception as error:  # the reader raises nearly anything on bytes that are no state
        raise SnapshotError(
            f"the training state {path} is damaged ({first_line(error)[:120]}); remove it to train from the "
            f"beginning, or choose another {option('out')}"
        ) from None
    whole = isinstance(state, dict) and state.keys() >= {"nimg", "identity", "parts"}
    if not whole or state.get("format") != FORMAT or state.get("version") != VERSION:
        raise SnapshotError(
            f"{path} is not a training state of this stylex; remove it to train from the beginning, or choose another "
            f"{option('out')}"
        )
    theirs = dict(state["identity"])
    if isinstance(theirs.get("options"), Mapping):
        theirs["options"] = _lengthened(_as_now(theirs["options"]), identity.get("options"), nimg=int(state["nimg"]))
    differing = [f"{name} was {then}, now {now}" for name, then, now in _differences(theirs, dict(identity), "")]
    if differing:
        raise ConfigError(
            f"{path.parent} holds a training with other options ({'; '.join(differing[:3])}); repeat its command to "
            f"go on, or choose another {option('out')}"
        )
    return int(state["nimg"]), dict(state["parts"])


def tidy(out: Path, *, nimg: int, training: Mapping[str, Any], classifier_fingerprint: str) -> None:
    """Make a training's folder ready to go on at image ``nimg``.

    What a killed training was writing is removed, and so are the reports behind its last state: they will be
    written again.

    Raises:
        ConfigError: the folder has no state, but snapshots of another training.
        TrainingError: the folder cannot be written.
    """
    snapshots = out / "snapshots"
    if nimg == 0:
        ours = (json.loads(json.dumps(dict(training))), classifier_fingerprint)
        for path in sorted(snapshots.glob("[0-9]*/snapshot.json")):
            if _written_by(path) != ours:
                raise ConfigError(
                    f"{out} holds snapshots of another training and no state to go on from; choose another "
                    f"{option('out')}"
                )
    try:
        snapshots.mkdir(parents=True, exist_ok=True)
        for leftover in [*out.iterdir(), *snapshots.iterdir()]:
            if re.fullmatch(r"\.(state\.pt|stats\.jsonl|\d{9})\.[0-9a-f]{8}(\.old)?", leftover.name):
                shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    except OSError as error:
        raise cannot_write(out, error, TrainingError) from error
    stats = out / "stats.jsonl"
    if stats.exists():
        kept = "".join(f"{line}\n" for line in _lines_until(stats, nimg))
        write_whole(stats, kept.encode(), error=TrainingError)


def append_row(stats: Path, row: Mapping[str, Any]) -> None:
    """Add a line to ``stats.jsonl``.

    Raises:
        TrainingError: the file cannot be written; a line that was cut short is dropped by ``tidy``.
    """
    try:
        with open(stats, "a", encoding="utf-8") as file:
            file.write(json.dumps(dict(row)) + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise cannot_write(stats, error, TrainingError) from error


def _lines_until(stats: Path, nimg: int) -> list[str]:
    kept = []
    for line in _text_of(stats).splitlines():
        try:
            if parse_json(line.encode())["nimg"] <= nimg:
                kept.append(line)
        except (ValueError, KeyError, TypeError):
            continue
    return kept


def _text_of(stats: Path) -> str:
    try:
        return read_whole(stats).decode(errors="replace")
    except OSError as error:
        raise TrainingError(f"{stats} cannot be read ({first_line(error)}); move it away") from None


def _written_by(path: Path) -> tuple[Any, Any]:
    """The training and the classifier that a snapshot names; nothing if it cannot be read."""
    try:
        description = parse_json(read_whole(path))
        return json.loads(json.dumps(_as_now(description["training"]))), description["classifier_fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, None


def _as_now(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """A training's options with the fields that were added since; as they are if they cannot be read."""
    try:
        return TrainConfig.from_json(options).to_json()
    except ConfigError:
        return options


def _lengthened(theirs: Mapping[str, Any], ours: Any, *, nimg: int) -> Mapping[str, Any]:
    """A finished training's options with the length that is asked for now, if that is more; else as they are."""
    try:
        then, now = TrainConfig.from_json(theirs).schedule, TrainConfig.from_json(ours).schedule
    except (ConfigError, TypeError, AttributeError):
        return theirs
    if nimg < then.total_nimg or now.total_nimg <= then.total_nimg:
        return theirs
    return {**theirs, "schedule": {**theirs["schedule"], "kimg": now.kimg}}


def _differences(theirs: Any, ours: Any, where: str) -> list[tuple[str, Any, Any]]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return [
            difference
            for key in sorted(theirs.keys() | ours.keys())
            for difference in _differences(theirs.get(key), ours.get(key), f"{where}.{key}" if where else str(key))
        ]
    same = (
        list(theirs) == list(ours)
        if isinstance(theirs, list | tuple) and isinstance(ours, list | tuple)
        else theirs == ours
    )
    return [] if same else [(where, theirs, ours)]


def images_seen(path: Path, *, identity: Mapping[str, Any]) -> int:
    """How many images the training of a state has seen; 0 where there is no state yet.

    Raises:
        ConfigError, SnapshotError: it is another training's, or damaged.
    """
    return load_state(path, identity=identity)[0] if path.exists() else 0
