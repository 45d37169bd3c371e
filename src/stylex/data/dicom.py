"""DICOM files: windowed as a reader sees them, to 8 bits; of whom they show only enough to keep his pictures together.

Source: DICOM PS3.3, C.11.1 (modality LUT), C.11.2 (VOI LUT and windows); PS3.10 (file format).
"""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylex.core.errors import DataError
from stylex.core.reference import package, reason
from stylex.data.images import MAX_SIDE, PictureError, too_many

_DEFLATED = "1.2.840.10008.1.2.1.99"
_SYNTAX = b"\x02\x00\x10\x00UI"  # the element that names the transfer syntax, among the file's own
_META = 4096


def decode_dicom(data: bytes, name: str, max_pixels: int) -> tuple[Image.Image, list[str], str]:
    """The picture, what was done to it, and the patient's ID ("" where there is none), which is for nobody to keep.

    Raises:
        PictureError: several frames, words burned into the pixels, no pixels, or pixels that cannot be decoded; or the
            package pydicom is not installed.
    """
    try:
        pydicom = package("pydicom", "dicom", "a DICOM file", DataError)
    except DataError as error:
        raise PictureError(name, str(error)) from None
    try:
        if _syntax(data) == _DEFLATED:
            raise PictureError(name, "a deflated DICOM file: write it uncompressed first (dcmconv of DCMTK does)")
        dataset = pydicom.dcmread(io.BytesIO(data))
        _check(dataset, name, max_pixels)
        values = _pixels(pydicom, dataset, name)
        notes: list[str] = []
        kind = str(dataset.get("PhotometricInterpretation", ""))
        if kind.startswith("MONOCHROME"):
            shown = _windowed(pydicom, values, dataset, notes)
            grey = 1 - shown if kind == "MONOCHROME1" else shown
            return Image.fromarray(_eight(grey)), notes, _patient(dataset)
        if kind == "PALETTE COLOR":
            values = pydicom.pixels.apply_color_lut(values, dataset)
        if values.ndim != 3 or values.shape[2] not in (3, 4):
            raise PictureError(name, f"a DICOM picture of the kind {kind[:40] or 'unknown'}, which is not read")
        white = float(2 ** (8 * values.dtype.itemsize) - 1)
        return Image.fromarray(_eight(values[..., :3] / white)), notes, _patient(dataset)
    except PictureError:
        raise
    except MemoryError:
        raise PictureError(name, "not enough memory to decode it") from None
    except Exception as error:  # the reader and its decoders raise nearly anything on damaged files
        raise PictureError(name, f"a damaged DICOM file ({reason(error)})") from None


def _syntax(data: bytes) -> str:
    """The transfer syntax, read by hand: what is deflated would be unpacked, however large, on opening."""
    at = data.find(_SYNTAX, 0, _META)
    if at < 0:
        return ""
    (length,) = struct.unpack_from("<H", data, at + 6)
    return data[at + 8 : at + 8 + length].rstrip(b"\0 ").decode("ascii", "replace")


def _check(dataset: Any, name: str, max_pixels: int) -> None:
    """Refuse by what the file says of itself, before anything is decoded."""
    if not any(key in dataset for key in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise PictureError(name, "a DICOM file without a picture (a report, a plan or a directory)")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames != 1:
        raise PictureError(name, f"has {frames} frames, expected one: write those that count as files of their own")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if rows * columns > max_pixels or max(rows, columns) > MAX_SIDE:
        raise PictureError(name, too_many(f"{columns} x {rows} pixels", max_pixels))
    if str(dataset.get("BurnedInAnnotation", "")).upper() == "YES":
        raise PictureError(
            name,
            "says that words are burned into its pixels, and they may name the patient: mask them, write it as PNG",
        )


def _pixels(pydicom: Any, dataset: Any, name: str) -> NDArray[Any]:
    """The pixels, colours as RGB; compressed ones by whichever decoder is installed."""
    try:
        return np.asarray(pydicom.pixels.pixel_array(dataset))
    except (RuntimeError, NotImplementedError) as error:  # no decoder, or one that cannot
        syntax = dataset.file_meta.TransferSyntaxUID
        raise PictureError(
            name,
            f"its pixels are compressed as {syntax.name}, which cannot be decoded here ({reason(error)[:120]}): pip "
            "install 'pylibjpeg[all]', or write it uncompressed first, by gdcmconv or the like",
        ) from None


def _windowed(pydicom: Any, stored: NDArray[Any], dataset: Any, notes: list[str]) -> NDArray[np.float64]:
    """Grey in [0, 1] by the rescale and the first window or table, else from the lowest number to the highest."""
    values = np.asarray(pydicom.pixels.apply_modality_lut(stored, dataset), np.float64)
    if "VOILUTSequence" in dataset:
        return _looked_up(values, dataset.VOILUTSequence[0])
    center, width = (_first(dataset.get(key)) for key in ("WindowCenter", "WindowWidth"))
    if center is not None and width is not None and width >= 1:
        return window(values, center, width, str(dataset.get("VOILUTFunction") or "LINEAR"))
    if int(dataset.get("BitsStored", 8)) == 8 and stored.dtype == np.uint8:
        return stored / 255
    notes.append("of DICOM without a window: black is its lowest number, white its highest")
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def _looked_up(values: NDArray[np.float64], item: Any) -> NDArray[np.float64]:
    """Grey in [0, 1] by a table; numbers beyond its ends are at its ends."""
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    count = count or 2**16
    given = item.LUTData
    if isinstance(given, bytes):
        given = np.frombuffer(given, "<u2" if len(given) >= 2 * count else "u1")
    table = np.asarray(given, np.float64)[:count] / (2**bits - 1)
    place = np.clip(np.round(values) - first, 0, len(table) - 1)
    return np.clip(table[place.astype(np.int64)], 0, 1)


def window(values: NDArray[np.float64], center: float, width: float, function: str) -> NDArray[np.float64]:
    """Grey in [0, 1] of rescaled values under a window, by the three functions of PS3.3 C.11.2.1."""
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(np.clip(-4 * (values - center) / width, -60, 60))))
    if function == "LINEAR_EXACT":
        return np.clip((values - center) / width + 0.5, 0, 1)
    if width == 1:
        return (values > center - 0.5).astype(np.float64)
    return np.clip((values - (center - 0.5)) / (width - 1) + 0.5, 0, 1)


def _first(value: Any) -> float | None:
    """A number that may be one of several, or none."""
    several = value if isinstance(value, list | tuple) or hasattr(value, "insert") else [value]
    found = next(iter(several), None)
    return None if found in (None, "") else float(str(found))


def _eight(grey: NDArray[Any]) -> NDArray[np.uint8]:
    return np.round(np.clip(grey, 0, 1) * 255).astype(np.uint8)


def _patient(dataset: Any) -> str:
    return str(dataset.get("PatientID") or "").strip()
