"""PNG (ISO/IEC 15948, third edition): chunks of a file, whether it is whole, and its samples."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.image import exif, opencv, pillow
from qoqdata.readers.image.stored_values import StoredValues, opaque_or
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits

MAGIC = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
_DEPTHS = {
    GREY: (1, 2, 4, 8, 16),
    RGB: (8, 16),
    PALETTE: (1, 2, 4, 8),
    GREY_ALPHA: (8, 16),
    RGB_ALPHA: (8, 16),
}
NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")


class PngChunk(NamedTuple):
    """One chunk: its four-letter type and its data."""

    kind: bytes
    data: bytes


class PngLayout(NamedTuple):
    """The chunks up to and with IEND, and the number of bytes after it."""

    chunks: tuple[PngChunk, ...]
    trailing: int


@dataclass(frozen=True)
class PngHeader:
    """The IHDR chunk: size, bits per sample, colour type (0, 4 grey; 2, 6 RGB; 3 palette)."""

    columns: int
    rows: int
    depth: int
    colour: int


def chunks(data: bytes, where: str | None = None) -> PngLayout:
    """The chunks of a file, and what follows them.

    Raises UnreadableFile when the file ends before IEND (it was cut short) or a checksum is wrong.
    """
    parts: list[PngChunk] = []
    position = len(MAGIC)
    while True:
        if position + 12 > len(data):
            raise _cut(where)
        (length,) = struct.unpack_from(">I", data, position)
        end = position + 12 + length
        if end > len(data):
            raise _cut(where)
        body = memoryview(data)[position + 4 : end - 4]
        if zlib.crc32(body) != int.from_bytes(data[end - 4 : end], "big"):
            raise UnreadableFile(
                f"PNG chunk {bytes(body[:4])!r} fails its checksum",
                where=where,
                fix="fetch the file again",
            )
        parts.append(PngChunk(bytes(body[:4]), bytes(body[4:])))
        if body[:1].tobytes().isupper() and parts[-1].kind not in NEEDED:
            raise UnsupportedFormat(
                f"PNG holds the unknown critical chunk {parts[-1].kind!r}", where=where
            )
        position = end
        if parts[-1].kind == b"IEND":
            return PngLayout(tuple(parts), len(data) - position)


def _cut(where: str | None) -> UnreadableFile:
    return UnreadableFile(
        "PNG is truncated: it ends before its IEND chunk",
        where=where,
        fix="fetch the file again",
    )


def header(parts: tuple[PngChunk, ...], where: str | None = None) -> PngHeader:
    """The IHDR chunk. Raises UnreadableFile when it is absent or states an undefined type."""
    if parts[0].kind != b"IHDR" or len(parts[0].data) != 13:
        raise UnreadableFile("PNG does not begin with a header chunk", where=where)
    columns, rows, depth, colour = struct.unpack_from(">IIBB", parts[0].data)
    if depth not in _DEPTHS.get(colour, ()):
        raise UnreadableFile(f"PNG states colour type {colour} at depth {depth}", where=where)
    return PngHeader(columns, rows, depth, colour)


def size(data: bytes) -> tuple[int, int] | None:
    """(columns, rows) as a whole header chunk states them; None where there is none."""
    if data[8:16] != b"\0\0\0\rIHDR" or zlib.crc32(data[12:29]) != int.from_bytes(data[29:33]):
        return None
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


def orientation(parts: tuple[PngChunk, ...]) -> tuple[int, tuple[str, ...]]:
    """Exif orientation 1 to 8 of the eXIf chunk (1 without one), and any repair."""
    for chunk in parts:
        if chunk.kind == b"eXIf":
            return exif.orientation(chunk.data)
    return 1, ()


def bare(parts: tuple[PngChunk, ...]) -> bytes:
    """The file with only the chunks that decoding needs: IHDR, PLTE, tRNS, IDAT, IEND."""
    out = [MAGIC]
    for chunk in parts:
        if chunk.kind in NEEDED:
            body = chunk.kind + chunk.data
            out += [struct.pack(">I", len(chunk.data)), body, struct.pack(">I", zlib.crc32(body))]
    return b"".join(out)


def decode_png(data: bytes, *, where: str, limits: Limits = DEFAULT_LIMITS) -> StoredValues:
    """Samples as stored: grey of 1 to 16 bits, RGB of 8 or 16, palette indices, alpha apart.

    Raises UnreadableFile (cut, bad checksum, short pixel data), UnsupportedFormat (animated),
    TooLarge.
    """
    return decode_chunks(chunks(data, where), where=where, limits=limits)


def decode_chunks(
    structure: PngLayout, *, where: str, limits: Limits = DEFAULT_LIMITS
) -> StoredValues:
    """As `decode_png`, for a file whose chunks are known."""
    parts, trailing = structure
    head = header(parts, where)
    limits.check_shape("image_pixels", (head.rows, head.columns), where=where)
    kinds = {chunk.kind: chunk.data for chunk in parts}
    if b"acTL" in kinds:
        raise UnsupportedFormat(
            "animated PNG, expected one image", where=where, fix="export its frames"
        )
    values, alpha = _pixels(bare(parts), head, kinds.get(b"tRNS"), where, limits)
    turn, repairs = orientation(parts)
    if b"iCCP" in kinds:
        repairs += ("colour profile (ICC) not applied",)
    if trailing:
        repairs += (f"{trailing} bytes after the end of the image ignored",)
    palette = None
    if head.colour == PALETTE:
        palette = np.frombuffer(kinds.get(b"PLTE", b""), np.uint8)
        if palette.size == 0 or palette.size % 3:
            raise UnreadableFile("PNG palette is damaged", where=where)
        palette = palette.reshape(-1, 3)
    return StoredValues(
        values,
        bits=head.depth,
        format="PNG",
        palette=palette,
        alpha=alpha,
        orientation=turn,
        repairs=repairs,
    )


def _pixels(
    data: bytes, head: PngHeader, transparency: bytes | None, where: str, limits: Limits
) -> tuple[np.ndarray, np.ndarray | None]:
    """Stored samples (rows, columns[, 3]) and the alpha channel, if any of it is transparent."""
    if head.depth == 16 and head.colour != GREY:
        samples = _decode_16_bit_channels(data, where)
    else:
        samples = _decode_with_pillow(data, where, limits)
    if samples.dtype == np.bool_:
        samples = samples.astype(np.uint8)
    elif head.colour == GREY and head.depth < 8:
        samples = samples // (255 // ((1 << head.depth) - 1))  # Pillow stretches them to 0 .. 255
    full = (1 << max(head.depth, 8)) - 1
    if head.colour in (GREY_ALPHA, RGB_ALPHA):
        values = samples[..., 0] if head.colour == GREY_ALPHA else samples[..., :3]
        return np.ascontiguousarray(values), opaque_or(samples[..., -1], full)
    values = np.ascontiguousarray(samples[..., :3]) if head.colour == RGB else samples
    if transparency is None:
        return values, None
    if head.colour == PALETTE:
        table = np.full(256, 255, np.uint8)
        table[: len(transparency)] = np.frombuffer(transparency[:256], np.uint8)
        return values, opaque_or(table[values], 255)
    key = np.frombuffer(transparency, ">u2")
    if key.size != (1 if head.colour == GREY else 3):
        raise UnreadableFile("PNG transparency chunk has a wrong length", where=where)
    hit = values == key if head.colour == GREY else (values == key).all(axis=-1)
    return values, opaque_or(np.where(hit, 0, 255).astype(np.uint8), 255)


def _decode_with_pillow(data: bytes, where: str, limits: Limits) -> np.ndarray:
    from PIL.PngImagePlugin import PngImageFile

    image = pillow.opened(PngImageFile, data, where=where, limits=limits)
    return np.array(pillow.loaded(image, where))


def _decode_16_bit_channels(data: bytes, where: str) -> np.ndarray:
    """(rows, columns, 3 or 4) uint16; Pillow would drop the lower eight bits."""
    values, log = opencv.decoded(data)
    if values is None or values.dtype != np.uint16 or values.ndim != 3 or log:
        reason = log[0] if log else "unknown reason"
        raise UnreadableFile(f"PNG cannot be decoded: {reason}", where=where)
    return values
