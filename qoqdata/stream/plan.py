"""The plan of a reader: which records it makes next, and which row groups that opens and closes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from qoqdata.stream.draws import DrawSegment
from qoqdata.stream.homes import homes
from qoqdata.stream.sequence import RecordSequence, Stretch

#: Draws that are looked up at once.
_STRETCH = 512


@dataclass(frozen=True)
class Share:
    """The draws of one reader among all: every `world`-th, and every `workers`-th batch of these.

    The DataLoader of torch takes batches from its workers in turn, so a worker that makes whole
    batches keeps the global order.
    """

    rank: int = 0
    world: int = 1
    worker: int = 0
    workers: int = 1
    batch: int = 1

    def positions(self, start: int, first: int, count: int) -> np.ndarray:
        """Global positions, int64, of samples `first` .. `first + count` of this reader.

        Counted from the position `start`, at which all readers began.
        """
        number = np.arange(first, first + count)
        turn = (number // self.batch) * self.workers + self.worker
        return start + self.rank + self.world * (turn * self.batch + number % self.batch)


@dataclass(frozen=True)
class ReadTask:
    """Some records to make, the row groups to open first, and those to close afterwards."""

    stretch: Stretch
    first: int
    stop: int
    opens: tuple[int, ...]
    closes: tuple[int, ...] = ()

    def __len__(self) -> int:
        return self.stop - self.first


@dataclass
class ReadPlan:
    """Tasks from `start` on, up to the global position `end` (None: for ever).

    A row group is open from the first record that needs it until no process needs its part any
    more; parts share a row group that is open already. With `step` the process takes draws of each
    step by their row groups (see `homes`), not in turn.
    """

    sequence: RecordSequence
    segment: DrawSegment | None
    share: Share
    start: int
    offset: int
    end: int | None
    size: int
    step: int | None = None
    _open: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    _users: Counter[int] = field(default_factory=Counter)

    def tasks(self) -> Iterator[ReadTask]:
        """The tasks in order; the first ones are small, so that the first record comes soon."""
        first, size = self.offset, 1
        while True:
            positions = self._positions(first)
            if self.end is not None:
                positions = positions[positions < self.end]
            if len(positions) == 0:
                return
            stretch = self.sequence.stretch(positions, self.segment)
            places, groups = self._opened(stretch)
            closes = self._closed(stretch)
            at = 0
            while at < len(positions):
                stop = min(at + size, len(positions))
                low, high = np.searchsorted(places, (at, stop))
                over = closes if stop == len(positions) else ()
                yield ReadTask(stretch, at, stop, tuple(groups[low:high]), over)
                at, size = stop, min(2 * size, self.size)
            first += len(positions)

    def _positions(self, first: int) -> np.ndarray:
        """Positions of the next samples of this process, from number `first` on."""
        if self.step is None:
            return self.share.positions(self.start, first, _STRETCH)
        own = self.step // self.share.world
        begun = first // own
        steps = math.ceil(_STRETCH / own)
        at = self.start + begun * self.step + np.arange(steps * self.step)
        groups = self.sequence.index.groups.group[self.sequence.stretch(at, self.segment).records]
        mine = at[homes(groups, step=self.step, world=self.share.world) == self.share.rank]
        return mine[first - begun * own :]

    def _opened(self, stretch: Stretch) -> tuple[np.ndarray, list[int]]:
        """Where in the stretch a row group is needed that was not open, ascending."""
        keys, heads = np.unique(stretch.parts, return_index=True)
        order = np.argsort(heads)
        openings: list[tuple[int, int]] = []
        for key, at in zip(keys[order].tolist(), heads[order].tolist(), strict=True):
            if key in self._open:
                continue
            group = int(self.sequence.index.groups.group[stretch.records[at]])
            self._open[key] = (group, int(stretch.components[at]), int(stretch.ends[at]))
            self._users[group] += 1
            if self._users[group] == 1:
                openings.append((at, group))
        return np.array([at for at, _ in openings], np.int64), [group for _, group in openings]

    def _closed(self, stretch: Stretch) -> tuple[int, ...]:
        """Row groups that nobody needs after the stretch."""
        turns = stretch.turns_after.tolist()
        over = [key for key, (_, part_of, end) in self._open.items() if end < turns[part_of]]
        groups = []
        for key in over:
            group, _, _ = self._open.pop(key)
            self._users[group] -= 1
            if self._users[group] == 0:
                del self._users[group]
                groups.append(group)
        return tuple(groups)
