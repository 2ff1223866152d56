"""What the estimator remembers of a domain's questions: bins of question means, or every vector.

Bins are exact: question means are rounded to a grid of 2^-40 and their squared offsets to 2^-50,
and float64 adds such numbers without error, at 512 bins for up to 8 million questions in a bin.
The sums are then the same bits for any order of arrival, any split over ranks and any merge.
Decay gives this up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import UsageError

MEAN_GRID = 2.0**40
SQUARE_GRID = 2.0**50

# A bin that has decayed to less than this many questions is empty.
FORGOTTEN = 1e-9


def on_grid(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """`means` rounded to the grid on which their sums are exact (error at most 5e-13)."""
    return np.rint(means * MEAN_GRID) / MEAN_GRID


def bin_of(means: NDArray[np.float64], bins: int) -> NDArray[np.intp]:
    """Bin 0 .. bins-1 of each mean in [0, 1]; 1 belongs to the last bin."""
    return np.minimum((means * bins).astype(np.intp), bins - 1)


@dataclass(frozen=True)
class Bins:
    """Question means of one domain in equal bins of [0, 1].

    `counts` (bins,) questions, `offsets` (bins,) sum of (mean - bin centre), `squares` (bins,) sum
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

    def add(self, means: NDArray[np.float64], half_life: float | None) -> Bins:
        """These bins after the questions with `means` (Q,), the older ones decayed by Q questions.

        A question's weight halves every `half_life` questions of its domain; None is no decay.
        """
        bins = self.counts.size
        where = bin_of(means, bins)
        offset = on_grid(means) - _centres(bins)[where]
        square = np.rint(offset * offset * SQUARE_GRID) / SQUARE_GRID
        keep, old = 1.0, np.array(1.0)
        if half_life is not None:
            keep = 2.0 ** (-means.size / half_life)
            old = np.where(self.counts * keep >= FORGOTTEN, keep, 0.0)
        return Bins(
            counts=self.counts * old + np.bincount(where, minlength=bins),
            offsets=self.offsets * old + np.bincount(where, weights=offset, minlength=bins),
            squares=self.squares * old + np.bincount(where, weights=square, minlength=bins),
            n_seen=self.n_seen + means.size,
            retained=self.retained * keep,
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
        """Bins that hold questions: their index, mean and weight, in ascending order."""
        held = np.flatnonzero(self.counts > 0)
        means = _centres(self.counts.size)[held] + self.offsets[held] / self.counts[held]
        return held, np.clip(means, 0.0, 1.0), self.counts[held]

    def scatter(self) -> float:
        """Mean squared distance of the question means to the mean of their bin; 0 when empty."""
        held = self.counts > 0
        within = self.squares[held] - self.offsets[held] ** 2 / self.counts[held]
        return float(max(within.sum(), 0.0) / self.counts[held].sum()) if held.any() else 0.0

    def to_state(self) -> dict[str, Any]:
        """The bins that hold questions, as plain numbers."""
        held = np.flatnonzero(self.counts)
        return {
            "bins": held.tolist(),
            "counts": self.counts[held].tolist(),
            "offsets": self.offsets[held].tolist(),
            "squares": self.squares[held].tolist(),
            "n_seen": self.n_seen,
            "retained": self.retained,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], bins: int) -> Bins:
        """The bins of `to_state`; raises ValueError for numbers that no questions can give."""
        held = np.asarray(state["bins"], dtype=np.intp)
        counts, offsets, squares = (
            np.asarray(state[name], dtype=np.float64) for name in ("counts", "offsets", "squares")
        )
        n_seen, retained = int(state["n_seen"]), float(state["retained"])
        edges = np.concatenate([[-1], held, [bins]])
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
        table[:, held] = counts, offsets, squares
        return cls(table[0], table[1], table[2], n_seen, retained)


@dataclass(frozen=True)
class Vectors:
    """Every question of one domain: `points` (n, dim) what is clustered, `means` (n,) float64."""

    points: NDArray[np.float64]
    means: NDArray[np.float64]

    @property
    def n_seen(self) -> int:
        return self.means.size

    def add(self, points: NDArray[np.float64], means: NDArray[np.float64]) -> Vectors:
        """These questions and then the new ones; raises UsageError when group sizes differ."""
        if self.means.size and points.shape[1] != self.points.shape[1]:
            raise UsageError(
                f"groups of {points.shape[1]} rollouts after groups of {self.points.shape[1]}",
                where="questions",
                fix="keep the group size, or cluster feature='mean'",
            )
        if not self.means.size:
            return Vectors(points, means)
        return Vectors(np.concatenate([self.points, points]), np.concatenate([self.means, means]))

    def without_first(self, count: int) -> Vectors:
        return Vectors(self.points[count:], self.means[count:])

    def to_state(self) -> dict[str, Any]:
        return {"points": self.points.tolist(), "means": self.means.tolist()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Vectors:
        means = np.asarray(state["means"], dtype=np.float64)
        if not means.size:
            return cls.empty()
        points = np.asarray(state["points"], dtype=np.float64).reshape(means.size, -1)
        if not (np.isfinite(points).all() and np.isfinite(means).all()):
            raise ValueError("rewards that are not finite")
        return cls(points, means)

    @classmethod
    def empty(cls) -> Vectors:
        return cls(np.empty((0, 1)), np.empty(0))


Memory = Bins | Vectors


def merge_histories(
    histories: Sequence[Mapping[str, Memory]], base: Mapping[str, Memory]
) -> dict[str, Memory]:
    """The union of several histories by domain; what `base` holds is in each of them, once."""
    union = dict(base)
    for history in histories:
        for domain, held in history.items():
            union[domain] = _joined(union.get(domain), held, base.get(domain))
    return union


def _joined(union: Memory | None, held: Memory, shared: Memory | None) -> Memory:
    """`held` less what is `shared`, added to the `union` so far."""
    if isinstance(held, Bins):
        new = held.plus(shared, sign=-1) if isinstance(shared, Bins) else held
        return union.plus(new) if isinstance(union, Bins) else new
    rest = held.without_first(shared.n_seen) if isinstance(shared, Vectors) else held
    return union.add(rest.points, rest.means) if isinstance(union, Vectors) else rest


@lru_cache(maxsize=8)
def _centres(bins: int) -> NDArray[np.float64]:
    centres = (np.arange(bins) + 0.5) / bins
    centres.flags.writeable = False
    return centres
