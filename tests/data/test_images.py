"""Any file a person may have becomes a square uint8 picture, or is refused by name."""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylex.core.errors import DataError
from stylex.data import images as images_module
from stylex.data.images import (
    PictureError,
    check_resolution,
    load_image,
    quiet_pillow,
    read_picture,
    to_pictures,
    to_tensor,
)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def gradient(width: int = 64, height: int = 64) -> np.ndarray:
    """Red grows to the right, green downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([x, y, np.full_like(x, 40)], axis=-1).astype(np.uint8)


def png(width: int, height: int, bits: int, kind: int, rows: bytes) -> bytes:
    """A PNG written by hand."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def png_header(width: int, height: int) -> bytes:
    """A PNG that promises many pixels in a few bytes."""
    return png(width, height, 8, 2, b"\0" * 1000)


def png_of_16_bits(values: np.ndarray, kind: int) -> bytes:
    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(width, height, 16, kind, rows)


def tiff_of_many_samples() -> bytes:
    """A TIFF that Pillow's own log complains of."""
    data = bytearray(encoded(Image.fromarray(gradient()), "TIFF"))
    at = data.index(struct.pack("<HHI", 277, 3, 1)) + 8  # SamplesPerPixel
    data[at : at + 2] = struct.pack("<H", 2048)
    return bytes(data)


def read(data: bytes, **options: object) -> tuple[np.ndarray, tuple[str, ...]]:
    options = {"resolution": 16, "channels": None, **options}
    result = read_picture(data, "x", **options)
    return result.pixels, result.notes


def test_every_value_survives_the_way_to_the_tensor_and_back() -> None:
    pictures = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    x = to_tensor(pictures)
    assert x.dtype == torch.float32
    assert x.shape == (1, 1, 16, 16)
    assert (x.min(), x.max()) == (-1, 1)
    np.testing.assert_array_equal(to_pictures(x), pictures)
    assert to_pictures(torch.full((1, 3, 2, 2), 7.0)).max() == 255


KINDS = {
    "1 bit": (lambda: encoded(Image.new("1", (20, 20), 1)), 1, 255),
    "8-bit grey": (lambda: encoded(Image.new("L", (20, 20), 77)), 1, 77),
    "grey stored as RGB": (lambda: encoded(Image.new("RGB", (20, 20), (77, 77, 77))), 1, 77),
    "RGB": (lambda: encoded(Image.new("RGB", (20, 20), (200, 100, 50))), 3, (200, 100, 50)),
    "palette": (lambda: encoded(Image.new("RGB", (20, 20), (200, 100, 50)).quantize(4)), 3, (200, 100, 50)),
    "16-bit grey PNG": (lambda: encoded(Image.fromarray(np.full((20, 20), 257 * 77, np.uint16))), 1, 77),
    "16-bit grey TIFF, big-endian": (
        lambda: encoded(Image.frombytes("I;16B", (20, 20), np.full(400, 257 * 77, ">u2").tobytes()), "TIFF"),
        1,
        77,
    ),
    "16-bit grey in 32 bits": (lambda: encoded(Image.new("I", (20, 20), 257 * 77), "TIFF"), 1, 77),
    "float 0..1": (lambda: encoded(Image.new("F", (20, 20), 77 / 255), "TIFF"), 1, 77),
    "float 0..255": (lambda: encoded(Image.new("F", (20, 20), 77), "TIFF"), 1, 77),
    "transparent": (lambda: encoded(Image.new("RGBA", (20, 20), (9, 9, 9, 0))), 1, 255),
    "half transparent": (lambda: encoded(Image.new("RGBA", (20, 20), (255, 0, 0, 128))), 3, (255, 127, 127)),
    "grey and transparent": (lambda: encoded(Image.new("LA", (20, 20), (0, 0))), 1, 255),
    "CMYK": (lambda: encoded(Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "TIFF"), 3, (255, 0, 0)),
    "CMYK JPEG": (lambda: encoded(Image.new("CMYK", (20, 20), (0, 0, 0, 255)), "JPEG", quality=100), 1, 0),
    "WebP": (lambda: encoded(Image.new("RGB", (20, 20), (255, 255, 255)), "WEBP", lossless=True), 1, 255),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_pictures_become_eight_bit(kind: str) -> None:
    make, channels, value = KINDS[kind]
    pixels, _ = read(make())
    assert pixels.dtype == np.uint8
    assert pixels.shape == (16, 16, channels)
    assert (pixels == value).all(), pixels[0, 0]


def test_palette_with_a_transparent_colour_is_put_on_white() -> None:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    pixels, notes = read(encoded(image, "PNG", transparency=1))
    assert (pixels == 255).all()
    assert "transparent: put on white" in notes


def test_sixteen_bit_keeps_the_order_of_greys() -> None:
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16).reshape(16, 16)
    pixels, notes = read(encoded(Image.fromarray(ramp)))
    np.testing.assert_array_equal(pixels.ravel(), np.arange(256))
    assert notes == ("of more than 8 bits: 65535 is white",)


