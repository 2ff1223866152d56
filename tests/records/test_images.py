"""Images for records: pixels, and the bytes of files that show just these."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PilImage

from qoqdata.errors import MissingFile, UnreadableFile, UnsupportedFormat
from qoqdata.readers import encode
from qoqdata.readers.masks import LabelBox
from qoqdata.records.content import Region
from qoqdata.records.images import image_from_file, regions_from_boxes

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
RGB = np.stack([GREY, 255 - GREY, GREY // 2], axis=-1)


def test_an_8_bit_jpeg_keeps_its_encoded_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    PilImage.fromarray(RGB).save(path, quality=80)
    image, notes = image_from_file(path)
    assert image.encoded is not None and notes == ()
    with PilImage.open(path) as raw:
        assert np.array_equal(image.pixels, np.asarray(raw))
    scan = path.read_bytes()[path.read_bytes().index(b"\xff\xda") :]
    assert image.encoded.endswith(scan)


def test_metadata_does_not_travel(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    PilImage.fromarray(GREY).save(path, comment=b"Erika Mustermann")
    image, notes = image_from_file(path)
    assert b"Erika" in path.read_bytes() and b"Erika" not in (image.encoded or b"Erika")
    assert notes == ("COM",)


def test_the_name_does_not_decide(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    PilImage.fromarray(GREY).save(path, "PNG")
    image, _ = image_from_file(path)
    assert image.encoded is not None and image.encoded.startswith(b"\x89PNG")
    assert np.array_equal(image.pixels, GREY)


def test_a_turned_image_comes_upright(tmp_path: Path) -> None:
    """Exif orientation 6: the pixels have to be turned clockwise to be shown."""
    path = tmp_path / "a.png"
    exif = PilImage.Exif()
    exif[0x0112] = 6
    PilImage.fromarray(GREY).save(path, exif=exif)
    image, notes = image_from_file(path)
    assert np.array_equal(image.pixels, np.rot90(GREY, -1)) and image.encoded is None
    assert notes == ("Exif orientation 6 applied",)


def test_a_bmp_keeps_no_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    PilImage.fromarray(RGB).save(path)
    image, _ = image_from_file(path)
    assert image.encoded is None
    assert np.array_equal(image.pixels, RGB)


WIDE = np.array([[0, 15, 16, 2048, 4095]], np.uint16)


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """A 16-bit PNG in which 12 bits are in use."""
    path = tmp_path / "wide.png"
    PilImage.fromarray(WIDE).save(path)
    return path


def test_bits_in_use(wide: Path) -> None:
    image, notes = image_from_file(wide, bits=12)
    # v * 255 / 4095: 15 -> 0.93, 16 -> 0.996, 2048 -> 127.53
    assert image.pixels.tolist() == [[0, 1, 1, 128, 255]]
    assert notes == ("reduced to 8 bits: 12 bits",)


def test_window(wide: Path) -> None:
    image, notes = image_from_file(wide, window=(16, 3))
    # DICOM PS3.3 C.11.2.1.2.1: ((v - 15.5) / 2 + 0.5) * 255 gives 63.75 for 15 and 191.25 for 16
    assert image.pixels.tolist() == [[0, 64, 191, 255, 255]]
    assert notes == ("reduced to 8 bits: window 16/3",)


def test_full_range_by_default(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    PilImage.fromarray(np.array([[0, 2048, 4095, 16384]], np.uint16)).save(path)
    image, notes = image_from_file(path)
    # v * 255 / 65535: 2048 -> 7.97, 4095 -> 15.93, 16384 -> 63.75
    assert image.pixels.tolist() == [[0, 8, 16, 64]]
    assert notes == ("reduced to 8 bits: 16 bits",)


def test_empty_upper_bits_are_not_taken_for_darkness(wide: Path, tmp_path: Path) -> None:
    """4095 of 65535 would be grey 16 of 255, and the film black."""
    with pytest.raises(UnsupportedFormat, match=r"highest value is 4095 of 65535.*`bits: 12`"):
        image_from_file(wide)
    image, _ = image_from_file(wide, bits=16)
    assert image.pixels.tolist() == [[0, 0, 0, 8, 16]]
    PilImage.fromarray(np.zeros((1, 5), np.uint16)).save(tmp_path / "black.png")
    assert image_from_file(tmp_path / "black.png")[0].pixels.tolist() == [[0] * 5]


def test_errors_are_ours(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        image_from_file(tmp_path / "none.png")
    whole = encode.png(RGB)
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.png").write_bytes(whole[:length])
        with pytest.raises(UnreadableFile):
            image_from_file(tmp_path / "cut.png")


def test_boxes_become_regions_of_their_image() -> None:
    boxes = [LabelBox("kidney", 1, 2, 3, 8, 9, 20), LabelBox("cyst", 3, 0, 0, 1, 1, 1)]
    assert regions_from_boxes(boxes, image=4, reader="r1") == (
        Region("kidney", 4, 2, 3, 8, 9, 20, "r1"),
        Region("cyst", 4, 0, 0, 1, 1, 1, "r1"),
    )


def test_no_box_is_no_region() -> None:
    assert regions_from_boxes((), image=0) == ()
