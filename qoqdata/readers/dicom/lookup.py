"""Lookup tables as DICOM stores them: modality, VOI and palette LUTs become arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from qoqdata.errors import UnreadableFile
from qoqdata.readers.dicom import elements
from qoqdata.readers.dicom.windowing import Lut

_FULL = 65536


def descriptor(item: Dataset, keyword: str, *, negative: bool) -> tuple[int, int, int]:
    """Entries, first value mapped and bits per entry (PS3.3 C.11.1.1.1, C.7.6.3.1.5).

    0 entries mean 65536. The first value is stored in 16 bits and taken as signed when the inputs
    can be `negative`, else as unsigned, whatever VR the file gives it. Raises UnreadableFile.
    """
    values = elements.numbers(item, keyword)
    if values is None or len(values) != 3:
        raise UnreadableFile(f"{keyword} does not have its three values")
    count, first, bits = (int(one) for one in values)
    first %= _FULL
    if negative and first >= _FULL // 2:
        first -= _FULL
    if not 0 <= count <= _FULL or not 1 <= bits <= 16:
        raise UnreadableFile(f"{keyword} declares an impossible table")
    return count or _FULL, first, bits


def entries(
    item: Dataset, keyword: str, count: int, bits: int, *, little: bool
) -> NDArray[np.uint16]:
    """The `count` entries of a table as uint16, from words or from 8-bit entries packed in bytes.

    Raises UnreadableFile when the table is absent or of another length.
    """
    data = elements.value(item, keyword)
    if data is None:
        raise UnreadableFile(f"{keyword} is missing")
    if not isinstance(data, bytes):
        words = elements.numbers(item, keyword) or ()
        data = (np.array(words, np.int64) & 0xFFFF).astype("<u2" if little else ">u2").tobytes()
    if len(data) in (2 * count, 2 * count + 1):
        table = np.frombuffer(data, "<u2" if little else ">u2", count)
    elif len(data) in (count, count + 1) and bits <= 8:
        table = np.frombuffer(data, np.uint8, count)
    else:
        raise UnreadableFile(f"{keyword} is not as long as its descriptor says")
    return table.astype(np.uint16)


def lut(item: Dataset, *, negative: bool, little: bool) -> Lut:
    """A Modality or VOI LUT item as a table. Raises UnreadableFile when it is incomplete.

    When an entry needs more bits than the descriptor declares, the entries decide.
    """
    count, first, bits = descriptor(item, "LUTDescriptor", negative=negative)
    table = entries(item, "LUTData", count, bits, little=little)
    return Lut(first, table, max(bits, int(table.max()).bit_length()))


def segmented_entries(
    item: Dataset, keyword: str, count: int, bits: int, *, little: bool
) -> NDArray[np.uint16]:
    """The `count` entries of a segmented palette table (PS3.3 C.7.9.2), expanded.

    Segments are discrete (0), linear (1) or references to earlier segments (2). Expansion stops at
    `count`, so a hostile table cannot grow. Raises UnreadableFile when the segments do not fill it.
    """
    data = elements.value(item, keyword)
    if not isinstance(data, bytes):
        raise UnreadableFile(f"{keyword} is missing")
    kind = "u1" if bits <= 8 else ("<u2" if little else ">u2")
    size = np.dtype(kind).itemsize
    codes = np.frombuffer(data[: len(data) // size * size], kind).astype(int).tolist()
    table: list[int] = []
    try:
        _expand(codes, size, 0, None, table, count)
    except IndexError as error:
        raise UnreadableFile(f"{keyword} ends inside a segment") from error
    if len(table) < count:
        raise UnreadableFile(f"{keyword} is shorter than its descriptor says")
    return np.array(table[:count], np.uint16)


def _expand(
    codes: list[int], size: int, at: int, segments: int | None, table: list[int], count: int
) -> None:
    """Append the entries of `segments` segments from `codes[at]` on; of all when it is None."""
    number = 0
    while len(table) < count and at + 1 < len(codes) and number != segments:
        operation, length = codes[at], codes[at + 1]
        if operation == 0:
            table += [codes[at + 2 + k] for k in range(length)]
            at += 2 + length
        elif operation == 1 and table:
            start, end = table[-1], codes[at + 2]
            table += [start + round((end - start) * k / length) for k in range(1, length + 1)]
            at += 3
        elif operation == 2 and segments is None:
            # The offset is in bytes: four 8-bit codes or two 16-bit ones, lowest first.
            parts = codes[at + 2 : at + 2 + 4 // size]
            offset = sum(part << (8 * size * k) for k, part in enumerate(parts))
            _expand(codes, size, offset // size, length, table, count)
            at += 2 + 4 // size
        else:
            raise UnreadableFile("a segmented palette has an unknown or misplaced segment")
        number += 1
