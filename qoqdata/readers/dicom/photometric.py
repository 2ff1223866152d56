"""Colour frames as RGB, 8 bits: YBR variants, palettes and deeper RGB (PS3.3 C.7.6.3.1.2)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.dicom import elements
from qoqdata.readers.dicom.decode import StoredFrame
from qoqdata.readers.dicom.image_pixel import ImagePixel
from qoqdata.readers.dicom.lookup import descriptor, entries, segmented_entries
from qoqdata.readers.dicom.windowing import stored_values

_FULL_RANGE = ("YBR_FULL", "YBR_FULL_422")
_PARTIAL_RANGE = ("YBR_PARTIAL_422", "YBR_PARTIAL_420")
# Rows R, G, B; columns Y, CB, CR and a constant: the inverse of the CCIR 601-2 equations of
# C.7.6.3.1.2, black at Y 16 and white at Y 235.
_PARTIAL_TO_RGB = np.array(
    [
        [1.16438, 0.0, 1.59603, -222.921],
        [1.16438, -0.39176, -0.81297, 135.576],
        [1.16438, 2.01723, 0.0, -276.836],
    ],
    np.float32,
)


def rgb(pixel: ImagePixel, frame: StoredFrame) -> NDArray[np.uint8]:
    """RGB (rows, columns, 3) of a decoded colour frame; deeper samples keep their top 8 bits.

    Raises UnsupportedFormat for colour spaces that are not RGB or YBR, UnreadableFile for signed
    samples.
    """
    if pixel.signed:
        raise UnreadableFile("colour samples cannot be signed")
    samples = _eight_bits(frame.values, pixel.bits_stored)
    if frame.photometric == "RGB":
        return samples
    import cv2

    if frame.photometric in _FULL_RANGE:
        luma, blue, red = cv2.split(samples)
        pixels = cv2.cvtColor(cv2.merge((luma, red, blue)), cv2.COLOR_YCrCb2RGB)
        return np.asarray(pixels, np.uint8)
    if frame.photometric in _PARTIAL_RANGE and pixel.transfer_syntax.is_encapsulated:
        return np.asarray(cv2.transform(samples, _PARTIAL_TO_RGB), np.uint8)
    raise UnsupportedFormat(f"photometric interpretation {frame.photometric}")


def palette(dataset: Dataset, pixel: ImagePixel) -> NDArray[np.uint8]:
    """RGB of every container word of a PALETTE COLOR image, shape (2 ** word_bits, 3).

    The tables of PS3.3 C.7.6.3.1.5 and C.7.6.3.1.6, or segmented ones (C.7.9.2); 16-bit entries
    keep their top 8 bits. Raises UnreadableFile when a table is missing or damaged.
    """
    if not pixel.tabled:
        raise UnsupportedFormat(f"a palette for {pixel.bits_allocated}-bit pixels")
    values = stored_values(*pixel.word)
    little = pixel.transfer_syntax.is_little_endian
    channels = []
    for colour in ("Red", "Green", "Blue"):
        name = f"{colour}PaletteColorLookupTable"
        count, first, bits = descriptor(dataset, f"{name}Descriptor", negative=pixel.signed)
        if elements.value(dataset, f"{name}Data") is not None:
            table = entries(dataset, f"{name}Data", count, bits, little=little)
        else:
            table = segmented_entries(dataset, f"Segmented{name}Data", count, bits, little=little)
        if bits > 8 or table.max() > 255:
            table >>= np.uint16(bits - 8 if bits > 8 else 8)
        index = np.clip(values - first, 0, count - 1)
        channels.append(table[index].astype(np.uint8))
    return np.stack(channels, axis=-1)


def palette_rgb(values: NDArray[Any], table: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB (rows, columns, 3) of palette indices (rows, columns), as unsigned container words."""
    import cv2

    if values.dtype == np.uint8:
        channels = [cv2.LUT(values, np.ascontiguousarray(table[:, k])) for k in range(3)]
        return np.asarray(cv2.merge(channels), np.uint8)
    return np.take(table, values, axis=0)


def _eight_bits(samples: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    if bits == 8:
        return samples.astype(np.uint8, copy=False)
    values = samples & np.array(2**bits - 1, samples.dtype)
    if bits > 8:
        return np.asarray(values >> (bits - 8)).astype(np.uint8)
    return np.asarray(values.astype(np.uint16) * 255 // (2**bits - 1)).astype(np.uint8)
