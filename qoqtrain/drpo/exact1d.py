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

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qoqtrain.drpo.clustering.line import costs_of, last_starts

# Of two splits whose costs differ by less than this share of the total scatter, per point between
# them, the left one is taken: rounding never decides between the halves of a symmetric tie.
TIE = 1e-12

# A cost that is above another one by less than this share of the total scatter may be its equal.
ROUNDING = 1e-9


class LineClusterings:
    """Optimal k-means clusterings of weighted points on D lines, for every k up to `k_max`.

    `lines` holds one (points, weights) pair per line: points (M,) float64 strictly increasing,
    weights (M,) float64 positive. `sizes` (D,) is M of each; `inertias` (D, k_max) float64 is the
    weighted mean squared distance to the cluster means; a line of M points has none beyond k = M
    (inf there).
    """

    def __init__(
        self, lines: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], k_max: int
    ) -> None:
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

        def meet(ahead: NDArray[np.float64], behind: NDArray[np.float64], k: int) -> None:
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

    def labels(self, line: int, k: int) -> NDArray[np.intp]:
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

    def _mark(self, labels: NDArray[np.intp], row: int, clusters: range) -> None:
        """Write the clusters of one half, (j,) labels, from its end on; `clusters` their names."""
        end = labels.size
        for left, cluster in zip(range(len(clusters), 0, -1), clusters, strict=True):
            start = int(self._starts[left, row, end])
            labels[start:end] = cluster
            end = start
