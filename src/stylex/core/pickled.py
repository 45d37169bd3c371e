"""Pickles that may come from anywhere, read as data: nothing in them is imported, called or built.

A pickle is a program for a small machine with a stack. This is that machine without its two dangerous instructions'
effect: a name that it would import becomes a ``Name``, and what it would call becomes a ``Made`` that says which name
was to be given which arguments. Instructions that such files do not need are refused.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_STEPS = 2**19
"""Instructions of a pickle at most; the networks of StyleGAN2 at 1024 px take a tenth of these."""


@dataclass(frozen=True, slots=True, eq=False)
class Name:
    """What a pickle would import; nothing was."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False)
class Made:
    """What a pickle would build by a call; nothing was called.

    Attributes:
        by: the name that was to be called.
        given: its arguments.
        items: what was to be put into it under keys.
        state: what was to be set in it.
    """

    by: Name
    given: tuple[Any, ...]
    items: dict[str | int, Any] = field(default_factory=dict)
    state: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """What a pickle holds outside of itself, under this identity."""

    identity: Any


def read_pickle(data: memoryview, at: int, *, names: Collection[str], most: int = MOST_STEPS) -> tuple[Any, int]:
    """The value that a pickle says, and the place behind it.

    Bytes are views of ``data``, and all else is of the built-in types, ``Name``, ``Made`` and ``Kept``; a set is a
    list. The value may be nested deeply or in circles.

    Args:
        data: the pickle, perhaps with more around it.
        at: where it begins.
        names: that it may hold; of another one the pickle is refused.
        most: instructions.

    Raises:
        ValueError: it is damaged, cut short, too long, or holds what no such file needs; the message says what.
    """
    machine = _Machine(data, at, frozenset(names))
    try:
        return machine.run(most), machine.at
    except (IndexError, KeyError, struct.error, OverflowError):
        raise ValueError(f"its instruction at byte {machine.at} does not make sense") from None
    except UnicodeDecodeError:
        raise ValueError(f"its text at byte {machine.at} is not UTF-8") from None


class _Machine:
    """The stack machine of ``pickle``, protocols 2 to 5."""

    def __init__(self, data: memoryview, at: int, names: frozenset[str]) -> None:
        self.data, self.at, self.names = data, at, names
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def run(self, most: int) -> Any:
        """The value, after so many instructions at most."""
        for _ in range(most):
            code = self.take(1)[0]
            if code == _STOP:
                return self.stack.pop()
            step = _STEPS.get(code)
            if step is None:
                raise ValueError(f"its instruction {bytes([code])!r} at byte {self.at - 1} is none of a checkpoint's")
            step(self)
        raise ValueError(f"it has more than {most:,} instructions")

    def take(self, n: int) -> memoryview:
        """The next ``n`` bytes."""
        if n > len(self.data) - self.at:
            raise ValueError("it is cut short")
        self.at += n
        return self.data[self.at - n : self.at]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def text(self, form: str) -> str:
        return str(self.take(self.number(form)), "utf-8")

    def line(self) -> str:
        for length in range(min(_LONGEST_NAME, len(self.data) - self.at)):
            if self.data[self.at + length] == 10:
                said = str(self.take(length), "utf-8")
                self.take(1)
                return said
        raise ValueError("a name in it does not end")

    def marked(self) -> list[Any]:
        """What was pushed since the last mark."""
        since, self.stack = self.stack, self.marks.pop()
        return since

    def mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def tuple_of(self, n: int) -> None:
        values = tuple(self.stack[len(self.stack) - n :])
        if len(values) < n:
            raise IndexError
        del self.stack[len(self.stack) - n :]
        self.push(values)

    def name(self, module: Any, name: Any) -> None:
        said = f"{module}.{name}"
        if said not in self.names or not isinstance(module, str):
            raise ValueError(f"it asks for {said[:120]!r}, which no checkpoint needs; nothing of it was run")
        self.push(Name(module, name))

    def stack_global(self) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(name, str) or not isinstance(module, str):
            raise ValueError("a name in it is no text")
        self.name(module, name)

    def call(self) -> None:
        given, by = self.stack.pop(), self.stack.pop()
        if not isinstance(by, Name) or not isinstance(given, tuple):
            raise ValueError("it would call what is no name")
        self.push(Made(by, given))

    def build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], Made):
            raise ValueError("it would set the state of what is no object")
        self.stack[-1].state = state

    def append(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise ValueError("it appends to what is no list")
        self.stack[-1].extend(values)

    def set_items(self, flat: list[Any]) -> None:
        owner = self.stack[-1]
        items = owner.items if isinstance(owner, Made) else owner
        if not isinstance(items, dict) or len(flat) % 2:
            raise ValueError("it puts items into what is no mapping")
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            # Other keys may be made to collide, or to be hashed without end.
            if not (isinstance(key, str) or (type(key) is int and abs(key) < 2**31)):
                raise ValueError(f"a key in it is of type {type(key).__name__}")
            items[key] = value

    def put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def protocol(self) -> None:
        if not 2 <= (version := self.number("<B")) <= 5:
            raise ValueError(f"it is of protocol {version}, and 2 to 5 are read")


_STOP = ord(".")
_LONGEST_NAME = 300

_CODES: Mapping[bytes, Callable[[_Machine], object]] = {
    b"\x80": lambda m: m.protocol(),
    b"\x95": lambda m: m.take(8),  # a frame's length, for those who read from slow disks
    b"(": lambda m: m.mark(),
    b"0": lambda m: m.stack.pop(),
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"J": lambda m: m.push(m.number("<i")),
    b"K": lambda m: m.push(m.number("<B")),
    b"M": lambda m: m.push(m.number("<H")),
    b"\x8a": lambda m: m.push(int.from_bytes(m.take(m.number("<B")), "little", signed=True)),
    b"G": lambda m: m.push(m.number(">d")),
    b"X": lambda m: m.push(m.text("<I")),
    b"\x8c": lambda m: m.push(m.text("<B")),
    b"B": lambda m: m.push(m.take(m.number("<I"))),
    b"C": lambda m: m.push(m.take(m.number("<B"))),
    b"\x8e": lambda m: m.push(m.take(m.number("<Q"))),
    b"}": lambda m: m.push({}),
    b"]": lambda m: m.push([]),
    b"\x8f": lambda m: m.push([]),
    b")": lambda m: m.push(()),
    b"\x85": lambda m: m.tuple_of(1),
    b"\x86": lambda m: m.tuple_of(2),
    b"\x87": lambda m: m.tuple_of(3),
    b"t": lambda m: m.push(tuple(m.marked())),
    b"a": lambda m: m.append([m.stack.pop()]),
    b"e": lambda m: m.append(m.marked()),
    b"\x90": lambda m: m.append(m.marked()),
    b"s": lambda m: m.set_items([m.stack.pop(), m.stack.pop()][::-1]),
    b"u": lambda m: m.set_items(m.marked()),
    b"q": lambda m: m.put(m.number("<B")),
    b"r": lambda m: m.put(m.number("<I")),
    b"\x94": lambda m: m.put(len(m.memo)),
    b"h": lambda m: m.push(m.memo[m.number("<B")]),
    b"j": lambda m: m.push(m.memo[m.number("<I")]),
    b"c": lambda m: m.name(m.line(), m.line()),
    b"\x93": lambda m: m.stack_global(),
    b"R": lambda m: m.call(),
    b"\x81": lambda m: m.call(),
    b"b": lambda m: m.build(),
    b"Q": lambda m: m.push(Kept(m.stack.pop())),
}
_STEPS = {code[0]: step for code, step in _CODES.items()}
