"""How messages name an option: as the keyword that a function takes, or as the command line spells it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_NOTHING = object()
_typed = False


@contextmanager
def on_the_command_line() -> Iterator[None]:
    """Until it ends, this process is spoken to by commands, and messages name options as they are typed."""
    global _typed
    before, _typed = _typed, True
    try:
        yield
    finally:
        _typed = before


def option(name: str, value: object = _NOTHING) -> str:
    """An option, and what to give it.

    Args:
        name: of the parameter, or of a setting as ``loss.r1_gamma``.
        value: what to give; True of a switch.

    Returns:
        ``overwrite=True`` in Python, ``--overwrite`` on the command line; ``out``, ``--out``; ``fit='pad'``,
        ``--fit pad``.
    """
    if _typed:
        spelled = f"--{name.rstrip('_').replace('_', '-')}"
        return spelled if value is _NOTHING or value is True else f"{spelled} {value}"
    return name if value is _NOTHING else f"{name}={value!r}"
