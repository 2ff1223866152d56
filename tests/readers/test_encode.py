"""Encoding: lossless round trips, fixed bytes, refusals."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from qoqdata.readers import encode


def _noise(shape: tuple[int, ...], dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(5).integers(0, np.iinfo(dtype).max, shape, dtype=dtype)


def _decoded(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


@pytest.mark.parametrize("shape", [(9, 14), (9, 14, 3), (1, 1), (1, 1, 3)])
def test_png_keeps_every_pixel(shape: tuple[int, ...]) -> None:
    pixels = _noise(shape)
    image = _decoded(encode.png(pixels))
    assert image.mode == ("L" if len(shape) == 2 else "RGB")
    np.testing.assert_array_equal(np.asarray(image), pixels)
    assert encode.png(pixels) == encode.png(pixels.copy())


def test_png_of_a_strided_view() -> None:
    pixels = _noise((20, 30, 3))
    np.testing.assert_array_equal(
        np.asarray(_decoded(encode.png(pixels[::-1, ::2]))), pixels[::-1, ::2]
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_label_png_keeps_every_code(dtype: type) -> None:
    codes = _noise((11, 6), dtype)
    image = _decoded(encode.label_png(codes))
    np.testing.assert_array_equal(np.asarray(image), codes)
    assert np.asarray(image).dtype == dtype


def test_png_holds_no_metadata() -> None:
    data = encode.png(_noise((4, 4, 3)))
    kinds, position = [], 8
    while position < len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        kinds.append(data[position + 4 : position + 8])
        position += 12 + length
    assert set(kinds) <= {b"IHDR", b"IDAT", b"IEND"}


def test_jpeg_is_close_and_keeps_colour_at_full_resolution() -> None:
    """One red pixel column in grey: halved chroma would bleed it into its neighbours."""
    pixels = np.full((32, 32, 3), 128, np.uint8)
    pixels[:, 15] = (220, 40, 40)
    image = _decoded(encode.jpeg(pixels))
    assert image.layer == [(1, 1, 1, 0), (2, 1, 1, 1), (3, 1, 1, 1)]  # sampling factors 1 x 1
    back = np.asarray(image).astype(int)
    assert np.abs(back - pixels).max() < 20
    grey = np.asarray(_decoded(encode.jpeg(pixels[..., 0])))
    assert grey.shape == (32, 32)
    assert np.abs(grey.astype(int) - pixels[..., 0]).max() < 12


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4), np.uint16),
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4), bool),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 1), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4), np.uint8),
    ],
)
def test_other_pixels_are_a_programming_error(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="pixels"):
        encode.png(pixels)
    with pytest.raises(ValueError, match="pixels"):
        encode.jpeg(pixels)


def test_label_png_and_quality_refusals() -> None:
    for codes in (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.int32)):
        with pytest.raises(ValueError, match="pixels"):
            encode.label_png(codes)
    with pytest.raises(ValueError, match="quality"):
        encode.jpeg(np.zeros((4, 4), np.uint8), quality=0)
