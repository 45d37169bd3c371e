"""One picture: from any file a person may have to ``h w c`` uint8, and between uint8 and tensors in [-1, 1]."""

from __future__ import annotations

import hashlib
import io
import logging
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from stylex.core.errors import DataError
from stylex.core.wording import option

Channels = Literal[1, 3]
Fit = Literal["crop", "pad"]

MAX_PIXELS = 100_000_000
"""Larger pictures are refused by their header, before anything of them is decoded."""
MAX_SIDE = 65_535
"""So are longer ones: of a picture of one row and millions of columns no square is worth looking at."""
MAX_BYTES = 512 * 2**20
"""Larger files are refused unread."""
RESOLUTIONS = (16, 32, 64, 128, 256)

# What is tried on a file (MPO is opened as JPEG). Pillow knows more, among them formats that start other programs.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "JPEG2000", "AVIF", "ICO")
SUFFIXES = {
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".webp"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".jp2", ".j2k", ".jpx", ".avif", ".ico", ".dcm", ".dicom"),
}


_TO_CONVERT: Mapping[str, tuple[str, ...]] = {
    "a HEIC photograph: save it as JPEG first (a phone does when it shares, heif-convert from libheif does)": (
        *(".heic", ".heif", ".hif"),
    ),
    "a camera's raw file: develop it to JPEG or TIFF first": (
        *(".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".raw"),
    ),
    "no DICOM file in the usual form (DICM after 128 bytes): write it so first (dcmconv of DCMTK does)": (
        *(".dcm", ".dicom"),
    ),
}
_HEIC, _RAW, _ = _TO_CONVERT
_DNG_VERSION = 50706  # a tag


def how_to_convert(name: str, data: bytes = b"") -> str | None:
    """What a file is and how to make a picture of it, where it is of a kind that people have and we do not read."""
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"):
        return _HEIC
    suffix = Path(name).suffix.lower()
    return next((words for words, suffixes in _TO_CONVERT.items() if suffix in suffixes), None)


# Unheard, Pillow's errors would go to stderr; we report them with the file's name.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class WideRange:
    """The numbers of a picture of more than 8 bits.

    Attributes:
        kind: ``whole`` numbers, ``float``, or whole numbers in ``colour`` (read with 8 bits only).
        highest: what the file declares as the end of its range, or else the highest number in it.
    """

    kind: Literal["whole", "float", "colour"]
    highest: float


Whites = Mapping[str, float]
"""The number that stands for white in whole and in float pictures of more than 8 bits."""


def whites_of(ranges: Iterable[WideRange]) -> Whites:
    """One rule for all of them: the smallest usual range (1, 8, 10, 12, 14, 16 bits; float 0..1, 0..255) that holds."""
    whites: dict[str, int] = {}
    for each in ranges:
        usual = (1, 255) if each.kind == "float" else (1, 255, 1023, 4095, 16383, 65535)
        white = next(x for x in usual if each.highest <= x)
        kind = "float" if each.kind == "float" else "whole"
        whites[kind] = max(white, whites.get(kind, 0))
    return whites


_DIM = 8
"""A picture whose highest number is so many times below white comes out nearly black."""


def is_cut(range: WideRange, whites: Whites) -> bool:
    """Whether a picture has numbers above white, which are white all alike."""
    return range.highest > whites["float" if range.kind == "float" else "whole"]


def is_dim(range: WideRange, whites: Whites) -> bool:
    """Whether a picture comes out nearly black by what is white in all of them."""
    return 0 < range.highest * _DIM <= whites["float" if range.kind == "float" else "whole"]


class PictureError(DataError):
    """One file that cannot be used.

    Attributes:
        reason: the message without the file's name.
        range: of its numbers, if it was read so far and has more than 8 bits.
    """

    def __init__(self, name: str, reason: str, range: WideRange | None = None) -> None:
        super().__init__(f"{name}: {reason}")
        self.reason = " ".join(reason.split())
        self.range = range


@dataclass(frozen=True, eq=False, kw_only=True)
class ReadPicture:
    """A picture made square.

    Attributes:
        pixels: ``[resolution, resolution, c]`` uint8.
        content: hash of the picture as it was before cropping and resizing; equal for equal pixels.
        notes: what was done to it that a person may want to know.
        range: of its numbers, if it has more than 8 bits.
        patient: whom a DICOM file shows, by his ID ("" where it has none); None of other files. For nobody to keep.
    """

    pixels: NDArray[np.uint8]
    content: str
    notes: tuple[str, ...]
    range: WideRange | None
    patient: str | None = None


def to_tensor(pictures: UInt8[np.ndarray, "n h w c"]) -> Float[Tensor, "n c h w"]:
    """Pictures to x: 0..255 becomes [-1, 1]."""
    x = torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)))
    return x.to(torch.float32) / 127.5 - 1


