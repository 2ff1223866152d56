"""From scores within a question to advantages over the batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qoqtrain.drpo.batch import RolloutBatch
from qoqtrain.drpo.bounds import LogWeights, bounded_log_weights
from qoqtrain.drpo.kl_damping import question_damping, rollout_damping
from qoqtrain.drpo.settings import DRPOSettings


@dataclass(frozen=True)
class Scaled:
    """Advantages and how they came about.

    `advantages` (B,); `factors` (Q,) what each question's scores were divided by, and
    `unbounded_factors` (Q,) T_d T_c; `batch_std` of the scaled scores; `damping` (B,) or None;
    `weights` None for the published code, which bounds nothing.
    """

    advantages: NDArray[np.float64]
    factors: NDArray[np.float64]
    unbounded_factors: NDArray[np.float64]
    batch_std: float
    damping: NDArray[np.float64] | None
    weights: LogWeights | None


def scale(
    batch: RolloutBatch,
    scores: NDArray[np.float64],
    domain_temperatures: NDArray[np.float64],
    cluster_temperatures: NDArray[np.float64],
    settings: DRPOSettings,
) -> Scaled:
    """A = s / (std(s) + eps) with s = score / (T_d T_c), bounded and damped as `settings` say.

    `scores` (B,); `domain_temperatures`, `cluster_temperatures` (Q,) T_d and T_c of each
    question. Bounded weights are taken relative to the batch median, so that neither eps nor a
    common factor of all N_d matters.
    """
    weights = None
    product = domain_temperatures * cluster_temperatures
    if settings.floor == "eps":
        # Relative to the largest, so that no power underflows; ratios are all that counts below.
        unit = scores / (np.abs(scores).max() or 1.0)
        weights = bounded_log_weights(
            np.log(domain_temperatures) + np.log(cluster_temperatures),
            batch.sums(unit**2),
            batch.sums(unit**4),
            batch.rows.size,
            alpha=settings.alpha,
            clip=settings.weight_clip,
            ess_floor=settings.ess_floor,
        )
        factors = np.exp(-weights.values)
        scaled = scores * np.repeat(np.exp(weights.values - weights.level), batch.sizes)
    else:
        factors = product
        scaled = _as_published(scores, np.repeat(factors, batch.sizes), settings.floor == "guarded")
    damping = None
    if settings.kl_damping == "question_pos" and batch.kl is not None:
        damping = question_damping(
            scaled, batch.kl, batch.sizes, quantile=settings.kl_quantile, eps=settings.eps
        )
        scaled = scaled * damping
    std = float(scaled.std(ddof=1)) if scaled.size > 1 else 0.0
    advantages = scaled / (std + settings.eps) if settings.batch_norm == "std" else scaled
    if settings.kl_damping == "rollout_abs" and batch.kl is not None:
        damping = rollout_damping(
            advantages, batch.kl, quantile=settings.kl_quantile, eps=settings.eps
        )
        advantages = advantages * damping
    return Scaled(advantages, factors, product, std, damping, weights)


def _as_published(
    scores: NDArray[np.float64], factors: NDArray[np.float64], guarded: bool
) -> NDArray[np.float64]:
    """score / factor without a floor; guarded, a score stays unscaled where that is not finite."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = scores / factors
    return np.where(np.isfinite(scaled), scaled, scores) if guarded else scaled
