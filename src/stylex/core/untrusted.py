"""JSON and arrays that may come from anywhere: nothing that they declare is believed unchecked."""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stylex.core.files import read_whole

# All that zipfile and NumPy raise at bytes which are not what they should be.
_DAMAGE = (EOFError, KeyError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile)


def parse_json(content: bytes, **hooks: Any) -> Any:
    """The value that JSON says, whose texts can all be written down again.

    Args:
        content: the JSON, in a Unicode encoding.
        hooks: as for ``json.loads``.

    Raises:
        ValueError: it is not JSON, is nested too deeply, or has a text with half of a surrogate pair.
    """
    try:
        value = json.loads(content, **hooks)
        if b"\\u" in content or b"\xed" in content:  # no other JSON can hold half a pair
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it has a text with half of a surrogate pair") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def read_arrays(path: Path, *, largest: int = 2**36) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file that was written uncompressed, so that nothing in it is larger than the file.

    Raises:
        OSError: it is no regular file of at most ``largest`` bytes, or the system refuses.
        ValueError: it is no such file, or is damaged.
    """
    data = read_whole(path, largest=largest)
    if data[:2] != b"PK":  # zipfile reads past whatever stands before
        raise ValueError("it is no .npz file")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {info.filename.removesuffix(".npy"): _member(archive, info) for info in archive.infolist()}
    except _DAMAGE as error:
        raise ValueError(f"it is no whole .npz file ({error})") from None


def map_array(path: Path) -> NDArray[Any]:
    """The array of an ``.npy`` file, read from the disk when it is used.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file, or is damaged.
    """
    with open(path, "rb") as file:
        shape, order, dtype = _header(file)
        at = file.tell()
    if path.stat().st_size - at != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"it is not {shape} values")
    return np.memmap(path, dtype, "r", at, shape, order)


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    if info.file_size != info.compress_size:
        raise ValueError(f"{info.filename[:80]!r} is compressed")
    content = archive.read(info)
    stream = io.BytesIO(content)
    shape, order, dtype = _header(stream)
    if len(content) - stream.tell() != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"{info.filename[:80]!r} is not {shape} values")
    flat = np.frombuffer(content, dtype, offset=stream.tell())
    return flat.reshape(shape, order=order)


def _header(stream: Any) -> tuple[tuple[int, ...], Any, np.dtype[Any]]:
    """Shape, order and type that an ``.npy`` file declares."""
    try:
        if np.lib.format.read_magic(stream) == (1, 0):
            shape, in_columns, dtype = np.lib.format.read_array_header_1_0(stream)
        else:
            shape, in_columns, dtype = np.lib.format.read_array_header_2_0(stream)
        if dtype.hasobject or min(shape, default=0) < 0:
            raise ValueError(f"{shape} values of type {dtype}")
    except Exception as error:  # the header is Python text, which NumPy parses
        raise ValueError(f"it does not say of which shape and type its values are ({str(error)[:80]})") from None
    return shape, "F" if in_columns else "C", dtype
