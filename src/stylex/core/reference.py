"""What is named and comes from elsewhere: a name with options, an optional package, its errors in one line."""

from __future__ import annotations

import importlib
import re
from collections.abc import Collection
from typing import Any

from stylex.core.errors import StylexError


def with_options(text: str, known: Collection[str], what: str, error: type[StylexError]) -> tuple[str, dict[str, str]]:
    """Split ``NAME,option=value,...`` into the name and its options.

    Args:
        text: all of it.
        known: names of options that are taken.
        what: is named, for the message: ``this kind of classifier``.
        error: what its users know.

    Raises:
        StylexError: of the kind ``error``: an option that is not known or is given twice.
    """
    name, *given = re.split(r",(?=[a-z_]+=)", text)
    pairs = [each.split("=", 1) for each in given]
    options = dict(pairs)
    wrong = [key for key in options if key not in known]
    if wrong or len(options) < len(pairs):
        takes = ", ".join(f"{key}=..." for key in known) or "no options"
        raise error(
            f"{text[:200]!r} has the option {wrong[0]!r}; {what} takes {takes}"
            if wrong
            else f"{text[:200]!r} gives an option twice; give each once"
        )
    return name, options


def package(name: str, extra: str, what: str, error: type[StylexError]) -> Any:
    """An optional package, imported.

    Args:
        name: of the package or of a module in it.
        extra: of stylex that brings it.
        what: needs it, for the message.
        error: what its users know.

    Raises:
        StylexError: of the kind ``error``: it is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module(name)
    except Exception as raised:  # a package whose parts do not fit each other raises nearly anything
        missing = isinstance(raised, ModuleNotFoundError) and raised.name == name.split(".")[0]
        why = "is not installed" if missing else f"cannot be imported ({reason(raised)})"
        raise error(
            f"{what} needs the package {name.split('.')[0]}, which {why}; install it: pip install 'stylex[{extra}]'"
        ) from raised


def reason(error: BaseException) -> str:
    """What another library's error says, in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
