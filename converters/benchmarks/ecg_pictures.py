"""Made-up pictures of ECGs: a trace on white, as benchmarks draw recordings."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from qoqdata.simulation import MARK, ecg


def trace(rng: np.random.Generator, size: tuple[int, int] = (60, 80)) -> np.ndarray:
    """uint8 RGB (rows, columns, 3): two leads of two seconds, dark on white."""
    rows, columns = size
    pixels = np.full((*size, 3), 255, np.uint8)
    signal = ecg(rng, columns / 2, 2, ("I", "II"))
    for lead, samples in enumerate(signal):
        middle = rows * (1 + 2 * lead) / 4
        places = np.clip(np.rint(middle - samples * rows / 8), 0, rows - 1).astype(int)
        pixels[places, np.arange(len(places))] = (40, 30, 30)
    return pixels


def png_of(pixels: np.ndarray) -> bytes:
    """The bytes of a PNG, which its text marks."""
    note, stream = PngInfo(), BytesIO()
    note.add_text("Comment", MARK)
    Image.fromarray(pixels).save(stream, "PNG", pnginfo=note)
    return stream.getvalue()
