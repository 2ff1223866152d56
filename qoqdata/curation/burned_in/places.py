"""Where in a mask a line of letters could stand, seen at a quarter of the size.

Letters of a line lie so close that they join when gaps of a letter are closed: a bar, long, low and
full, whose rows change between ink and ground at every stroke. Vessels, hairs and borders make bars
that change twice, texture one that fills the image. The bounds keep 99 of 100 bars of text on the
images that the weights of the screen are fitted to, and one in twelve of the others.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

#: Pixels of a cell's side: smaller than the smallest letter, so that a line has several.
_CELL = 4
#: Cells of the bar: width (two letters of 9 pixels), height (capitals of 64 pixels, or a few lines
#: that touch), the share of its box that is full, and width by height.
_SHORTEST, _HIGHEST, _FULL, _LONG = 4, 40, 0.3, 0.8
#: Changes between ink and ground in a row of pixels, and the same for a bar as long as high.
_CHANGES, _CHANGES_OF_SQUARE = 3.0, 0.8
#: Gaps of fewer cells are closed: those between letters, and most between words.
_GAPS = (1, 9)
#: Of a bar's box, the share that is ink at most: strokes leave room.
_MOST_INK = 0.65
_MARGIN = 6

#: Rows and columns of a mask.
Place = tuple[slice, slice]


def places(mask: NDArray[np.uint8]) -> Iterator[Place]:
    """Where a mask (rows, columns; 0 or 255) could hold lines; some places overlap."""
    if min(mask.shape) < _CELL:
        return
    ink = _cells(mask)
    # Each pixel with the one before it, the first with the last; np.roll would copy the mask.
    changed = np.empty_like(mask)
    np.bitwise_xor(mask[:, 1:], mask[:, :-1], out=changed[:, 1:])
    np.bitwise_xor(mask[:, 0], mask[:, -1], out=changed[:, 0])
    inks, changes = cv2.integral(ink), cv2.integral(_cells(changed))
    # Of 16 pixels one that is set makes 16 after averaging.
    cells = cv2.threshold(ink, 15, 255, cv2.THRESH_BINARY)[1]
    for gap in _GAPS:
        bars = cells
        if gap > 1:
            kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (gap, 1))
            bars = cv2.morphologyEx(cells, cv2.MORPH_CLOSE, kernel)
        stats = cv2.connectedComponentsWithStats(bars, connectivity=4, ltype=cv2.CV_32S)[2][1:]
        _, _, width, height, area = stats.T
        like = (width >= _SHORTEST) & (height <= _HIGHEST) & (width >= _LONG * height)
        like &= area >= _FULL * width * height
        # Few are left, and sums of few cost less one by one.
        for box in stats[like].tolist():
            left, top, wide, high, _ = box
            per_row = _sum(changes, box) * _CELL / 255 / high
            if per_row < _CHANGES or per_row * high < _CHANGES_OF_SQUARE * wide:
                continue
            if _sum(inks, box) <= 255 * _MOST_INK * wide * high:
                yield (
                    slice(max(top * _CELL - _MARGIN, 0), (top + high) * _CELL + _MARGIN),
                    slice(max(left * _CELL - _MARGIN, 0), (left + wide) * _CELL + _MARGIN),
                )


def _cells(mask: Any) -> Any:
    """Means of cells. Halving twice takes a fifth of the time of quartering."""
    rows, columns = (side // _CELL * _CELL for side in mask.shape)
    whole = mask[:rows, :columns]
    half = cv2.resize(whole, (columns // 2, rows // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(half, (columns // 4, rows // 4), interpolation=cv2.INTER_AREA)


def _sum(integral: Any, box: list[int]) -> int:
    """The sum over the box of a component."""
    x, y, width, height, _ = box
    right, base = x + width, y + height
    corners = integral[base, right], integral[y, right], integral[base, x], integral[y, x]
    low, over, before, start = map(int, corners)
    return low - over - before + start
