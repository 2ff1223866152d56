"""What each domain weighs before the next step, from its size and its success rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from qoqtrain.drpo.advantage import Temperatures, record_counts, temperatures
from qoqtrain.drpo.clustering.clusters import Clustering, cluster_domains
from qoqtrain.drpo.memory import Memory, evidence_of
from qoqtrain.drpo.priors import DomainPrior, Priors
from qoqtrain.drpo.published_scaling import difficulty_factors, domain_factors
from qoqtrain.drpo.settings import DRPOSettings

# Questions of a cluster with a smaller success rate than this fail always: all their scores are 0,
# and there is nothing for a weight to scale.
ALWAYS_FAILED = 1e-9


class WeightRow(TypedDict):
    """Weight of one domain.

    `n_records` questions and `n_studies`, None when not counted; N_d is the latter, or the former
    in the published presets; `share` of the sum of N_d; `rarity` sqrt(N / (D N_d));
    `success_rate` mean reward, 0 hard to 1 easy, None when unknown; `weighted_success_rate` the
    mean over the clusters that enters T_d; `temperature` T_d; `k` clusters; `weight` and
    `weight_bounded` with a mean of 1 that N_d weighs; `success_rate_from` what is behind the
    success rate: "prior", questions "seen", "both", or "none"; `measured_by` whose rollouts or
    formula the prior is.

    `n` N_d. `rarity_factor` 1 / N_d, scaled like the weight, and `difficulty_factor`, whose product
    is `weight`; `clusters` (success rate, share of the questions) of each; `bound_share` of the
    domain's questions are held by the clip.
    """

    domain: str
    n_records: int | None
    n_studies: int | None
    share: float
    rarity: float
    success_rate: float | None
    weighted_success_rate: float | None
    temperature: float | None
    k: int | None
    weight: float
    weight_bounded: float
    success_rate_from: str
    measured_by: str | None
    n: float
    rarity_factor: float
    difficulty_factor: float
    clusters: list[tuple[float, float]]
    bound_share: float


@dataclass(frozen=True)
class _Cells:
    """Clusters of a domain that can learn: `logs` (k,) log T_d T_c, `shares` (k,) summing to 1."""

    logs: NDArray[np.float64]
    shares: NDArray[np.float64]

    def mean_weight(self) -> float:
        return float(self.shares @ np.exp(-self.logs))


def weight_rows(
    priors: Priors, history: Mapping[str, Memory], settings: DRPOSettings
) -> list[WeightRow]:
    """One row for each domain that is counted or was seen, in sorted order.

    `weight` is the mean over the domain's questions of 1 / (T_d T_c): what the published formula
    gives a question drawn from it. `weight_bounded` is the same after alpha and the clip, taken
    around the median over all questions, weighed by N_d; the ESS floor depends on the batch and
    is left out. Clusters that always fail are left out of both means. A domain without a success
    rate, or with one of 0, is weighed by its rarity alone, at the difficulty that the others have
    on average in the same column. Both columns are scaled to a mean of 1 that N_d weighs.
    """
    counts = _counts(priors, history, settings)
    domains = sorted(counts)
    if not domains:
        return []
    clusterings = _clusterings(domains, priors, history, settings)
    rarities = _rarities(domains, counts, priors, history, settings)
    by_domain = {d: temperatures(clusterings[d], counts[d], settings) for d in clusterings}
    cells = {
        d: _live_cells(clustering, by_domain[d], rarities[d], settings)
        for d, clustering in clusterings.items()
        if clustering.success_rates.max() > ALWAYS_FAILED
    }
    n = np.array([counts[d] for d in domains])
    factors = np.array([rarities[d] for d in domains])
    known = np.array([d in cells for d in domains])
    means = {d: one.mean_weight() for d, one in cells.items()}
    plain = _normalised(_filled(_spread(means, domains), factors, n, known), n)
    held = _bounded(domains, cells, factors, n, settings)
    bounded = _normalised(held.weights, n)
    total = float(n.sum())
    rows: list[WeightRow] = []
    for i, domain in enumerate(domains):
        clustering, temperature = clusterings.get(domain), by_domain.get(domain)
        rarity = rarities[domain] * total / sum(rarities[d] * counts[d] for d in domains)
        prior = priors.domains.get(domain, DomainPrior())
        rows.append(
            {
                "domain": domain,
                "n_records": prior.n_records,
                "n_studies": prior.n_studies,
                "share": float(n[i] / total),
                "rarity": float(np.sqrt(total / (len(domains) * n[i]))),
                "success_rate": clustering.success_rate if clustering else None,
                "weighted_success_rate": temperature.success_rate if temperature else None,
                "temperature": temperature.domain if temperature else None,
                "k": clustering.k if clustering else None,
                "weight": float(plain[i]),
                "weight_bounded": float(bounded[i]),
                "success_rate_from": _origin(prior, history.get(domain), settings),
                "measured_by": prior.policy if prior.mass(settings.strength) > 0 else None,
                "n": float(n[i]),
                "rarity_factor": rarity,
                "difficulty_factor": float(plain[i]) / rarity,
                "clusters": _shares(clustering),
                "bound_share": float(held.at_bound[i]),
            }
        )
    return rows


def _counts(
    priors: Priors, history: Mapping[str, Memory], settings: DRPOSettings
) -> dict[str, float]:
    """N_d of every domain; one that has not been seen yet stands with its size in the data."""
    counts, _ = record_counts(history, priors, settings)
    for domain, prior in priors.domains.items():
        if size := prior.count(settings.rarity):
            counts.setdefault(domain, float(size))
    return {domain: n for domain, n in counts.items() if n > 0}


def _clusterings(
    domains: list[str], priors: Priors, history: Mapping[str, Memory], settings: DRPOSettings
) -> dict[str, Clustering]:
    evidence = {
        domain: evidence_of(
            history.get(domain), priors.domains.get(domain, DomainPrior()), settings
        )
        for domain in domains
    }
    evidence = {domain: points for domain, points in evidence.items() if points.weights.size}
    if not evidence:
        return {}
    return dict(zip(evidence, cluster_domains(list(evidence.values()), settings), strict=True))


def _rarities(
    domains: list[str],
    counts: Mapping[str, float],
    priors: Priors,
    history: Mapping[str, Memory],
    settings: DRPOSettings,
) -> dict[str, float]:
    """What rarity alone makes of each domain, on any scale."""
    if settings.weighting == "disco":
        return domain_factors(domains, history, priors)
    return {domain: 1.0 / counts[domain] for domain in domains}


def _live_cells(
    clustering: Clustering, temperature: Temperatures, rarity: float, settings: DRPOSettings
) -> _Cells:
    live = clustering.success_rates > ALWAYS_FAILED
    shares = clustering.shares[live]
    if settings.weighting == "disco":
        logs = -np.log(rarity * difficulty_factors(clustering.success_rates[live]))
    else:
        logs = np.log(temperature.domain) + np.log(temperature.clusters[live])
    return _Cells(logs, shares / shares.sum())


def _filled(
    weights: NDArray[np.float64],
    rarities: NDArray[np.float64],
    n: NDArray[np.float64],
    known: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """`weights` (D,), where they are not `known` the rarity times the mean of weight over rarity of
    the known ones, weighed by N_d; where none is known the rarity alone."""
    difficulty = float(n[known] @ (weights[known] / rarities[known])) / (n[known].sum() or 1.0)
    return np.where(known, weights, rarities * (difficulty or 1.0))


def _spread(values: Mapping[str, float], domains: Sequence[str]) -> NDArray[np.float64]:
    """(D,) the values by domain; 0 where there is none."""
    return np.array([values.get(domain, 0.0) for domain in domains])


def _shares(clustering: Clustering | None) -> list[tuple[float, float]]:
    if clustering is None:
        return []
    rates, shares = clustering.success_rates.tolist(), clustering.shares.tolist()
    return list(zip(rates, shares, strict=True))


class _Held(NamedTuple):
    """Mean bounded weight of each domain (D,), and the share (D,) of its questions at a bound."""

    weights: NDArray[np.float64]
    at_bound: NDArray[np.float64]


def _bounded(
    domains: list[str],
    cells: Mapping[str, _Cells],
    rarities: NDArray[np.float64],
    n: NDArray[np.float64],
    settings: DRPOSettings,
) -> _Held:
    """The clip holds what is known around its own median; the others are held alike."""
    pairs = zip(domains, rarities, strict=True)
    cells = cells or {d: _Cells(-np.log([rarity]), np.ones(1)) for d, rarity in pairs}
    rarities = rarities**settings.alpha
    known = np.array([d in cells for d in domains])
    live = [d for d in domains if d in cells]
    logs = -settings.alpha * np.concatenate([cells[d].logs for d in live])
    sizes = np.array([cells[d].logs.size for d in live])
    shares = np.concatenate([cells[d].shares for d in live])
    middle, reach = 0.0, np.inf
    if settings.weight_clip is not None:
        mass = np.repeat(n[known], sizes) * shares
        order = np.argsort(logs, kind="stable")
        middle = logs[order][np.searchsorted(np.cumsum(mass[order]), mass.sum() / 2.0)]
        reach = float(np.log(settings.weight_clip))
    over = np.abs(logs - middle) >= reach
    logs = np.clip(logs, middle - reach, middle + reach)
    starts = np.cumsum(sizes) - sizes
    weights, at_bound = np.zeros(len(domains)), np.zeros(len(domains))
    weights[known] = np.add.reduceat(shares * np.exp(logs), starts)
    at_bound[known] = np.add.reduceat(shares * over, starts)
    weights = np.log(_filled(weights, rarities, n, known))
    at_bound[~known] = np.abs(weights - middle)[~known] >= reach
    return _Held(np.exp(np.clip(weights, middle - reach, middle + reach)), at_bound)


def _normalised(weights: NDArray[np.float64], n: NDArray[np.float64]) -> NDArray[np.float64]:
    return weights * n.sum() / (weights @ n)


def _origin(prior: DomainPrior, memory: Memory | None, settings: DRPOSettings) -> str:
    behind = prior.mass(settings.strength) > 0, memory is not None and memory.n_seen > 0
    return {(True, True): "both", (True, False): "prior", (False, True): "seen"}.get(behind, "none")
