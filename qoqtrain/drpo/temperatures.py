"""Domain and cluster temperatures: rare and hard is cold, and cold weighs much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import UsageError
from qoqtrain.drpo.clustering.bins import Memory
from qoqtrain.drpo.clustering.clusters import Clustering
from qoqtrain.drpo.priors import Priors
from qoqtrain.drpo.settings import DRPOSettings


@dataclass(frozen=True)
class Temperatures:
    """Temperatures of one domain: `n` its N_d, `mu` its mu_d, `domain` T_d, `clusters` (k,) T_c."""

    n: float
    mu: float
    domain: float
    clusters: NDArray[np.float64]


def domain_mean(clustering: Clustering, rule: str) -> float:
    """mu_d from the cluster means: weights 1 / N_c ("inverse_cluster") or N_c ("mean")."""
    shares = clustering.shares
    weights = 1.0 / shares if rule == "inverse_cluster" else shares
    return float((weights * clustering.means).sum() / weights.sum())


def temperatures(clustering: Clustering, n: float, settings: DRPOSettings) -> Temperatures:
    """T_d = max(sqrt(N_d) mu_d, eps) and T_c = sqrt(N_c) mu_c, with N_c = pi_c N_d.

    With floor "eps" T_c is at least eps, as in the paper; otherwise it is what the code has.
    """
    mu = domain_mean(clustering, settings.mu_domain)
    cold = np.sqrt(clustering.shares * n) * clustering.means
    return Temperatures(
        n=n,
        mu=mu,
        domain=max(float(np.sqrt(n)) * mu, settings.eps),
        clusters=np.maximum(cold, settings.eps) if settings.floor == "eps" else cold,
    )


def record_counts(
    memory: Mapping[str, Memory], priors: Priors, settings: DRPOSettings
) -> tuple[dict[str, float], list[str]]:
    """N_d of each domain in `memory`, and the domains among them that have no record count.

    With rarity "prior" N_d is the record count. A domain without one gets its questions seen,
    times the records per question seen of the counted domains: under proportional sampling that
    estimates its record count, on the same scale as theirs. Without any counted domain, N_d is
    the number of questions seen. Raises UsageError for such a domain when `strict_domains` is set.
    """
    seen = {domain: float(held.n_seen) for domain, held in memory.items()}
    known = {
        domain: float(priors.domains[domain].n_records or 0)
        for domain in seen
        if domain in priors.domains and priors.domains[domain].n_records
    }
    unseen = sorted(seen.keys() - known.keys())
    if unseen and settings.strict_domains:
        raise UsageError(
            f"no record count for {', '.join(unseen)}",
            where="domains",
            fix="check domain_key, run `qoqdata stats`, or set strict_domains=False",
        )
    if settings.rarity == "seen":
        return seen, unseen
    questions = sum(seen[domain] for domain in known)
    scale = sum(known.values()) / questions if questions else 1.0
    return {domain: known.get(domain, seen[domain] * scale) for domain in seen}, unseen
