"""Exact k-means on the line, for several lines at once, by dynamic programming.

In one dimension an optimal cluster is a run of neighbouring points, so the best k-clustering of
the first j points is the best (k-1)-clustering of the first i plus one run i..j (Wang and Song,
"Ckmeans.1d.dp", R Journal 3(2), 2011). There are no starts, no seeds and no local optima.

The best k-clustering of a line is the best a-clustering of its first j points and the best
(k-a)-clustering of the others, read from behind, at the best j. Both halves are solved side by
side, so k_max clusters take k_max / 2 rounds, and each round only the part of the line that its
half can reach.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]

# Of two splits whose costs differ by less than this share of the total scatter, per point between
# them, the left one is taken: rounding never decides between the halves of a symmetric tie.
TIE = 1e-12

# A cost that is above another one by less than this share of the total scatter may be its equal.
ROUNDING = 1e-9

# Rows are solved at a wide stride and then at this share of it, down to every row: the starts
# found for two rows bound the search of those between them.
FINER = 8

# Entries of the cost table that are filled at once: few enough to stay in cache.
CELLS = 1 << 14

# From this many starts on, their axis is the longer one of the table.
WIDE = 32


class LineClusterings:
    """Optimal k-means clusterings of weighted points on D lines, for every k up to `k_max`.

    `lines` holds one (points, weights) pair per line: points (M,) float64 strictly increasing,
    weights (M,) float64 positive. `sizes` (D,) is M of each; `inertias` (D, k_max) float64 is the
    weighted mean squared distance to the cluster means; a line of M points has none beyond k = M
    (inf there).
    """

    def __init__(self, lines: Sequence[tuple[Floats, Floats]], k_max: int) -> None:
        backwards = [(-points[::-1], weights[::-1]) for points, weights in lines]
        costs = costs_of([*lines, *backwards])
        self.sizes = costs.sizes[: len(lines)]
        self.inertias = np.full((len(lines), k_max), np.inf)
        rounds = (k_max + 1) // 2
        self._starts = np.zeros((rounds, *costs.mass.shape), dtype=np.intp)
        self._meets = np.zeros((k_max, len(lines)), dtype=np.intp)
        scatter = costs.scatter()
        # What is left going forwards is right going backwards.
        ramp = TIE * scatter[:, None] * np.arange(costs.mass.shape[1])
        ramp[len(lines) :] *= -1
        mirror = np.maximum(self.sizes[:, None] - np.arange(ramp.shape[1]), 0)

        def meet(ahead: Floats, behind: Floats, k: int) -> None:
            cost = ahead[: len(lines)] + np.take_along_axis(behind[len(lines) :], mirror, axis=1)
            at = (cost + ramp[: len(lines)]).argmin(axis=1)
            self._meets[k - 1] = at
            self.inertias[:, k - 1] = cost[np.arange(len(lines)), at]

        best = costs.of_one()
        self.inertias[:, 0] = scatter[: len(lines)]
        if k_max > 1:
            meet(best, best, 2)
        for half in range(2, rounds + 1):
            # No half of a clustering costs more than the whole, nor more clusters than fewer.
            bound = np.tile(self.inertias[:, 2 * half - 3], 2) + ROUNDING * scatter
            before, starts = self._starts[half - 2], self._starts[half - 1]
            fewer, best = best, last_starts(costs, best, ramp, before, starts, bound)
            meet(fewer, best, 2 * half - 1)
            if 2 * half <= k_max:
                meet(best, best, 2 * half)
        np.maximum(self.inertias, 0.0, out=self.inertias)

    def labels(self, line: int, k: int) -> Indices:
        """(M,) cluster of each point of one line, 0 .. k-1 from left to right."""
        size, ahead = int(self.sizes[line]), k // 2
        labels = np.zeros(size, dtype=np.intp)
        if k == 1:
            return labels
        meet = int(self._meets[k - 1, line])
        labels[meet:] = k - 1
        self._mark(labels[:meet], line, range(ahead - 1, 0, -1))
        # Backwards, the last cluster comes first: what is not marked belongs to it.
        self._mark(labels[meet:][::-1], len(self.sizes) + line, range(ahead, k - 1))
        return labels

    def _mark(self, labels: Indices, row: int, clusters: range) -> None:
        """Write the clusters of one half, (j,) labels, from its end on; `clusters` their names."""
        end = labels.size
        for before, cluster in zip(range(len(clusters), 0, -1), clusters, strict=True):
            start = int(self._starts[before, row, end])
            labels[start:end] = cluster
            end = start


@dataclass(frozen=True)
class LineCosts:
    """Prefix sums of D lines of weighted points; a row j stands for the first j points of a line.

    `sizes` (D,) points of each line; `mass`, `first`, `second` (D, W + 1) float64 sums of share,
    share * x and share * x^2 over the first j points, shares summing to 1 and x centred. Behind
    the end of a line they stay what they are. `strides` of the search, widest first; W is a
    multiple of the widest.
    """

    sizes: Indices
    mass: Floats
    first: Floats
    second: Floats
    strides: tuple[int, ...]

    def scatter(self) -> Floats:
        """(D,) weighted mean squared distance of all points of a line to their mean."""
        end = np.arange(self.sizes.size), self.sizes
        return self.second[end] - self.first[end] ** 2

    def of_one(self) -> Floats:
        """(D, W + 1) cost of the first j points as one cluster; inf for none and behind the end."""
        with np.errstate(divide="ignore", invalid="ignore"):
            cost = self.second - self.first**2 / self.mass
        row = np.arange(cost.shape[1])
        cost[(row == 0) | (row > self.sizes[:, None])] = np.inf
        return cost


def costs_of(lines: Sequence[tuple[Floats, Floats]]) -> LineCosts:
    """The sums of (points, weights) pairs, each (M,) float64, weights positive."""
    sizes = np.array([points.size for points, _ in lines])
    longest = int(sizes.max())
    strides = [1]
    while 2 * FINER * strides[0] < longest:
        strides.insert(0, FINER * strides[0])
    width = -(-longest // strides[0]) * strides[0]
    share, points = np.zeros((len(lines), width)), np.zeros((len(lines), width))
    for line, (x, weight) in enumerate(lines):
        share[line, : x.size] = part = weight / weight.sum()
        points[line, : x.size] = x - part @ x
    sums = np.zeros((3, len(lines), width + 1))
    for power, row in enumerate(sums):
        np.cumsum(share, axis=1, out=row[:, 1:])
        if power < 2:
            share = share * points
    return LineCosts(sizes, sums[0], sums[1], sums[2], tuple(strides))


def last_starts(
    costs: LineCosts,
    best: Floats,
    ramp: Floats,
    before: Indices,
    starts: Indices,
    bound: Floats,
) -> Floats:
    """(D, W + 1) cost of the first j points in one cluster more than in `best`.

    `ramp` (D, W + 1) is added to costs that are compared, and to none that is returned. `starts`
    (D, W + 1), zeros, receives where the last cluster begins; `before` holds the same of `best`.
    Rows that cost more than `bound` (D,) may be left out: inf, with start 0.

    The start of the last cluster moves left neither as j grows nor with another cluster, as the
    costs obey the quadrangle inequality (Yao, "Efficient dynamic programming using quadrangle
    inequalities", STOC 1980). So a row searches from the start of a row before it, or its own with
    one cluster less, to that of a row behind it.
    """
    width = best.shape[1]
    search = _Search(costs, best - costs.second + ramp, starts, np.full(best.shape, np.inf))
    reach = np.full(costs.sizes.size, width)  # the first row known to cost more than `bound`

    def shorten(line: Indices, rows: Indices) -> None:
        cost = search.lowest[line, rows] + costs.second[line, rows]
        beyond = (cost > bound[line]) & (cost < np.inf)
        np.minimum.at(reach, line, np.where(beyond, rows, width).min(axis=0))

    wide = costs.strides[0]
    line, block = np.nonzero(np.arange(0, width - 1, wide) < costs.sizes[:, None])
    row = (block + 1) * wide
    search.fill(line, row, before[line, row], row - 1, np.zeros(1, dtype=np.intp))
    shorten(line, row[None])
    for span, stride in zip(costs.strides, costs.strides[1:], strict=False):
        inside = np.arange(stride, span, stride)
        line, block = np.nonzero(np.arange(0, width - 1, span) < reach[:, None])
        row = block * span
        left = np.maximum(starts[line, row], before[line, row + stride])
        search.fill(line, row, left, starts[line, row + span], inside)
        if stride > 1:
            shorten(line, row + inside[:, None])
    lowest = search.lowest
    lowest += costs.second - np.take_along_axis(ramp, starts, axis=1)
    beyond_reach = np.arange(width) > reach[:, None]
    starts[beyond_reach], lowest[beyond_reach] = 0, np.inf
    return lowest


@dataclass(frozen=True)
class _Search:
    """The tables of one round: `offset` what a start costs besides its run; results by row."""

    costs: LineCosts
    offset: Floats
    starts: Indices
    lowest: Floats

    def fill(
        self, line: Indices, row: Indices, left: Indices, right: Indices, inside: Indices
    ) -> None:
        """Best start and its cost for rows `row` + `inside` (R,) of lines, all (P,).

        `left`, `right` (P,) bound the start; what lies beside them is searched as far as the
        widest of its kind has it.
        """
        left = np.minimum(left, right)  # rows of fewer points than clusters have no start
        width = self.offset.shape[1]
        cell = line * width
        with np.errstate(divide="ignore", invalid="ignore"):
            for some, reach in _of_like_width(right - left + 1, inside.size):
                first = np.minimum(left[some], width - reach)
                ends = cell[some] + row[some] + inside[:, None]
                at, cost = self._best(cell[some] + first, reach, ends)
                self.starts.reshape(-1)[ends] = first + at
                self.lowest.reshape(-1)[ends] = cost

    def _best(self, first: Indices, reach: int, ends: Indices) -> tuple[Indices, Floats]:
        """Which of the `reach` starts from `first` (P,) on is best for `ends` (R, P), and its cost.

        Starts and ends are flat indices. The leftmost of equals; inf where no start fits.
        """
        # The longer of the two axes goes last, where numpy is fast.
        if reach >= WIDE:
            axis, steps = 2, np.arange(reach)
            starts, rows = first[:, None] + steps, ends[:, :, None]
        else:
            axis, steps = 1, np.arange(reach)[:, None]
            starts, rows = first + steps, ends[:, None]
        sums, mass = self.costs.first, self.costs.mass
        table = sums.take(rows) - sums.take(starts)
        table *= table
        run = mass.take(rows) - mass.take(starts)
        table /= run
        np.subtract(self.offset.take(starts), table, out=table)
        if (mass.take(ends[0]) <= mass.take(first + (reach - 1))).any():
            table[run <= 0] = np.inf
        lowest = table.min(axis=axis)
        # argmin is slow along a short or middle axis; the largest of falling marks is the first.
        best = table == (lowest[:, :, None] if reach >= WIDE else lowest[:, None])
        return reach - (best * (reach - steps).astype(np.int16)).max(axis=axis), lowest


def _of_like_width(widths: Indices, rows: int) -> Iterator[tuple[Indices, int]]:
    """Indices of `widths` (P,) in parts whose tables, `rows` by the widest, hold about CELLS."""
    order = np.argsort(widths, kind="stable")
    while order.size:
        widest = int(widths[order[-1]])
        part = max(CELLS // (rows * widest), 1)
        yield order[-part:], widest
        order = order[:-part]
