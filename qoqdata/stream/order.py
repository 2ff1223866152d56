"""The order of one pass over some records: permuted row groups, lanes, and a bounded window.

The row groups are permuted; their rows, one after another, are cut into `lanes` contiguous
segments whose sizes differ by at most one; each segment is shuffled within windows of `window` row
groups; the pass takes one row of each lane in turn. So a reader keeps at most lanes x (window + 1)
row groups open, neighbours in the order come from unrelated row groups, and when the number of
processes divides the number of lanes, they read disjoint lanes.

The random numbers are a pure function of a key, the same in every version of NumPy: only raw output
of the counter-based Philox generator (Salmon et al., SC 2011) is used, which NumPy keeps stable;
its distributions and permutations may change between versions.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class RecordPlaces:
    """Where each of n records lies: `group` (row group) and `shard`, int64 [n], not descending."""

    group: np.ndarray
    shard: np.ndarray

    def __len__(self) -> int:
        return len(self.group)

    def of(self, records: np.ndarray) -> RecordPlaces:
        """The places of some of the records."""
        return RecordPlaces(self.group[records], self.shard[records])


@dataclass(frozen=True)
class Pass:
    """One pass over n records.

    `records` int64 [n]: the record at each place of the pass. `parts` int64 [n]: the part of a row
    group that it belongs to, being the rows that one lane has of it. `last` int64 [parts]: the last
    place in the pass at which a part is needed. `group` int64 [parts]: the row group of a part.
    """

    records: np.ndarray
    parts: np.ndarray
    last: np.ndarray
    group: np.ndarray


def shuffled(
    groups: RecordPlaces, *key: str | int, lanes: int, window: int, by_shard: bool = False
) -> Pass:
    """A shuffled pass over `groups`; a pure function of its arguments.

    With `by_shard` the shards are permuted and the row groups within each of them, which keeps
    a shard's rows near each other; otherwise all row groups are permuted.
    """
    n = len(groups)
    names, first, inverse = np.unique(groups.group, return_index=True, return_inverse=True)
    shuffle = random_bits(len(names), *key, "row groups")
    if by_shard:
        shards, shard_of = np.unique(groups.shard[first], return_inverse=True)
        rank = np.lexsort((shuffle, random_bits(len(shards), *key, "shards")[shard_of]))
    else:
        rank = np.argsort(shuffle, kind="stable")
    place = np.empty_like(rank)
    place[rank] = np.arange(len(rank))
    place_of = place[inverse]
    sequence = np.argsort(place_of, kind="stable")
    place_of = place_of[sequence]

    starts = lane_starts(n, min(lanes, n))
    sizes = np.diff(starts)
    lane = np.repeat(np.arange(len(sizes)), sizes)
    part = np.cumsum(_changes(place_of) | _changes(lane)) - 1
    windows = (place_of - place_of[starts[:-1]][lane]) // window
    within = np.lexsort((random_bits(n, *key, "rows"), windows, lane))

    # The rows of all windows stay within their lane, so `lane` still holds for the mixed sequence.
    at = np.arange(n)
    picks = within[starts[at % len(sizes)] + at // len(sizes)]
    parts = part[picks]
    heads = np.flatnonzero(np.diff(part, prepend=-1))
    return Pass(sequence[picks], parts, _last(parts, len(heads)), names[rank][place_of[heads]])


def in_place(groups: RecordPlaces) -> Pass:
    """The pass in manifest order."""
    heads = _changes(groups.group)
    parts = np.cumsum(heads) - 1
    records = np.arange(len(groups))
    return Pass(records, parts, _last(parts, int(heads.sum())), groups.group[heads])


def lane_starts(count: int, lanes: int) -> np.ndarray:
    """Borders of `lanes` segments of 0..count whose sizes differ by at most one, longest first."""
    sizes = count // lanes + (np.arange(lanes) < count % lanes)
    return np.concatenate(([0], np.cumsum(sizes)))


def lanes_within(most: float, groups: int, *, lanes: int, window: int) -> int:
    """`lanes`, halved until there are at most `most` and each can fill a window.

    Halving keeps that processes of a number that divides the lanes read disjoint ones. `groups`:
    the row groups there are; with fewer than a window in a lane, its neighbours would share them.
    """
    while lanes > 1 and (lanes > most or lanes * window > groups):
        lanes //= 2
    return lanes


def random_bits(count: int, *key: str | int) -> np.ndarray:
    """`count` random uint64 of the key; other keys give independent ones."""
    text = "\0".join(map(str, key)).encode()
    words = np.frombuffer(hashlib.sha256(text).digest()[:16], np.uint64)
    raw = np.random.Philox(key=words).random_raw(count)
    return np.asarray(raw, np.uint64)


def random_permutation(count: int, *key: str | int) -> np.ndarray:
    """A random order of 0..count-1, int64, of the key."""
    return np.argsort(random_bits(count, *key), kind="stable")


def _changes(values: np.ndarray) -> np.ndarray:
    """Where a value differs from the one before it; the first always does."""
    return np.concatenate(([True], values[1:] != values[:-1]))


def _last(parts: np.ndarray, count: int) -> np.ndarray:
    last = np.zeros(count, np.int64)
    np.maximum.at(last, parts, np.arange(len(parts)))
    return last
