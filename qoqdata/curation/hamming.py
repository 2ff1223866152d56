"""All pairs of 64-bit fingerprints within a radius, exactly and without comparing all with all.

Cut into m bands, two words that differ in at most r bits agree in at least m - r bands, whichever
bits differ. So words are sorted by every choice of m - r bands, and only those that agree there are
compared. Few bands make few sorts and many comparisons; how many depends on how evenly the bits are
spread, and is measured on a sample before m is chosen. (Multi-index hashing: Norouzi, Punjani and
Fleet, CVPR 2012; here with the bands that agree, so that no bit is flipped to search.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, pairwise
from math import comb
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from qoqdata.progress import ProgressCallback, silent
from qoqdata.threads import computed

_T = TypeVar("_T")
Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]
#: Shift, and mask of what is shifted.
Band = tuple[np.uint64, np.uint64]

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
#: Hashes whose bits are put side by side at once: they fit a cache, too.
_KEYS = 1 << 14
_NONE = np.empty(0, np.int64)
#: 2**64 by the golden ratio: its multiples are spread over all words.
_SPREAD = np.uint64(0x9E3779B97F4A7C15)


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
    yield from neighbours_within(
        hashes, radius, len(hashes), lambda near: (near.one, near.other), progress
    )


def neighbours_within(
    hashes: Hashes,
    radius: int,
    most: int,
    look: Callable[[Near], _T],
    progress: ProgressCallback = silent,
) -> Iterator[_T]:
    """What `look` gives of pairs at most `radius` bits apart, equal hashes among them, each once,
    in parts. Parts are looked at side by side, where they were found.

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
    # Each takes 100 bytes a hash.
    swept = computed(lambda chosen: look(_swept(hashes, chosen, radius, most)), choices)
    for done, seen in enumerate(swept):
        progress(done, len(choices))
        yield seen
    progress(len(choices), len(choices))


def _swept(hashes: Hashes, chosen: Chosen, radius: int, most: int) -> Near:
    """What agrees in the chosen bands first."""
    order, lengths = _grouped(hashes, chosen.bands)
    if not len(order):
        return Near(_NONE, _NONE, _NONE)
    pairs = [(_NONE, _NONE), *_alike(hashes, order, lengths, chosen, radius, most)]
    i, j = (order[np.concatenate(part)] for part in zip(*pairs, strict=True))
    # Largest first: those of which one has too many others stand at the front.
    many = lengths[: np.searchsorted(-lengths, -most)]
    before = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
    after = np.repeat(many, many) - 1 - before
    cut = order[: len(before)][(before > most) | (after > most)]
    return Near(np.minimum(i, j), np.maximum(i, j), cut)


