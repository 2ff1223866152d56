"""The formula of DRPO, from rewards to advantages, in the order in which it is computed.

For a rollout i of question q in difficulty cluster c of domain d:

    success_rate_q = mean success of its rollouts                question_success_rates
    z_i = (r_i - mean_q) / (std_q + eps)                         group_scores
    N_d = records of the domain, N_c = the cluster's share       record_counts
    T_d = max(sqrt(N_d) success_rate_d, eps), T_c likewise       temperatures
    w_q = 1 / (T_d T_c), within bounds                           bounds.bounded_log_weights
    s_i = w_q z_i, A_i = s_i / (std(s over the batch) + eps)     advantages_of
    s_i or A_i times m_i, where KL is damped                     question_ and rollout_damping
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import UsageError
from qoqtrain.drpo.batch import RolloutBatch
from qoqtrain.drpo.bounds import LogWeights, bounded_log_weights
from qoqtrain.drpo.clustering.clusters import Clustering, cluster_domains
from qoqtrain.drpo.memory import Memory, evidence_of, members_of
from qoqtrain.drpo.priors import DomainPrior, Priors
from qoqtrain.drpo.published_scaling import difficulty_factors
from qoqtrain.drpo.settings import DRPOSettings

Floats = NDArray[np.float64]


# Within a question: how a rollout compares with its siblings.


def question_success_rates(batch: RolloutBatch) -> Floats:
    """(Q,) mean success of the rollouts of each question, in [0, 1]."""
    return batch.sums(batch.success) / batch.sizes


def group_scores(batch: RolloutBatch, settings: DRPOSettings) -> Floats:
    """(B,) score of each rollout within its question, by `settings.group`.

    - "grpo": z = (r - m) / (s + eps), s with ddof 1 (DeepSeekMath, arXiv 2402.03300)
    - "dr_grpo": r - m (Dr. GRPO, arXiv 2503.20783)
    - "rloo": r - mean of the other rollouts (RLOO, arXiv 2402.14740)
    - "gdpo": z of each part, weighted and summed (GDPO, arXiv 2601.05242)

    Groups may differ in size. A group of one, and a group whose rewards are all equal, scores
    exactly 0.
    """
    if settings.group == "gdpo":
        weights = settings.part_weights or (1.0,) * batch.parts.shape[1]
        score = np.zeros(batch.rewards.size)
        for part, weight in zip(batch.parts.T, weights, strict=True):
            score += weight * _standardised(batch, part, settings)
        return score
    if settings.group == "grpo":
        return _standardised(batch, batch.rewards, settings)
    centred, _ = _centred(batch, batch.rewards)
    if settings.group == "rloo":
        return centred * batch.per_rollout(batch.sizes / np.maximum(batch.sizes - 1, 1))
    return centred


def _standardised(batch: RolloutBatch, values: Floats, settings: DRPOSettings) -> Floats:
    centred, std = _centred(batch, values)
    low, high = settings.reward_range or (0.0, 1.0)
    floor = settings.std_floor * (high - low)
    return centred / batch.per_rollout(np.maximum(std, floor) + settings.eps)


def _centred(batch: RolloutBatch, values: Floats) -> tuple[Floats, Floats]:
    """`values` (B,) less the mean of their group, and each group's std (Q,) with ddof 1."""
    # Counted from the lowest value of the group, a tie is exactly 0 and crumbs keep their digits,
    # where the rounded mean of the values themselves may lie beside all of them.
    above = values - batch.per_rollout(np.minimum.reduceat(values, batch.starts))
    centred = above - batch.per_rollout(batch.sums(above) / batch.sizes)
    variance = batch.sums(centred * centred) / np.maximum(batch.sizes - 1, 1)
    return centred, np.sqrt(variance)


# Between questions: a domain or cluster that is rare and hard has a low temperature, and a low
# temperature is a large weight.


