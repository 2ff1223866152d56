"""OCR of what the screen marks: RapidOCR, whose models come inside its package."""

from __future__ import annotations

import importlib.util
import threading
import unicodedata
from functools import cache
from importlib.metadata import version
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

#: Confidences from which a reading counts.
_SURE = 0.6
#: Characters that name somebody: fewer are a marker. A Chinese name may have two.
_LETTERS = 3
#: Sides in pixels: smaller images are enlarged, larger ones shrunk.
_SMALLEST_SIDE, _LARGEST_SIDE = 448, 1024
_LOCK = threading.Lock()


class Reading(NamedTuple):
    """A line as read: corners in pixels of the image, confidence 0 to 1, number of characters, and
    whether they are so few that they name nobody."""

    x0: int
    y0: int
    x1: int
    y1: int
    confidence: float
    length: int
    short: bool


def recogniser_name() -> str | None:
    """Name and version of the OCR that is installed, None without one."""
    missing = any(importlib.util.find_spec(name) is None for name in ("rapidocr", "onnxruntime"))
    return None if missing else f"rapidocr {version('rapidocr')}"


def readings(pixels: NDArray[np.uint8]) -> list[Reading]:
    """Lines of an image (rows, columns) or (rows, columns, 3 RGB), from top to bottom."""
    colour = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR if pixels.ndim == 2 else cv2.COLOR_RGB2BGR)
    with _LOCK:
        found = _engine()(colour)
    lines = zip(found.boxes, found.txts, found.scores, strict=True) if found.txts else ()
    last = (pixels.shape[1], pixels.shape[0])
    read = []
    for corners, text, confidence in lines:
        x0, y0 = np.clip(np.floor(corners.min(axis=0)), 0, last).astype(int).tolist()
        x1, y1 = np.clip(np.ceil(corners.max(axis=0)), 0, last).astype(int).tolist()
        count = letters(text)
        if confidence >= _SURE and count:
            read.append(Reading(x0, y0, x1, y1, float(confidence), count, count < _LETTERS))
    return sorted(read, key=lambda line: (line.y0, line.x0))


def letters(text: str) -> int:
    """Letters and digits of a text; those of scripts without spaces count for two."""
    return sum(1 + (unicodedata.east_asian_width(c) == "W") for c in text if c.isalnum())


@cache
def _engine() -> Any:
    from rapidocr import RapidOCR

    return RapidOCR(
        params={
            # One image at a time and one thread an image: images are looked at in parallel.
            "EngineConfig.onnxruntime.intra_op_num_threads": 1,
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
            "Global.log_level": "error",
            "Global.use_cls": False,
            "Global.width_height_ratio": -1,
            "Global.min_side_len": _SMALLEST_SIDE,
            "Global.max_side_len": _LARGEST_SIDE,
            "Det.limit_type": "max",
            "Det.limit_side_len": _LARGEST_SIDE,
        }
    )