def _bands(count: int) -> list[Band]:
    """Shift and mask of bands that are as equally wide as can be, from the lowest bits on."""
    cuts = [n * _BITS // count for n in range(count + 1)]
    return [(np.uint64(low), np.uint64((1 << (high - low)) - 1)) for low, high in pairwise(cuts)]


def _key(hashes: Hashes, bands: list[Band]) -> Hashes:
    """The bits of some bands, side by side."""
    key = np.zeros_like(hashes)
    bits = np.empty(min(len(hashes), _KEYS), np.uint64)
    for start in range(0, len(hashes), _KEYS):
        some, mine = hashes[start : start + _KEYS], key[start : start + _KEYS]
        one = bits[: len(some)]
        for shift, mask in bands:
            np.right_shift(some, shift, out=one)
            one &= mask
            mine <<= np.uint64(int(mask).bit_length())
            mine |= one
    return key


def _mask(bands: list[Band]) -> np.uint64:
    """The bits of some bands, where they are."""
    return np.uint64(sum(int(mask) << int(shift) for shift, mask in bands))


def _sorted_by(hashes: Hashes, bands: list[Band]) -> tuple[Indices, NDArray[np.bool_]]:
    """The order of the hashes by some bands, of which those that agree stay in theirs, and where in
    it others begin.

    The place of each stands behind its bits, wherever a word has room for both: numpy sorts words
    several times as fast as it finds the order of words.
    """
    key = _key(hashes, bands)
    places = np.uint64(len(key).bit_length())
    if sum(int(mask).bit_length() for _, mask in bands) + int(places) <= _BITS:
        key <<= places
        key |= np.arange(len(key), dtype=np.uint64)
        key.sort()
        order = (key & np.uint64((1 << int(places)) - 1)).view(np.int64)
        key >>= places
    else:
        order = np.argsort(key, kind="stable")
        key = key[order]
    begins = np.ones(len(key), bool)
    np.not_equal(key[1:], key[:-1], out=begins[1:])
    return order, begins


def _grouped(hashes: Hashes, bands: list[Band]) -> tuple[Indices, Indices]:
    """Hashes that agree with others in some bands, group by group, and how many a group has; the
    largest first."""
    order, begins = _sorted_by(hashes, bands)
    first = np.flatnonzero(begins)
    lengths = np.diff(first, append=len(order))
    several_ = lengths > 1
    first, lengths = first[several_], lengths[several_]
    # Of sixteen bits, which are sorted by counting; more agree in very few bands alone.
    shorter = (0xFFFF - np.minimum(lengths, 0xFFFF)).astype(np.uint16)
    largest = np.argsort(shorter, kind="stable")
    beyond = np.count_nonzero(lengths >= 0xFFFF)
    largest[:beyond] = largest[:beyond][np.argsort(-lengths[largest[:beyond]], kind="stable")]
    first, lengths = first[largest], lengths[largest]
    places = np.repeat(first - _before(lengths), lengths)
    places += np.arange(len(places))
    return order.take(places), lengths


def _true(values: NDArray[np.bool_]) -> Indices:
    """Flat places of what is true, which is little: eight at a time are passed over."""
    eights = values.ravel().view(np.uint64)
    some = (eights != 0).nonzero()[0]
    true = eights[some].view(bool).nonzero()[0]
    return some[true >> 3] * 8 + (true & 7)


def _before(lengths: Indices) -> Indices:
    return np.cumsum(lengths) - lengths


def _alike(
    hashes: Hashes, order: Indices, lengths: Indices, chosen: Chosen, radius: int, most: int
) -> Iterator[tuple[Indices, Indices]]:
    """Of hashes that in this order lie in groups, the largest first, the places of those of one
    group that agree in the chosen bands first, differ in at most `radius` bits and lie at most
    `most` apart.

    All that lie so far apart are compared, so that memory is read from one end to the other and
    from a cache. Each group is told from its neighbours by a word of its own, which cancels out
    within it: few others come as near by chance.
    """
    count, ends = len(order), np.cumsum(lengths)
    own = np.zeros(count + _ROWS + most, np.uint64)
    hashes.take(order, out=own[:count], mode="clip")
    own[:count] ^= np.repeat(_SPREAD * np.arange(len(lengths), dtype=np.uint64), lengths)
    end_of = np.repeat(ends, lengths)
    difference = np.empty((_APART, _ROWS), np.uint64)
    bits, near = np.empty(difference.shape, np.uint8), np.empty(difference.shape, bool)
    for start in range(0, count, _ROWS):
        rows = slice(start, start + _ROWS)
        held = []
        end = min(int(lengths[np.searchsorted(ends, start, side="right")]), most + 1)
        later = np.lib.stride_tricks.sliding_window_view(own[start : start + _ROWS + end], _ROWS)
        for apart in range(1, end, _APART):
            size = min(_APART, end - apart)
            np.bitwise_xor(later[apart : apart + size], own[rows], out=difference[:size])
            np.bitwise_count(difference[:size], out=bits[:size])
            np.less_equal(bits[:size], radius, out=near[:size])
            found = _true(near[:size])
            if len(found):
                held.append((found + apart * _ROWS, difference.ravel()[found]))
        if held:
            found, both = (np.concatenate(part) for part in zip(*held, strict=True))
            found = found[chosen.first(both)]
            here = found % _ROWS + start
            there = here + found // _ROWS
            inside = there < count
            here, there = here[inside], there[inside]
            inside = there < end_of[here]
            yield here[inside], there[inside]


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
