"""Colour images: deep samples, YBR and palettes, on objects made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import (
    UnreadableFile,
    UnsupportedFormat,
)
from tests.readers.dicom_objects import colour, image, levels, row, shown


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
