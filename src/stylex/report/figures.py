"""Figures for people: enlarged pictures, differences, crops, panels, strips and flickers. NumPy and Pillow only."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from stylex.core.errors import ConfigError
from stylex.core.explanation import Picture
from stylex.core.files import write_whole

Method = Literal["smooth", "blocks"]

INK = (28, 31, 36)
MUTED = (96, 103, 112)
PAPER = (255, 255, 255)
# Brighter, darker and same brightness in another colour: apart for every common kind of colour blindness.
BRIGHTER = (0, 125, 95)
DARKER = (126, 48, 160)
RECOLOURED = (196, 122, 0)

# Rec. 709 weights of red, green and blue in brightness.
_LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
# Below a change of this fraction of the full range a difference is noise, and is not stretched to full colour.
_SMALLEST_SCALE = 0.1


def enlarge(picture: Picture, size: int, method: Method = "smooth") -> Picture:
    """The picture with its longer side ``size`` pixels long.

    ``smooth`` (Lanczos) looks like a photograph; ``blocks`` shows the pixels as they are. Shrinking is always smooth.
    """
    h, w, channels = picture.shape
    factor = size / max(h, w)
    resample = Image.Resampling.NEAREST if method == "blocks" and factor >= 1 else Image.Resampling.LANCZOS
    shape = (max(1, round(w * factor)), max(1, round(h * factor)))
    return _pixels(_image(picture).resize(shape, resample), channels)


# What changed.


@dataclass(frozen=True)
class Box:
    """A square part of a picture: left and top edge and side, in pixels."""

    left: int
    top: int
    side: int

    def of(self, picture: Picture) -> Picture:
        """That part of the picture."""
        return picture[self.top : self.top + self.side, self.left : self.left + self.side]


def changed_box(before: Picture, after: Picture, *, fraction: float = 0.8, pad: float = 0.15) -> Box:
    """The smallest square that holds ``fraction`` of the squared change, widened by ``pad`` of its side on each side.

    It lies inside the picture and is at least 3/8 of it wide, so that it can be recognised, and at most 5/8, so that
    it magnifies: of a change all over, the square that holds the most. The middle of the picture if nothing changed.
    """
    energy = (_difference(before, after) ** 2).sum(axis=2).astype(np.float64)
    h, w = energy.shape
    smallest, largest = 3 * min(h, w) // 8, 5 * min(h, w) // 8
    if energy.sum() == 0:
        return Box((w - largest) // 2, (h - largest) // 2, largest)
    # Sums over every square at once, by the summed-area table.
    table = np.pad(energy.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))

    def sums(side: int) -> NDArray[np.float64]:
        total: NDArray[np.float64] = (
            table[side:, side:] - table[:-side, side:] - table[side:, :-side] + table[:-side, :-side]
        )
        return total

    low, high = 1, largest
    while low < high:
        middle = (low + high) // 2
        if sums(middle).max() >= fraction * energy.sum():
            high = middle
        else:
            low = middle + 1
    top, left = np.unravel_index(int(sums(low).argmax()), (h - low + 1, w - low + 1))
    side = min(largest, max(round(low * (1 + 2 * pad)), smallest))
    return Box(
        int(np.clip(left - (side - low) // 2, 0, w - side)), int(np.clip(top - (side - low) // 2, 0, h - side)), side
    )


def difference_scale(pairs: Sequence[tuple[Picture, Picture]]) -> float:
    """The change, as a fraction of the full range, that a difference map of these pairs draws in full colour."""
    if not pairs:
        return _SMALLEST_SCALE
    largest = max(float(np.quantile(_magnitude(_difference(*pair)), 0.98)) for pair in pairs)
    return min(1.0, max(_SMALLEST_SCALE, largest))


def difference_map(before: Picture, after: Picture, *, scale: float, ghost: bool = True) -> Picture:
    """Where and how the picture changed, ``h w 3``, on white: green brighter, purple darker, ochre only recoloured.

    Args:
        before: the picture as it was.
        after: the changed picture, of the same shape.
        scale: the change (fraction of the full range) that is drawn in full colour; see ``difference_scale``.
        ghost: draw the picture ``before`` very faintly underneath, to see where a change lies.
    """
    change = _difference(before, after)
    magnitude = _magnitude(change)
    weights = _LUMA if change.shape[2] == 3 else np.ones(1, dtype=np.float32)
    # +1: all of the change is more light; -1: all is less; 0: another colour of the same brightness.
    balance = np.clip(1.5 * (change @ weights) / np.maximum(magnitude, 1e-6), -1, 1)[:, :, None]
    brighter, darker, recoloured = (np.array(colour, dtype=np.float32) for colour in (BRIGHTER, DARKER, RECOLOURED))
    colour = np.where(balance > 0, brighter, darker) * abs(balance) + recoloured * (1 - abs(balance))
    ground = np.full((*magnitude.shape, 3), 255, dtype=np.float32)
    if ghost:
        ground -= 0.14 * (255 - (before.astype(np.float32) @ weights))[:, :, None]
    amount = np.clip(magnitude / scale, 0, 1)[:, :, None]
    drawn: Picture = np.clip(ground * (1 - amount) + colour * amount + 0.5, 0, 255).astype(np.uint8)
    return drawn


def _difference(before: Picture, after: Picture) -> NDArray[np.float32]:
    assert before.shape == after.shape, (before.shape, after.shape)
    return (after.astype(np.float32) - before.astype(np.float32)) / np.float32(255)


def _magnitude(change: NDArray[np.float32]) -> NDArray[np.float32]:
    """Root mean square over the colours, ``h w``."""
    size: NDArray[np.float32] = np.sqrt((change**2).mean(axis=2))
    return size


# Words in pictures.


def panel(
    rows: Sequence[Sequence[Picture]],
    captions: Sequence[str] = (),
    *,
    notes: Sequence[Sequence[str]] = (),
    title: str = "",
    cell: int = 0,
) -> Picture:
    """A grid of pictures on white, ``h w 3``, e.g. real | reconstructed | sampled.

    Args:
        rows: pictures, row by row; rows may differ in length.
        captions: a caption for each row, at its left.
        notes: for each row, a text for each picture at its top left, e.g. a probability.
        title: a line above.
        cell: side of a drawn picture in pixels; 0: the pictures' own, but at least 96.
    """
    assert all(len(row) > 0 for row in rows), "a row without pictures"
    cell = cell or max([96, *(max(p.shape[:2]) for row in rows for p in row)])
    gap, margin = max(2, cell // 32), max(8, cell // 8)
    font = _font(max(12, cell // 8))
    left = margin + (max(round(font.getlength(c)) for c in captions) + margin if captions else 0)
    top = margin + (round(font.size * 1.8) if title else 0)
    width = left + max((len(row) for row in rows), default=0) * (cell + gap) - gap + margin
    if title:
        width = max(width, 2 * margin + round(font.getlength(title)))
    sheet = Image.new("RGB", (width, top + len(rows) * (cell + gap) - gap + margin), PAPER)
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((margin, margin), title, INK, font)
    for i, row in enumerate(rows):
        y = top + i * (cell + gap)
        if i < len(captions):
            draw.text((margin, y + cell / 2), captions[i], MUTED, font, anchor="lm")
        for j, picture in enumerate(row):
            drawn = _image(enlarge(picture, cell)).convert("RGB")
            if i < len(notes) and j < len(notes[i]) and notes[i][j]:
                _chip(drawn, notes[i][j], at="top")
            sheet.paste(drawn, (left + j * (cell + gap), y))
    return _pixels(sheet, 3)


def _chip(image: Image.Image, text: str, *, at: Literal["top", "bottom"]) -> None:
    """Light text on a dark ground in the left corner: readable on any picture."""
    font = _font(max(9, min(image.size) // 9))
    pad = max(2, round(font.size * 0.3))
    width, height = round(font.getlength(text)) + 2 * pad, round(font.size * 1.15) + pad
    y = 0 if at == "top" else image.height - height
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, y, width, y + height), (16, 18, 22))
    draw.text((pad, y + height / 2), text, (255, 255, 255), font, anchor="lm")


def _font(size: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


# Files.


def encode(picture: Picture, kind: Literal["png", "webp"] = "png", *, quality: int = 90, exact: bool = False) -> bytes:
    """The picture as the bytes of a file; ``quality`` is WebP's (0-100), ``exact``: every pixel as it is."""
    buffer = io.BytesIO()
    if kind == "png":
        _image(picture).save(buffer, "PNG", optimize=True)
    else:
        _image(picture).save(buffer, "WEBP", quality=quality, lossless=exact, method=2)
    return buffer.getvalue()


