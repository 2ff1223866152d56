"""Images and label maps at another size.

Both keep the corners of the image where they are: shown pixel j covers the stored columns from
j * s to (j + 1) * s, where s is stored width over shown width, and its centre is (j + 1/2) * s.
"""

from __future__ import annotations

import numpy as np

from qoqdata.stream.decode.budget import Size


def image(pixels: np.ndarray, size: Size) -> np.ndarray:
    """Pixels, uint8 (rows, columns) or (rows, columns, 3), at `size` (width, height).

    A side that shrinks by more than a tenth is averaged over the area of each shown pixel; one that
    grows, or shrinks by less, is interpolated by bicubic convolution (there is too little to
    average, and it is nearer to the antialiased bicubic filter of the policies' processors). The
    same array is returned when the size is right.
    """
    import cv2

    rows, columns = pixels.shape[:2]
    width, height = size
    averaged = (
        width if 10 * columns > 11 * width else columns,
        height if 10 * rows > 11 * height else rows,
    )
    if averaged != (columns, rows):
        pixels = cv2.resize(pixels, averaged, interpolation=cv2.INTER_AREA)
    if averaged != size:
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
    return pixels


def labels(codes: np.ndarray, size: Size) -> np.ndarray:
    """Codes (rows, columns) at `size` (width, height), each from the stored pixel that holds the
    centre of the shown one (the lower right of two where the centre lies on their edge), in whole
    numbers. The same array is returned when the size is right."""
    rows, columns = codes.shape
    width, height = size
    if (columns, rows) == size:
        return codes
    return codes[_centres(rows, height)][:, _centres(columns, width)]


def lost(codes: np.ndarray, shown: np.ndarray) -> list[int]:
    """Codes of a label map that its shown form has no pixel of, ascending."""
    present = np.zeros(int(codes.max(initial=0)) + 1, bool)
    present[codes] = True
    present[shown] = False
    return [int(code) for code in np.flatnonzero(present)]


def _centres(stored: int, shown: int) -> np.ndarray:
    return (2 * np.arange(shown, dtype=np.int64) + 1) * stored // (2 * shown)
