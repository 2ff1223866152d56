"""All pairs of 64-bit fingerprints within a radius, exactly and without comparing all with all.

Cut into m bands, two words that differ in at most r bits agree in at least m - r bands, whichever
bits differ. So words are sorted by every choice of m - r bands, and only those that agree there are
compared. Few bands make few sorts and many comparisons; how many depends on how evenly the bits are
spread, and is measured on a sample before m is chosen. (Multi-index hashing: Norouzi, Punjani and
Fleet, CVPR 2012; here with the bands that agree, so that no bit is flipped to search.)
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qoqdata.progress import ProgressCallback, silent

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]

#: Beyond it a pair of unrelated images is within the radius too often to be worth a look.
RADIUS_MOST = 11
_BITS = 64
#: Bands that have to agree: more make longer keys, fewer sorts of them.
_AGREEING = (2, 3, 4, 5, 6)
#: Words, and choices of bands, on which candidates are counted before the bands are chosen.
_SAMPLE, _CHOICES = 1 << 15, 8
#: What a sorted word and a compared pair take, as measured; only their ratio matters.
_SORTED, _COMPARED = 1.0, 1.2
#: Pairs that are compared at once.
_AT_ONCE = 1 << 16
_NONE = np.empty(0, np.int64)


class Near(NamedTuple):
    """Pairs of hashes by their indices, `one` < `other`, and those indices, `cut`, that were not
    compared with all that agree with them, because these were too many."""

    one: Indices
    other: Indices
    cut: Indices


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
    bands = _bands(radius + _agreeing(hashes, radius, most))
    sweeps = comb(len(bands), radius)
    for done, chosen in enumerate(combinations(range(len(bands)), len(bands) - radius)):
        progress(done, sweeps)
        key, order = _sorted_by(hashes, [bands[n] for n in chosen])
        for here, there in _together(_alike(key, most)):
            i, j = order[here], order[there]
            difference = hashes[i] ^ hashes[j]
            near = np.flatnonzero(np.bitwise_count(difference) <= radius)
            i, j, difference = i[near], j[near], difference[near]
            first = _agree_first(difference, bands, chosen)
            i, j = i[first], j[first]
            if len(i):
                yield Near(np.minimum(i, j), np.maximum(i, j), _NONE)
        if most + 1 < len(key):
            longer = np.flatnonzero(key[most + 1 :] == key[: -most - 1])
            if len(longer):
                yield Near(_NONE, _NONE, order[np.union1d(longer, longer + most + 1)])
    progress(sweeps, sweeps)


def _bands(count: int) -> list[tuple[np.uint64, np.uint64]]:
    """Shift and mask of bands that are as equally wide as can be, from the lowest bits on."""
    cuts = [n * _BITS // count for n in range(count + 1)]
    return [(np.uint64(low), np.uint64((1 << (high - low)) - 1)) for low, high in pairwise(cuts)]


def _key(hashes: Hashes, bands: list[tuple[np.uint64, np.uint64]]) -> Hashes:
    """The bits of some bands, side by side."""
    key = np.zeros_like(hashes)
    for shift, mask in bands:
        key = (key << np.uint64(int(mask).bit_length())) | ((hashes >> shift) & mask)
    return key


def _sorted_by(hashes: Hashes, bands: list[tuple[np.uint64, np.uint64]]) -> tuple[Hashes, Indices]:
    """Sorted keys and whose they are. Key and place share a word where they fit, which sorts ten
    times as fast as indices do."""
    key = _key(hashes, bands)
    width = sum(int(mask).bit_length() for _, mask in bands)
    places = np.uint64(max(len(hashes) - 1, 1).bit_length())
    if width + int(places) > _BITS:
        order = np.argsort(key, kind="stable")
        return key[order], order
    packed = (key << places) | np.arange(len(hashes), dtype=np.uint64)
    packed.sort()
    mask = (np.uint64(1) << places) - np.uint64(1)
    return packed >> places, (packed & mask).astype(np.int64)


def _alike(key: Hashes, most: int) -> Iterator[tuple[Indices, Indices]]:
    """Places (n, n + d) of equal keys among sorted ones, one distance d up to `most` after the
    other."""
    here = np.flatnonzero(key[1:] == key[:-1])
    distance = 1
    while len(here) and distance <= most:
        yield here, here + distance
        distance += 1
        here = here[here + distance < len(key)]
        here = here[key[here] == key[here + distance]]


def _together(pairs: Iterator[tuple[Indices, Indices]]) -> Iterator[tuple[Indices, Indices]]:
    """The pairs of many distances at once: most distances have few."""
    held: list[tuple[Indices, Indices]] = []
    count = 0
    for here, there in pairs:
        held.append((here, there))
        count += len(here)
        if count >= _AT_ONCE:
            yield tuple(np.concatenate(part) for part in zip(*held, strict=True))  # type: ignore[misc]
            held, count = [], 0
    if held:
        yield tuple(np.concatenate(part) for part in zip(*held, strict=True))  # type: ignore[misc]


def _agree_first(
    difference: Hashes, bands: list[tuple[np.uint64, np.uint64]], chosen: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Whether the chosen bands are the first ones that agree: pairs agree in others too."""
    before = np.ones(len(difference), bool)
    for band in range(chosen[-1]):
        if band not in chosen:
            shift, mask = bands[band]
            before &= (difference >> shift) & mask != 0
    return before


def _agreeing(hashes: Hashes, radius: int, most: int) -> int:
    """How many bands are to agree so that sorting and comparing take least."""
    step = max(1, len(hashes) // _SAMPLE)
    sample = hashes[::step]
    scale = len(hashes) / len(sample)

    def cost(agreeing: int) -> float:
        bands = _bands(radius + agreeing)
        choices = list(combinations(range(len(bands)), agreeing))
        some = choices[:: max(1, len(choices) // _CHOICES)]
        compared = 0.0
        for chosen in some:
            counts = np.unique(_key(sample, [bands[n] for n in chosen]), return_counts=True)[1]
            compared += float((counts * scale * np.minimum((counts - 1) * scale / 2, most)).sum())
        each = _SORTED * len(hashes) + _COMPARED * compared / len(some)
        return comb(len(bands), agreeing) * each

    return min(_AGREEING, key=cost)
