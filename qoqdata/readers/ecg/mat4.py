"""The MATLAB level 4 header of WFDB `.mat` signal files (MAT-File Format, version 4 appendix)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEADER_BYTES = 20
_NUMERIC_CLASS = {"16": 3, "32": 2, "80": 5}


@dataclass(frozen=True)
class Matrix:
    """What a file says of its first matrix: MATLAB number class, shape, byte offset of the data."""

    number_class: int
    rows: int
    columns: int
    offset: int

    def holds(self, fmt: str) -> bool:
        """Whether the number class is the one that storage format `fmt` needs."""
        return _NUMERIC_CLASS.get(fmt, self.number_class) == self.number_class


def matrix_header(head: bytes) -> Matrix | None:
    """Read the first 20 bytes; None when they are no little-endian, real, full level 4 matrix."""
    if len(head) < HEADER_BYTES:
        return None
    kind, rows, columns, imaginary, name = struct.unpack("<5i", head[:HEADER_BYTES])
    number_class, rest = divmod(kind, 10)
    if kind < 0 or rest != 0 or number_class > 5 or imaginary != 0:
        return None
    if rows < 0 or columns < 0 or not 0 < name < 1024:
        return None
    return Matrix(number_class, rows, columns, HEADER_BYTES + name)
