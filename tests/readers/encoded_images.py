"""Small encoded images made by hand or by Pillow, shared by the image tests."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def noise(shape: tuple[int, ...], bits: int = 8, seed: int = 3) -> np.ndarray:
    """Random samples over the full range of `bits`, uint8 or uint16."""
    dtype = np.uint8 if bits <= 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 1 << bits, shape).astype(dtype)


def smooth(rows: int = 48, columns: int = 64) -> np.ndarray:
    """An RGB image that JPEG reproduces well; its corners are not mid-grey."""
    y, x = np.mgrid[0:rows, 0:columns]
    channels = [x * 255 // columns, y * 255 // rows, 200 - 150 * y // rows]
    return np.stack(channels, axis=-1).astype(np.uint8)


def saved(pixels: np.ndarray | Image.Image, kind: str, **settings: object) -> bytes:
    """The image encoded by Pillow."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    out = io.BytesIO()
    image.save(out, kind, **settings)
    return out.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    """A PNG chunk with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    samples: np.ndarray, colour: int, depth: int, *extra: bytes, size: tuple[int, int] | None = None
) -> bytes:
    """A PNG packed by hand, without filters: samples (rows, columns[, channels]), any depth.

    `extra` chunks stand before the pixel data; `size` (columns, rows) lies about the size.
    """
    rows, columns = samples.shape[:2]
    lines = []
    for line in samples.reshape(rows, columns * _CHANNELS[colour]):
        if depth == 16:
            packed = line.astype(">u2").tobytes()
        else:
            bits = np.unpackbits(line.astype(np.uint8)[:, None], axis=1)[:, 8 - depth :]
            packed = np.packbits(bits.ravel()).tobytes()
        lines.append(b"\0" + packed)
    stated = size or (columns, rows)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", *stated, depth, colour, 0, 0, 0)),
            *extra,
            chunk(b"IDAT", zlib.compress(b"".join(lines))),
            chunk(b"IEND", b""),
        ]
    )


def exif(orientation: int, order: str = "<") -> bytes:
    """A TIFF block with one tag, the orientation, and a text after it."""
    head = b"II*\0" if order == "<" else b"MM\0*"
    body = struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    return head + body + b"Jane Doe 1950-01-01"


def tiff(
    samples: np.ndarray, photometric: int, bits: int, orientation: int = 0, order: str = "<"
) -> bytes:
    """An uncompressed one-strip TIFF written by hand, 8 or 16 bits."""
    rows, columns = samples.shape[:2]
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    strip = samples.astype(f"{order}u{bits // 8}").tobytes()
    tags = {256: (4, columns), 257: (4, rows), 258: (3, bits), 259: (3, 1), 262: (3, photometric)}
    tags |= {273: (4, 8), 277: (3, channels), 278: (4, rows), 279: (4, len(strip))}
    if orientation:
        tags[274] = (3, orientation)
    after = 8 + len(strip) + 2 + 12 * len(tags) + 4
    directory = struct.pack(order + "H", len(tags))
    for tag, (kind, value) in sorted(tags.items()):
        if tag == 258 and channels > 2:
            directory += struct.pack(order + "HHII", tag, kind, channels, after)
        elif kind == 3:
            directory += struct.pack(order + "HHIHH", tag, kind, 1, value, 0)
        else:
            directory += struct.pack(order + "HHII", tag, kind, 1, value)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(strip))
    depths = struct.pack(f"{order}{channels}H", *[bits] * channels)
    return head + strip + directory + struct.pack(order + "I", 0) + depths


def jpeg_segment(marker: int, payload: bytes) -> bytes:
    """A JPEG marker segment."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload
