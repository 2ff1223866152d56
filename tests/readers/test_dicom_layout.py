"""Files, layouts and codestreams that are odd or wrong: repaired and told, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import MPEG2MPML, HTJ2KLossless, JPEGBaseline8Bit

from qoqdata.errors import (
    InputError,
    MissingFile,
    NoPixels,
    TooLarge,
    UnreadableFile,
    UnsupportedFormat,
    UsageError,
)
from qoqdata.readers.dicom import read_dicom
from qoqdata.readers.limits import Limits
from tests.readers.dicom_objects import change, image, row, save, shown


def test_missing_preamble_and_transfer_syntax_are_repaired_and_told(tmp_path: Path) -> None:
    dataset = image(row(0, 100), WindowCenter=50, WindowWidth=101)
    whole = save(dataset, tmp_path / "whole.dcm").read_bytes()
    expected = read_dicom(tmp_path / "whole.dcm").frames.tolist()
    (tmp_path / "meta").write_bytes(whole[132:])
    found = read_dicom(tmp_path / "meta")
    assert found.frames.tolist() == expected
    assert found.repairs == ("no preamble: read as DICOM from the first byte",)
    length = int.from_bytes(whole[140:144], "little")
    (tmp_path / "bare").write_bytes(whole[144 + length :])
    found = read_dicom(tmp_path / "bare")
    assert found.frames.tolist() == expected
    assert "no transfer syntax: read as Explicit VR Little Endian" in found.repairs


@pytest.mark.parametrize(
    "content", [b"", b"x", b"\x89PNG\r\n\x1a\n" + b"\0" * 200, b"\0" * 132, b"\0" * 128 + b"DICM"]
)
def test_what_is_not_dicom_is_unreadable(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file.dcm").write_bytes(content)
    with pytest.raises(UnreadableFile, match=r"file\.dcm"):
        read_dicom(tmp_path / "file.dcm")


def test_absent_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        read_dicom(tmp_path / "absent.dcm")
    with pytest.raises(UnreadableFile):
        read_dicom(tmp_path)


def test_objects_without_an_image_have_no_pixels(tmp_path: Path) -> None:
    dataset = image(row(0, 1), Modality="SR")
    stripped = change(image(row(0, 1)), PixelData=None)
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated"):
        delattr(dataset, keyword)
    with pytest.raises(NoPixels, match="SR"):
        shown(dataset, tmp_path)
    # An image whose pixel data are gone is damaged.
    with pytest.raises(UnreadableFile, match="pixel data are missing"):
        shown(stripped, tmp_path)


@pytest.mark.parametrize(
    ("keywords", "error"),
    [
        ({"Rows": 2}, UnreadableFile),
        ({"NumberOfFrames": 3}, UnreadableFile),
        ({"Rows": 0}, TooLarge),
        ({"Rows": 65535, "Columns": 65535}, TooLarge),
        ({"NumberOfFrames": 2_000_000_000}, TooLarge),
        ({"NumberOfFrames": -1}, TooLarge),
        ({"BitsStored": 17}, UnreadableFile),
        ({"BitsStored": 0}, UnreadableFile),
        ({"BitsAllocated": 12}, UnsupportedFormat),
        ({"SamplesPerPixel": 4}, UnsupportedFormat),
        ({"PhotometricInterpretation": "RGB"}, UnreadableFile),
        ({"PhotometricInterpretation": None}, UnreadableFile),
        ({"BitsStored": 12, "HighBit": 15}, UnsupportedFormat),
        ({"Columns": None}, UnreadableFile),
    ],
)
def test_layouts_that_cannot_be(tmp_path: Path, keywords: dict, error: type) -> None:
    with pytest.raises(error, match=r"one\.dcm"):
        shown(image(row(0, 1), **keywords), tmp_path)


def test_pixel_data_shorter_than_declared_are_refused_with_both_sizes(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="hold 4 bytes, the header declares 8"):
        shown(image(row(0, 1), Rows=2), tmp_path)


def test_excess_pixel_data_are_told(tmp_path: Path) -> None:
    dataset = image(row(0, 100, 200))
    dataset.PixelData += b"\0" * 6
    found = shown(dataset, tmp_path)
    assert found.frames.tolist() == [[[0, 128, 255]]]
    assert "pixel data longer than declared: the excess bytes are left out" in found.repairs


def test_limits_hold_before_decoding(tmp_path: Path) -> None:
    path = save(image(np.zeros((3, 4, 5), "u1")), tmp_path / "three.dcm")
    assert read_dicom(path, limits=Limits(image_pixels=20, frames=3, voxels=60)).frames.shape == (
        3,
        4,
        5,
    )
    for limits in (
        Limits(image_pixels=19),
        Limits(frames=2),
        Limits(voxels=59),
        Limits(file_bytes=9),
    ):
        with pytest.raises(TooLarge, match=r"three\.dcm"):
            read_dicom(path, limits=limits)
    wide = save(image(np.zeros((4, 4), "u1"), PixelSpacing=[900, 1]), tmp_path / "wide.dcm")
    with pytest.raises(TooLarge):
        read_dicom(wide, limits=Limits(image_pixels=100))


def test_deflated_data_are_measured_first(tmp_path: Path) -> None:
    dataset = image(np.zeros((1000, 1000), "u1"))
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    path = save(dataset, tmp_path / "deflated.dcm")
    assert path.stat().st_size < 10_000
    assert read_dicom(path).frames.shape == (1, 1000, 1000)
    with pytest.raises(TooLarge, match="inflated"):
        read_dicom(path, limits=Limits(inflated_bytes=500_000))


def test_frames_that_are_not_there(tmp_path: Path) -> None:
    path = save(image(row(0, 1)), tmp_path / "one.dcm")
    for index in (1, -1):
        with pytest.raises(InputError, match="the file has 0 to 0"):
            read_dicom(path, frames=[index])
    with pytest.raises(UsageError):
        read_dicom(path, frames=[])


def test_video_and_private_syntaxes_are_unsupported(tmp_path: Path) -> None:
    dataset = image(row(0, 1, dtype="u1"))
    whole = save(dataset, tmp_path / "one.dcm").read_bytes()
    explicit = b"1.2.840.10008.1.2.1\0"
    assert explicit in whole
    for syntax in (MPEG2MPML, "1.2.840.113619.5.2.1"):
        swapped = change(dataset)
        swapped.file_meta.TransferSyntaxUID = syntax
        swapped["PixelData"].is_undefined_length = True
        swapped.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\x02\0\0\0ab"
        with pytest.raises(UnsupportedFormat):
            shown(swapped, tmp_path)


def test_without_a_decoder_the_file_is_unsupported_not_damaged(tmp_path: Path) -> None:
    from pydicom.pixels import get_decoder

    decoder = get_decoder(HTJ2KLossless)
    dataset = image(row(0, 1, dtype="u1"))
    dataset.file_meta.TransferSyntaxUID = HTJ2KLossless
    dataset["PixelData"].is_undefined_length = True
    dataset.PixelData = encapsulate([b"\xff\x4f\xff\x51"])
    plugins = decoder.available_plugins
    assert plugins
    for name in plugins:
        decoder.remove_plugin(name)
    try:
        with pytest.raises(UnsupportedFormat, match="no decoder for High-Throughput JPEG 2000"):
            shown(dataset, tmp_path)
    finally:
        decoder.add_plugin("pylibjpeg", ("pydicom.pixels.decoders.pylibjpeg", "_decode_frame"))
    with pytest.raises(UnreadableFile):
        shown(dataset, tmp_path)


def test_a_codestream_of_another_size_is_refused(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    stream = cv2.imencode(".jpg", np.full((8, 16), 77, np.uint8))[1].tobytes()
    dataset = image(np.zeros((8, 16), "u1"))
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset["PixelData"].is_undefined_length = True
    dataset.PixelData = encapsulate([stream])
    assert np.abs(shown(dataset, tmp_path).frames.astype(int) - 77).max() <= 1
    with pytest.raises(UnreadableFile, match="8 x 16 with 1 samples, the header says 16 x 8"):
        shown(change(dataset, Rows=16, Columns=8), tmp_path)
    change(dataset, Rows=8, Columns=16)
    dataset.PixelData = encapsulate([stream[: len(stream) // 2]])
    with pytest.raises(UnreadableFile, match="end marker"):
        shown(dataset, tmp_path)
    dataset.PixelData = encapsulate([stream, stream])
    with pytest.raises(UnreadableFile, match="2 compressed items"):
        shown(dataset, tmp_path)
