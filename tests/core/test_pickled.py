"""A pickle is read as data: what it would import or call is only named, and what is odd is refused in one line."""

from __future__ import annotations

import os
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest

from stylex.core.pickled import Made, Name, read_pickle


class Runs:
    """A pickle of this one runs a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def read(data: bytes, *names: str) -> Any:
    return read_pickle(memoryview(data), 0, names=names)[0]


VALUES: list[Any] = [
    None, True, False, 0, 255, 65_535, -7, 2**31 - 1, 2**70, -(2**70), 0.5, "", "é" * 300, (), (1,), (1, 2), (1, 2, 3),
    (1, 2, 3, 4), [], [[1], [2, [3]]], {}, {"a": {"b": [1]}, 3: "c"}, "x" * 70_000,
]  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_are_what_they_were(protocol: int) -> None:
    for value in VALUES:
        assert read(pickle.dumps(value, protocol)) == value
    shared = [1]
    one, other = read(pickle.dumps([shared, shared], protocol))
    assert one is other
    if protocol > 2:
        assert bytes(read(pickle.dumps(b"abc" * 200, protocol))) == b"abc" * 200


def test_the_place_behind_a_pickle_is_told() -> None:
    two = pickle.dumps([1]) + pickle.dumps("b")
    first, at = read_pickle(memoryview(two), 0, names=())
    assert (first, read_pickle(memoryview(two), at, names=())) == ([1], ("b", len(two)))


def test_a_pickle_that_runs_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    for protocol in range(2, 6):
        harmful = pickle.dumps({"G_ema": Runs(f"touch {marker}")}, protocol)
        with pytest.raises(ValueError, match=r"asks for '(posix|nt)\.system', which no checkpoint needs"):
            read(harmful)
    assert not marker.exists()
    pickle.loads(harmful)
    assert marker.exists()  # so it would have


def test_even_a_name_that_is_allowed_is_not_called(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    made = read(pickle.dumps(Runs(f"touch {marker}")), f"{os.system.__module__}.system")
    assert isinstance(made, Made)
    assert (str(made.by), made.given) == (f"{os.system.__module__}.system", (f"touch {marker}",))
    assert not marker.exists()


def test_names_are_compared_whole() -> None:
    for module, name in (("collections", "OrderedDict.fromkeys"), ("os.path", "join"), ("a\x00b", "c")):
        with pytest.raises(ValueError, match="which no checkpoint needs"):
            read(f"\x80\x02c{module}\n{name}\n.".encode("latin-1"), "collections.OrderedDict", "os.path")
    assert isinstance(read(b"\x80\x02ccollections\nOrderedDict\n.", "collections.OrderedDict"), Name)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "cut short"),
        (b"\x80\x04", "cut short"),
        (b"\x80\x04]", "cut short"),
        (b"\x80\x01N.", "protocol 1"),
        (b"\x80\x04B\xff\xff\xff\x7fabc", "cut short"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**63) + b"abc", "cut short"),
        (b"\x80\x04X\x02\x00\x00\x00\xff\xff.", "UTF-8"),
        (b"\x80\x04h\x05.", "does not make sense"),
        (b"\x80\x04.", "does not make sense"),
        (b"\x80\x04(.", "does not make sense"),
        (b"\x80\x04\x86.", "does not make sense"),
        (b"\x80\x04t.", "does not make sense"),
        (b"\x80\x04K\x01K\x02R.", "no name"),
        (b"\x80\x04K\x01K\x02b.", "no object"),
        (b"\x80\x04K\x01K\x02\x93.", "no text"),
        (b"\x80\x04}N(K\x01K\x02u.", "no mapping"),
        (b"\x80\x04})K\x01s.", "type tuple"),
        (b"\x80\x04}\x8a\x09" + b"\x01" * 9 + b"Ns.", "type int"),
        (b"\x80\x04}G" + b"\0" * 8 + b"Ns.", "type float"),
        (b"\x80\x04K\x01K\x02a.", "no list"),
        (b"\x80\x04i os\nsystem\n.", "b'i'"),
        (b"\x80\x04\x82\x01.", r"b'\\x82'"),
        (b"\x80\x04cos", "does not end"),
        (b"hello, this is a letter", "does not make sense"),
        (b"dear reader", "b'd' at byte 0 is none of a checkpoint's"),
    ],
)
def test_odd_bytes_are_refused(data: bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read(data)


def test_what_claims_much_memory_takes_none() -> None:
    """A far place of the memo, and tuples of tuples that name each other a billion times."""
    assert read(b"\x80\x04Nr\xff\xff\xff\x7f.") is None
    laughs = b"\x80\x04N" + b"q\x00" + b"".join(b"h%ch%ch%c\x87q%c" % (i, i, i, i + 1) for i in range(60)) + b"."
    assert isinstance(read(laughs), tuple)


def test_deep_values_are_read_and_forgotten() -> None:
    deep = b"\x80\x04" + b"N" + b"\x85" * 20_000 + b"."
    value = read(deep)
    assert isinstance(value, tuple)
    # A name, an empty tuple, a call; then again and again a call of that name with what came out.
    made = b"\x80\x02ccollections\nOrderedDict\nq\x00)R" + b"\x85q\x010h\x00h\x01R" * 4_000 + b"."
    assert isinstance(read(made, "collections.OrderedDict"), Made)


def test_endless_pickles_end() -> None:
    with pytest.raises(ValueError, match="more than 100 instructions"):
        read_pickle(memoryview(b"\x80\x04" + b"N0" * 60), 0, names=(), most=100)
