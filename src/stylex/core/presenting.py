"""Nouns that can be looked at: core draws nothing, so the face of the package tells it who does."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal

Way = Literal["html", "show", "plot"]

_ARTISTS: dict[Way, str] = {}


def presented_by(artists: Mapping[Way, str]) -> None:
    """Say who draws, as ``module:function``; it is imported when it is first needed."""
    _ARTISTS.update(artists)


def present(way: Way, noun: object, **options: Any) -> Any:
    """What the artist makes of the noun."""
    assert way in _ARTISTS, f"nobody was named who draws {way}"
    module, name = _ARTISTS[way].split(":")
    return getattr(import_module(module), name)(noun, **options)
