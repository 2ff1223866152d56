"""k-means on reward vectors: the published preset's scikit-learn call, and a seedless one.

Vectors enter only the presets that cluster whole groups of rewards; the streaming preset clusters
success rates, which `line` solves exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import UsageError

# Starts tried for each additional cluster.
CANDIDATES = 16

# Lloyd iterations settle long before this; the bound only stops a cycle of exact ties.
MAX_ITERATIONS = 300

Labels = NDArray[np.intp]


def sklearn_kmeans(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    k_cap: int,
    choose: Callable[[Sequence[float]], int],
) -> tuple[Labels, list[float]]:
    """The authors' clustering: scikit-learn's KMeans, one k-means++ start, random_state 0.

    `points` (M, dim) in order of arrival, every weight 1; fits k = 1 .. `k_cap`, lets `choose`
    pick k from the inertias and fits it again. Returns labels (M,) and the inertias. Depends on
    the order of the points and may stop in a local optimum. Raises UsageError when scikit-learn
    is not installed.
    """
    try:
        from sklearn.cluster import KMeans
    except ImportError as error:
        raise UsageError(
            "the authors' k-means needs scikit-learn, which is not installed",
            where="kmeans='sklearn0'",
            fix="install scikit-learn, or pass kmeans='global' for a clustering without it",
        ) from error
    vectors = points.astype(np.float32)

    def fit(k: int) -> KMeans:
        return KMeans(n_clusters=k, n_init="auto", random_state=0).fit(vectors)

    inertias = [float(fit(k).inertia_) for k in range(1, k_cap + 1)]
    return fit(choose(inertias)).labels_.astype(np.intp), inertias


def global_kmeans(
    points: NDArray[np.float64],
    weights: NDArray[np.float64],
    k_cap: int,
    choose: Callable[[Sequence[float]], int],
) -> tuple[Labels, list[float]]:
    """k-means without chance: each k starts from the solution for k - 1 plus one data point.

    The point is the best of the CANDIDATES that promise the largest fall of the cost (global
    k-means: Likas, Vlassis and Verbeek, Pattern Recognition 36(2), 2003). `points` (M, dim),
    `weights` (M,). Returns labels (M,) and the inertias for k = 1 .. `k_cap`. The result does not
    depend on the order of the points.
    """
    distinct, member = np.unique(points, axis=0, return_inverse=True)
    member = member.ravel()
    mass = np.bincount(member, weights=weights).astype(float)
    apart = _squared_distances(distinct, distinct)
    centres = (mass @ distinct / mass.sum())[None, :]
    solutions = [np.zeros(len(distinct), dtype=np.intp)]
    nearest = _squared_distances(distinct, centres)[:, 0]
    inertias = [float(mass @ nearest)]
    for _ in range(2, k_cap + 1):
        promise = mass @ np.maximum(nearest[:, None] - apart, 0.0)
        starts = np.argsort(-promise, kind="stable")[:CANDIDATES]
        trials = np.stack([np.vstack([centres, distinct[start]]) for start in starts])
        centres, labels, inertia = _best_of(distinct, mass, trials)
        nearest = _squared_distances(distinct, centres)[np.arange(len(distinct)), labels]
        solutions.append(labels)
        inertias.append(inertia)
    return solutions[choose(inertias) - 1][member], inertias


def _best_of(
    points: NDArray[np.float64], mass: NDArray[np.float64], centres: NDArray[np.float64]
) -> tuple[NDArray[np.float64], Labels, float]:
    """Lloyd's iterations from several starts, `centres` (S, k, dim); the cheapest end wins."""
    starts, k, dim = centres.shape
    rows = np.arange(starts)[:, None] * k
    labels = np.full((starts, len(points)), -1, dtype=np.intp)
    for _ in range(MAX_ITERATIONS):
        distances = _squared_distances(points, centres.reshape(-1, dim))
        nearest = distances.reshape(len(points), starts, k).argmin(axis=2).T
        if np.array_equal(nearest, labels):
            break
        labels = nearest
        cells = (rows + labels).ravel()
        size = np.bincount(cells, np.tile(mass, starts), minlength=starts * k).reshape(starts, k)
        for axis in range(dim):
            moment = np.bincount(
                cells, np.tile(mass * points[:, axis], starts), minlength=starts * k
            ).reshape(starts, k)
            # A cluster that lost its points keeps its centre.
            centres[:, :, axis] = np.divide(
                moment, size, out=centres[:, :, axis].copy(), where=size > 0
            )
    own = centres[np.arange(starts)[:, None], labels]
    costs = (mass * ((points[None] - own) ** 2).sum(axis=2)).sum(axis=1)
    best = int(costs.argmin())
    return centres[best], labels[best], float(costs[best])


def _squared_distances(
    points: NDArray[np.float64], centres: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(M, k) squared Euclidean distances."""
    squared = np.zeros((len(points), len(centres)))
    for axis in range(points.shape[1]):
        squared += (points[:, axis, None] - centres[None, :, axis]) ** 2
    return squared