def save_picture(picture: Picture, path: str | Path) -> Path:
    """Write a PNG.

    Raises:
        StoreError: the file cannot be written.
    """
    path = Path(path)
    write_whole(path, encode(picture))
    return path


def flicker(before: Picture, after: Picture, path: str | Path, seconds_each: float = 1.0) -> Path:
    """Write an endless animation of two pictures of one size; ``.gif`` or ``.webp`` by the path's ending.

    Raises:
        ConfigError: another ending, or a flicker faster than 3 a second, which can harm people.
        StoreError: the file cannot be written.
    """
    if seconds_each < 1 / 3:
        raise ConfigError(
            f"a flicker of {seconds_each} s a picture can harm people with epilepsy; use at least 0.334, better 1.0"
        )
    return animation([before, after], path, seconds_each)


def animation(frames: Sequence[Picture], path: str | Path, seconds_each: float) -> Path:
    """Write an animation of pictures of one size; endless ``.gif`` or ``.webp``, or ``.mp4``, by the path's ending.

    Raises:
        ConfigError: another ending, or PyAV is not installed for a film.
        StoreError: the file cannot be written.
    """
    path = Path(path)
    kind = ANIMATIONS.get(path.suffix.lower())
    if kind is None:
        raise ConfigError(f"cannot write an animation to {path}; give a name that ends in .gif, .webp or .mp4")
    if kind == "MP4":
        write_whole(path, film(frames, [round(1000 * seconds_each)] * len(frames)))
        return path
    first, *others = (_image(p).convert("RGB") for p in frames)
    buffer = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {"disposal": 1}
    first.save(
        buffer, kind, save_all=True, append_images=others, duration=round(1000 * seconds_each), loop=0, **options
    )
    write_whole(path, buffer.getvalue())
    return path


