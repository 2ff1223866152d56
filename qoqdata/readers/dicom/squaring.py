"""Pixels that are not square, resampled once so that one pixel is as wide as it is high."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Spacings written with few digits differ by less than this; resampling them would only blur.
_TOLERANCE = 0.01


def square_size(rows: int, columns: int, aspect: float) -> tuple[int, int]:
    """Rows and columns with square pixels; `aspect` is the height of a stored pixel over its width.

    The coarser direction is enlarged, so no detail is lost. Within 1 % of square, as given.
    """
    if abs(aspect - 1.0) <= _TOLERANCE:
        return rows, columns
    if aspect > 1.0:
        return max(1, round(rows * aspect)), columns
    return rows, max(1, round(columns / aspect))


def resample(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A grey or RGB frame at `size` (rows, columns), bilinear; itself when it has that size."""
    if frame.shape[:2] == size:
        return frame
    import cv2

    rows, columns = size
    return np.asarray(cv2.resize(frame, (columns, rows), interpolation=cv2.INTER_LINEAR), np.uint8)
