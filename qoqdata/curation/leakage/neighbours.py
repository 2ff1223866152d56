"""All pairs of 64-bit fingerprints that differ in few bits, without comparing all with all.

Two that differ in at most `4 f + 3` bits have one of four 16-bit bands in which they differ in at
most f (pigeonhole); only those that share a band up to f flipped bits are compared (multi-index
hashing, Norouzi, Punjani and Fleet, CVPR 2012). Nothing within the radius is missed.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

_BANDS, _BITS = 4, 16
RADIUS_MOST = 11
#: Pairs compared at once: 32 MB of indices.
_AT_ONCE = 1 << 21

Hashes = NDArray[np.uint64]
Pairs = NDArray[np.int64]


def neighbours(some: Hashes, others: Hashes, radius: int) -> tuple[Pairs, Pairs]:
    """Indices into `some` and `others` of all pairs at most `radius` bits apart, sorted."""
    found = [np.empty((0, 2), np.int64)]
    for band in range(_BANDS):
        theirs, mine = _band(others, band), _band(some, band)
        order = np.argsort(theirs, kind="stable")
        keys = theirs[order]
        for flipped in _masks(radius // _BANDS):
            asked = mine ^ flipped
            first = np.searchsorted(keys, asked, "left")
            last = np.searchsorted(keys, asked, "right")
            for here, there in _ranges(first, last):
                there = order[there]
                near = np.bitwise_count(some[here] ^ others[there]) <= radius
                found.append(np.stack([here[near], there[near]], axis=1))
    pairs = np.unique(np.concatenate(found), axis=0)
    return pairs[:, 0], pairs[:, 1]


def _band(hashes: Hashes, band: int) -> NDArray[np.uint16]:
    return (hashes >> np.uint64(band * _BITS)).astype(np.uint16)


def _masks(flips: int) -> list[np.uint16]:
    """Every word of 16 bits with at most `flips` of them set."""
    chosen = (bits for count in range(flips + 1) for bits in combinations(range(_BITS), count))
    return [np.uint16(sum(1 << bit for bit in bits)) for bits in chosen]


def _ranges(first: Pairs, last: Pairs) -> Iterator[tuple[Pairs, Pairs]]:
    """Each i with every j of first[i] .. last[i] - 1, a bounded number of pairs at a time."""
    sizes = last - first
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        done = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, done + _AT_ONCE, "right")), start + 1)
        part = sizes[start:stop]
        here = np.repeat(np.arange(start, stop), part)
        before = np.repeat(np.cumsum(part) - part, part)
        yield here, np.repeat(first[start:stop], part) + np.arange(len(here)) - before
        start = stop
