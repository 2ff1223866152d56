"""Components that could be strokes of letters: thin, sharp, and brighter or darker than around.

A top-hat (what an opening takes away) keeps structures thinner than a bold stroke, whatever the
ground below them; three thresholds part letters from grounds of different unrest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

#: Pixels; wider than the strokes of bold letters of 32 pixels.
_WIDEST_STROKE = 11
#: Grey levels above the ground.
_LEVELS = (20, 40, 80)
#: Pixels; smaller letters cannot be read, larger ones are a headline, of which a mark sees parts.
_LOWEST, _HIGHEST = 5, 64
_MOST_COMPONENTS = 1200
#: A mask fuller than this is texture, in which nothing stands alone.
_FULLEST = 0.35


class Strokes(NamedTuple):
    """Components of one mask from left to right: float32 arrays (n,), in pixels; `peak` is the grey
    level of a component's extreme pixels, `spread` how far its others lie from them."""

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    width: NDArray[np.float32]
    height: NDArray[np.float32]
    area: NDArray[np.float32]
    peak: NDArray[np.float32]
    spread: NDArray[np.float32]
    level: int


def strokes(pixels: NDArray[np.uint8]) -> Iterator[Strokes]:
    """Of an image (rows, columns) or (rows, columns, 3 RGB): bright and dark, by level."""
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (_WIDEST_STROKE, _WIDEST_STROKE))
    grey: Any = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    for bright in (True, False):
        operation = cv2.MORPH_TOPHAT if bright else cv2.MORPH_BLACKHAT
        hat: Any = cv2.morphologyEx(pixels, operation, kernel)
        hat = hat if hat.ndim == 2 else hat.max(axis=2)
        for level in _LEVELS:
            yield from _of_level(hat, grey, level, bright=bright)


def _of_level(
    hat: NDArray[np.uint8], grey: NDArray[np.uint8], level: int, *, bright: bool
) -> Iterator[Strokes]:
    mask = cv2.threshold(hat, level, 255, cv2.THRESH_BINARY)[1]
    if not 0 < cv2.countNonZero(mask) < _FULLEST * mask.size:
        return
    left, top, columns, rows = cv2.boundingRect(mask)
    mask = mask[top : top + rows, left : left + columns]
    labels: Any
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S)
    _, _, width, height, area = stats.T
    box = width * height
    # A full box is a blot, unless it is upright: l, I and 1 are.
    possible = (height >= _LOWEST) & (height <= _HIGHEST) & (width <= 14 * height)
    possible &= (area >= 6) & (area > 0.1 * box) & ((area < 0.9 * box) | (3 * width < height + 3))
    possible[0] = False
    numbers = np.flatnonzero(possible)
    if not 0 < len(numbers) <= _MOST_COMPONENTS:
        return
    numbers = numbers[np.argsort(stats[numbers, 0], kind="stable")]
    part = grey[top : top + rows, left : left + columns]
    levels = [_levels(part, labels, number, stats[number], bright) for number in numbers.tolist()]
    peak, spread = np.array(levels, np.float32).T
    x, y, width, height, area = stats[numbers].T.astype(np.float32)
    yield Strokes(x + left, y + top, width, height, area, peak, spread, level)


def _levels(
    grey: NDArray[np.uint8], labels: NDArray[np.int32], number: int, stats: NDArray[np.int32],
    bright: bool,
) -> tuple[float, float]:  # fmt: skip
    x, y, width, height, _ = stats.tolist()
    place = slice(y, y + height), slice(x, x + width)
    inside = np.sort(grey[place][labels[place] == number])
    if not bright:
        inside = 255 - inside[::-1]
    last = len(inside) - 1
    peak = float(inside[int(0.8 * last)])
    spread = float(inside[int(0.95 * last)]) - float(inside[last // 2])
    return (peak if bright else 255 - peak), spread
