"""Exif orientation: reading it and turning pixels upright (Exif 2.32, CIPA DC-008, tag 0x0112)."""

from __future__ import annotations

import struct

import numpy as np

_ORIENTATION = 0x0112


def orientation(tiff: bytes) -> tuple[int, tuple[str, ...]]:
    """Orientation 1 to 8 from an Exif block that starts with its TIFF header, and any repair.

    A block without the tag means 1. A block that cannot be parsed, or a value outside 1 to 8, also
    gives 1 (as every viewer shows it) and says so.
    """
    try:
        order = {b"II*\0": "<", b"MM\0*": ">"}[tiff[:4]]
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(entries):
            tag, kind, count = struct.unpack_from(order + "HHI", tiff, start + 2 + 12 * entry)
            if tag != _ORIENTATION:
                continue
            if (kind, count) != (3, 1):
                return 1, ("Exif orientation of a wrong type ignored",)
            (value,) = struct.unpack_from(order + "H", tiff, start + 10 + 12 * entry)
            if not 1 <= value <= 8:
                return 1, (f"Exif orientation {value} is not defined, ignored",)
            return value, ()
    except (KeyError, struct.error):
        return 1, ("Exif block unreadable, orientation taken as 1",)
    return 1, ()


def upright(pixels: np.ndarray, value: int) -> np.ndarray:
    """Pixels (rows, columns[, 3]) turned so that row 0 is the top and column 0 the left side."""
    if value >= 5:
        pixels = pixels.swapaxes(0, 1)
    if value in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if value in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)