def record_counts(
    history: Mapping[str, Memory], priors: Priors, settings: DRPOSettings
) -> tuple[dict[str, float], list[str]]:
    """N_d of each domain in `history`, and the domains among them that were not counted.

    With rarity "prior" N_d is the number of studies (of records, where a prior counts only those),
    with "draws" that of `priors.drawn`.
    A domain without one gets its questions seen, times the studies per question seen of the
    counted domains: under proportional sampling that estimates its size on their scale. Without
    any counted domain, N_d is the number of questions seen. Raises UsageError for such a
    domain when `strict_domains` is set.
    """
    n_seen = {domain: float(memory.n_seen) for domain, memory in history.items()}
    counts = {
        domain: float(count)
        for domain in n_seen
        if (count := priors.domains.get(domain, DomainPrior()).count(settings.rarity))
    }
    uncounted = sorted(n_seen.keys() - counts.keys())
    if uncounted and settings.strict_domains:
        raise UsageError(
            f"no record count for {', '.join(uncounted)}",
            where="domains",
            fix="check domain_key, run `qoqdata stats`, or set strict_domains=False",
        )
    if settings.rarity == "seen":
        return n_seen, uncounted
    questions = sum(n_seen[domain] for domain in counts)
    scale = sum(counts.values()) / questions if questions else 1.0
    return {domain: counts.get(domain, n_seen[domain] * scale) for domain in n_seen}, uncounted


@dataclass(frozen=True)
class Temperatures:
    """Temperatures of one domain: `n` its N_d, `success_rate` the mean reward mu_d that enters
    T_d, `domain` T_d, `clusters` (k,) T_c."""

    n: float
    success_rate: float
    domain: float
    clusters: Floats


def temperatures(clustering: Clustering, n: float, settings: DRPOSettings) -> Temperatures:
    """T_d = max(sqrt(N_d) mu_d, eps) and T_c = sqrt(N_c) mu_c, with N_c = pi_c N_d.

    mu_c is the success rate of a cluster; mu_d is their mean with weights 1 / N_c
    (`mu_domain` "inverse_cluster") or N_c ("mean"). With floor "eps" T_c is at least eps, as in
    the paper; otherwise it is what the code has.
    """
    shares, rates = clustering.shares, clustering.success_rates
    weights = 1.0 / shares if settings.mu_domain == "inverse_cluster" else shares
    success_rate = float((weights * rates).sum() / weights.sum())
    clusters = np.sqrt(shares * n) * rates
    return Temperatures(
        n=n,
        success_rate=success_rate,
        domain=max(float(np.sqrt(n)) * success_rate, settings.eps),
        clusters=np.maximum(clusters, settings.eps) if settings.floor == "eps" else clusters,
    )


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
    success_rates: Floats,
    history: Mapping[str, Memory],
    counts: Mapping[str, float],
    priors: Priors,
    settings: DRPOSettings,
) -> list[MeasuredDomain]:
    """Clusters and temperatures of the domains of the batch, and only those.

    `success_rates` (Q,) of the questions, which `history` holds already; `counts` N_d by domain.
    """
    domains = batch.questions_by_domain()
    evidence = [
        evidence_of(
            history[domain],
            priors.domains.get(domain, DomainPrior()),
            settings,
            members_of(batch, questions, success_rates, history[domain], settings),
        )
        for domain, questions in domains.items()
    ]
    return [
        MeasuredDomain(
            domain,
            questions,
            clustering.labels[points.members],
            clustering,
            temperatures(clustering, counts[domain], settings),
        )
        for (domain, questions), points, clustering in zip(
            domains.items(), evidence, cluster_domains(evidence, settings), strict=True
        )
    ]


# Over the batch: scores, weighted and brought to one scale.


@dataclass(frozen=True)
class Advantages:
    """Advantages and how they came about.

    `values` (B,); `scores` (B,) within the group; `factors` (Q,) what each question's scores were
    divided by, and `unbounded_factors` (Q,) T_d T_c; `batch_std` of the weighted scores; `damping`
    (B,) or None; `weights` None for the published code, which bounds nothing.
    """

    values: Floats
    scores: Floats
    factors: Floats
    unbounded_factors: Floats
    batch_std: float
    damping: Floats | None
    weights: LogWeights | None


