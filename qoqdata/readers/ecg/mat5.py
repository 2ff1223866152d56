"""MATLAB 5-7 files: one struct of plain arrays, read without trusting any size in the file.

After "MAT-File Format" (The MathWorks), level 5. scipy.io.loadmat is the reference in the tests but
not the reader: a single wrong bit in an uncompressed file can crash the process inside it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from math import prod

import numpy as np

from qoqdata.errors import TooLarge, UnreadableFile

MAGIC = b"MATLAB 5.0 MAT-file"
_HEADER_BYTES = 128
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED = 1, 5, 6, 14, 15
_STRUCT, _CHAR = 2, 4
_NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_NUMBER_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"
}  # fmt: skip


def read_struct(data: bytes, name: str, *, most_bytes: int, where: str) -> dict[str, object]:
    """Fields of the 1 x 1 struct variable `name`: real arrays as NumPy, text as str, others None.

    `most_bytes` bounds what compressed variables may inflate to, together. Raises UnreadableFile
    when the file is damaged or holds no such struct, TooLarge beyond the bound.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[126:_HEADER_BYTES])
    if order is None or not data.startswith(MAGIC):
        raise UnreadableFile("is no MATLAB 5 file", where=where)
    try:
        for kind, body in _variables(data, order, most_bytes, where):
            fields = _fields(body, order, name) if kind == _MATRIX else None
            if fields is not None:
                return fields
    except (ValueError, struct.error, zlib.error) as error:
        raise UnreadableFile(f"damaged MATLAB 5 file ({error})", where=where) from error
    raise UnreadableFile(f"holds no struct {name}", where=where)


def _variables(data: bytes, order: str, most_bytes: int, where: str) -> Iterator[tuple[int, bytes]]:
    for kind, body in _elements(data[_HEADER_BYTES:], order, padding=False):
        if kind != _COMPRESSED:
            yield kind, body
            continue
        inflater = zlib.decompressobj()
        element = inflater.decompress(body, most_bytes + 1)
        most_bytes -= len(element)
        if most_bytes < 0:
            raise TooLarge("its variables inflate beyond the limit", where=where)
        if not inflater.eof:
            raise ValueError("compressed data end too early")
        yield from _elements(element, order)


def _elements(data: bytes, order: str, *, padding: bool = True) -> Iterator[tuple[int, bytes]]:
    """(type, content) of each data element; content of up to four bytes may sit inside the tag."""
    position = 0
    while position < len(data):
        kind, size = struct.unpack_from(f"{order}2I", data, position)
        start = position + 8
        if kind >> 16:
            kind, size, start = kind & 0xFFFF, kind >> 16, position + 4
            if size > 4:
                raise ValueError("a small data element is too long")
            position += 8
        else:
            position = start + size + (-size % 8 if padding and kind != _COMPRESSED else 0)
        if start + size > len(data):
            raise ValueError("a data element ends after the file")
        yield kind, data[start : start + size]


def _fields(body: bytes, order: str, name: str) -> dict[str, object] | None:
    """Fields of the struct matrix in `body`, or None when it is another variable."""
    parts = _elements(body, order)
    array_class, shape, own_name = _matrix_head(parts, order)
    if own_name != name or array_class != _STRUCT:
        return None
    if shape != (1, 1):
        raise ValueError(f"the struct has the shape {shape}")
    _, width = _next(parts, _INT32)
    _, names = _next(parts, _INT8)
    step = struct.unpack(f"{order}i", width)[0]
    if step <= 0:
        raise ValueError("field names of no length")
    labels = [
        names[k : k + step].split(b"\0")[0].decode("ascii") for k in range(0, len(names), step)
    ]
    return {label: _array(_next(parts, _MATRIX)[1], order) for label in labels}


def _next(parts: Iterator[tuple[int, bytes]], *kinds: int) -> tuple[int, bytes]:
    kind, content = next(parts, (0, b""))
    if kind not in kinds:
        raise ValueError(f"a data element of type {kind} in the wrong place")
    return kind, content


def _matrix_head(
    parts: Iterator[tuple[int, bytes]], order: str
) -> tuple[int, tuple[int, ...], str]:
    flags, _ = struct.unpack(f"{order}2I", _next(parts, _UINT32)[1])
    sides = _next(parts, _INT32)[1]
    shape = struct.unpack(f"{order}{len(sides) // 4}i", sides)
    if len(shape) < 2 or min(shape) < 0:
        raise ValueError(f"an array of shape {shape}")
    if flags & 0x0800:
        raise ValueError("a complex array")
    return flags & 0xFF, shape, _next(parts, _INT8)[1].decode("ascii")


def _array(body: bytes, order: str) -> object:
    parts = _elements(body, order)
    array_class, shape, _ = _matrix_head(parts, order)
    if array_class == _CHAR:
        kind, content = _next(parts, *_TEXTS)
        wide = "" if _TEXTS[kind] in ("latin-1", "utf-8") else {"<": "-le", ">": "-be"}[order]
        return content.decode(_TEXTS[kind] + wide)
    if array_class not in _NUMBER_CLASSES:
        return None
    kind, content = _next(parts, *_NUMBERS)
    numbers = np.frombuffer(content, np.dtype(order + _NUMBERS[kind]))
    if numbers.size != prod(shape):
        raise ValueError(f"{numbers.size} numbers for an array of shape {shape}")
    with np.errstate(invalid="ignore"):
        return numbers.astype(_NUMBER_CLASSES[array_class]).reshape(shape, order="F")
