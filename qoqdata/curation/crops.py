"""Which images could be cropped copies of which: those that share words of their keypoints
(`records/keypoints.py`) in places that a crop leaves them in.

Words are sorted, and of those that agree only neighbours are compared. Words are ordered by finer
detail where they agree: among many images with a word, the likest are neighbours. A word that very
many images have tells nothing and is passed over, so that what is alike in all images costs no more
than what is in two.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qoqdata.records.keypoints import AGREEING, POINTS, WORD_BITS
from qoqdata.threads import computed

#: What a crop cuts off each side at most; places move by no more of a side. The margin is for a
#: keypoint's own error.
SIDE_MOST, _MARGIN = 0.1, 0.02
#: Words that two images share at least, in places that lie apart by so much of a side.
_SHARED, _APART = 2, 0.03
#: Neighbours of a sorted word that it is compared with, and words that agree from which on it tells
#: nothing.
_NEIGHBOURS, _COMMON = 16, 512
#: Words are sorted in parts by their first bits, so that memory does not grow with their number.
_PARTS_BITS = 4
_PARTS = 1 << _PARTS_BITS
#: Bits in which words of a small set agree at least.
_FEWEST = 24
#: Images whose words are looked through at once for those of a part.
_AT_ONCE = 1 << 11
#: Matches whose pairs are told at once, each of which takes 100 bytes meanwhile.
_GATHERED = 1 << 23
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


_NONE = np.empty(0, np.int64)
_NOTHING = Shared(_NONE, _NONE, _NONE, np.empty((0, 2)), np.empty((0, 2)))
#: Numbers of pairs (one * images + other) with a word in common, and where both have it.
Matches = tuple[NDArray[np.int64], NDArray[np.uint32]]


def sharing_words(
    words: NDArray[np.uint32], places: NDArray[np.uint8]
) -> tuple[Shared, NDArray[np.int64]]:
    """Pairs of images that share words, of all (images, POINTS) words and their (images, POINTS, 2)
    places, sorted by one and other. And the images of whose words most were passed over, which may
    share them with others too.

    Takes time in proportion to the images, whatever they show.
    """
    found, passed = [], np.zeros(len(words), np.int64)
    bits = agreeing(int(np.count_nonzero(words)))
    parts = computed(lambda part: _matches(words, places, part, bits), range(_PARTS))
    for matches, common in parts:
        found += matches
        passed += common
    crowded = np.flatnonzero(2 * passed > np.count_nonzero(words, axis=1))
    shared = [_shared(some, len(words)) for some in _by_image(found, len(words))]
    columns = (np.concatenate(column) for column in zip(_NOTHING, *shared, strict=True))
    return Shared(*columns), crowded


def _by_image(found: list[Matches], images: int) -> Iterator[list[Matches]]:
    """The matches, of some images after others, so that memory holds those of a part in order."""
    if not found:
        return
    counts = np.zeros(images, np.int64)
    for pair, _ in found:
        counts += np.bincount(pair // images, minlength=images)
    total = counts.cumsum()
    most = np.arange(_GATHERED, total[-1], _GATHERED)
    cuts = np.unique([0, *np.searchsorted(total, most, side="right"), images])
    for first, end in pairwise(cuts.tolist()):
        inside = [(pair >= first * images) & (pair < end * images) for pair, _ in found]
        yield [(pair[own], points[own]) for (pair, points), own in zip(found, inside, strict=True)]


def _shared(found: list[Matches], images: int) -> Shared:
    """The pairs of some matches that share enough words, sorted."""
    pair, points = (np.concatenate(part) for part in zip(*found, strict=True))
    order = np.lexsort((points, pair))
    pair, points = pair[order], points[order]
    first = np.flatnonzero(np.diff(pair, prepend=-1))
    if not len(first):
        return _NOTHING
    counts = np.diff(np.append(first, len(pair)))
    here, there = _coordinates(points)
    low, high = np.minimum.reduceat(here, first), np.maximum.reduceat(here, first)
    enough = (counts >= _SHARED) & ((high - low).max(axis=1) >= _APART)
    scale, shift = _fitted(here, there, first, counts)
    one, other = np.divmod(pair[first], images)
    return Shared(one, other, counts, scale, shift).where(enough)


def agreeing(count: int) -> int:
    """Bits in which words agree, of `count` words: what two have by chance grows with their number,
    and small sets need not tell so many apart."""
    return int(np.clip(np.ceil(np.log2(max(count, 1))) + 1, _FEWEST, AGREEING))


def _matches(
    words: NDArray[np.uint32], places: NDArray[np.uint8], part: int, bits: int
) -> tuple[list[Matches], NDArray[np.int64]]:
    """Pairs with a word of a part in common, in so many bits; and how many words of each image were
    passed over."""
    # In 256ths of a side.
    most = round((SIDE_MOST + _MARGIN) * 256)
    finer = np.uint64(32 + WORD_BITS - bits)
    found, passed = [], np.zeros(len(words), np.int64)
    packed = _words_of(words, part)
    packed.sort()
    point, word = packed.astype(np.uint32), packed >> finer
    if len(word) > _COMMON:
        starts = np.flatnonzero(word[1:] != word[:-1]) + 1
        lengths = np.diff(starts, prepend=0, append=len(word))
        common = np.repeat(lengths > _COMMON, lengths)
        passed = np.bincount(point[common] // POINTS, minlength=len(words))
        point, word = point[~common], word[~common]
    image = point // POINTS
    here = np.arange(len(word))
    for distance in range(1, _NEIGHBOURS + 1):
        here = here[: np.searchsorted(here, len(word) - distance)]
        here = here[word[here] == word[here + distance]]
        if not len(here):
            break
        near = here[image[here] != image[here + distance]]
        a, b = point[near], point[near + distance]
        a, b = np.minimum(a, b), np.maximum(a, b)
        one, other = (places[p // POINTS, p % POINTS] for p in (a, b))
        # The difference of two bytes, whichever is larger.
        apart = np.maximum(one, other) - np.minimum(one, other)
        possible = np.flatnonzero((apart <= most).all(axis=1))
        a, b, both = a[possible], b[possible], np.hstack([one[possible], other[possible]])
        pair = (a // POINTS).astype(np.int64) * len(words) + b // POINTS
        found.append((pair, np.ascontiguousarray(both).view("<u4").ravel()))
    return found, passed


def _words_of(words: NDArray[np.uint32], part: int) -> NDArray[np.uint64]:
    """The words of a part, each with its place among all in the lower 32 bits."""
    found = [np.empty(0, np.uint64)]
    width = 1 << (WORD_BITS - _PARTS_BITS)
    # 0 is no word. What is below the least wraps around, to far above.
    least = max(part * width, 1)
    most = np.uint32((part + 1) * width - 1 - least)
    for start in range(0, len(words), _AT_ONCE):
        some = words[start : start + _AT_ONCE].ravel()
        mine = np.flatnonzero(some - np.uint32(least) <= most)
        place = (mine + start * POINTS).astype(np.uint64)
        found.append((some[mine].astype(np.uint64) << np.uint64(32)) | place)
    return np.concatenate(found)


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
