"""BMP (Windows device-independent bitmap)."""

from __future__ import annotations

import numpy as np

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.image import pillow
from qoqdata.readers.image.stored_values import StoredValues, opaque_or
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits

MAGIC = b"BM"


def decode_bmp(data: bytes, *, where: str, limits: Limits = DEFAULT_LIMITS) -> StoredValues:
    """8-bit grey, RGB or palette samples. Raises UnreadableFile, UnsupportedFormat, TooLarge."""
    from PIL.BmpImagePlugin import BmpImageFile

    if int.from_bytes(data[2:6], "little") > len(data):
        raise UnreadableFile("BMP is truncated", where=where, fix="fetch the file again")
    image = pillow.loaded(pillow.opened(BmpImageFile, data, where=where, limits=limits), where)
    values = np.array(image)
    palette = alpha = None
    if image.mode == "1":  # Pillow's name for a two-entry palette of black and white
        values, palette = values.astype(np.uint8), np.array([[0] * 3, [255] * 3], np.uint8)
    elif image.mode == "P":
        palette = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    elif image.mode == "RGBA":
        values, alpha = np.ascontiguousarray(values[..., :3]), opaque_or(values[..., 3], 255)
    elif image.mode not in ("L", "RGB"):
        raise UnsupportedFormat(f"BMP of Pillow mode {image.mode}", where=where)
    return StoredValues(values, bits=8, format="BMP", palette=palette, alpha=alpha)