@pytest.mark.parametrize(("bits", "white"), [(8, 255), (10, 1023), (12, 4095), (14, 16383), (16, 65535)])
@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_what_is_white_follows_from_the_numbers_in_use(bits: int, white: int, mode: str) -> None:
    ramp = np.linspace(0, white, 256).round().reshape(16, 16)
    values = ramp.astype(np.uint16 if mode == "I;16" else np.int32)
    for kind in ("PNG", "TIFF") if mode == "I;16" else ("TIFF",):
        pixels, notes = read(encoded(Image.fromarray(values), kind))
        assert np.abs(pixels.ravel().astype(int) - np.arange(256)).max() <= (1 if bits < 12 else 0)
        assert notes == (f"of more than 8 bits: {white} is white",)


def test_white_is_zero_is_turned_round_and_said() -> None:
    ramp = np.linspace(0, 4095, 256).round().astype(np.uint16).reshape(16, 16)
    pixels, notes = read(encoded(Image.fromarray(ramp), "TIFF", tiffinfo={262: 0}))
    np.testing.assert_array_equal(pixels.ravel(), np.arange(255, -1, -1))
    assert notes == ("of more than 8 bits: 4095 is white, white is zero: inverted",)


def test_what_a_file_declares_as_white_is_white() -> None:
    values = np.full((20, 20), 100, ">u2")
    pixels, _ = read(b"P5 20 20 1000\n" + values.tobytes())
    assert (pixels == 26).all()  # 25.5


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (6, 4), (4, 2)])
def test_colours_of_which_nothing_is_left_in_8_bits_are_refused(kind: int, channels: int) -> None:
    ramp = np.repeat(np.linspace(0, 1, 400).reshape(20, 20, 1), channels, axis=2)
    assert read(png_of_16_bits((ramp * 65535).astype(">u2"), kind))[0].max() > 250
    with pytest.raises(PictureError, match="colours of 16 bits that use no more than 4095: convert it to 8 bits"):
        read(png_of_16_bits((ramp * 4095).astype(">u2"), kind))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(orientation: int) -> None:
    upright = Image.fromarray(gradient())
    transposed = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright if transposed is None else upright.transpose(transposed)
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels, notes = read(encoded(stored, "PNG", exif=exif))
    np.testing.assert_array_equal(pixels, read(encoded(upright))[0])
    assert notes == (() if orientation == 1 else ("turned upright by its EXIF data",))


def test_damaged_exif_does_not_spoil_the_picture() -> None:
    good = encoded(Image.fromarray(gradient()), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff garbage")
    assert read(good)[0].shape == (16, 16, 3)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_of_an_animation_the_first_frame_is_used_and_said(kind: str) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue")]
    pixels, notes = read(encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True))
    assert (pixels[..., 0] > 250).all()
    assert "animated: first frame used" in notes


def test_crop_keeps_the_centre_and_pad_keeps_everything() -> None:
    wide = np.zeros((32, 96, 3), np.uint8)
    wide[:, 32:64] = (255, 0, 0)
    wide[:, 64:] = (0, 0, 255)
    cropped, _ = read(encoded(Image.fromarray(wide)), fit="crop")
    assert (cropped == (255, 0, 0)).all()
    padded, _ = read(encoded(Image.fromarray(wide)), fit="pad", resolution=32)
    assert not padded[:10].any()
    assert not padded[-10:].any()
    assert (padded[16, 2] == 0).all()
    assert (padded[16, 16] == (255, 0, 0)).all()
    assert (padded[16, 29] == (0, 0, 255)).all()


def test_shrinking_does_not_alias() -> None:
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::2] = 255
    pixels, _ = read(encoded(Image.fromarray(stripes)))
    assert np.abs(pixels[:, 2:-2].astype(int) - 127).max() < 8


def test_channels_are_as_asked() -> None:
    assert read(encoded(Image.fromarray(gradient())), channels=1)[0].shape == (16, 16, 1)
    assert read(encoded(Image.new("L", (20, 20), 5)), channels=3)[0].shape == (16, 16, 3)


def test_content_tells_pictures_apart_whatever_the_file_format() -> None:
    image = Image.fromarray(gradient())
    one, same = (read_picture(encoded(image, kind), "x", resolution=16, channels=None) for kind in ("PNG", "BMP"))
    other = read_picture(encoded(image.rotate(90)), "x", resolution=16, channels=None)
    assert one.content == same.content != other.content


