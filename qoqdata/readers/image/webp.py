"""WebP (RFC 9649): one still image."""

from __future__ import annotations

import numpy as np

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.image import exif, pillow
from qoqdata.readers.image.stored_values import StoredValues, opaque_or
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits


def is_webp(data: bytes) -> bool:
    """Whether the bytes start as a WebP file."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def size(data: bytes, where: str | None = None) -> tuple[int, int]:
    """Canvas (rows, columns) from the first chunk, without decoding. Raises UnreadableFile."""
    kind, body = data[12:16], data[20:30]
    if len(body) == 10:
        if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
            columns, rows = (int.from_bytes(body[i : i + 2], "little") & 0x3FFF for i in (6, 8))
            return rows, columns
        if kind == b"VP8L" and body[0] == 0x2F:
            word = int.from_bytes(body[1:5], "little")
            return (word >> 14 & 0x3FFF) + 1, (word & 0x3FFF) + 1
        if kind == b"VP8X":
            columns, rows = (int.from_bytes(body[i : i + 3], "little") + 1 for i in (4, 7))
            return rows, columns
    raise UnreadableFile("WebP header is damaged", where=where)


def is_lossless(data: bytes) -> bool:
    """Whether the image chunk is VP8L; walks the chunks of a whole file."""
    position = 12
    while position + 8 <= len(data):
        if data[position : position + 4] in (b"VP8L", b"VP8 "):
            return data[position : position + 4] == b"VP8L"
        length = int.from_bytes(data[position + 4 : position + 8], "little")
        position += 8 + length + length % 2
    return False


def decode_webp(data: bytes, *, where: str, limits: Limits = DEFAULT_LIMITS) -> StoredValues:
    """8-bit RGB samples. Raises UnreadableFile, UnsupportedFormat (animated), TooLarge."""
    from PIL.WebPImagePlugin import WebPImageFile

    limits.check_shape("image_pixels", size(data, where), where=where)
    image = pillow.opened(WebPImageFile, data, where=where, limits=limits)
    if getattr(image, "n_frames", 1) != 1:
        raise UnsupportedFormat(
            "animated WebP, expected one image", where=where, fix="export its frames"
        )
    values = np.array(pillow.loaded(image, where))
    turn = 1
    repairs: tuple[str, ...] = ()
    if block := image.info.get("exif"):
        turn, repairs = exif.orientation(block.removeprefix(b"Exif\0\0"))
    if "icc_profile" in image.info:
        repairs += ("colour profile (ICC) not applied",)
    return StoredValues(
        np.ascontiguousarray(values[..., :3]),
        bits=8,
        format="WebP",
        alpha=opaque_or(values[..., 3], 255) if values.shape[2] == 4 else None,
        lossy=not is_lossless(data),
        orientation=turn,
        repairs=repairs,
    )
