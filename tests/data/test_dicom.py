"""DICOM files: their windows, and that nobody can be told from what is kept of them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylex.core.errors import DataError
from stylex.data.archive import open_images
from stylex.data.images import read_picture
from stylex.data.prepare import PrepareConfig, prepare

pydicom = pytest.importorskip("pydicom")
from stylex.data.dicom import window  # noqa: E402

Write = Callable[..., Path]
RAMP = np.arange(256, dtype=np.uint16).reshape(16, 16) * 16
CT = "1.2.840.10008.5.1.4.1.1.2"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a DICOM file below ``scans/``."""

    def make(name: str, values: np.ndarray = RAMP, **said: Any) -> Path:
        path = tmp_path / "scans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset = pydicom.Dataset()
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = said.pop("syntax", pydicom.uid.ExplicitVRLittleEndian)
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = CT
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = pydicom.uid.generate_uid()
        bits = 8 * values.dtype.itemsize
        dataset.Rows, dataset.Columns = values.shape[:2]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
        dataset.PixelRepresentation = 0
        dataset.PatientName, dataset.PatientID = "Doe^Jane", "4711"
        for key, value in said.items():
            setattr(dataset, key, value)
        dataset.PixelData = values.tobytes()
        dataset.save_as(path, enforce_file_format=True)
        return path

    return make


def grey(path: Path) -> np.ndarray:
    return read_picture(path, path.name, resolution=16, channels=None).pixels[..., 0]


@pytest.mark.parametrize(
    ("function", "expected"),
    [("LINEAR", [0, 0.5, 1]), ("LINEAR_EXACT", [0, 0.5, 1]), ("SIGMOID", [1 / (1 + np.exp(2)), 0.5, 0.8808])],
)
def test_windows_are_those_of_the_standard(function: str, expected: list[float]) -> None:
    middle = 39.5 if function == "LINEAR" else 40.0
    low, high = (middle - 199.5, middle + 199.5) if function == "LINEAR" else (-160.0, 240.0)
    np.testing.assert_allclose(window(np.array([low, middle, high]), 40, 400, function), expected, atol=1e-4)


def test_a_picture_is_seen_through_its_rescale_and_window(write: Write) -> None:
    path = write(
        "a.dcm", RescaleSlope="2", RescaleIntercept="-1000", WindowCenter=["40", "9"], WindowWidth=["400", "9"]
    )
    hounsfield = RAMP * 2.0 - 1000
    expected = np.round(np.clip((hounsfield - 39.5) / 399 + 0.5, 0, 1) * 255)
    np.testing.assert_array_equal(grey(path), expected)
    inverted = write(
        "b.dcm",
        RescaleSlope="2",
        RescaleIntercept="-1000",
        WindowCenter="40",
        WindowWidth="400",
        PhotometricInterpretation="MONOCHROME1",
    )
    assert np.abs(255 - grey(inverted).astype(int) - expected).max() <= 1


def test_without_a_window_a_picture_goes_from_its_lowest_to_its_highest_and_says_so(write: Write) -> None:
    read = read_picture(write("a.dcm", RAMP + 100), "a", resolution=16, channels=None)
    assert (int(read.pixels.min()), int(read.pixels.max())) == (0, 255)
    assert any("without a window" in note for note in read.notes)
    eight = np.full((16, 16), 77, np.uint8)
    np.testing.assert_array_equal(grey(write("b.dcm", eight)), eight)


