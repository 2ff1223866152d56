"""PNG packed by hand: every depth, palettes, alpha."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import UnreadableFile
from qoqdata.readers.image import reader
from tests.readers import encoded_images as made
from tests.readers.image_files import read_back


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_grey_png_of_every_depth(tmp_path: Path, depth: int) -> None:
    samples = made.noise((7, 13), depth)
    got = read_back(tmp_path, made.png(samples, 0, depth))
    stretch = {1: 255, 2: 85, 4: 17, 8: 1, 16: 1}[depth]
    np.testing.assert_array_equal(got.pixels, samples.astype(int) * stretch)
    assert (got.bits, got.pixels.dtype) == ((16, np.uint16) if depth == 16 else (8, np.uint8))
    assert (got.format, got.repairs) == ("PNG", ())


@pytest.mark.parametrize("depth", [8, 16])
def test_colour_png(tmp_path: Path, depth: int) -> None:
    samples = made.noise((7, 13, 3), depth)
    got = read_back(tmp_path, made.png(samples, 2, depth))
    np.testing.assert_array_equal(got.pixels, samples)
    assert got.bits == depth


def test_sixteen_bit_png_never_saturates(tmp_path: Path) -> None:
    """Every 16-bit value comes back as itself, and full range maps to full range."""
    samples = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    got = read_back(tmp_path, made.png(samples, 0, 16))
    np.testing.assert_array_equal(got.pixels, samples)
    grey = reader.to_uint8(got.pixels, bits=got.bits)
    np.testing.assert_array_equal(grey, np.floor(samples / 65535 * 255 + 0.5))
    # 257 inputs share each output but the first and the last, which share half as many.
    assert np.bincount(grey.ravel()).tolist() == [129, *[257] * 254, 129]


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_palette_png(tmp_path: Path, depth: int) -> None:
    palette = made.noise((1 << depth, 3), 8, seed=9)
    samples = made.noise((5, 11), depth)
    got = read_back(tmp_path, made.png(samples, 3, depth, made.chunk(b"PLTE", palette.tobytes())))
    np.testing.assert_array_equal(got.pixels, palette[samples])


def test_grey_palette_gives_grey(tmp_path: Path) -> None:
    palette = np.repeat(np.array([[255], [7], [0]], np.uint8), 3, axis=1)
    samples = np.array([[0, 1, 2], [2, 2, 0]], np.uint8)
    got = read_back(tmp_path, made.png(samples, 3, 8, made.chunk(b"PLTE", palette.tobytes())))
    assert got.pixels.tolist() == [[255, 7, 0], [0, 0, 255]]


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("colour", "channels"), [(4, 2), (6, 4)])
def test_alpha(tmp_path: Path, depth: int, colour: int, channels: int) -> None:
    samples = made.noise((6, 9, channels), depth)
    expected = samples[..., 0] if channels == 2 else samples[..., :3]
    samples[..., -1] = (1 << depth) - 1
    opaque = read_back(tmp_path, made.png(samples, colour, depth))
    np.testing.assert_array_equal(opaque.pixels, expected)
    assert opaque.repairs == ()
    samples[:2, :2, -1] = 5
    got = read_back(tmp_path, made.png(samples, colour, depth))
    np.testing.assert_array_equal(got.pixels, expected)
    assert got.repairs == ("alpha channel dropped without blending, 4 pixels not opaque",)


def test_transparent_colour_of_a_png(tmp_path: Path) -> None:
    samples = np.array([[3, 9], [9, 9]], np.uint8)
    got = read_back(tmp_path, made.png(samples, 0, 8, made.chunk(b"tRNS", b"\0\x09")))
    assert got.pixels.tolist() == samples.tolist()
    assert got.repairs == ("alpha channel dropped without blending, 3 pixels not opaque",)
    unused = read_back(tmp_path, made.png(samples, 0, 8, made.chunk(b"tRNS", b"\0\x0a")))
    assert unused.repairs == ()


def test_palette_index_beyond_the_palette(tmp_path: Path) -> None:
    data = made.png(np.array([[0, 3]], np.uint8), 3, 8, made.chunk(b"PLTE", bytes(9)))
    with pytest.raises(UnreadableFile, match="palette"):
        read_back(tmp_path, data)
