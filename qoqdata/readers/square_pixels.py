"""Square pixels: the one rule by which frames and slices become as wide as they are high.

The coarser direction is enlarged, so no detail is lost. Whole pixel counts leave a rest, which the
spacing given tells.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: How an image says that it was made square.
RESAMPLED = "pixels were not square: resampled to square"


def square_size(rows: int, columns: int, aspect: float) -> tuple[int, int]:
    """Rows and columns with square pixels, to the nearest whole number.

    aspect: height over width of a pixel of the image that has `rows` and `columns`. An image that
    is square to within half a pixel keeps its size.
    """
    if aspect > 1.0:
        return max(1, round(rows * aspect)), columns
    return rows, max(1, round(columns / aspect))


def resample_linear(image: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Grey or RGB uint8, float32 or float64 at `size` (rows, columns); itself when it has it.

    Bilinear in floating point, pixel centres at +0.5, edges held; uint8 is rounded once, half up.
    """
    if image.shape[:2] == size:
        return image
    import cv2

    rows, columns = size
    floats = image.astype(np.float32) if image.dtype == np.uint8 else image
    out = np.asarray(cv2.resize(floats, (columns, rows), interpolation=cv2.INTER_LINEAR))
    return np.floor(out + 0.5).astype(np.uint8) if image.dtype == np.uint8 else out


def resample_nearest(codes: NDArray[Any], size: tuple[int, int]) -> NDArray[Any]:
    """Label codes (rows, columns) at `size`: each pixel takes the code that its centre lies in."""
    if codes.shape == size:
        return codes
    rows, columns = (
        (2 * np.arange(count) + 1) * stored // (2 * count)
        for count, stored in zip(size, codes.shape, strict=True)
    )
    return codes[np.ix_(rows, columns)]