def test_a_table_of_grey_values_goes_before_a_window(write: Write) -> None:
    table = pydicom.Dataset()
    table.add_new("LUTDescriptor", "US", [4096, 0, 8])
    table.add_new("LUTData", "US", [255 - i // 16 for i in range(4096)])
    path = write("a.dcm", VOILUTSequence=[table], WindowCenter="40", WindowWidth="400")
    np.testing.assert_array_equal(grey(path), 255 - RAMP // 16)


def test_colour_stays_colour(write: Write) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    path = write("a.dcm", colour, SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0)
    np.testing.assert_array_equal(read_picture(path, "a", resolution=16, channels=None).pixels, colour)


def test_nothing_of_whom_they_show_is_kept_and_a_patient_is_not_divided(write: Write, tmp_path: Path) -> None:
    for i, (kind, patient) in enumerate([("ill", "4711"), ("ill", "4712"), ("well", "4711"), ("well", "4713")] * 2):
        write(f"{kind}/Doe Jane {i}.dcm", np.roll(RAMP, i), PatientID=patient)
    write("ill/nobody.dcm", RAMP[::-1].copy(), PatientID="")
    scans, out = tmp_path / "scans", tmp_path / "out.zip"
    summary = prepare(scans, out, PrepareConfig(resolution=16))
    images = open_images(out)
    assert summary.counts == {"ill": 5, "well": 4}
    assert len(set(images.groups)) == 4  # three patients, and one picture of nobody
    assert len(set(images.names)) == len(images) == 9
    by_group = {group: {images.split_keys[i] for i in range(9) if images.groups[i] == group} for group in images.groups}
    assert all(len(keys) == 1 for group, keys in by_group.items() if group)
    content = out.read_bytes()
    assert not any(word in content for word in (b"Doe", b"Jane", b"4711", b"4712", b"nobody"))
    again = prepare(scans, tmp_path / "again.zip", PrepareConfig(resolution=16))
    assert again.path.read_bytes() == content


def test_folders_of_patients_are_no_classes(write: Write, tmp_path: Path) -> None:
    for i in range(6):
        write(f"{'ab'[i % 2]}/{i}.dcm", np.roll(RAMP, i), PatientID=f"p{i % 2}")
    with pytest.raises(DataError, match="these are patients, not classes"):
        prepare(tmp_path / "scans", tmp_path / "out.zip", PrepareConfig(resolution=16))
    assert not (tmp_path / "out.zip").exists()


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"NumberOfFrames": "2"}, "has 2 frames, expected one"),
        ({"BurnedInAnnotation": "YES"}, "words are burned into its pixels"),
        ({"Rows": 60000, "Columns": 60000}, "more than the 100 million allowed"),
        ({"Rows": 17}, "a damaged DICOM file"),
    ],
)
def test_what_cannot_be_one_picture_is_left_out_by_name(
    write: Write, tmp_path: Path, said: dict[str, Any], reason: str
) -> None:
    write("good.dcm")
    write("bad.dcm", **said)
    summary = prepare(tmp_path / "scans", tmp_path / "out.zip", PrepareConfig(resolution=16))
    (left_out,) = summary.skipped
    assert left_out[0] == "bad.dcm"
    assert reason in left_out[1]


@pytest.mark.parametrize(
    ("syntax", "reason"),
    [("1.2.840.10008.1.2.4.80", "JPEG-LS Lossless"), ("1.2.840.10008.1.2.1.99", "deflated")],
)
def test_a_transfer_syntax_that_cannot_be_decoded_is_named(write: Write, syntax: str, reason: str) -> None:
    plain = write("a.dcm").read_bytes()
    known = b"1.2.840.10008.1.2.1\0"
    length = len(syntax) + len(syntax) % 2
    new = syntax.encode().ljust(length, b"\0")
    data = plain.replace(b"UI" + len(known).to_bytes(2, "little") + known, b"UI" + length.to_bytes(2, "little") + new)
    dataset = pydicom.dcmread(io.BytesIO(plain))
    if "JPEG" in reason:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8 not decoded"])
        dataset["PixelData"].is_undefined_length = True
        file = io.BytesIO()
        dataset.save_as(file, enforce_file_format=True)
        data = file.getvalue()
    with pytest.raises(DataError, match=reason):
        read_picture(data, "a.dcm", resolution=16, channels=None)


def test_pictures_beside_keep_their_names(write: Write, tmp_path: Path) -> None:
    write("scan.dcm")
    Image.fromarray(np.eye(16, dtype=np.uint8) * 255).save(tmp_path / "scans" / "photo.png")
    images = open_images(prepare(tmp_path / "scans", tmp_path / "out.zip", PrepareConfig(resolution=16)).path)
    assert "photo.png" in images.names
    assert "scan.dcm" not in images.names
