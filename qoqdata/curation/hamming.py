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
_SORTED, _COMPARED = 1.0, 0.2
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
    bands = _bands(radius + _agreeing(hashes, radius))
    sweeps = comb(len(bands), radius)
    for done, chosen in enumerate(combinations(range(len(bands)), len(bands) - radius)):
        progress(done, sweeps)
        some = [bands[n] for n in chosen]
        order, mask = _sorted_by(hashes, some), _mask(some)
        own = hashes[order]
        for here, there, difference in _together(_alike(own, mask, radius, most)):
            first = _agree_first(difference, bands, chosen)
            i, j = order[here[first]], order[there[first]]
            if len(i):
                yield Near(np.minimum(i, j), np.maximum(i, j), _NONE)
        if most + 1 < len(own):
            longer = np.flatnonzero((own[most + 1 :] ^ own[: -most - 1]) & mask == 0)
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


def _mask(bands: list[tuple[np.uint64, np.uint64]]) -> np.uint64:
    """The bits of some bands, where they are."""
    return np.uint64(sum(int(mask) << int(shift) for shift, mask in bands))


def _sorted_by(hashes: Hashes, bands: list[tuple[np.uint64, np.uint64]]) -> Indices:
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
    own: Hashes, mask: np.uint64, radius: int, most: int
) -> Iterator[tuple[Indices, Indices, Hashes]]:
    """Of sorted hashes the places (n, n + d) of those that agree in `mask` and differ in at most
    `radius` bits, and in which: one distance d up to `most` after the other.

    Who is compared lies in order, so that memory is read from one end to the other.
    """
    here = np.flatnonzero((own[1:] ^ own[:-1]) & mask == 0)
    mine = own[here]
    distance = 1
    while len(here) and distance <= most:
        difference = mine ^ own[here + distance]
        agree = difference & mask == 0
        if not agree.all():
            here, mine, difference = here[agree], mine[agree], difference[agree]
        near = np.flatnonzero(np.bitwise_count(difference) <= radius)
        if len(near):
            yield here[near], here[near] + distance, difference[near]
        distance += 1
        if len(here) and here[-1] + distance >= len(own):
            here, mine = here[:-1], mine[:-1]


def _together(
    pairs: Iterator[tuple[Indices, Indices, Hashes]],
) -> Iterator[tuple[Indices, Indices, Hashes]]:
    """The pairs of many distances at once: most distances have few."""
    held: list[tuple[Indices, Indices, Hashes]] = []
    count = 0
    for one in pairs:
        held.append(one)
        count += len(one[0])
        if count >= _AT_ONCE:
            yield _joined(held)
            held, count = [], 0
    if held:
        yield _joined(held)


def _joined(
    held: list[tuple[Indices, Indices, Hashes]],
) -> tuple[Indices, Indices, Hashes]:
    here, there, difference = zip(*held, strict=True)
    return np.concatenate(here), np.concatenate(there), np.concatenate(difference)


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
