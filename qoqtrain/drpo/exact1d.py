"""Exact k-means on the line, for several lines at once, by dynamic programming.

In one dimension an optimal cluster is a run of neighbouring points, so the best k-clustering of
the first j points is the best (k-1)-clustering of the first i plus one run i..j (Wang and Song,
"Ckmeans.1d.dp", R Journal 3(2), 2011). There are no starts, no seeds and no local optima.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

# Of two splits whose costs differ by less than this share of the total scatter, per point between
# them, the left one is taken: rounding never decides between the halves of a symmetric tie.
TIE = 1e-12

# Rows are solved at a wide stride and then at this share of it, down to every row: the starts
# found for two rows bound the search of those between them.
FINER = 8

# Entries of the cost table that are filled at once: few enough to stay in cache.
CELLS = 1 << 15


class LineClusterings:
    """Optimal k-means clusterings of weighted points on D lines, for every k up to `k_max`.

    `lines` holds one (points, weights) pair per line: points (M,) float64 strictly increasing,
    weights (M,) float64 positive. `inertias` (D, k_max) float64 is the weighted mean squared
    distance to the cluster means; a line of M points has none beyond k = M (inf there).
    """

    def __init__(
        self, lines: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], k_max: int
    ) -> None:
        self.sizes = np.array([points.size for points, _ in lines])
        longest = int(self.sizes.max())
        self._strides = [1]
        while 2 * FINER * self._strides[0] < longest:
            self._strides.insert(0, FINER * self._strides[0])
        width = (longest // self._strides[0] + 1) * self._strides[0] + 1
        # Behind its end a line goes on with points that no row up to the end looks at.
        mass = np.ones((len(lines), width))
        points = np.zeros((len(lines), width))
        mass[:, 0] = 0.0
        for line, (x, weight) in enumerate(lines):
            share = weight / weight.sum()
            mass[line, 1 : x.size + 1] = share
            points[line, 1 : x.size + 1] = x - (share * x).sum()
        self._mass = np.cumsum(mass, axis=1)
        self._first = np.cumsum(mass * points, axis=1)
        self._second = np.cumsum(mass * points * points, axis=1)
        self._ramp = TIE * self._at_end(self._second)[:, None] * np.arange(width)
        self._splits = np.zeros((k_max, len(lines), width), dtype=np.intp)
        self.inertias = np.full((len(lines), k_max), np.inf)

        best = self._second - self._first**2 / np.maximum(self._mass, 1e-300)
        self.inertias[:, 0] = self._at_end(best)
        for k in range(2, min(k_max, longest) + 1):
            best = self._one_more(best, k)
            fits = self.sizes >= k
            self.inertias[fits, k - 1] = self._at_end(best)[fits]
        np.maximum(self.inertias, 0.0, out=self.inertias)

    def labels(self, line: int, k: int) -> NDArray[np.intp]:
        """(M,) cluster of each point of one line, 0 .. k-1 from left to right."""
        end = int(self.sizes[line])
        labels = np.zeros(end, dtype=np.intp)
        for cluster in range(k - 1, 0, -1):
            start = int(self._splits[cluster, line, end])
            labels[start:end] = cluster
            end = start
        return labels

    def _at_end(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        return table[np.arange(self.sizes.size), self.sizes]

    def _one_more(self, best: NDArray[np.float64], k: int) -> NDArray[np.float64]:
        """Best cost of the first j points in k clusters; notes where the last cluster starts.

        The start of the last cluster never moves left as j grows (the costs obey the quadrangle
        inequality), so a row searches from the start of a row before it to that of one behind it.
        """
        width = best.shape[1]
        offset = best - self._second + self._ramp
        lowest = np.full(best.shape, np.inf)
        split = self._splits[k - 1]
        # Until they are known: no start before k - 1 points, none behind the last but one.
        split[:] = np.where(np.arange(width) < k, k - 1, self.sizes[:, None] - 1)
        span = width - 1
        for stride in self._strides:
            inside = np.arange(stride, span, stride)
            firsts = np.arange(0, width - 1, span) + stride
            line, block = np.nonzero((firsts <= self.sizes[:, None]) & (self.sizes[:, None] >= k))
            left, right = split[line, block * span], split[line, (block + 1) * span]
            for some in _of_like_width(right - left + 1, inside.size):
                rows = (block[some] * span)[:, None] + inside
                lines = line[some, None]
                start, cost = self._search(offset, lines, rows, left[some], right[some])
                real = rows <= self.sizes[lines]
                cells = (lines * width + rows)[real]
                split.reshape(-1)[cells], lowest.reshape(-1)[cells] = start[real], cost[real]
            span = stride
        return lowest - np.take_along_axis(self._ramp, split, axis=1) + self._second

    def _search(
        self,
        offset: NDArray[np.float64],
        lines: NDArray[np.intp],
        rows: NDArray[np.intp],
        left: NDArray[np.intp],
        right: NDArray[np.intp],
    ) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """(P, R) best start of the last cluster and its cost, for `rows` (P, R) of `lines` (P, 1).

        `left`, `right` (P,) bound the start; what lies right of a bound is searched as far as the
        widest has it.
        """
        width = offset.shape[1]
        starts = left[:, None] + np.arange(int((right - left).max()) + 1)
        ends, cells = lines * width + rows, lines * width + np.minimum(starts, width - 1)
        table = self._first.take(ends)[:, :, None] - self._first.take(cells)[:, None]
        table *= table
        mass = self._mass.take(ends)[:, :, None] - self._mass.take(cells)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            table /= mass
        np.subtract(offset.take(cells)[:, None], table, out=table)
        np.copyto(table, np.inf, where=starts[:, None] >= rows[:, :, None])
        first = table.argmin(axis=2)
        lowest = table.ravel().take(
            first + np.arange(0, table.size, table.shape[2]).reshape(first.shape)
        )
        return left[:, None] + first, lowest


def _of_like_width(widths: NDArray[np.intp], rows: int) -> Iterator[NDArray[np.intp]]:
    """Indices of `widths` (P,) in parts whose tables, `rows` by the widest, hold about CELLS."""
    order = np.argsort(widths, kind="stable")
    while order.size:
        part = max(CELLS // (rows * int(widths[order[-1]])), 1)
        yield order[-part:]
        order = order[:-part]
