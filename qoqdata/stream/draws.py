"""Which component each draw of a mix comes from: weighted, evenly spread, and countable at once.

Draw m of a segment looks up the point (offset + m * golden ratio) mod 1, a low-discrepancy
sequence (Weyl 1916; Kuipers and Niederreiter 1974), in the cumulative probabilities, so every
component is met almost exactly as often as its probability says. Within blocks of BLOCK draws the
points are permuted, since every W-th point of the sequence is badly spread for some W, and one of W
processes sees just those. How often each component occurs before draw m has a closed form, so that
nothing has to be replayed to start anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qoqdata.stream.order import random_bits, random_permutation

#: Draws within which the points are permuted.
BLOCK = 1024
#: Probabilities are multiples of 1 / UNITS; a count of them fits 32 bits.
UNITS = 2**32 - 1
_TURN = 2**64
#: The golden ratio's fraction in units of 2**-64, made odd so that no point recurs.
_STEP = 0x9E3779B97F4A7C15


def units(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities as uint64 multiples of 1 / UNITS that sum to UNITS, by largest remainder.

    Those above zero stay above zero.
    """
    exact = probabilities / probabilities.sum() * UNITS
    whole = np.where(probabilities > 0, np.maximum(np.floor(exact), 1), 0).astype(np.int64)
    short = UNITS - int(whole.sum())
    order = np.argsort(whole - exact, kind="stable")
    if short >= 0:
        whole[order[:short]] += 1
    else:
        whole[np.argmax(whole)] += short
    return whole.astype(np.uint64)


@dataclass(frozen=True)
class DrawSegment:
    """Draws from `start` on under one set of weights.

    `units` uint64 [C]: probability of each component in 1 / UNITS. `before` int64 [C]: draws of
    each component before `start`. `key` names the stream.
    """

    key: tuple[str | int, ...]
    start: int
    before: np.ndarray
    units: np.ndarray

    def components(self, start: int, stop: int) -> np.ndarray:
        """The components, int64, of the draws `start` to `stop`, both at least `self.start`."""
        first, last = start - self.start, stop - self.start
        blocks = range(first // BLOCK, -(-last // BLOCK))
        if not blocks:
            return np.empty(0, np.int64)
        numbers = np.concatenate([self._block(number) for number in blocks])
        return numbers[first - blocks.start * BLOCK : last - blocks.start * BLOCK]

    def counts(self, stop: int) -> np.ndarray:
        """Draws of each component before draw `stop`, int64 [C]."""
        whole = (stop - self.start) // BLOCK * BLOCK
        below = [_below(whole, self._offset, int(edge)) for edge in self._edges]
        full = np.diff(np.array([0, *below, whole], np.int64))
        rest = self.components(self.start + whole, stop)
        return self.before + full + np.bincount(rest, minlength=len(self.units))

    @cached_property
    def _offset(self) -> int:
        return int(random_bits(1, *self.key, "mix", self.start)[0])

    @cached_property
    def _edges(self) -> np.ndarray:
        """Upper borders of all components but the last, in units of 2**-64."""
        return np.cumsum(self.units)[:-1] * np.uint64(_TURN // UNITS)

    def _block(self, number: int) -> np.ndarray:
        draws = np.arange(number * BLOCK, (number + 1) * BLOCK, dtype=np.uint64)
        points = draws * np.uint64(_STEP) + np.uint64(self._offset)
        numbers = np.searchsorted(self._edges, points, side="right")
        return np.take(numbers, random_permutation(BLOCK, *self.key, "mix", self.start, number))


def _below(count: int, offset: int, edge: int) -> int:
    """How many of the first `count` points lie below `edge`."""
    wraps = _floor_sum(count, _TURN, _STEP, offset)
    return wraps - _floor_sum(count, _TURN, _STEP, offset - edge + _TURN) + count


def _floor_sum(n: int, m: int, a: int, b: int) -> int:
    """Sum of floor((a * i + b) / m) over i in 0..n-1, by Euclid's algorithm; a, b not negative."""
    total = 0
    while n > 0:
        total += n * (n - 1) // 2 * (a // m) + n * (b // m)
        a, b = a % m, b % m
        top = a * n + b
        n, b, a, m = top // m, top % m, m, a
        if n == 0:
            break
    return total