def to_pictures(x: Float[Tensor, "n c h w"]) -> UInt8[np.ndarray, "n h w c"]:
    """X to pictures: values outside [-1, 1] are clipped; undoes ``to_tensor`` exactly."""
    pictures = ((x.detach().float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(pictures.permute(0, 2, 3, 1).cpu().numpy())


def load_image(path: str | Path, *, resolution: int, channels: Channels, fit: Fit = "crop") -> Float[Tensor, "1 c h w"]:
    """One file as x, made square as ``prepare`` does.

    Raises:
        DataError: the file is missing or is no usable picture.
    """
    read = read_picture(Path(path), str(path), resolution=resolution, channels=channels, fit=fit)
    return to_tensor(read.pixels[None])


def read_picture(
    file: Path | bytes,
    name: str,
    *,
    resolution: int,
    channels: Channels | None,
    fit: Fit = "crop",
    max_pixels: int = MAX_PIXELS,
    whites: Whites | None = None,
) -> ReadPicture:
    """Decode a file and make it square; ``channels`` None keeps grey pictures grey (1) and others coloured (3).

    Pictures of more than ``max_pixels`` are refused by their header. What is white in a picture of more than 8 bits
    is said by ``whites``, or else judged by this one picture.

    Raises:
        PictureError: missing, empty, truncated, corrupt, too large, or of a kind that cannot be read.
    """
    data = file if isinstance(file, bytes) else read_bytes(file, name)
    patient = None
    with quiet_pillow():
        if data[128:132] == b"DICM":
            from stylex.data.dicom import decode_dicom

            upright, notes, patient = decode_dicom(data, name, max_pixels)
            range = None
        else:
            upright, notes, range = _decode(data, name, max_pixels, whites)
        digest = hashlib.sha256(f"{upright.mode} {upright.width} {upright.height} ".encode())
        for strip in _strips(upright):
            digest.update(strip.tobytes())
        if min(upright.size) < resolution:
            notes.append("smaller than the resolution: enlarged")
        square = _fit(upright, resolution, fit)
        if channels is not None:
            square = square.convert("L" if channels == 1 else "RGB")
        pixels = np.asarray(square)
    return ReadPicture(
        pixels=pixels.reshape(resolution, resolution, -1),
        content=digest.hexdigest()[:32],
        notes=tuple(notes),
        range=range,
        patient=patient,
    )


def check_resolution(resolution: int) -> None:
    """Only powers of two from 16 to 256.

    Raises:
        DataError: it is another number; the message names the nearest.
    """
    if resolution not in RESOLUTIONS:
        nearest = min(RESOLUTIONS, key=lambda r: (abs(r - resolution), r))
        raise DataError(f"resolution {resolution}: expected one of 16, 32, 64, 128, 256; the nearest is {nearest}")


# How many are reading now: the first changes the filters, the last puts them back (they belong to the process).
_quiet_lock = threading.Lock()
_quiet_users = 0
_quiet_filters: warnings.catch_warnings[None] | None = None


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keep warnings of Pillow and pydicom to ourselves: odd files are reported by name. Safe in threads."""
    global _quiet_users, _quiet_filters
    with _quiet_lock:
        if _quiet_users == 0:
            _quiet_filters = warnings.catch_warnings()
            _quiet_filters.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.|pydicom\.")
        _quiet_users += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_users -= 1
            if _quiet_users == 0:
                assert _quiet_filters is not None
                _quiet_filters.__exit__(None, None, None)
                _quiet_filters = None


_Eight = tuple[Image.Image, list[str], WideRange | None]
"""A picture of 8 bits, what was done to it, and the range of its numbers where they had more."""


def _decode(data: bytes, name: str, max_pixels: int, whites: Whites | None) -> _Eight:
    """The first frame, upright, opaque, 8 bit: ``L`` if it is grey, else ``RGB``."""
    if not data:
        raise PictureError(name, "the file is empty")
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            if image.width * image.height > max_pixels:
                raise PictureError(name, too_many(f"{image.width} x {image.height} pixels", max_pixels))
            if max(image.size) > MAX_SIDE:
                raise PictureError(name, f"{image.width} x {image.height} pixels, one side above {MAX_SIDE}: refused")
            if image.width == 0 or image.height == 0:
                raise PictureError(name, "it has no pixels")
            if _DNG_VERSION in getattr(image, "tag_v2", {}):  # what Pillow reads of it is its thumbnail
                raise PictureError(name, _RAW)
            return _to_eight_bit(image, name, whites)
    except PictureError:
        raise
    except UnidentifiedImageError:
        known = how_to_convert(name, data)
        raise PictureError(name, known or "not a picture in a known format, or its beginning is damaged") from None
    except Image.DecompressionBombError:
        raise PictureError(name, too_many("too many pixels", max_pixels)) from None
    except MemoryError:
        raise PictureError(name, "not enough memory to decode it") from None
    except Exception as error:  # decoders of damaged files raise nearly anything
        raise PictureError(name, f"damaged or truncated ({str(error) or type(error).__name__})") from None


@cache
def _formats() -> tuple[str, ...]:
    """Those formats that the installed Pillow was built with."""
    Image.init()
    return tuple(x for x in _FORMATS if x in Image.OPEN)


def too_many(what: str, allowed: int) -> str:
    """Why a picture is refused by its size."""
    return f"{what}, more than the {allowed // 1_000_000} million allowed: refused; make it smaller first"


def read_bytes(path: Path, name: str) -> bytes:
    """A picture's file, unread if it is larger than any picture is.

    Raises:
        PictureError: it cannot be read, or is no file.
    """
    try:
        if not path.is_file():
            what = "is a folder, not a picture" if path.is_dir() else "is a pipe or a device, not a picture"
            raise PictureError(name, what if path.exists() else "there is no such file")
        if path.stat().st_size > MAX_BYTES:
            raise PictureError(name, f"larger than {MAX_BYTES // 2**20} MiB: refused")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        raise PictureError(name, f"cannot be read ({getattr(error, 'strerror', None) or error})") from None


def _to_eight_bit(image: Image.Image, name: str, whites: Whites | None) -> _Eight:
    notes: list[str] = []
    range: WideRange | None = None
    if getattr(image, "is_animated", False) and image.format != "MPO":  # MPO: a camera's photograph with a preview
        notes.append("several pages: the first used" if image.format == "TIFF" else "animated: first frame used")
    narrowed = any(
        ";16" in str(tile) for tile in getattr(image, "tile", ())
    )  # Pillow keeps 8 bits of each of a colour's 16
    image.load()
    whole = image
    image = _upright(image, notes)
    mode = image.mode
    if mode.startswith("I;16") or mode in ("I", "F"):
        range = _wide_range(whole, name, whites)
        image = _wide_to_grey(image, range, whites, notes, inverted=_white_is_zero(whole))
    elif narrowed and mode in ("RGB", "RGBA", "LA"):
        range = _check_narrowed(image, name, whites)
    if image.mode in ("LA", "La", "RGBA", "RGBa", "PA") or "transparency" in image.info:
        image, transparent = _on_white(image)
        if transparent:
            notes.append("transparent: put on white")
    elif image.mode == "1":
        image = image.convert("L")
    elif image.mode not in ("L", "RGB"):
        if mode == "CMYK":
            notes.append("CMYK: converted to RGB")
        image = image.convert("RGB")
    return _grey_if_grey(image), notes, range


def _strips(image: Image.Image) -> Iterator[Image.Image]:
    """The picture in bands from top to bottom: what is done to a large one needs no second one in memory."""
    rows = max(1, 2**22 // image.width)
    for top in range(0, image.height, rows):
        yield image.crop((0, top, image.width, min(top + rows, image.height)))


def _on_white(image: Image.Image) -> tuple[Image.Image, bool]:
    """A picture with an alpha channel as it looks on white, and whether anything of it is transparent."""
    out, transparent, top = Image.new("RGB", image.size), False, 0
    for strip in _strips(image):
        rgba = strip.convert("RGBA")
        transparent = transparent or rgba.getchannel("A").getextrema() != (255, 255)
        out.paste(Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB"), (0, top))
        top += strip.height
    return out, transparent


def _upright(image: Image.Image, notes: list[str]) -> Image.Image:
    try:
        orientation = image.getexif().get(0x0112, 1)
        if orientation not in range(2, 9):
            return image
        turned = ImageOps.exif_transpose(image)
    except Exception:  # a damaged EXIF block does not spoil the pixels
        notes.append("damaged EXIF data ignored")
        return image
    notes.append("turned upright by its EXIF data")
    return turned


def _wide_range(image: Image.Image, name: str, whites: Whites | None) -> WideRange:
    """What the numbers of a 16-bit, 32-bit or float grey picture are; of floats any, if it is said what is white."""
    values: NDArray[Any] = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if image.mode == "F":
        if not np.isfinite(values).all():
            raise PictureError(name, "has values that are not finite")
        usual = (whites or {}).get("float", 255) in (1, 255)
        if low < 0 or (usual and high > 255):
            reason = f"has values from {low:g} to {high:g}: expected 0..1 or 0..255, or say what is white with"
            raise PictureError(name, f"{reason} {option('white', high)}" if low >= 0 else reason.partition(", or")[0])
        return WideRange("float", high)
    if low < 0 or high > 65535:
        raise PictureError(name, f"has values from {low:g} to {high:g}: expected 16 bit, 0..65535")
    return WideRange("whole", max(high, _declared(image)))


def _declared(image: Image.Image) -> int:
    """The end of the range that the file declares itself, where it declares more than a number of bytes; or 0."""
    if image.format == "PPM":  # which says what is white, and was scaled by it
        return 65535
    bits = getattr(image, "tag_v2", {}).get(258, (16,))[0]
    return int(2**bits - 1) if 8 < bits < 16 else 0


def _white_is_zero(image: Image.Image) -> bool:
    return image.format == "TIFF" and getattr(image, "tag_v2", {}).get(262) == 0


def _wide_to_grey(
    image: Image.Image, range: WideRange, whites: Whites | None, notes: list[str], *, inverted: bool
) -> Image.Image:
    """16-bit, 32-bit or float grey to 8 bit, by what is white."""
    white = (whites or whites_of([range]))[range.kind]
    kind = "float values" if range.kind == "float" else "more than 8 bits"
    notes.append(f"of {kind}: {white:g} is white" + (", white is zero: inverted" if inverted else ""))
    scaled = np.minimum(np.asarray(image).astype(np.float64) * (255 / white), 255)
    return Image.fromarray(np.rint(255 - scaled if inverted else scaled).astype(np.uint8))


def _check_narrowed(image: Image.Image, name: str, whites: Whites | None) -> WideRange:
    """A colour picture of 16 bits, of which Pillow gives the upper 8: only if those are in use."""
    bands = [band for band in image.getbands() if band != "A"]
    high = max(cast(tuple[int, int], image.getchannel(band).getextrema())[1] for band in bands)
    range = WideRange("colour", high * 257)
    white = (whites or whites_of([range]))["whole"]
    if white < 65535:
        reason = f"colours of 16 bits that use no more than {white:g}: convert it to 8 bits a colour first"
        raise PictureError(name, reason, range)
    return range


def _grey_if_grey(image: Image.Image) -> Image.Image:
    if image.mode == "L":
        return image
    sparse = image.resize((-(-image.width // 16), -(-image.height // 16)), Image.Resampling.NEAREST)
    for part in (sparse, *_strips(image)):  # the sparse look settles nearly all coloured pictures
        pixels = np.asarray(part)
        if not ((pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all()):
            return image
    return image.getchannel(0)


def _fit(image: Image.Image, resolution: int, fit: Fit) -> Image.Image:
    lanczos = Image.Resampling.LANCZOS
    width, height = image.size
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) // 2, (height - side) // 2
        # Cropped first: resizing a box of the whole would mix in what lies just outside it.
        square = image if width == height else image.crop((left, top, left + side, top + side))
        return square.resize((resolution, resolution), lanczos)
    scale = resolution / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    canvas = Image.new(image.mode, (resolution, resolution))  # black bars
    canvas.paste(image.resize(size, lanczos), ((resolution - size[0]) // 2, (resolution - size[1]) // 2))
    return canvas
