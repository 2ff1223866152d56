"""All pairs of 64-bit fingerprints within a radius, exactly and without comparing all with all.

Cut into m bands, two words that differ in at most r bits agree in at least m - r bands, whichever
bits differ. So words are sorted by every choice of m - r bands, and only those that agree there are
compared. Few bands make few sorts and many comparisons; how many depends on how evenly the bits are
spread, and is measured on a sample before m is chosen. (Multi-index hashing: Norouzi, Punjani and
Fleet, CVPR 2012; here with the bands that agree, so that no bit is flipped to search.)
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import combinations, pairwise
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qoqdata.progress import ProgressCallback, silent
from qoqdata.remote.store import several

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]
#: Shift, and mask of what is shifted.
Band = tuple[np.uint64, np.uint64]

#: Sweeps at a time, each of which takes 100 bytes a hash.
THREADS = min(4, os.cpu_count() or 1)
#: Beyond it a pair of unrelated images is within the radius too often to be worth a look.
RADIUS_MOST = 11
_BITS = 64
#: Bands that have to agree: more make longer keys, fewer sorts of them.
_AGREEING = (2, 3, 4, 5, 6)
#: Words, and choices of bands, on which candidates are counted before the bands are chosen.
_SAMPLE, _CHOICES = 1 << 15, 8
#: What a sorted word and a compared pair take, as measured; only their ratio matters.
_SORTED, _COMPARED = 1.0, 0.05
#: Hashes that are compared at once with those that lie so many places later: differences of all
#: fit a cache.
_ROWS, _APART = 1 << 13, 8
_NONE = np.empty(0, np.int64)


class Near(NamedTuple):
    """Pairs of hashes by their indices, `one` < `other`, and those indices, `cut`, that were not
    compared with all that agree with them, because these were too many."""

    one: Indices
    other: Indices
    cut: Indices


class Chosen:
    """Bands that are to agree, of all `bands`: those that are chosen by their numbers."""

    def __init__(self, bands: list[Band], chosen: tuple[int, ...]) -> None:
        self.bands = [bands[n] for n in chosen]
        self.mask = _mask(self.bands)
        self._before = [_mask([bands[n]]) for n in range(chosen[-1]) if n not in chosen]

    def first(self, difference: Hashes) -> NDArray[np.bool_]:
        """Whether these bands are the first ones that agree: pairs agree in others too."""
        first = difference & self.mask == 0
        for mask in self._before:
            first &= difference & mask != 0
        return first


def pairs_within(
    hashes: Hashes, radius: int, progress: ProgressCallback = silent
) -> Iterator[tuple[Indices, Indices]]:
    """Indices (i, j), i < j, of all pairs at most `radius` bits apart, each once, in parts.

    `progress` hears of sweeps over all hashes that are done, and their total.

    `hashes` are distinct: whoever has equal ones collapses them, since n equal ones are n² / 2
    pairs. The order is a function of the hashes. Raises ValueError for equal ones and for a radius
    outside 0 to RADIUS_MOST.
    """
    if len(np.unique(hashes)) != len(hashes):
        raise ValueError("hashes repeat")
    for near in neighbours_within(hashes, radius, len(hashes), progress):
        yield near.one, near.other


def neighbours_within(
    hashes: Hashes, radius: int, most: int, progress: ProgressCallback = silent
) -> Iterator[Near]:
    """Pairs at most `radius` bits apart, equal hashes among them, each once, in parts.

    Of hashes that agree in the bands of a sweep each is compared with the `most` that come next in
    the order in which they are given: so the time grows with their number, whatever they are, and
    all pairs are found where no more agree. `progress` hears of sweeps and their total. Raises
    ValueError for a radius outside 0 to RADIUS_MOST.
    """
    if not 0 <= radius <= RADIUS_MOST:
        raise ValueError(f"radius {radius} is not within 0 to {RADIUS_MOST}")
    if len(hashes) < 2:
        return
    bands = _bands(radius + _agreeing(hashes, radius))
    choices = [Chosen(bands, some) for some in combinations(range(len(bands)), len(bands) - radius)]
    swept = several(lambda chosen: _swept(hashes, chosen, radius, most), choices, at_a_time=THREADS)
    for done, near in enumerate(swept):
        progress(done, len(choices))
        yield near
    progress(len(choices), len(choices))


def _swept(hashes: Hashes, chosen: Chosen, radius: int, most: int) -> Near:
    """What agrees in the chosen bands first."""
    order = _sorted_by(hashes, chosen.bands)
    own = hashes[order]
    pairs = [(_NONE, _NONE), *_alike(own, chosen, radius, most)]
    i, j = (order[np.concatenate(part)] for part in zip(*pairs, strict=True))
    cut = np.zeros(len(own), bool)
    if most + 1 < len(own):
        longer = (own[most + 1 :] ^ own[: -most - 1]) & chosen.mask == 0
        cut[: -most - 1] = longer
        cut[most + 1 :] |= longer
    return Near(np.minimum(i, j), np.maximum(i, j), order[cut])


def _bands(count: int) -> list[Band]:
    """Shift and mask of bands that are as equally wide as can be, from the lowest bits on."""
    cuts = [n * _BITS // count for n in range(count + 1)]
    return [(np.uint64(low), np.uint64((1 << (high - low)) - 1)) for low, high in pairwise(cuts)]


def _key(hashes: Hashes, bands: list[Band]) -> Hashes:
    """The bits of some bands, side by side."""
    key = np.zeros_like(hashes)
    for shift, mask in bands:
        key = (key << np.uint64(int(mask).bit_length())) | ((hashes >> shift) & mask)
    return key


def _mask(bands: list[Band]) -> np.uint64:
    """The bits of some bands, where they are."""
    return np.uint64(sum(int(mask) << int(shift) for shift, mask in bands))


def _sorted_by(hashes: Hashes, bands: list[Band]) -> Indices:
    """The order of the hashes by some bands; those that agree stay in theirs.

    By sixteen bits after the other, the lowest first: numpy sorts these by counting, in a third of
    the time that keys of 64 bits with their places take.
    """
    key = _key(hashes, bands)
    width = sum(int(mask).bit_length() for _, mask in bands)
    order = np.argsort(key.astype(np.uint16), kind="stable")
    for shift in range(16, width, 16):
        digit = (key >> np.uint64(shift)).astype(np.uint16)
        order = order[np.argsort(digit[order], kind="stable")]
    return order


def _alike(
    own: Hashes, chosen: Chosen, radius: int, most: int
) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """Of sorted hashes the places (n, n + d), d up to `most`, of those that agree in the chosen
    bands first and differ in at most `radius` bits.

    All that lie d apart are compared, so that memory is read from one end to the other and from a
    cache; the near ones that do not agree are few. Hashes with fewer than d others are left out
    whenever d has doubled.
    """
    place, others = np.arange(len(own), dtype=np.int32), _others(own, chosen.mask)
    least = 1
    while least <= most and len(own):
        end = min(2 * least, most + 1)
        for here, there, difference in _near(own, least, end, radius):
            first = np.flatnonzero(chosen.first(difference))
            yield place[here[first]], place[there[first]]
        enough = others >= end
        own, place, others = own[enough], place[enough], others[enough]
        least = end


def _others(own: Hashes, mask: np.uint64) -> NDArray[np.int32]:
    """Of sorted hashes how many others agree with each in `mask`."""
    first = np.flatnonzero((own[1:] ^ own[:-1]) & mask) + 1
    lengths = np.diff(first, prepend=0, append=len(own)).astype(np.int32)
    return np.repeat(lengths - 1, lengths)


def _near(
    own: Hashes, least: int, end: int, radius: int
) -> Iterator[tuple[Indices, Indices, Hashes]]:
    """Places of hashes that lie `least` to `end` - 1 apart and differ in at most `radius` bits, and
    in which."""
    count = len(own)
    own = np.concatenate([own, np.zeros(-count % _ROWS + end, np.uint64)])
    later = np.lib.stride_tricks.sliding_window_view(own, len(own) - end + 1)
    difference = np.empty((_APART, _ROWS), np.uint64)
    bits, near = np.empty(difference.shape, np.uint8), np.empty(difference.shape, bool)
    for start in range(0, count, _ROWS):
        rows = slice(start, start + _ROWS)
        held = []
        for apart in range(least, end, _APART):
            size = min(_APART, end - apart)
            np.bitwise_xor(later[apart : apart + size, rows], own[rows], out=difference[:size])
            np.bitwise_count(difference[:size], out=bits[:size])
            np.less_equal(bits[:size], radius, out=near[:size])
            found = near[:size].ravel().nonzero()[0]
            if len(found):
                here = (found & (_ROWS - 1)) + start
                held.append((here, here + (found // _ROWS + apart), difference.ravel()[found]))
        if held:
            here, there, both = (np.concatenate(part) for part in zip(*held, strict=True))
            inside = there < count
            yield here[inside], there[inside], both[inside]


def _agreeing(hashes: Hashes, radius: int) -> int:
    """How many bands are to agree so that sorting and comparing all that agree take least.

    Also where not all of them are compared: fewer bands would then be faster, and lose more.
    """
    step = max(1, len(hashes) // _SAMPLE)
    sample = hashes[::step]
    scale = len(hashes) / len(sample)

    def cost(agreeing: int) -> float:
        bands = _bands(radius + agreeing)
        choices = list(combinations(range(len(bands)), agreeing))
        some = choices[:: max(1, len(choices) // _CHOICES)]
        pairs = 0.0
        for chosen in some:
            counts = np.unique(_key(sample, [bands[n] for n in chosen]), return_counts=True)[1]
            pairs += float((counts * (counts - 1) / 2).sum())
        each = _SORTED * len(hashes) + _COMPARED * pairs * scale**2 / len(some)
        return comb(len(bands), agreeing) * each

    return min(_AGREEING, key=cost)
