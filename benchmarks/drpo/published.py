"""The published DRPO step, as its code computes it: all history clustered anew at every step.

Re-implemented from the description of the algorithm (QoQ-Med, arXiv 2506.00711, and its released
code) to measure what it costs. Nothing is made faster or safer than it is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from benchmarks.drpo.climb import Questions

EPS = 1e-6
TOLERANCE = 0.10


@dataclass
class History:
    """Per domain, in order of arrival: the id and the float32 rewards of every question."""

    ids: dict[str, list[str]] = field(default_factory=dict)
    vectors: dict[str, list[NDArray[np.float32]]] = field(default_factory=dict)

    def append(self, questions: Questions) -> list[str]:
        """Add questions under fresh ids, and return the ids (Q,)."""
        fresh = [str(uuid4()) for _ in questions.domains]
        rewards = questions.rewards.astype(np.float32)
        for name, domain, vector in zip(fresh, questions.domains.tolist(), rewards, strict=True):
            self.ids.setdefault(domain, []).append(name)
            self.vectors.setdefault(domain, []).append(vector)
        return fresh


def published_step(history: History, questions: Questions, *, k_max: int) -> NDArray[np.float64]:
    """Advantages (Q, 5) of one batch, which joins the `history` for good.

    `k_max` is 10 in the first release of the code and 3 in the later one. Advantages that are not
    finite stay unscaled, as in the later one.
    """
    names = history.append(questions)
    rewards = questions.rewards.astype(np.float32)
    scores = rewards - rewards.mean(axis=1, keepdims=True)
    scores = scores / (rewards.std(axis=1, ddof=1, keepdims=True) + EPS)
    clusterings = {domain: _clusters(vectors, k_max) for domain, vectors in history.vectors.items()}
    scaled = np.empty(rewards.shape)
    for question, (name, domain) in enumerate(zip(names, questions.domains.tolist(), strict=True)):
        labels, counts, rates = clusterings[domain]
        rate = (rates / counts).sum() / (1.0 / counts).sum()
        for rollout in range(rewards.shape[1]):
            cluster = labels[history.ids[domain].index(name)]
            temperature = max(np.sqrt(len(history.ids[domain])) * rate, EPS)
            factor = temperature * np.sqrt(counts[cluster]) * rates[cluster]
            score = scores[question, rollout]
            scaled[question, rollout] = score / factor if factor != 0 else score
    return scaled / (scaled.std(ddof=1) + EPS)


def _clusters(
    vectors: list[NDArray[np.float32]], k_max: int
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Cluster of each question, and the size and the success rate of each cluster."""
    from sklearn.cluster import KMeans

    points = np.stack(vectors)

    def fit(k: int) -> KMeans:
        return KMeans(n_clusters=k, n_init="auto", random_state=0).fit(points)

    cap = min(k_max, len(np.unique(points, axis=0)))
    inertias = [fit(k).inertia_ for k in range(1, cap + 1)]
    drops = -np.diff(inertias)
    bends = (k for k in range(2, cap) if drops[k - 1] < TOLERANCE * drops[k - 2])
    best = fit(next(bends, cap))
    counts = np.bincount(best.labels_).astype(float)
    return best.labels_, counts, best.cluster_centers_.mean(axis=1).astype(float)
