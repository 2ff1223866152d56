"""Words for what is around the points of an image that stand out most, by which a cropped copy is
known: a crop moves and enlarges points, and leaves most of them and what is around them.

Points are extrema of differences of Gaussians (Lowe, IJCV 2004) at four sizes, so close that a
crop of a tenth of each side takes one size to another. A word is made of the signs of the lowest
frequencies of a patch; equal ones are found by sorting, among millions too.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Pixels, as the root of the area, of the image in which points are looked for.
SIDE = 72
#: Sizes of points in its pixels, and the next larger one: the last may be 1.4 times the first.
_SIZES = 1.25 ** (np.arange(5) / 2)
#: Points of each size: those that stand out most.
_EACH = 16
POINTS = _EACH * (len(_SIZES) - 1)
#: Of bits of a word, the first so many have to agree; those after them are of finer detail.
WORD_BITS, AGREEING = 32, 28
#: Grey levels by which a point stands out at least, and pixels from the border.
_LEAST, _BORDER = 0.05, 2
#: Samples of a patch along an axis, and half its side in sizes of the point.
_SAMPLES, _REACH = 8, 7.0
#: Bytes of the points of an image: of each a word, and its place across and down, in 256ths.
BYTES = POINTS * 6


def keypoints(small: NDArray[np.uint8]) -> bytes:
    """BYTES of a grey image (rows, columns) of about SIDE squared pixels: words (POINTS,) as
    uint32, 0 where there are fewer points, then places (POINTS, 2: across, down) as uint8."""
    import cv2

    rows, columns = small.shape
    blurred: list[Any] = [cv2.GaussianBlur(small.astype(np.float32), (0, 0), _SIZES[0])]
    for size, larger in pairwise(_SIZES):
        step = float(np.sqrt(larger**2 - size**2))
        blurred.append(cv2.GaussianBlur(blurred[-1], (0, 0), step))
    # All sizes below each other, as one image: few calls, and what lies across is near a border.
    stack = np.concatenate(blurred)
    signed = stack[:-rows] - stack[rows:]
    outstanding = np.abs(signed)
    extreme = outstanding == cv2.dilate(outstanding, _AROUND)
    extreme &= outstanding > _LEAST
    edge = extreme.reshape(-1, rows, columns)
    edge[:, :_BORDER] = edge[:, -_BORDER:] = edge[..., :_BORDER] = edge[..., -_BORDER:] = False
    at = np.flatnonzero(extreme)
    level = at // (rows * columns)
    order = np.lexsort((-outstanding.ravel()[at], level))
    first = np.searchsorted(level, np.arange(len(_SIZES) - 1))
    order = order[np.arange(len(order)) - first[level] < _EACH]
    level, at = level[order], at[order]
    words = np.zeros(POINTS, np.uint32)
    places = np.zeros((POINTS, 2), np.uint8)
    if count := len(at):
        y, x = np.divmod(at, columns)
        y -= level * rows
        beside = np.array([[-1], [0], [1]])
        near = signed.ravel()[at + np.stack([beside, beside * columns])]
        right, low = x.astype(np.float32), y.astype(np.float32)
        right += _vertex(*near[0])
        low += _vertex(*near[1])
        reach = _REACHES[level][:, None]
        at_x = right[:, None] + reach * _GRID[:, 0]
        at_y = low[:, None] + reach * _GRID[:, 1]
        np.maximum(np.minimum(at_x, columns - 1, out=at_x), 0, out=at_x)
        np.maximum(np.minimum(at_y, rows - 1, out=at_y), 0, out=at_y)
        at_y += (level * rows).astype(np.float32)[:, None]
        bits = np.empty((count, WORD_BITS), bool)
        bits[:, 0] = near[0, 1] > 0
        np.greater(cv2.remap(stack, at_x, at_y, cv2.INTER_LINEAR) @ _WAVES, 0, out=bits[:, 1:])
        words[:count] = np.maximum(np.packbits(bits, axis=1).view(">u4").ravel(), 1)
        places[:count, 0] = (right + 0.5) * (256 / columns)
        places[:count, 1] = (low + 0.5) * (256 / rows)
    return words.tobytes() + places.tobytes()


def words_and_places(
    cells: NDArray[np.uint8],
) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Words (n, POINTS) and places (n, POINTS, 2) of n images, from their bytes (n, BYTES)."""
    ends = POINTS * 4
    words = cells[:, :ends].view(np.uint32)
    return words, cells[:, ends:].reshape(len(cells), POINTS, 2)


def _vertex(
    before: NDArray[np.float32], here: NDArray[np.float32], after: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How far beside an extremum, along an axis, the parabola through it has its vertex."""
    bend = 2 * here - before - after
    shift = (after - before) / np.where(bend == 0, 1, 2 * bend)
    return np.maximum(np.minimum(shift, 0.5), -0.5)


def _waves() -> NDArray[np.float32]:
    """(samples squared, WORD_BITS - 1): cosines of low frequencies within a Gaussian, each without
    a mean, the lowest first."""
    cosines = np.cos(np.pi * (np.arange(_SAMPLES) + 0.5) * np.arange(_SAMPLES)[:, None] / _SAMPLES)
    order = sorted(
        ((a, b) for a in range(_SAMPLES) for b in range(_SAMPLES) if a + b),
        key=lambda pair: (sum(pair), max(pair)),
    )
    waves = np.stack([np.outer(cosines[b], cosines[a]).ravel() for a, b in order], axis=1)
    window = np.exp(-((_GRID / 0.7) ** 2).sum(axis=1) / 2)[:, None]
    waves = waves[:, : WORD_BITS - 1] * window
    waves -= window * (waves.sum(axis=0) / window.sum())
    return (waves / np.linalg.norm(waves, axis=0)).astype(np.float32)


_AROUND = np.ones((3, 3), np.uint8)
_REACHES = (_REACH * _SIZES).astype(np.float32)
_LINE = np.linspace(-1, 1, _SAMPLES, dtype=np.float32)
#: Places of samples (across, down), rows first.
_GRID = np.stack(np.meshgrid(_LINE, _LINE), axis=-1).reshape(-1, 2)
_WAVES = _waves()
