"""Components that could be strokes of letters: thin, sharp, and brighter or darker than around.

A top-hat (what an opening takes away) keeps structures thinner than a bold stroke, whatever the
ground below them; three thresholds part letters from grounds of different unrest. Components are
looked for only where `places` sees something as long, as low and as full as a line of letters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from qoqdata.curation.burned_in.places import Place, places

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
    """Components from left to right, mask by mask: float32 arrays (n,), in pixels; `peak` is the
    grey level of a component's extreme pixels, `spread` how far its others lie from them; `level`
    and `mask` are those of the mask that has it."""

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    width: NDArray[np.float32]
    height: NDArray[np.float32]
    area: NDArray[np.float32]
    peak: NDArray[np.float32]
    spread: NDArray[np.float32]
    level: NDArray[np.float32]
    mask: NDArray[np.float32]


def strokes(pixels: NDArray[np.uint8]) -> Strokes:
    """Of an image (rows, columns) or (rows, columns, 3 RGB): bright, dark, by level."""
    parts = [*_of_masks(pixels), np.empty((0, 9), np.float32)]
    return Strokes(*np.concatenate(parts).T)


def _of_masks(pixels: NDArray[np.uint8]) -> Iterator[NDArray[np.float32]]:
    """Tables (n, 9) of the columns of Strokes, by mask."""
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (_WIDEST_STROKE, _WIDEST_STROKE))
    grey: Any = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    for bright in (True, False):
        operation = cv2.MORPH_TOPHAT if bright else cv2.MORPH_BLACKHAT
        hat: Any = cv2.morphologyEx(pixels, operation, kernel)
        if hat.ndim == 3:
            # On views, which costs a quarter of taking the channels apart.
            hat = np.maximum(np.maximum(hat[..., 0], hat[..., 1]), hat[..., 2])
        for number, level in enumerate(_LEVELS):
            mask: Any = cv2.threshold(hat, level, 255, cv2.THRESH_BINARY)[1]
            if not 0 < cv2.countNonZero(mask) < _FULLEST * mask.size:
                continue
            table = _components(mask, grey, list(places(mask)), bright=bright)
            if 0 < len(table) <= _MOST_COMPONENTS:
                # Masks of bright strokes come first.
                own = level, number if bright else number + len(_LEVELS)
                yield np.hstack([table, np.full((len(table), 2), own, np.float32)])


def _components(
    mask: NDArray[np.uint8], grey: NDArray[np.uint8], where: list[Place], *, bright: bool
) -> NDArray[np.float32]:
    """Those of some places that could be strokes, (n, 7): the columns of Strokes up to the spread.
    Sorted; where places overlap, a component is found twice and told once."""
    if not where:
        return np.empty((0, 7), np.float32)
    found, labels, before = [], [], 0
    for down, across in where:
        result: Any = cv2.connectedComponentsWithStats(
            mask[down, across], connectivity=8, ltype=cv2.CV_32S
        )
        stats = result[2]
        stats[:, :2] += across.start, down.start
        # The ground is no component: no height is possible for it.
        stats[0, 3] = 0
        labels.append(result[1].ravel() + before)
        found.append(stats)
        before += len(stats)
    stats = np.concatenate(found)
    _, _, width, height, area = stats.T
    box = width * height
    # A full box is a blot, unless it is upright: l, I and 1 are.
    possible = (height >= _LOWEST) & (height <= _HIGHEST) & (width <= 14 * height)
    possible &= (area >= 6) & (area > 0.1 * box) & ((area < 0.9 * box) | (3 * width < height + 3))
    numbers = np.flatnonzero(possible)
    numbers = numbers[_distinct(stats[numbers])]
    if not len(numbers):
        return np.empty((0, 7), np.float32)
    table = np.empty((len(numbers), 7), np.float32)
    table[:, :5] = stats[numbers]
    shades = np.concatenate([grey[place].ravel() for place in where])
    levels = _levels(shades, np.concatenate(labels), numbers, stats[numbers, 4], bright=bright)
    table[:, 5], table[:, 6] = levels
    return table


def _distinct(stats: NDArray[np.int32]) -> NDArray[np.intp]:
    """Components from left to right, each once."""
    x, y, width, height, area = stats.T.astype(np.int64)
    # Corners are below 2^20 and sizes below 2^10, so that one number holds them.
    key = (x << 40 | y << 20 | width << 10 | height) if len(stats) else x
    order = np.lexsort((area, key))
    new = np.diff(key[order], prepend=-1) != 0
    return order[new | (np.diff(area[order], prepend=-1) != 0)]


def _levels(
    grey: NDArray[np.uint8],
    labels: NDArray[np.int32],
    numbers: NDArray[np.intp],
    area: NDArray[np.int32],
    *,
    bright: bool,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Peak and spread of the components of some numbers."""
    ranks = np.zeros(max(int(labels.max()), int(numbers[-1])) + 1, np.int32)
    ranks[numbers] = np.arange(1, len(numbers) + 1)
    ranked = ranks[labels]
    inside = ranked > 0
    values = grey[inside].astype(np.int32)
    # By component, and by grey level within it.
    ordered = np.sort(ranked[inside] * 256 + (values if bright else 255 - values)) & 255
    first = np.cumsum(area) - area
    last = area - 1
    peak, high, middle = (
        ordered[first + place].astype(np.float32)
        for place in ((0.8 * last).astype(int), (0.95 * last).astype(int), last // 2)
    )
    return (peak if bright else 255 - peak), high - middle