_RATE = 25
"""Frames of a film in a second."""


def check_film() -> None:
    """Say before any work that no film can be written.

    Raises:
        ConfigError: PyAV is not installed.
    """
    if find_spec("av") is None:
        raise ConfigError("an MP4 needs PyAV; install it: pip install av")


def film(sheets: Sequence[Picture], duration_ms: Sequence[int]) -> bytes:
    """The sheets as a film that browsers and slides play; they are as they were but for an even number of pixels.

    Raises:
        ConfigError: PyAV is not installed.
    """
    check_film()
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        height, width = (side + side % 2 for side in sheets[0].shape[:2])
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        stream = container.add_stream(codec, rate=_RATE)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": "18"} if codec == "libx264" else {"qscale": "3"}
        for sheet, held in zip(sheets, duration_ms, strict=True):
            colours = np.broadcast_to(sheet, (*sheet.shape[:2], 3))
            even = np.pad(colours, ((0, height - sheet.shape[0]), (0, width - sheet.shape[1]), (0, 0)), mode="edge")
            for _ in range(held * _RATE // 1000):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


_BEGINNINGS = {".png": (0, b"\x89PNG\r\n\x1a\n"), ".gif": (0, b"GIF8"), ".webp": (0, b"RIFF"), ".mp4": (4, b"ftyp")}


def is_picture(path: Path) -> bool:
    """Whether a file is a picture of the kind that its name says, by its first bytes."""
    if not path.is_file():
        return False
    at, beginning = _BEGINNINGS[path.suffix.lower()]
    with path.open("rb") as file:
        return file.read(at + 8)[at:].startswith(beginning)


ANIMATIONS = {".gif": "GIF", ".webp": "WEBP", ".mp4": "MP4"}
"""Kinds of animations, by a name's ending."""


def _image(picture: Picture) -> Image.Image:
    assert picture.dtype == np.uint8, picture.dtype
    assert picture.ndim == 3, picture.shape
    return Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)


def _pixels(image: Image.Image, channels: int) -> Picture:
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels.reshape(*pixels.shape[:2], channels)