def advantages_of(
    batch: RolloutBatch,
    domains: Sequence[MeasuredDomain],
    settings: DRPOSettings,
    rates: Floats,
    domain_factors: Mapping[str, float],
) -> Advantages:
    """A = s / (std(s) + eps) with s = z / (T_d T_c), bounded and damped as `settings` say; with
    weighting "disco" by `domain_factors` and the success `rates` (Q,) instead.

    Bounded weights are taken relative to the batch median, so that neither eps nor a common
    factor of all N_d matters.
    """
    scores = group_scores(batch, settings)
    t_domain, t_cluster = np.empty(batch.sizes.size), np.empty(batch.sizes.size)
    for domain in domains:
        t_domain[domain.questions] = domain.temperatures.domain
        t_cluster[domain.questions] = domain.temperatures.clusters[domain.clusters]

    weights = None
    product = t_domain * t_cluster
    if settings.weighting == "disco":
        by_domain = np.array([domain_factors[name] for name in batch.domains])
        factors = product = 1.0 / (by_domain * difficulty_factors(rates))
        scaled = scores / batch.per_rollout(factors)
    elif settings.floor == "eps":
        # Relative to the largest, so that no power underflows; ratios are all that counts below.
        unit = scores / (np.abs(scores).max() or 1.0)
        weights = bounded_log_weights(
            np.log(t_domain) + np.log(t_cluster),
            batch.sums(unit**2),
            batch.sums(unit**4),
            batch.rows.size,
            alpha=settings.alpha,
            clip=settings.weight_clip,
            ess_floor=settings.ess_floor,
        )
        factors = np.exp(-weights.values)
        scaled = scores * batch.per_rollout(np.exp(weights.values - weights.level))
    else:
        factors = product
        scaled = _as_published(scores, batch.per_rollout(factors), settings.floor == "guarded")

    damping, at = None, {"quantile": settings.kl_quantile, "eps": settings.eps}
    if settings.kl_damping == "question_pos" and batch.kl is not None:
        damping = question_damping(scaled, batch.kl, batch.sizes, **at)
        scaled = scaled * damping
    std = float(scaled.std(ddof=1)) if scaled.size > 1 else 0.0
    values = scaled / (std + settings.eps) if settings.batch_norm == "std" else scaled
    if settings.kl_damping == "rollout_abs" and batch.kl is not None:
        damping = rollout_damping(values, batch.kl, **at)
        values = values * damping
    return Advantages(values, scores, factors, product, std, damping, weights)


def _as_published(scores: Floats, factors: Floats, guarded: bool) -> Floats:
    """score / factor without a floor; guarded, a score stays unscaled where that is not finite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = scores / factors
    return np.where(np.isfinite(scaled), scaled, scores) if guarded else scaled


# Damping of rollouts that move the policy far from its reference (QoQ-Med, equations 4 and 5).


def rollout_damping(scores: Floats, kl: Floats, *, quantile: float, eps: float) -> Floats:
    """(B,) multipliers of the published code: m = t / (u + t), u = |score| * kl of each rollout.

    `scores`, `kl` (B,); t is the `quantile` of u over the batch, at least `eps`. In (0, 1] for
    kl >= 0; multiplying all scores by a constant leaves m unchanged as long as t is above `eps`.
    """
    pull = np.maximum(np.abs(scores) * kl, 0.0)
    return _damping(pull, pull, quantile, eps)


def question_damping(
    scores: Floats, kl: Floats, sizes: NDArray[np.intp], *, quantile: float, eps: float
) -> Floats:
    """(B,) multipliers of the paper: m = t / (t + max(score * k_q, 0)), k_q summed per question.

    `sizes` (Q,) rollouts of each question, in the order of `scores` and `kl` (B,). Only rollouts
    that are to become more likely are damped. The paper leaves t open; here, as in the code, it
    is the `quantile` of the positive products over the batch, at least `eps`.
    """
    starts = np.cumsum(sizes) - sizes
    pull = np.maximum(scores * np.repeat(np.add.reduceat(kl, starts), sizes), 0.0)
    return _damping(pull, pull[pull > 0], quantile, eps)


def _damping(pull: Floats, pool: Floats, quantile: float, eps: float) -> Floats:
    threshold = max(float(np.quantile(pool, quantile)), eps) if pool.size else eps
    return threshold / (pull + threshold)
