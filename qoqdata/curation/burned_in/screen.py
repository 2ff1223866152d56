"""The screen: strokes that stand in a line, of one height and one colour, are marked.

What devices write has one colour, one base line and one size of letters; vessels, hairs and nuclei
do not. A logistic model over what a line measures gives the score. Its weights are fitted by
`python -m benchmarks.burned_in --fit` to synthetic lines on half of the real images of the
benchmark; docs/burned_in.md has the figures on the other half.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from qoqdata.curation.burned_in.strokes import Strokes, strokes

#: Larger images are shrunk to this first: letters that a person reads on a screen stay above 5
#: pixels.
MOST_PIXELS = 1 << 20
#: Of the logistic model: an intercept, and a weight for each of `measures`.
WEIGHTS = np.array([
    -27.973232, 5.744551, 1.0560364, 3.6646698, -4.0744257, -1.1636227,
    -0.038796839, -0.90040112, 1.5980241, 1.7257958, 0.038716527, 0.28713442,
    8.9454301,
])  # fmt: skip
#: Scores from which a line is marked, and from which it is a finding whatever OCR reads there.
MARKED, CERTAIN = 0.8, 0.9
#: Letters L, R, AP and the numbers of a ruler are no longer than this many times their height.
_MARKER = 2.0


class Mark(NamedTuple):
    """A line that may be text: its corners in pixels of the image, its score 0 to 1, and whether it
    is as short as a marker of one or two letters."""

    x0: int
    y0: int
    x1: int
    y1: int
    score: float
    short: bool


def marks(pixels: NDArray[np.uint8], least: float = MARKED) -> list[Mark]:
    """Lines of an image (rows, columns) or (rows, columns, 3 RGB) of `least` score, best first."""
    small, scale = _bounded(pixels)
    found = [
        _mark(box, height, length, score, scale, pixels.shape)
        for box, height, length, score in _scored(strokes(small))
        if score >= least
    ]
    return _apart(sorted(found, key=lambda mark: (-mark.score, mark)))


def measures(part: Strokes) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The corners (n, 4: x0, y0, x1, y1) of the n lines of strokes, and the logarithms and ratios
    that the model weighs, (n, 12)."""
    order, first = _lines(part)
    if not len(first):
        return np.empty((0, 4)), np.empty((0, 12))
    x, y, width, height, area, peak, spread = (
        column[order].astype(np.float64) for column in part[:7]
    )
    count = np.diff(np.append(first, len(order)))

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.add.reduceat(values, first) / count

    def deviation(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.sqrt(mean((values - np.repeat(mean(values), count)) ** 2))

    right, base = x + width, y + height
    tall = _medians(height, first, count)
    left, top = np.minimum.reduceat(x, first), np.minimum.reduceat(y, first)
    long = np.maximum.reduceat(right, first) - left
    high = np.maximum.reduceat(base, first) - top
    unrest = np.minimum(deviation(base), deviation(y)) / tall
    logs = (count, np.maximum(long / tall, 0.5), tall, np.maximum(high / tall, 1.0),
            deviation(peak) + 2, mean(spread) + 3, unrest + 0.02,
            np.maximum(np.maximum.reduceat(width, first) / tall, 0.2),
            part.level[order][first])  # fmt: skip
    cover = np.add.reduceat(width, first) / long
    fill = np.add.reduceat(area, first) / np.add.reduceat(width * height, first)
    boxes = np.stack([left, top, left + long, top + high], axis=1)
    return boxes, np.stack([*np.log(logs), deviation(height) / tall, cover, fill], axis=1)


def _scored(part: Strokes) -> Iterator[tuple[tuple[float, ...], float, float, float]]:
    boxes, values = measures(part)
    scores = 1 / (1 + np.exp(-(WEIGHTS[0] + values @ WEIGHTS[1:])))
    for box, (_, length, height, *_), score in zip(boxes, values, scores, strict=True):
        yield tuple(box.tolist()), float(np.exp(height)), float(np.exp(length)), float(score)


def _lines(part: Strokes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices of strokes by line, and where each line begins among them: neighbours of like height
    and colour that share a base line or an upper edge. A single one counts where it is wide, as
    letters that touch are."""
    x, y, width, height = part[:4]
    right, base, count = x + width, y + height, len(x)
    # From left to right, masks side by side and out of reach: whom a stroke can reach.
    aside = part.mask.astype(np.float64) * (4 * MOST_PIXELS)
    reach = np.searchsorted(aside + x, aside + right + 1.2 * np.maximum(height, 8), "right")
    further = np.maximum(reach - np.arange(count) - 1, 0)
    one = np.repeat(np.arange(count), further)
    other = np.arange(len(one)) - np.repeat(np.cumsum(further) - further, further) + one + 1
    high, low = np.maximum(height[one], height[other]), np.minimum(height[one], height[other])
    gap = x[other] - right[one]
    level = np.minimum(np.abs(base[one] - base[other]), np.abs(y[one] - y[other]))
    near = (gap < 0.9 * high + 2) & (gap > -0.4 * low) & (low > 0.5 * high)
    near &= (level <= 0.2 * high + 1) & (np.abs(part.peak[one] - part.peak[other]) < 30)
    groups = _joined(one[near], other[near], count)
    lines = (np.bincount(groups, minlength=count) > 1)[groups] | (width >= 2 * height)
    order = np.flatnonzero(lines)
    order = order[np.argsort(groups[order], kind="stable")]
    return order, np.flatnonzero(np.diff(groups[order], prepend=-1))


def _joined(one: NDArray[np.intp], other: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """By stroke the first of those that it is linked with, over others too. `one` < `other`."""
    groups = np.arange(count)
    while True:
        least = np.minimum(groups[one], groups[other])
        joined = groups.copy()
        np.minimum.at(joined, one, least)
        np.minimum.at(joined, other, least)
        # Whoever heads a group may have joined another one.
        joined = joined[joined]
        if np.array_equal(joined, groups):
            return groups
        groups = joined


def _medians(
    values: NDArray[np.float64], first: NDArray[np.intp], count: NDArray[np.intp]
) -> NDArray[np.float64]:
    ordered = values[np.lexsort((values, np.repeat(np.arange(len(first)), count)))]
    low, high = ordered[first + (count - 1) // 2], ordered[first + count // 2]
    return np.asarray((low + high) / 2, np.float64)


def _apart(found: list[Mark]) -> list[Mark]:
    """Marks that overlap made one, which spans both and has the score of the first, the best."""
    kept: list[Mark] = []
    for mark in found:
        for number, other in enumerate(kept):
            width = min(mark.x1, other.x1) - max(mark.x0, other.x0)
            height = min(mark.y1, other.y1) - max(mark.y0, other.y0)
            if width > 0 and height > 0.5 * min(mark.y1 - mark.y0, other.y1 - other.y0):
                low = min(mark.x0, other.x0), min(mark.y0, other.y0)
                high = max(mark.x1, other.x1), max(mark.y1, other.y1)
                kept[number] = Mark(*low, *high, other.score, other.short and mark.short)
                break
        else:
            kept.append(mark)
    return kept


def _mark(
    box: tuple[float, ...],
    height: float,
    length: float,
    score: float,
    scale: float,
    shape: tuple[int, ...],
) -> Mark:
    """A line in pixels of the whole image, with a fifth of a letter more on each side: thin strokes
    and accents lie outside."""
    more = 0.2 * height + 1
    x0, y0, x1, y1 = box
    return Mark(
        max(round((x0 - more) / scale), 0),
        max(round((y0 - more) / scale), 0),
        min(round((x1 + more) / scale), shape[1]),
        min(round((y1 + more) / scale), shape[0]),
        score,
        length < _MARKER,
    )


def _bounded(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    rows, columns = pixels.shape[:2]
    if rows * columns <= MOST_PIXELS:
        return np.ascontiguousarray(pixels), 1.0
    scale = float((MOST_PIXELS / (rows * columns)) ** 0.5)
    size = max(1, round(columns * scale)), max(1, round(rows * scale))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), scale