GOOD = encoded(Image.fromarray(gradient()))
BAD = {
    "empty": (b"", "empty"),
    "text": (b"hello, I am no picture", "not a picture"),
    "truncated PNG": (GOOD[: len(GOOD) // 2], "damaged or truncated"),
    "truncated JPEG": (encoded(Image.fromarray(gradient(200, 200)), "JPEG")[:1500], "damaged or truncated"),
    "damaged TIFF": (tiff_of_many_samples(), "not a picture"),
    "truncated TIFF": (encoded(Image.fromarray(gradient()), "TIFF")[:-5000], "damaged or truncated"),
    "header only": (GOOD[:20], "damaged"),
    "corrupt pixels": (GOOD[:100] + b"\xff" * 40 + GOOD[140:], "damaged or truncated"),
    "bomb": (png_header(50_000, 50_000), "million allowed"),
    "bomb that Pillow would warn of": (png_header(12_000, 10_000), "million allowed"),
    "a row of pixels": (png_header(1, 70_000), "one side above 65535"),
    "32-bit numbers": (encoded(Image.new("I", (20, 20), 100_000), "TIFF"), "expected 16 bit"),
    "float out of range": (encoded(Image.new("F", (20, 20), -3), "TIFF"), "expected 0..1 or 0..255"),
    "not a number": (encoded(Image.new("F", (20, 20), float("nan")), "TIFF"), "not finite"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n", "not a picture"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_refused_in_one_line_by_name(
    kind: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data, reason = BAD[kind]
    path = tmp_path / "bad.png"
    path.write_bytes(data)
    with pytest.raises(PictureError) as caught:
        load_image(path, resolution=16, channels=3)
    assert reason in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_missing_files_and_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        load_image(tmp_path / "none.png", resolution=16, channels=3)
    with pytest.raises(DataError, match="is a folder"):
        load_image(tmp_path, resolution=16, channels=3)
    with pytest.raises(DataError, match="no such file"):
        read_picture(Path("a\0b"), "a", resolution=16, channels=3)


def test_load_image_gives_one_x(tmp_path: Path) -> None:
    Image.fromarray(gradient(100, 50)).save(tmp_path / "a.png")
    x = load_image(tmp_path / "a.png", resolution=32, channels=3, fit="pad")
    assert x.shape == (1, 3, 32, 32)
    assert x.min() == -1


@pytest.mark.parametrize(("given", "nearest"), [(28, 32), (0, 16), (100, 128), (512, 256), (48, 32)])
def test_a_wrong_resolution_is_told_the_nearest(given: int, nearest: int) -> None:
    with pytest.raises(DataError, match=f"the nearest is {nearest}"):
        check_resolution(given)


def test_warnings_are_quiet_inside_and_back_afterwards_whichever_thread_leaves_last() -> None:
    before = list(warnings.filters)
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with quiet_pillow():
            inside.set()
            leave.wait(5)

    thread = threading.Thread(target=other)
    with quiet_pillow():
        thread.start()
        assert inside.wait(5)
        during = list(warnings.filters)
    assert warnings.filters == during != before
    leave.set()
    thread.join()
    assert warnings.filters == before


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK"])
@pytest.mark.integration
def test_a_large_picture_needs_little_more_memory_than_itself(mode: str) -> None:
    data = encoded(Image.new(mode, (5000, 5000), 77 if mode == "L" else (77, 50, 20, 9)[: len(mode)]), "TIFF")

    def memory(which: str) -> int:
        return int(Path("/proc/self/status").read_text().partition(f"{which}:")[2].split()[0]) * 1024

    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here
    before = memory("VmRSS")
    read(data)
    own = 25_000_000 * (1 if mode == "L" else 4)
    made_anew = mode in ("RGBA", "CMYK")
    assert memory("VmHWM") - before < len(data) + own * (2.2 if made_anew else 1.2) + 60_000_000


def test_bands_of_a_large_picture_give_the_same_as_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (90, 70, 4), dtype=np.uint8))
    whole = read_picture(encoded(image), "x", resolution=32, channels=None)

    def sevens(image: Image.Image) -> Iterator[Image.Image]:
        for top in range(0, image.height, 7):
            yield image.crop((0, top, image.width, min(top + 7, image.height)))

    monkeypatch.setattr(images_module, "_strips", sevens)
    bands = read_picture(encoded(image), "x", resolution=32, channels=None)
    np.testing.assert_array_equal(bands.pixels, whole.pixels)
    assert (bands.content, bands.notes) == (whole.content, whole.notes)
