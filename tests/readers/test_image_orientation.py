"""Images are turned as their Exif block says; a broken block turns nothing."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from qoqdata.errors import UnsupportedFormat
from tests.readers import encoded_images as made
from tests.readers.image_files import read_back


@pytest.mark.parametrize("value", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_as_pillow_turns_it(tmp_path: Path, kind: str, value: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    settings = {"WEBP": {"lossless": True}, "JPEG": {"quality": 90}}.get(kind, {})
    data = made.saved(made.smooth(40, 64), kind, exif=exif, **settings)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    got = read_back(tmp_path, data)
    np.testing.assert_array_equal(got.pixels, expected)
    assert len(got.repairs) == (value != 1)


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_six_by_hand(tmp_path: Path, order: str) -> None:
    """6: row 0 of the file is the right-hand side of the scene."""
    samples = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    got = read_back(tmp_path, made.png(samples, 0, 8, made.chunk(b"eXIf", made.exif(6, order))))
    assert got.pixels.tolist() == [[4, 1], [5, 2], [6, 3]]
    assert got.repairs == ("Exif orientation 6 applied",)


@pytest.mark.parametrize(
    ("block", "note"),
    [
        (made.exif(0), "not defined"),
        (made.exif(9), "not defined"),
        (made.exif(6)[:12], "unreadable"),
        (b"", "unreadable"),
        (b"II*\0\xff\xff\xff\xff", "unreadable"),
    ],
)
def test_broken_exif_turns_nothing_and_says_so(tmp_path: Path, block: bytes, note: str) -> None:
    samples = np.array([[1, 2, 3]], np.uint8)
    got = read_back(tmp_path, made.png(samples, 0, 8, made.chunk(b"eXIf", block)))
    assert got.pixels.tolist() == [[1, 2, 3]]
    assert note in got.repairs[0]


def test_sixteen_bit_colour_tiff_that_is_turned_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFormat, match="orientation 6"):
        read_back(tmp_path, made.tiff(made.noise((8, 8, 3), 16), 2, 16, orientation=6))
