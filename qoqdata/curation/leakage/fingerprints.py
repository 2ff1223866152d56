"""What is left of an image to compare it by: 64 bits to find it, a small grey image to be sure.

Both survive another encoding, another size and another brightness. They do not survive a flip, a
rotation or a crop.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SIDE, _LOW = 32, 8
THUMBNAIL = 64
#: Standard deviation in grey levels below which an image shows nothing to tell it by.
_FLAT = 2.0


def fingerprint(pixels: NDArray[np.uint8]) -> int | None:
    """64 bits of an RGB image (rows, columns, 3): the signs of its lowest frequencies against
    their median (the perceptual hash of Zauner, 2010); None for one that is all but uniform."""
    import cv2

    grey = _grey(pixels, _SIDE)
    if grey.std() < _FLAT:
        return None
    # Without the mean, which says only how bright the image is.
    low = cv2.dct(grey - grey.mean())[:_LOW, :_LOW].ravel()
    bits = np.packbits(low > np.median(low))
    return int.from_bytes(bits.tobytes(), "big")


def thumbnail(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Grey values (THUMBNAIL^2,) with mean 0 and length 1, so that a product is a correlation."""
    grey = _grey(pixels, THUMBNAIL).ravel()
    centred = grey - grey.mean()
    return centred / max(float(np.linalg.norm(centred)), 1e-6)


def _grey(pixels: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    import cv2

    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)
