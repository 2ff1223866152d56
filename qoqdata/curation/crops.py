"""Which images could be cropped copies of which: those that share words of their keypoints
(`records/keypoints.py`) in places that a crop leaves them in.

Words are sorted, and of those that agree only neighbours are compared, so that what is alike in all
images costs no more than what is in two. Words are ordered by finer detail where they agree: among
many images with a word, the likest are neighbours.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qoqdata.records.keypoints import AGREEING, POINTS, WORD_BITS

#: What a crop cuts off each side at most; places move by no more of a side. The margin is for a
#: keypoint's own error.
SIDE_MOST, _MARGIN = 0.1, 0.02
#: Words that two images share at least, in places that lie apart by so much of a side.
_SHARED, _APART = 2, 0.03
#: Neighbours of a sorted word that it is compared with.
_NEIGHBOURS = 16
#: Of an image, the images that share most words with it, which are looked at.
_LOOKED_AT = 16
#: Words are sorted in parts by their first bits, so that memory does not grow with their number.
_PARTS_BITS = 3
#: Squared, the spread in parts of a side at which points say as much of scale as is known before.
_SPREAD = 0.03**2


class Shared(NamedTuple):
    """Pairs of images (n,), `one` < `other`, that share `words`; the other's place is that of the
    one times `scale` plus `shift`, both (n, 2: across, down), in parts of a side."""

    one: NDArray[np.int64]
    other: NDArray[np.int64]
    words: NDArray[np.int64]
    scale: NDArray[np.float64]
    shift: NDArray[np.float64]

    def where(self, chosen: NDArray[np.bool_]) -> Shared:
        """The chosen pairs."""
        one, other, words, scale, shift = self
        return Shared(one[chosen], other[chosen], words[chosen], scale[chosen], shift[chosen])


def sharing_words(words: NDArray[np.uint32], places: NDArray[np.uint8]) -> Shared:
    """Pairs of images that share words, of all (images, POINTS) words and their (images, POINTS, 2)
    places; sorted by one and other.

    Takes time in proportion to the images, whatever they show.
    """
    found = list(_matches(words, places))
    if not found:
        none = np.empty(0, np.int64)
        return Shared(none, none, none, np.empty((0, 2)), np.empty((0, 2)))
    pair, points = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((points, pair))
    pair, points = pair[order], points[order]
    first = np.flatnonzero(np.diff(pair, prepend=-1))
    counts = np.diff(np.append(first, len(pair)))
    here, there = _coordinates(points)
    low, high = np.minimum.reduceat(here, first), np.maximum.reduceat(here, first)
    enough = (counts >= _SHARED) & ((high - low).max(axis=1) >= _APART)
    scale, shift = _fitted(here, there, first, counts)
    one, other = np.divmod(pair[first], len(words))
    return Shared(one, other, counts, scale, shift).where(enough)


def _matches(
    words: NDArray[np.uint32], places: NDArray[np.uint8]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint32]]]:
    """Numbers of pairs (one * images + other) with a word in common, and where both have it."""
    flat, flat_places = words.ravel(), places.reshape(-1, 2).astype(np.int16)
    # In 256ths of a side.
    most = round((SIDE_MOST + _MARGIN) * 256)
    agreeing = np.uint64(32 + WORD_BITS - AGREEING)
    for part in range(1 << _PARTS_BITS):
        mine = np.flatnonzero((flat >> (WORD_BITS - _PARTS_BITS) == part) & (flat != 0))
        packed = (flat[mine].astype(np.uint64) << np.uint64(32)) | mine.astype(np.uint64)
        packed.sort()
        point = (packed & np.uint64(0xFFFFFFFF)).astype(np.int64)
        word, image = packed >> agreeing, point // POINTS
        for distance in range(1, _NEIGHBOURS + 1):
            near = np.flatnonzero(word[distance:] == word[:-distance])
            if not len(near):
                break
            near = near[image[near] != image[near + distance]]
            a, b = point[near], point[near + distance]
            a, b = np.minimum(a, b), np.maximum(a, b)
            one, other = flat_places[a], flat_places[b]
            possible = (np.abs(one - other) <= most).all(axis=1)
            a, b, both = a[possible], b[possible], np.hstack([one, other])[possible]
            coordinates = np.ascontiguousarray(both.astype(np.uint8)).view("<u4").ravel()
            yield (a // POINTS) * len(words) + b // POINTS, coordinates


def _coordinates(
    points: NDArray[np.uint32],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places in the one and in the other image, (n, 2), in parts of a side."""
    four = points.astype("<u4").view(np.uint8).reshape(-1, 4) / 256 + 0.5 / 256
    return four[:, :2], four[:, 2:]


def _fitted(
    here: NDArray[np.float64],
    there: NDArray[np.float64],
    first: NDArray[np.intp],
    counts: NDArray[np.intp],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale and shift of each group of points by axis; points that lie close say little of scale,
    which then stays near 1."""

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.add.reduceat(values, first), np.float64) / counts[:, None]

    middle, target = mean(here), mean(there)
    spread = mean(here**2) - middle**2
    together = mean(here * there) - middle * target
    scale = (together + _SPREAD) / (spread + _SPREAD)
    return scale, target - scale * middle


def likest(pairs: Shared) -> Shared:
    """The pairs that are among those of either image that share most words: so few an image that
    their number does not grow faster than that of images."""
    kept = np.zeros(len(pairs.one), bool)
    for mine, theirs in ((pairs.one, pairs.other), (pairs.other, pairs.one)):
        order = np.lexsort((theirs, -pairs.words, mine))
        first = np.flatnonzero(np.diff(mine[order], prepend=-1))
        lengths = np.diff(np.append(first, len(order)))
        place = np.arange(len(order)) - np.repeat(first, lengths)
        kept[order[place < _LOOKED_AT]] = True
    return pairs.where(kept)
