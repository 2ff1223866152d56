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


class _Mask(NamedTuple):
    """What is thin in an image and at least `level` brighter, or darker, than its ground: 0 or 255,
    with the places where lines could be, and its number: masks of bright strokes come first."""

    pixels: NDArray[np.uint8]
    places: list[Place]
    level: int
    number: int


def strokes(pixels: NDArray[np.uint8]) -> Strokes:
    """Of an image (rows, columns) or (rows, columns, 3 RGB): bright, dark, by level."""
    grey: Any = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return Strokes(*_components(list(_masks(pixels)), grey).T)


def _masks(pixels: NDArray[np.uint8]) -> Iterator[_Mask]:
    """The masks in which a line could be."""
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (_WIDEST_STROKE, _WIDEST_STROKE))
    for side, operation in enumerate((cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)):
        hat: Any = cv2.morphologyEx(pixels, operation, kernel)
        if hat.ndim == 3:
            # On views, which costs a quarter of taking the channels apart.
            hat = np.maximum(np.maximum(hat[..., 0], hat[..., 1]), hat[..., 2])
        for number, level in enumerate(_LEVELS):
            mask: Any = cv2.threshold(hat, level, 255, cv2.THRESH_BINARY)[1]
            inside = cv2.countNonZero(mask)
            if not inside:
                # Nor does anything stand out by more.
                break
            if inside < _FULLEST * mask.size and (where := list(places(mask))):
                yield _Mask(mask, where, level, number + side * len(_LEVELS))


def _components(masks: list[_Mask], grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Those of all masks that could be strokes, (n, 9): the columns of Strokes. Sorted mask by
    mask; where places overlap, a component is found twice and told once."""
    found, labels, shades, before = [], [], [], 0
    for mask in masks:
        for down, across in mask.places:
            result: Any = cv2.connectedComponentsWithStats(
                mask.pixels[down, across], connectivity=8, ltype=cv2.CV_32S
            )
            # The ground is no component.
            stats = np.empty((len(result[2]) - 1, 7), np.int32)
            stats[:, :5] = result[2][1:]
            stats[:, :2] += across.start, down.start
            stats[:, 5:] = mask.level, mask.number
            inside = result[1] > 0
            labels.append(result[1][inside] + (before - 1))
            shade = grey[down, across][inside]
            # Dark strokes are told as bright ones of the negative.
            shades.append(shade if mask.number < len(_LEVELS) else 255 - shade)
            found.append(stats)
            before += len(stats)
    if not before:
        return np.empty((0, 9), np.float32)
    stats = np.concatenate(found)
    _, _, width, height, area, _, number = stats.T
    box = width * height
    # A full box is a blot, unless it is upright: l, I and 1 are.
    possible = (height >= _LOWEST) & (height <= _HIGHEST) & (width <= 14 * height)
    possible &= (area >= 6) & (area > 0.1 * box) & ((area < 0.9 * box) | (3 * width < height + 3))
    numbers = np.flatnonzero(possible)
    numbers = numbers[_distinct(stats[numbers])]
    # A mask of very many is texture.
    counts = np.bincount(number[numbers], minlength=2 * len(_LEVELS))
    numbers = numbers[counts[number[numbers]] <= _MOST_COMPONENTS]
    if not len(numbers):
        return np.empty((0, 9), np.float32)
    table = np.empty((len(numbers), 9), np.float32)
    table[:, :5], table[:, 7:] = stats[numbers, :5], stats[numbers, 5:]
    peak, table[:, 6] = _levels(
        np.concatenate(shades), np.concatenate(labels), numbers, area[numbers]
    )
    table[:, 5] = np.where(number[numbers] < len(_LEVELS), peak, 255 - peak)
    return table


def _distinct(stats: NDArray[np.int32]) -> NDArray[np.intp]:
    """Components (n, 7) mask by mask and from left to right, each once."""
    x, y, width, height, area, _, number = stats.T.astype(np.int64)
    # Corners are below 2^20, sizes below 2^10 and masks below 2^3, so that one number holds them.
    key = number << 60 | x << 40 | y << 20 | width << 10 | height
    order = np.lexsort((area, key))
    key, area = key[order], area[order]
    new = np.ones(len(order), bool)
    new[1:] = (key[1:] != key[:-1]) | (area[1:] != area[:-1])
    return order[new]


def _levels(
    shades: NDArray[np.uint8],
    labels: NDArray[np.int32],
    numbers: NDArray[np.intp],
    area: NDArray[np.int32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Peak and spread of the components of some numbers, from the shades of all."""
    ranks = np.zeros(int(labels.max()) + 1, np.int32)
    ranks[numbers] = np.arange(1, len(numbers) + 1)
    ranked = ranks[labels]
    inside = ranked > 0
    # By component, and by grey level within it.
    ordered = np.sort(ranked[inside] * 256 + shades[inside].astype(np.int32)) & 255
    first = np.cumsum(area) - area
    last = area - 1
    peak, high, middle = (
        ordered[first + place].astype(np.float32)
        for place in ((0.8 * last).astype(int), (0.95 * last).astype(int), last // 2)
    )
    return peak, high - middle
