"""Difficulty clusters of one domain: which questions, how many, and where the elbow bends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from qoqtrain.drpo.clustering.kmeans import global_kmeans, sklearn_kmeans
from qoqtrain.drpo.clustering.line import LineClusterings
from qoqtrain.drpo.settings import DRPOSettings


@dataclass(frozen=True)
class Evidence:
    """What is clustered for one domain.

    `points` (M, dim) float64, one per distinct or single question; `success_rates` (M,) the mean
    reward that each stands for; `weights` (M,) how many questions each stands for; `members` (Q,)
    the point of each question of the batch, in the batch's order; `scatter` the mean squared
    distance of the questions to the points that stand for them.
    """

    points: NDArray[np.float64]
    success_rates: NDArray[np.float64]
    weights: NDArray[np.float64]
    members: NDArray[np.intp]
    scatter: float = 0.0


@dataclass(frozen=True)
class Clustering:
    """Clusters of one domain, easiest last where the points lie on a line.

    `labels` (M,) cluster of each point; `counts` (k,) questions in each cluster;
    `success_rates` (k,) their mean reward; `inertias` the costs for k = 1, 2, ... that the elbow
    was read from: mean squared distance to the cluster means on the line (so the first is the
    variance of the questions' success rates), its sum over the questions for vectors.
    """

    labels: NDArray[np.intp]
    counts: NDArray[np.float64]
    success_rates: NDArray[np.float64]
    inertias: tuple[float, ...]

    @property
    def k(self) -> int:
        return self.counts.size

    @property
    def shares(self) -> NDArray[np.float64]:
        """(k,) pi_c, the share of the domain's questions in each cluster."""
        return self.counts / self.counts.sum()

    @property
    def success_rate(self) -> float:
        """Mean reward of all questions."""
        return float(self.shares @ self.success_rates)


def elbow(inertias: Sequence[float], tolerance: float) -> int:
    """Number of clusters at the elbow of `inertias` (I_1 .. I_cap, non-negative).

    With drops D_k = I_k - I_{k+1}, the first k >= 2 with D_k < tolerance * D_{k-1}; the cap when
    there is none (QoQ-Med, arXiv 2506.00711, section 3, tolerance 0.10).
    """
    drops = [before - after for before, after in pairwise(inertias)]
    for k in range(2, len(inertias)):
        if drops[k - 1] < tolerance * drops[k - 2]:
            return k
    return len(inertias)


def cluster_domains(evidence: Sequence[Evidence], settings: DRPOSettings) -> list[Clustering]:
    """Cluster each domain by the method that `DRPOSettings.kmeans` names, one Clustering each."""
    k_max, tolerance = settings.k_max, settings.elbow_tolerance
    if settings.kmeans in ("exact1d", "binned"):
        return _on_the_line(evidence, k_max, tolerance)
    fit = sklearn_kmeans if settings.kmeans == "sklearn0" else global_kmeans
    clusterings = []
    for domain in evidence:
        distinct = np.unique(domain.points, axis=0).shape[0]
        labels, inertias = fit(
            domain.points, domain.weights, min(k_max, distinct), lambda i: elbow(i, tolerance)
        )
        labels = np.unique(labels, return_inverse=True)[1]  # a cluster may have lost its points
        clusterings.append(_summarise(domain, labels, inertias))
    return clusterings


def _on_the_line(evidence: Sequence[Evidence], k_max: int, tolerance: float) -> list[Clustering]:
    """Exact clusterings of success rates; equal rates are one point."""
    lines, inverse = [], []
    for domain in evidence:
        points, weights = domain.points[:, 0], domain.weights
        member = np.arange(points.size)
        if (np.diff(points) <= 0).any():
            points, member = np.unique(points, return_inverse=True)
            weights = np.bincount(member, weights=weights).astype(float)
        lines.append((points, weights))
        inverse.append(member)
    exact = LineClusterings(lines, k_max)
    clusterings = []
    for i, domain in enumerate(evidence):
        inertias = exact.inertias[i, : min(k_max, int(exact.sizes[i]))].tolist()
        labels = exact.labels(i, elbow(inertias, tolerance))[inverse[i]]
        clusterings.append(_summarise(domain, labels, inertias))
    return clusterings


def _summarise(domain: Evidence, labels: NDArray[np.intp], inertias: Sequence[float]) -> Clustering:
    counts = np.bincount(labels, weights=domain.weights).astype(float)
    sums = np.bincount(labels, weights=domain.weights * domain.success_rates)
    return Clustering(
        labels, counts, sums / counts, tuple(inertia + domain.scatter for inertia in inertias)
    )
