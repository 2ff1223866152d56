"""Numbers that tell whether a step's advantages are fit to train on, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqtrain.drpo.advantage import Advantages, MeasuredDomain
from qoqtrain.drpo.batch import RolloutBatch
from qoqtrain.drpo.priors import Priors
from qoqtrain.drpo.settings import DRPOSettings

# A rollout with a smaller advantage than this hardly takes part in the update.
TINY = 0.01


def effective_sample_size(advantages: NDArray[np.float64]) -> float | None:
    """(sum A^2)^2 / (B sum A^4): 1 when all |A| are equal, 1 / B when one rollout has all of it.

    None when every advantage is 0 or one is not finite.
    """
    largest = float(np.abs(advantages).max())
    if not np.isfinite(largest) or largest == 0:
        return None
    squares = (advantages / largest) ** 2
    fourth = float((squares * squares).sum())
    return float(squares.sum() ** 2 / (advantages.size * fourth))


def report_of(
    batch: RolloutBatch,
    result: Advantages,
    domains: Sequence[MeasuredDomain],
    uncounted: Sequence[str],
    priors: Priors,
    settings: DRPOSettings,
) -> dict[str, Any]:
    """Health of one step. Numbers that do not exist are None.

    Ranges and counts of factors are over the questions whose rewards differ. `ess_unweighted` is
    what the same scores have with equal weights, `alpha` the exponent in force, `unseen_domains`
    the domains of the batch without a record count, `no_difficulty_prior` those without a prior
    success rate. `answer_tied` are groups whose rollouts succeed alike and yet have advantages:
    how many, and their share of the squared mass, which other parts of the reward decide.
    """
    advantages, weights = result.values, result.weights
    finite = np.isfinite(advantages)
    informative = batch.sums(np.abs(result.scores)) > 0
    size = np.abs(advantages[finite])
    mass = _squared_mass(batch, advantages)
    names = {domain.domain for domain in domains}
    rewards = batch.sums(batch.rewards) / batch.sizes
    relative = _relative_weights(result.factors)
    with_prior = {d for d, prior in priors.domains.items() if prior.mass(settings.strength) > 0}
    return {
        "n_rollouts": int(batch.rows.size),
        "n_questions": int(batch.sizes.size),
        "n_degenerate_groups": int((~informative).sum()),
        "n_groups_of_one": int((batch.sizes == 1).sum()),
        "n_not_finite": int((~finite).sum()),
        "mean_reward": float(batch.rewards.mean()),
        "answer_tied": _answer_tied(batch, mass, informative),
        "ess": effective_sample_size(advantages),
        "ess_unweighted": effective_sample_size(result.scores),
        "ess_floor_met": weights.floor_met if weights else None,
        "alpha": weights.alpha if weights else settings.alpha,
        "n_clipped": weights.n_clipped if weights else 0,
        "max_abs_advantage": float(size.max()) if size.size else None,
        "share_tiny_advantages": float((size < TINY).mean()) if size.size else None,
        "batch_std": result.batch_std if np.isfinite(result.batch_std) else None,
        **_extent("factor", result.factors[informative]),
        **_extent("unbounded_factor", result.unbounded_factors[informative]),
        "kl_damping": _damping(result.damping, settings),
        "unseen_domains": [domain for domain in uncounted if domain in names],
        "no_difficulty_prior": sorted(names - with_prior),
        "domains": {
            domain.domain: _domain_row(batch, rewards, mass, relative, domain) for domain in domains
        },
    }


def _domain_row(
    batch: RolloutBatch,
    rewards: NDArray[np.float64],
    mass: NDArray[np.float64],
    relative: NDArray[np.float64],
    domain: MeasuredDomain,
) -> dict[str, Any]:
    """One domain: what the batch holds of it, what it carries, and its clusters.

    `rewards` (Q,) mean reward of each question, `relative` (Q,) its weight over the batch's mean,
    of which `weight` is the domain's mean, None where one is not finite. `success_rate` is the mean
    over the domain's questions, `weighted_success_rate` the one that enters its temperature.
    """
    clustering, temperatures = domain.clustering, domain.temperatures
    return {
        "n_questions": int(domain.questions.size),
        "n_rollouts": int(batch.sizes[domain.questions].sum()),
        "batch_mean_reward": float(rewards[domain.questions].mean()),
        "squared_mass": float(mass[domain.questions].sum()),
        "weight": _mean(relative[domain.questions]),
        "N": temperatures.n,
        "success_rate": clustering.success_rate,
        "weighted_success_rate": temperatures.success_rate,
        "temperature": temperatures.domain,
        "k": clustering.k,
        "cluster_counts": clustering.counts.tolist(),
        "cluster_success_rates": clustering.success_rates.tolist(),
        "cluster_temperatures": temperatures.clusters.tolist(),
        "inertias": list(clustering.inertias),
    }


def _answer_tied(
    batch: RolloutBatch, mass: NDArray[np.float64], informative: NDArray[np.bool_]
) -> dict[str, Any]:
    spread = np.maximum.reduceat(batch.success, batch.starts) - np.minimum.reduceat(
        batch.success, batch.starts
    )
    tied = informative & (spread == 0)
    return {"n_groups": int(tied.sum()), "mass": float(mass[tied].sum())}


def _damping(damping: NDArray[np.float64] | None, settings: DRPOSettings) -> dict[str, Any]:
    if damping is None:
        state = "off" if settings.kl_damping == "none" else "no kl was given"
        return {"state": state, "mean": None, "min": None}
    return {
        "state": settings.kl_damping,
        "mean": float(damping.mean()),
        "min": float(damping.min()),
    }


def _squared_mass(batch: RolloutBatch, advantages: NDArray[np.float64]) -> NDArray[np.float64]:
    """(Q,) share of the batch's squared advantage that each question carries; 0 without any."""
    mass = batch.sums(advantages**2)
    total = float(mass.sum())
    return mass / total if np.isfinite(total) and total > 0 else np.zeros_like(mass)


def _relative_weights(factors: NDArray[np.float64]) -> NDArray[np.float64]:
    """(Q,) 1 / factor over its mean; the published code divides by 0 where all fail."""
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.where(factors == 0, np.nan, factors.min(initial=np.inf) / factors)
        return np.asarray(weights / weights.mean())


def _mean(values: NDArray[np.float64]) -> float | None:
    mean = float(values.mean())
    return mean if np.isfinite(mean) else None


def _extent(name: str, values: NDArray[np.float64]) -> dict[str, float | None]:
    values = values[np.isfinite(values)]
    if not values.size:
        return {f"{name}_min": None, f"{name}_max": None, f"{name}_ratio": None}
    low, high = float(values.min()), float(values.max())
    ratio = high / low if low > 0 else None
    return {f"{name}_min": low, f"{name}_max": high, f"{name}_ratio": ratio}
