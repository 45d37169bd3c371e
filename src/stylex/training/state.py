"""Training state: everything needed to go on exactly where a training stopped."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from stylex.core.errors import ConfigError, SnapshotError, first_line
from stylex.core.files import write_whole

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

    Raises:
        SnapshotError: it is foreign or damaged.
        ConfigError: it belongs to a training with other options.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise SnapshotError(
            f"the training state {path} is damaged ({first_line(error)[:120]}); remove it to train from the "
            "beginning, or choose another --out"
        ) from None
    if not isinstance(state, dict) or state.get("format") != FORMAT or state.get("version") != VERSION:
        raise SnapshotError(f"{path} is not a training state of this stylex; remove it or choose another --out")
    differing = [
        f"{name} was {theirs}, now {ours}" for name, theirs, ours in _differences(state["identity"], dict(identity), "")
    ]
    if differing:
        raise ConfigError(
            f"{path.parent} holds a training with other options ({'; '.join(differing[:3])}); repeat its command to "
            "go on, or choose another --out"
        )
    return int(state["nimg"]), dict(state["parts"])


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
