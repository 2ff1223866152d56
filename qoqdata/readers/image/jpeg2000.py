"""JPEG 2000 (ITU-T T.800): raw codestreams and JP2 files."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.image import opencv, pillow
from qoqdata.readers.image.stored_values import StoredValues, opaque_or
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits

CODESTREAM_MAGIC = b"\xff\x4f\xff\x51"
JP2_MAGIC = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
_SIZ, _SOT, _EOC = 0xFF51, 0xFF90, 0xFFD9


@dataclass(frozen=True)
class Jpeg2000Size:
    """The SIZ segment: image size, component count and bits per sample, and if all are alike."""

    rows: int
    columns: int
    components: int
    bits: int
    signed: bool
    uniform: bool


def codestream(data: bytes, where: str | None = None) -> bytes:
    """The codestream of a raw or JP2 file (the first `jp2c` box). Raises UnreadableFile."""
    if data.startswith(CODESTREAM_MAGIC):
        return data
    position = 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        head = 8
        if length == 1 and position + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, position + 8)
            head = 16
        end = len(data) if length == 0 else position + length
        if end < position + head or end > len(data):
            break
        if kind == b"jp2c":
            return data[position + head : end]
        position = end
    raise _cut(where)


def check_whole(stream: bytes, where: str | None = None) -> Jpeg2000Size:
    """Walk main header and tile-parts up to the end marker, and return the stated size.

    Raises UnreadableFile when a tile-part or the end-of-codestream marker is missing.
    """
    try:
        marker, length = struct.unpack_from(">HH", stream, 2)
        if marker != _SIZ:
            raise UnreadableFile("JPEG 2000 codestream has no SIZ segment", where=where)
        size = _size(stream[6 : 4 + length])
        position = 4 + length
        while True:
            (marker,) = struct.unpack_from(">H", stream, position)
            if marker == _EOC:
                return size
            (length,) = struct.unpack_from(">H", stream, position + 2)
            if marker == _SOT:
                (part,) = struct.unpack_from(">I", stream, position + 6)
                # A last tile-part of length 0 runs up to the end-of-codestream marker.
                position = position + part if part else len(stream.rstrip(b"\0")) - 2
                if part and part < 14:
                    raise _cut(where)
            else:
                position += 2 + length
    except struct.error as error:
        raise _cut(where) from error


def _size(segment: bytes) -> Jpeg2000Size:
    right, bottom, left, top = struct.unpack_from(">IIII", segment, 2)
    (components,) = struct.unpack_from(">H", segment, 34)
    parts = [segment[36 + 3 * i : 39 + 3 * i] for i in range(components)]
    if not parts or len(parts[-1]) != 3:
        raise struct.error("component list cut short")
    depth = parts[0][0]
    uniform = all(part[0] == depth for part in parts)
    return Jpeg2000Size(
        bottom - top, right - left, components, (depth & 0x7F) + 1, bool(depth & 0x80), uniform
    )


def _cut(where: str | None) -> UnreadableFile:
    return UnreadableFile(
        "JPEG 2000 file is truncated: it ends before its end-of-codestream marker",
        where=where,
        fix="fetch the file again",
    )


def decode_jpeg2000(data: bytes, *, where: str, limits: Limits = DEFAULT_LIMITS) -> StoredValues:
    """Samples of 8 to 16 unsigned bits, grey or RGB with or without alpha.

    Always marked lossy: the codestream does not say whether bits were dropped. Raises
    UnreadableFile, UnsupportedFormat, TooLarge.
    """
    size = check_whole(codestream(data, where), where)
    limits.check_shape("image_pixels", (size.rows, size.columns), where=where)
    if size.signed or not size.uniform or not 8 <= size.bits <= 16 or size.components > 4:
        raise UnsupportedFormat(
            f"JPEG 2000 with {size.components} components of {size.bits} bits"
            f"{' signed' if size.signed else ''}{'' if size.uniform else ' and other depths'}",
            where=where,
        )
    if size.bits == 8:
        values = _decode_8_bits(data, where, limits)
    else:
        values = _decode_more_bits(data, where)
    if values.shape[:2] != (size.rows, size.columns):
        raise UnreadableFile("JPEG 2000 decodes to another size than it states", where=where)
    alpha = None
    if values.ndim == 3 and values.shape[2] in (2, 4):
        alpha = opaque_or(values[..., -1], (1 << size.bits) - 1)
        values = values[..., 0] if values.shape[2] == 2 else values[..., :3]
    return StoredValues(
        np.ascontiguousarray(values),
        bits=size.bits,
        format="JPEG2000",
        alpha=alpha,
        lossy=True,
    )


def _decode_8_bits(data: bytes, where: str, limits: Limits) -> np.ndarray:
    from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile

    image = pillow.loaded(pillow.opened(Jpeg2KImageFile, data, where=where, limits=limits), where)
    if image.mode not in ("L", "LA", "RGB", "RGBA"):
        raise UnsupportedFormat(f"JPEG 2000 of Pillow mode {image.mode}", where=where)
    return np.array(image)


def _decode_more_bits(data: bytes, where: str) -> np.ndarray:
    """uint16 samples at their own depth; Pillow would stretch grey and halve the bits of colour."""
    values, _ = opencv.decoded(data)
    if values is None or values.dtype != np.uint16:
        raise UnreadableFile("JPEG 2000 cannot be decoded", where=where)
    return values
