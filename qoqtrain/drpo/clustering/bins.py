"""The success rates of a domain's questions, in bins: what is clustered, at constant cost.

Bins are exact: success rates are rounded to a grid of 2^-40 and their squared offsets to 2^-50,
and float64 adds such numbers without error, at 512 bins for up to 8 million questions in a bin.
The sums are then the same bits for any order of arrival, any split over ranks and any merge.
Decay gives this up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE_GRID = 2.0**40
SQUARE_GRID = 2.0**50

# A bin that has decayed to less than this many questions is empty.
FORGOTTEN = 1e-9


def on_grid(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """`rates` rounded to the grid on which their sums are exact (error at most 5e-13)."""
    return np.rint(rates * RATE_GRID) / RATE_GRID


def bin_of(rates: NDArray[np.float64], bins: int) -> NDArray[np.intp]:
    """Bin 0 .. bins-1 of each rate in [0, 1]; 1 belongs to the last bin."""
    return np.minimum((rates * bins).astype(np.intp), bins - 1)


@dataclass(frozen=True)
class Bins:
    """Success rates of the questions of one domain in equal bins of [0, 1].

    `counts` (bins,) questions, `offsets` (bins,) sum of (rate - bin centre), `squares` (bins,) sum
    of its square, all float64; `n_seen` questions ever added; `retained` the weight that a
    question seen before the first one has now, 1 without decay.
    """

    counts: NDArray[np.float64]
    offsets: NDArray[np.float64]
    squares: NDArray[np.float64]
    n_seen: int = 0
    retained: float = 1.0

    @classmethod
    def empty(cls, bins: int) -> Bins:
        return cls(np.zeros(bins), np.zeros(bins), np.zeros(bins))

    def add(self, rates: NDArray[np.float64], half_life: float | None) -> Bins:
        """These bins after the questions with `rates` (Q,), the older ones decayed by Q questions.

        A question's weight halves every `half_life` questions of its domain; None is no decay.
        """
        bins = self.counts.size
        where = bin_of(rates, bins)
        offset = on_grid(rates) - _centres(bins)[where]
        square = np.rint(offset * offset * SQUARE_GRID) / SQUARE_GRID
        decay, old = 1.0, np.array(1.0)
        if half_life is not None:
            decay = 2.0 ** (-rates.size / half_life)
            old = np.where(self.counts * decay >= FORGOTTEN, decay, 0.0)
        return Bins(
            counts=self.counts * old + np.bincount(where, minlength=bins),
            offsets=self.offsets * old + np.bincount(where, weights=offset, minlength=bins),
            squares=self.squares * old + np.bincount(where, weights=square, minlength=bins),
            n_seen=self.n_seen + rates.size,
            retained=self.retained * decay,
        )

    def plus(self, other: Bins, sign: int = 1) -> Bins:
        """The union of two sets of questions (or, with sign -1, this set without the other)."""
        return Bins(
            self.counts + sign * other.counts,
            self.offsets + sign * other.offsets,
            self.squares + sign * other.squares,
            self.n_seen + sign * other.n_seen,
        )

    def weighted(self, other: Bins, weight: float) -> Bins:
        """These questions and `weight` times the other ones, counted together."""
        return Bins(
            self.counts + weight * other.counts,
            self.offsets + weight * other.offsets,
            self.squares + weight * other.squares,
            self.n_seen,
            self.retained,
        )

    def points(self) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
        """Bins that hold questions: their index, mean rate and weight, in ascending order."""
        index = np.flatnonzero(self.counts > 0)
        rates = _centres(self.counts.size)[index] + self.offsets[index] / self.counts[index]
        return index, np.clip(rates, 0.0, 1.0), self.counts[index]

    def scatter(self) -> float:
        """Mean squared distance of the rates to the mean rate of their bin; 0 when empty."""
        index = self.counts > 0
        within = self.squares[index] - self.offsets[index] ** 2 / self.counts[index]
        return float(max(within.sum(), 0.0) / self.counts[index].sum()) if index.any() else 0.0

    def to_state(self) -> dict[str, Any]:
        """The bins that hold questions, as plain numbers."""
        index = np.flatnonzero(self.counts)
        return {
            "bins": index.tolist(),
            "counts": self.counts[index].tolist(),
            "offsets": self.offsets[index].tolist(),
            "squares": self.squares[index].tolist(),
            "n_seen": self.n_seen,
            "retained": self.retained,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], bins: int) -> Bins:
        """The bins of `to_state`; raises ValueError for numbers that no questions can give."""
        index = np.asarray(state["bins"], dtype=np.intp)
        counts, offsets, squares = (
            np.asarray(state[name], dtype=np.float64) for name in ("counts", "offsets", "squares")
        )
        n_seen, retained = int(state["n_seen"]), float(state["retained"])
        edges = np.concatenate([[-1], index, [bins]])
        reach = 0.5 / bins + 1e-6
        if (
            (np.diff(edges) < 1).any()
            or not (counts > 0).all()
            or not (np.abs(offsets) <= reach * counts).all()
            or not ((squares >= 0) & (squares <= reach**2 * counts)).all()
            or not (n_seen >= 0 and 0 <= retained <= 1)
        ):
            raise ValueError("impossible counts or sums")
        table = np.zeros((3, bins))
        table[:, index] = counts, offsets, squares
        return cls(table[0], table[1], table[2], n_seen, retained)


@lru_cache(maxsize=8)
def _centres(bins: int) -> NDArray[np.float64]:
    centres = (np.arange(bins) + 0.5) / bins
    centres.flags.writeable = False
    return centres
