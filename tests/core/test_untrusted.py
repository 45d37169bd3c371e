"""Arrays and JSON from anywhere are whole, or a ValueError."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from stylex.core.untrusted import map_array, parse_json, read_arrays


def _npz(path: Path, member: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a.npy", member)
    return path


def _npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


@pytest.mark.parametrize(
    "values", [np.arange(6, dtype=np.float16).reshape(2, 3), np.array(["x", "yz"]), np.array(3), np.zeros((0, 4))]
)
def test_arrays_come_back(tmp_path: Path, values: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", a=values, b=np.asfortranarray(values))
    arrays = read_arrays(tmp_path / "a.npz")
    for name in ("a", "b"):
        np.testing.assert_array_equal(arrays[name], values)
        assert arrays[name].dtype == values.dtype


def test_a_mapped_array_is_the_one_that_was_saved(tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.save(tmp_path / "a.npy", values)
    np.testing.assert_array_equal(map_array(tmp_path / "a.npy"), values)


def _declaring(header: str) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(32)


WRONG = {
    "huge": _declaring("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"),
    "objects": _declaring("{'descr': '|O', 'fortran_order': False, 'shape': (4,), }"),
    "a negative length": _declaring("{'descr': '<f8', 'fortran_order': False, 'shape': (-4,), }"),
    "no Python": _declaring("{'descr': '<f8', 'fortran_order': False, 'shape': (4\xb4, }"),
    "cut": _npy(np.arange(9.0))[:-1],
    "nothing": b"",
}


@pytest.mark.parametrize("case", WRONG)
def test_arrays_that_are_not_what_they_declare_are_refused(tmp_path: Path, case: str) -> None:
    (tmp_path / "a.npy").write_bytes(WRONG[case])
    with pytest.raises(ValueError, match=r"."):
        map_array(tmp_path / "a.npy")
    with pytest.raises(ValueError, match=r"."):
        read_arrays(_npz(tmp_path / "a.npz", WRONG[case]))


def test_what_would_unpack_to_more_than_the_file_is_refused(tmp_path: Path) -> None:
    path = _npz(tmp_path / "a.npz", _npy(np.zeros(10**6)), zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="compressed"):
        read_arrays(path)


@pytest.mark.parametrize("content", [b"[" * 10**5, b'{"a": "\\ud800"}', b'["\xed\xa0\x80"]', b"{", b"\xff"])
def test_json_that_cannot_be_written_again_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(content)


def test_json_comes_back() -> None:
    assert parse_json('{"a": ["é", "\\ud83d\\ude00", 1.5, null]}'.encode()) == {"a": ["é", "😀", 1.5, None]}
