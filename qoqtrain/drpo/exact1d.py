"""Exact k-means on the line, for several lines at once, by dynamic programming.

In one dimension an optimal cluster is a run of neighbouring points, so the best k-clustering of
the first j points is the best (k-1)-clustering of the first i plus one run i..j (Wang and Song,
"Ckmeans.1d.dp", R Journal 3(2), 2011). There are no starts, no seeds and no local optima.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Of two splits whose costs differ by less than this share of the total scatter, per point between
# them, the left one is taken: rounding never decides between the halves of a symmetric tie.
TIE = 1e-12

# Rows of the cost table that are filled at once, over all lines: few enough to stay in cache.
ROWS = 512


class LineClusterings:
    """Optimal k-means clusterings of weighted points on D lines, for every k up to `k_max`.

    `lines` holds one (points, weights) pair per line: points (M,) float64 strictly increasing,
    weights (M,) float64 positive. `inertias` (D, k_max) float64 is the weighted mean squared
    distance to the cluster means; a line of M points has none beyond k = M (inf there). Takes
    about k_max * M * M / 8 operations a line.
    """

    def __init__(
        self, lines: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], k_max: int
    ) -> None:
        self.sizes = np.array([points.size for points, _ in lines])
        width = int(self.sizes.max())
        # A shorter line goes on with evenly spaced points. No row up to its own end looks at them,
        # and their clusters grow evenly, which keeps the search of the other lines short.
        mass = np.ones((len(lines), width + 1))
        points = np.tile(np.arange(width + 1.0), (len(lines), 1))
        mass[:, 0] = 0.0
        for line, (x, weight) in enumerate(lines):
            share = weight / weight.sum()
            mass[line, 1 : x.size + 1] = share
            points[line, 1 : x.size + 1] = x - (share * x).sum()
        self._mass = np.cumsum(mass, axis=1)
        self._first = np.cumsum(mass * points, axis=1)
        self._second = np.cumsum(mass * points * points, axis=1)
        self._scatter = self._at_end(self._second)
        self._splits = np.zeros((k_max, len(lines), width + 1), dtype=np.intp)
        self.inertias = np.full((len(lines), k_max), np.inf)

        best = self._second - self._first**2 / np.maximum(self._mass, 1e-300)
        self.inertias[:, 0] = self._at_end(best)
        for k in range(2, min(k_max, width) + 1):
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
        inequality), so each block of rows searches only to the right of the block before.
        """
        width = best.shape[1]
        ramp = TIE * self._scatter[:, None] * np.arange(width)
        offset = best - self._second + ramp
        cost = np.full(best.shape, np.inf)
        split = self._splits[k - 1]
        block = min(max(ROWS // len(best), 16), 64)
        empty = np.arange(block)[None, :] >= np.arange(block)[:, None]
        lines = np.arange(len(best))[:, None]
        left = k - 1
        for low in range(k, width, block):
            high = min(low + block, width)
            rows, starts = slice(low, high), slice(left, high - 1)
            table = self._first[:, rows, None] - self._first[:, None, starts]
            table *= table
            mass = self._mass[:, rows, None] - self._mass[:, None, starts]
            with np.errstate(divide="ignore", invalid="ignore"):
                table /= mass
            np.subtract(offset[:, None, starts], table, out=table)
            beyond = empty[: high - low, : high - 1 - low]
            np.copyto(table[:, :, low - left :], np.inf, where=beyond)
            first = table.argmin(axis=2)
            split[:, rows] = left + first
            lowest = table[lines, np.arange(high - low), first]
            cost[:, rows] = lowest - ramp[lines, split[:, rows]] + self._second[:, rows]
            left = int(split[:, high - 1].min())
        return cost
