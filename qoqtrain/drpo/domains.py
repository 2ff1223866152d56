"""The domains of one batch, measured: their clusters, counts and temperatures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qoqtrain.drpo.batch import RolloutBatch
from qoqtrain.drpo.clustering.bins import Memory
from qoqtrain.drpo.clustering.clusters import Clustering, cluster_domains
from qoqtrain.drpo.memory import domain_questions, evidence_of, members_of
from qoqtrain.drpo.priors import DomainPrior, Priors
from qoqtrain.drpo.settings import DRPOSettings
from qoqtrain.drpo.temperatures import Temperatures, temperatures


@dataclass(frozen=True)
class MeasuredDomain:
    """One domain of the batch: its `questions` (Q_d,), and the cluster (Q_d,) of each."""

    domain: str
    questions: NDArray[np.intp]
    clusters: NDArray[np.intp]
    clustering: Clustering
    temperatures: Temperatures


def measure_domains(
    batch: RolloutBatch,
    means: NDArray[np.float64],
    history: Mapping[str, Memory],
    counts: Mapping[str, float],
    priors: Priors,
    settings: DRPOSettings,
) -> list[MeasuredDomain]:
    """Cluster the domains of the batch, and only those; `means` (Q,), `counts` N_d by domain.

    `history` already holds the batch's questions.
    """
    questions = domain_questions(batch)
    evidence = [
        evidence_of(
            history[domain],
            priors.domains.get(domain, DomainPrior()),
            settings,
            members_of(batch, members, means, history[domain], settings),
        )
        for domain, members in questions.items()
    ]
    fitted = cluster_domains(
        evidence,
        kmeans=settings.kmeans,
        k_max=settings.k_max,
        tolerance=settings.elbow_tolerance,
    )
    return [
        MeasuredDomain(
            domain,
            members,
            clustering.labels[found.members],
            clustering,
            temperatures(clustering, counts[domain], settings),
        )
        for (domain, members), found, clustering in zip(
            questions.items(), evidence, fitted, strict=True
        )
    ]
