"""Every other image format against the samples that went in and against Pillow."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from openjpeg.utils import encode_array
from PIL import Image

from qoqdata.errors import UnsupportedFormat
from qoqdata.readers.image import reader
from tests.readers import encoded_images as made
from tests.readers.image_files import read_back


@pytest.mark.parametrize("kind", ["BMP", "TIFF", "GIF", "PNG"])
def test_lossless_formats_keep_every_pixel(tmp_path: Path, kind: str) -> None:
    grey = made.noise((31, 17))
    got = read_back(tmp_path, made.saved(grey, kind))
    np.testing.assert_array_equal(got.pixels, grey)
    if kind != "GIF":
        colour = made.noise((31, 17, 3))
        np.testing.assert_array_equal(read_back(tmp_path, made.saved(colour, kind)).pixels, colour)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits", "zstd"])
def test_compressed_tiff(tmp_path: Path, compression: str) -> None:
    colour = made.noise((31, 17, 3))
    got = read_back(tmp_path, made.saved(colour, "TIFF", compression=compression))
    np.testing.assert_array_equal(got.pixels, colour)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("photometric", "bits", "channels"),
    [(1, 8, 1), (0, 8, 1), (1, 16, 1), (0, 16, 1), (2, 8, 3), (2, 16, 3)],
)
def test_tiff_by_hand(
    tmp_path: Path, order: str, photometric: int, bits: int, channels: int
) -> None:
    samples = made.noise((8, 13, 3), bits) if channels == 3 else made.noise((8, 13), bits)
    data = made.tiff(samples, photometric, bits, order=order)
    if (photometric, bits, order) == (0, 16, ">"):
        with pytest.raises(UnsupportedFormat):
            read_back(tmp_path, data)
        return
    got = read_back(tmp_path, data)
    expected = (1 << bits) - 1 - samples.astype(int) if photometric == 0 else samples
    np.testing.assert_array_equal(got.pixels, expected)
    assert got.bits == bits
    assert got.repairs == (("white-is-zero grey levels inverted",) if photometric == 0 else ())


def test_one_bit_tiff(tmp_path: Path) -> None:
    bits = made.noise((5, 12), 1)
    for compression in (None, "group4"):
        data = made.saved(Image.fromarray(bits.astype(bool)), "TIFF", compression=compression)
        np.testing.assert_array_equal(read_back(tmp_path, data).pixels, bits * 255)


def test_webp(tmp_path: Path) -> None:
    colour = made.smooth()
    lossless = read_back(tmp_path, made.saved(colour, "WEBP", lossless=True))
    np.testing.assert_array_equal(lossless.pixels, colour)
    lossy = made.saved(colour, "WEBP", quality=90)
    expected = np.asarray(Image.open(io.BytesIO(lossy)).convert("RGB"))
    np.testing.assert_array_equal(read_back(tmp_path, lossy).pixels, expected)
    assert reader.decode_image(lossy, where="").lossy
    assert not reader.decode_image(made.saved(colour, "WEBP", lossless=True), where="").lossy


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg2000_keeps_its_own_depth(tmp_path: Path, bits: int, channels: int) -> None:
    samples = made.noise((40, 50) if channels == 1 else (40, 50, 3), bits)
    data = encode_array(
        samples, bits_stored=bits, photometric_interpretation=2 if channels == 1 else 1
    )
    got = read_back(tmp_path, data)
    np.testing.assert_array_equal(got.pixels, samples)
    assert (got.bits, got.format) == (bits, "JPEG2000")


def test_jp2_file(tmp_path: Path) -> None:
    colour = made.noise((40, 50, 3))
    np.testing.assert_array_equal(
        read_back(tmp_path, made.saved(colour, "JPEG2000")).pixels, colour
    )


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_jpeg_as_pillow_decodes_it(tmp_path: Path, progressive: bool, subsampling: int) -> None:
    data = made.saved(made.smooth(), "JPEG", progressive=progressive, subsampling=subsampling)
    np.testing.assert_array_equal(
        read_back(tmp_path, data).pixels, np.asarray(Image.open(io.BytesIO(data)))
    )
    grey = made.saved(made.smooth()[..., 0], "JPEG", progressive=progressive)
    np.testing.assert_array_equal(
        read_back(tmp_path, grey).pixels, np.asarray(Image.open(io.BytesIO(grey)))
    )


def test_rgb_jpeg_with_adobe_marker(tmp_path: Path) -> None:
    """Three components stored as RGB, told by the Adobe segment only."""
    data = made.saved(made.smooth(), "JPEG", keep_rgb=True, quality=95)
    got = read_back(tmp_path, data)
    assert np.abs(got.pixels.astype(int) - made.smooth()).max() < 16
