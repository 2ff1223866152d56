"""BMP (Windows device-independent bitmap)."""

from __future__ import annotations

import numpy as np

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.readers.picture import pillow
from qoqdata.readers.picture.samples import Samples, opaque_or

MAGIC = b"BM"


def decode(data: bytes, *, where: str, limits: Limits = DEFAULT_LIMITS) -> Samples:
    """8-bit grey, RGB or palette samples. Raises UnreadableFile, UnsupportedFormat, TooLarge."""
    from PIL.BmpImagePlugin import BmpImageFile

    if int.from_bytes(data[2:6], "little") > len(data):
        raise UnreadableFile("BMP is truncated", where=where, fix="fetch the file again")
    picture = pillow.loaded(pillow.opened(BmpImageFile, data, where=where, limits=limits), where)
    values = np.array(picture)
    palette = alpha = None
    if picture.mode == "1":  # Pillow's name for a two-entry palette of black and white
        values, palette = values.astype(np.uint8), np.array([[0] * 3, [255] * 3], np.uint8)
    elif picture.mode == "P":
        palette = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
    elif picture.mode == "RGBA":
        values, alpha = np.ascontiguousarray(values[..., :3]), opaque_or(values[..., 3], 255)
    elif picture.mode not in ("L", "RGB"):
        raise UnsupportedFormat(f"BMP of Pillow mode {picture.mode}", where=where)
    return Samples(values, bits=8, format="BMP", palette=palette, alpha=alpha)
