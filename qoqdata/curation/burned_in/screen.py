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
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from qoqdata.curation.burned_in.strokes import Strokes, strokes

#: Larger images are shrunk to this first: letters that a person reads on a screen stay above 5
#: pixels.
MOST_PIXELS = 1 << 20
#: Of the logistic model: an intercept, and a weight for each of `measures`.
WEIGHTS = np.array([
    -31.493882, 6.7619159, 0.70098072, 3.5336093, -5.8014914, -1.704746, 0.26423835,
    -0.84457684, 1.947359, 1.8798575, 1.3570635, 3.1068284, 10.089116,
])  # fmt: skip
#: Scores from which a line is marked, and from which it is a finding whatever OCR reads there.
MARKED, CERTAIN = 0.8, 0.96
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
        for part in strokes(small)
        for box, height, length, score in _scored(part)
        if score >= least
    ]
    return _apart(sorted(found, key=lambda mark: (-mark.score, mark)))


def measures(part: Strokes) -> Iterator[tuple[tuple[float, ...], NDArray[np.float64]]]:
    """The corners of each line of strokes (x0, y0, x1, y1), and the logarithms and ratios that the
    model weighs, (12,)."""
    for line in _lines(part):
        x, y, width, height = (column[line] for column in part[:4])
        right, base, tall = x + width, y + height, float(np.median(height))
        box = float(x.min()), float(y.min()), float(right.max()), float(base.max())
        length = (box[2] - box[0]) / tall
        unrest = min(float(base.std()), float(y.std())) / tall
        logs = (len(line), max(length, 0.5), tall, max((box[3] - box[1]) / tall, 1.0),
                part.peak[line].std() + 2, part.spread[line].mean() + 3, unrest + 0.02,
                max(float((width / tall).max()), 0.2), part.level)  # fmt: skip
        cover = width.sum() / (box[2] - box[0])
        fill = part.area[line].sum() / (width * height).sum()
        yield box, np.array([*np.log(logs), (height / tall).std(), cover, fill], np.float64)


def _scored(part: Strokes) -> Iterator[tuple[tuple[float, ...], float, float, float]]:
    for box, values in measures(part):
        height, length = float(np.exp(values[2])), float(np.exp(values[1]))
        yield box, height, length, float(1 / (1 + np.exp(-(WEIGHTS[0] + values @ WEIGHTS[1:]))))


def _lines(part: Strokes) -> list[NDArray[np.intp]]:
    """Indices of the strokes of each line: neighbours of like height and colour that share a base
    line or an upper edge. A single one counts where it is wide, as letters that touch are."""
    x, y, width, height = part[:4]
    right, base, count = x + width, y + height, len(x)
    # From left to right: whom a stroke can reach.
    reach = np.searchsorted(x, right + 1.2 * np.maximum(height, 8), "right")
    further = np.maximum(reach - np.arange(count) - 1, 0)
    one = np.repeat(np.arange(count), further)
    other = np.arange(len(one)) - np.repeat(np.cumsum(further) - further, further) + one + 1
    high, low = np.maximum(height[one], height[other]), np.minimum(height[one], height[other])
    gap = x[other] - right[one]
    level = np.minimum(np.abs(base[one] - base[other]), np.abs(y[one] - y[other]))
    near = (gap < 0.9 * high + 2) & (gap > -0.4 * low) & (low > 0.5 * high)
    near &= (level <= 0.2 * high + 1) & (np.abs(part.peak[one] - part.peak[other]) < 30)
    links = coo_matrix((np.ones(near.sum(), bool), (one[near], other[near])), (count, count))
    groups = connected_components(links, directed=False)[1]
    order = np.argsort(groups, kind="stable")
    lines = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    return [line for line in lines if len(line) > 1 or width[line[0]] >= 2 * height[line[0]]]


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
