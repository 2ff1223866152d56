"""PNG and JPEG files."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from qoqdata.simulation.mark import MARK, write_bytes


def write_png(path: Path, pixels: np.ndarray) -> None:
    """A PNG of (rows, columns) bool, uint8 or uint16, or of (rows, columns, 3 or 4) uint8.

    bool becomes 0 and 255. Its text `Comment` marks it.
    """
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    note, stream = PngInfo(), BytesIO()
    note.add_text("Comment", MARK)
    Image.fromarray(pixels).save(stream, "PNG", pnginfo=note)
    write_bytes(path, stream.getvalue())


def write_jpeg(path: Path, pixels: np.ndarray, *, quality: int = 90) -> None:
    """A JPEG of (rows, columns) or (rows, columns, 3) uint8. Its COM segment marks it."""
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, comment=MARK.encode())
    write_bytes(path, stream.getvalue())
