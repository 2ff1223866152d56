"""One image looked at: the screen, then OCR where it marks something or the device is suspect."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qoqdata.curation.burned_in import recogniser
from qoqdata.curation.burned_in.screen import CERTAIN, MARKED, Mark, marks


class Seen(NamedTuple):
    """Text in an image: corners in its pixels, kind ("text", or "marker" for one or two letters,
    which name nobody), evidence ("screen" or "ocr"), score 0 to 1, characters read (None: unread).
    """

    x0: int
    y0: int
    x1: int
    y1: int
    kind: str
    evidence: str
    score: float
    length: int | None


def look(pixels: NDArray[np.uint8], *, suspect: bool, ocr: bool) -> list[Seen]:
    """Text in an image (rows, columns, 3 RGB), from top to bottom.

    `suspect` is an image of a device that writes on its pictures: OCR reads it whether the screen
    marks it or not. Without `ocr` the screen alone decides.
    """
    image = _grey_if_equal(pixels)
    found = marks(image, MARKED)
    read = recogniser.readings(pixels) if ocr and (suspect or found) else []
    seen = [
        Seen(*line[:4], "marker" if line.short else "text", "ocr", line.confidence, line.length)
        for line in read
    ]
    # A mark beside what was read belongs to it more likely than not: it would stay unblanked.
    beside = any(line.kind == "text" for line in seen)
    for mark in found:
        if (beside or mark.score >= CERTAIN) and not any(_holds(line, mark) for line in seen):
            kind = "marker" if mark.short else "text"
            seen.append(Seen(*mark[:4], kind, "screen", mark.score, None))
    return sorted(seen, key=lambda one: (one.y0, one.x0))


def _holds(line: Seen, mark: Mark) -> bool:
    """Whether most of the mark lies in a line that was read."""
    width = min(line.x1, mark.x1) - max(line.x0, mark.x0)
    height = min(line.y1, mark.y1) - max(line.y0, mark.y0)
    inside = max(width, 0) * max(height, 0)
    return inside > 0.6 * (mark.x1 - mark.x0) * (mark.y1 - mark.y0)


def _grey_if_equal(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One channel of a grey image, which costs a third."""
    first = pixels[..., 0]
    same = np.array_equal(first, pixels[..., 1]) and np.array_equal(first, pixels[..., 2])
    return np.ascontiguousarray(first) if same else pixels
