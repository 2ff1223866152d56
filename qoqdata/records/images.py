"""Images for records: raw files kept verbatim where that is lossless, else PNG."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from qoqdata.readers import encode
from qoqdata.readers.image import reader, verbatim
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.records.content import Image


def image_from_pixels(pixels: np.ndarray, **facts: Any) -> Image:
    """A lossless PNG of uint8 pixels, (rows, columns) grey or (rows, columns, 3) RGB.

    `facts` are the other fields of Image; the original size defaults to the stored one.
    """
    height, width = pixels.shape[:2]
    facts = {"original_width": width, "original_height": height} | facts
    return Image(encode.png(pixels), "png", width, height, **facts)


def image_from_file(
    path: Path,
    *,
    bits: int | None = None,
    window: tuple[float, float] | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> tuple[Image, tuple[str, ...]]:
    """The image of an image file and the notes to record.

    8-bit upright JPEG and PNG keep their encoded pixels, without metadata segments; everything
    else is decoded and stored as PNG. More than 8 bits need `bits` (the stored depth, 10 to 16) or
    a `window` (centre, width); without either the full range of the file's depth is mapped.
    Raises the errors of `reader.read_image`.
    """
    data = reader.read_image_bytes(path, limits)
    decoded = reader.image_from_bytes(data, where=str(path), limits=limits)
    height, width = decoded.pixels.shape[:2]
    if verbatim.storable(data) and bits is None and window is None:
        stripped, removed = verbatim.strip(data)
        extension: Literal["jpg", "png"] = "png" if stripped[:4] == b"\x89PNG" else "jpg"
        image = Image(stripped, extension, width, height, width, height)
        return image, decoded.repairs + removed
    pixels, notes = decoded.pixels, decoded.repairs
    if pixels.dtype != np.uint8 or window is not None:
        bits = bits if window else bits or decoded.bits
        pixels = reader.to_uint8(pixels, bits=bits, window=window)
        how = f"window {window[0]:g}/{window[1]:g}" if window else f"{bits} bits"
        notes = (*notes, f"reduced to 8 bits: {how}")
    return image_from_pixels(pixels), notes


def with_facts(image: Image, **facts: Any) -> Image:
    """The same image with other facts, such as view or laterality."""
    return replace(image, **facts)
