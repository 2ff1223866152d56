"""Colour images: deep samples, YBR and palettes, on objects made here."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from qoqdata.errors import (
    UnreadableFile,
    UnsupportedFormat,
)
from tests.readers.dicom_objects import change, colour, image, levels, row, shown


def palette_image(indices: np.ndarray, first: int, tables: dict[str, list[int]], bits: int):
    dataset = image(indices, PhotometricInterpretation="PALETTE COLOR")
    for name, table in tables.items():
        keyword = f"{name}PaletteColorLookupTable"
        kind = "SS" if first < 0 else "US"
        dataset.add_new(f"{keyword}Descriptor", kind, [len(table), first, bits])
        data = np.array(table, "<u2" if bits > 8 else "u1").tobytes()
        dataset.add_new(f"{keyword}Data", "OW", data + b"\0" * (len(data) % 2))
    return dataset


def test_deep_colour_keeps_its_top_bits(tmp_path: Path) -> None:
    samples = np.array([[[0, 0x80FF, 0xFFFF], [0x0100, 0x7F00, 0xABCD]]], "<u2")
    found = shown(colour(samples), tmp_path)
    assert found.frames.tolist() == [[[[0, 0x80, 0xFF], [1, 0x7F, 0xAB]]]]
    twelve = colour(samples & 0xFFF, BitsStored=12, HighBit=11)
    assert shown(twelve, tmp_path).frames[0, 0, 0].tolist() == [0, 0x0F, 0xFF]
    with pytest.raises(UnsupportedFormat, match="HSV"):
        shown(colour(samples, PhotometricInterpretation="HSV"), tmp_path)


def test_ybr_full_follows_the_equations_of_the_standard(tmp_path: Path) -> None:
    # C.7.6.3.1.2 backwards: R = Y + 1.402 (CR - 128), B = Y + 1.772 (CB - 128).
    samples = np.array([[[128, 128, 128], [76, 85, 255], [150, 44, 21], [29, 255, 107]]], "u1")
    found = shown(colour(samples, PhotometricInterpretation="YBR_FULL"), tmp_path).frames[0, 0]
    expected = [[128, 128, 128], [254, 0, 0], [0, 255, 1], [0, 0, 254]]
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(("bits", "scale"), [(8, 1), (16, 257), (16, 256)])
def test_palette_entries_of_8_and_16_bits(tmp_path: Path, bits: int, scale: int) -> None:
    tables = {
        "Red": [v * scale for v in (1, 2, 3)],
        "Green": [v * scale for v in (10, 20, 30)],
        "Blue": [v * scale for v in (100, 200, 255)],
    }
    dataset = palette_image(row(0, 5, 6, 7, 200, dtype="u1"), 5, tables, bits)
    assert levels(dataset, tmp_path) == [
        [[1, 10, 100], [1, 10, 100], [2, 20, 200], [3, 30, 255], [3, 30, 255]]
    ]


def test_segmented_palette_is_expanded(tmp_path: Path) -> None:
    # Discrete 2 entries, linear 4 steps up to 100, then the first segment again (indirect).
    codes = [0, 2, 10, 20, 1, 4, 100, 2, 1, 0, 0, 0, 0]
    expected = [10, 20, 40, 60, 80, 100, 10, 20]
    dataset = image(row(*range(8), dtype="u1"), PhotometricInterpretation="PALETTE COLOR")
    for name in ("Red", "Green", "Blue"):
        keyword = f"{name}PaletteColorLookupTable"
        dataset.add_new(f"{keyword}Descriptor", "US", [8, 0, 8])
        dataset.add_new(f"Segmented{keyword}Data", "OW", bytes([*codes, 0]))
    assert np.array(levels(dataset, tmp_path))[0, :, 0].tolist() == expected
    # 65535 indirect segments cannot grow the table: it stops at its declared length.
    bomb = np.array([0, 1, 5, *([2, 65535, 0, 0] * 500)], "<u2").tobytes()
    for name in ("Red", "Green", "Blue"):
        keyword = f"{name}PaletteColorLookupTable"
        dataset[f"{keyword}Descriptor"].value = [8, 0, 16]
        dataset[f"Segmented{keyword}Data"].value = bomb
    with pytest.raises(UnreadableFile, match="segment"):
        shown(dataset, tmp_path)


RED, BLUE = (200, 30, 30), (30, 30, 200)


def halves() -> np.ndarray:
    """Red above, blue below."""
    samples = np.zeros((32, 32, 3), "u1")
    samples[:16], samples[16:] = RED, BLUE
    return samples


def jpeg(*, marked: bool = True, **options: object) -> bytes:
    """`halves` by libjpeg; `marked` leaves its JFIF or Adobe segment."""
    out = BytesIO()
    Image.fromarray(halves()).save(out, "JPEG", quality=95, **options)
    stream = out.getvalue()
    if marked:
        return stream
    length = int.from_bytes(stream[4:6], "big")
    assert stream[3] in (0xE0, 0xEE)
    return stream[:2] + stream[4 + length :]


def adobe(transform: int) -> bytes:
    return b"\xff\xee\x00\x0eAdobe\x00\x64\0\0\0\0" + bytes([transform])


def of_jpeg(stream: bytes, label: str, **keywords: object) -> FileDataset:
    dataset = colour(halves(), PhotometricInterpretation=label, **keywords)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


WHOLE, QUARTER = {"subsampling": 0}, {"subsampling": 2}


def with_adobe(stream: bytes, transform: int) -> bytes:
    return stream[:2] + adobe(transform) + stream[2:]


@pytest.mark.parametrize("label", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize(
    ("stream", "space"),
    [
        (jpeg(marked=False, **QUARTER), "YBR"),
        (jpeg(marked=False, subsampling=1), "YBR"),
        (jpeg(**WHOLE), "YBR"),
        (with_adobe(jpeg(marked=False, **WHOLE), 1), "YBR"),
        (with_adobe(jpeg(marked=False, keep_rgb=True), 0), "RGB"),
        (jpeg(marked=False, keep_rgb=True), "RGB"),
    ],
    ids=["quarter", "half", "jfif", "adobe1", "adobe0", "named"],
)
def test_a_jpeg_stream_that_proves_its_colour_space_goes_before_the_label(
    tmp_path: Path, stream: bytes, space: str, label: str
) -> None:
    found = shown(of_jpeg(stream, label), tmp_path)
    for at, expected in (((4, 4), RED), ((28, 4), BLUE)):
        assert np.abs(found.frames[0][at].astype(int) - expected).max() <= 12
    told = any("the JPEG stream is" in note for note in found.repairs)
    assert told == (label[:3] != space)


def test_a_jpeg_stream_that_proves_nothing_follows_the_label(tmp_path: Path) -> None:
    stream = jpeg(marked=False, **WHOLE)
    right = shown(of_jpeg(stream, "YBR_FULL"), tmp_path)
    assert np.abs(right.frames[0][4, 4].astype(int) - RED).max() <= 12
    assert right.repairs == ()
    # Components of a stream that is RGB by its label alone are shown as they are: Y, CB and CR.
    taken = shown(of_jpeg(stream, "RGB"), tmp_path).frames[0][4, 4]
    assert np.abs(taken.astype(int) - (81, 99, 213)).max() <= 12


def test_frames_of_two_colour_spaces_are_refused(tmp_path: Path) -> None:
    dataset = of_jpeg(jpeg(**WHOLE), "RGB", NumberOfFrames=2)
    dataset.PixelData = encapsulate([jpeg(**WHOLE), jpeg(keep_rgb=True)])
    with pytest.raises(UnreadableFile, match="frame 2 is RGB, the image is YBR_FULL"):
        shown(dataset, tmp_path)


def ybr(samples: list[list[int]]) -> np.ndarray:
    return np.array([samples], "u1")


def test_ybr_full_422_of_full_length_is_ybr_full(tmp_path: Path) -> None:
    """Y, CB, CR of red and of blue by C.7.6.3.1.2, whole for each pixel."""
    samples = ybr([[76, 85, 255], [29, 255, 107], [76, 85, 255], [29, 255, 107]])
    dataset = colour(samples, PhotometricInterpretation="YBR_FULL_422")
    found = shown(dataset, tmp_path)
    expected = [[254, 0, 0], [0, 0, 254]] * 2
    assert np.abs(found.frames[0, 0].astype(int) - expected).max() <= 1
    assert "YBR_FULL_422 of full length: the chroma is whole, read as YBR_FULL" in found.repairs
    # With its own length it is what it says: Y Y CB CR for two pixels.
    dataset.PixelData = bytes([76, 76, 85, 255, 29, 29, 255, 107])
    found = shown(dataset, tmp_path)
    expected = [[254, 0, 0]] * 2 + [[0, 0, 254]] * 2
    assert np.abs(found.frames[0, 0].astype(int) - expected).max() <= 1
    assert found.repairs == ()


def test_ybr_full_of_two_thirds_of_its_length_is_ybr_full_422(tmp_path: Path) -> None:
    dataset = colour(np.zeros((1, 4, 3), "u1"), PhotometricInterpretation="YBR_FULL")
    dataset.PixelData = bytes([76, 76, 85, 255, 29, 29, 255, 107])
    found = shown(dataset, tmp_path)
    assert (
        np.abs(found.frames[0, 0].astype(int) - ([[254, 0, 0]] * 2 + [[0, 0, 254]] * 2)).max() <= 1
    )
    assert "YBR_FULL of two thirds of its length: read as YBR_FULL_422" in found.repairs
    with pytest.raises(UnreadableFile, match="RGB of two thirds of its length"):
        shown(change(dataset, PhotometricInterpretation="RGB"), tmp_path)
    # Two of three frames have the same length, and are missing a frame.
    several = colour(np.zeros((1, 4, 3), "u1"), PhotometricInterpretation="YBR_FULL")
    several.PixelData = bytes(24)
    with pytest.raises(UnreadableFile, match="hold 24 bytes, the header declares 36"):
        shown(change(several, NumberOfFrames=3), tmp_path)


def gradients() -> np.ndarray:
    """Three smooth planes that differ, (64, 48, 3)."""
    y, x = np.mgrid[0:1:64j, 0:1:48j]
    planes = (200 * x + 20 * y, 180 * y, 100 + 100 * np.sin(4 * x) * y)
    return np.stack(planes, axis=-1).astype("u1")


@pytest.mark.parametrize("stored", [0, 1])
@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("frames", [1, 2])
def test_samples_are_found_where_they_lie(
    tmp_path: Path, stored: int, label: int, frames: int
) -> None:
    samples = gradients()
    content = samples if stored == 0 else np.moveaxis(samples, -1, 0)
    dataset = colour(samples, PlanarConfiguration=label, NumberOfFrames=frames)
    dataset.PixelData = content.tobytes() * frames
    found = shown(dataset, tmp_path)
    assert all(np.array_equal(frame, samples) for frame in found.frames)
    note = f"PlanarConfiguration is {label}, the samples lie as with {stored}"
    assert found.repairs == (() if stored == label else (note,))


def test_noise_follows_its_planar_configuration(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 48, 3)).astype("u1")
    found = shown(colour(noise), tmp_path)
    assert np.array_equal(found.frames[0], noise)
    assert found.repairs == ()
