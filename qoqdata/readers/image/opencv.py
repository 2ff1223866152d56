"""OpenCV as a decoder: all bits of a sample kept, colours in RGB order."""

from __future__ import annotations

import numpy as np

from qoqdata.readers.decoder_log import decoder_log


def decoded(data: bytes) -> tuple[np.ndarray | None, list[str]]:
    """The image, (rows, columns) or (rows, columns, 3 or 4), as stored, in its own bit depth.

    None when OpenCV cannot decode it. The second value is what the underlying decoder reported; an
    image that comes with reports is damaged, for OpenCV does not act on them.
    """
    import cv2

    with decoder_log() as log:
        try:
            values = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        except cv2.error:
            values = None
    if values is not None and values.ndim == 3:
        order = cv2.COLOR_BGRA2RGBA if values.shape[2] == 4 else cv2.COLOR_BGR2RGB
        values = cv2.cvtColor(values, order)
    return values, log
