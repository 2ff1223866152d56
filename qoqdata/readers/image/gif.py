"""GIF89a: the blocks of a file, whether it is whole, and its one image.

Clips (more than one image) are read by `qoqdata.readers.video`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.image import pillow
from qoqdata.readers.image.stored_values import StoredValues
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits

MAGICS = (b"GIF87a", b"GIF89a")
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, 0x3B
_GRAPHIC_CONTROL = 0xF9


@dataclass(frozen=True)
class GifLayout:
    """Canvas size, and per image its stated delay in 1/100 s and whether it fills the canvas."""

    rows: int
    columns: int
    delays: tuple[int, ...]
    full: tuple[bool, ...]


def layout(data: bytes, where: str | None = None) -> GifLayout:
    """Walk the blocks up to the trailer (GIF89a, section 17 ff.).

    Raises UnreadableFile when the trailer is missing (the file was cut short), a block has an
    unknown introducer, or an image reaches outside the canvas.
    """
    try:
        columns, rows, flags = struct.unpack_from("<HHB", data, 6)
        position = 13 + _colours(flags)
        delays: list[int] = []
        full: list[bool] = []
        delay = 0
        while True:
            introducer = data[position]
            if introducer == _TRAILER:
                return GifLayout(rows, columns, tuple(delays), tuple(full))
            if introducer == _EXTENSION:
                if data[position + 1] == _GRAPHIC_CONTROL:
                    delay = struct.unpack_from("<H", data, position + 4)[0]
                position = _after_sub_blocks(data, position + 2)
            elif introducer == _IMAGE:
                left, top, wide, high, flags = struct.unpack_from("<HHHHB", data, position + 1)
                if left + wide > columns or top + high > rows:
                    raise UnreadableFile("GIF image reaches outside its canvas", where=where)
                delays.append(delay)
                full.append((wide, high) == (columns, rows))
                delay = 0
                position = _after_sub_blocks(data, position + 11 + _colours(flags))
            else:
                raise UnreadableFile(
                    f"GIF block with unknown introducer {introducer:#04x}", where=where
                )
    except (IndexError, struct.error) as error:
        raise UnreadableFile(
            "GIF is truncated: it ends before its trailer",
            where=where,
            fix="fetch the file again",
        ) from error


def _colours(flags: int) -> int:
    """Bytes of the colour table that a packed field announces."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _after_sub_blocks(data: bytes, position: int) -> int:
    while size := data[position]:
        position += 1 + size
    return position + 1


def decode_gif(data: bytes, *, where: str, limits: Limits = DEFAULT_LIMITS) -> StoredValues:
    """Palette samples of a GIF that holds exactly one image over its whole canvas.

    Raises UnreadableFile, UnsupportedFormat (several images: read it as a clip), TooLarge.
    """
    from PIL.GifImagePlugin import GifImageFile

    blocks = layout(data, where)
    limits.check_shape("image_pixels", (blocks.rows, blocks.columns), where=where)
    if len(blocks.delays) > 1:
        raise UnsupportedFormat(
            f"GIF with {len(blocks.delays)} images is a clip, expected one image",
            where=where,
            fix="read it with the video reader",
        )
    if blocks.full != (True,):
        raise UnreadableFile("GIF image does not fill its canvas", where=where)
    image = pillow.loaded(pillow.opened(GifImageFile, data, where=where, limits=limits), where)
    values = np.array(image)
    if image.mode == "L":  # Pillow's name for an identity grey palette
        return StoredValues(values, bits=8, format="GIF", alpha=_alpha(values, image.info))
    palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    return StoredValues(
        values, bits=8, format="GIF", palette=palette, alpha=_alpha(values, image.info)
    )


def _alpha(values: np.ndarray, info: dict[Any, Any]) -> np.ndarray | None:
    """0 where a pixel has the transparent index, else 255; None when no pixel has it."""
    clear = values == info.get("transparency", -1)
    return np.where(clear, 0, 255).astype(np.uint8) if bool(clear.any()) else None
