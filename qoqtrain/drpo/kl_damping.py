"""Damping of rollouts that move the policy far from its reference (QoQ-Med, equations 4 and 5)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rollout_damping(
    scores: NDArray[np.float64], kl: NDArray[np.float64], *, quantile: float, eps: float
) -> NDArray[np.float64]:
    """(B,) multipliers of the published code: m = t / (u + t), u = |score| * kl of each rollout.

    `scores`, `kl` (B,); t is the `quantile` of u over the batch, at least `eps`. In (0, 1] for
    kl >= 0; multiplying all scores by a constant leaves m unchanged as long as t is above `eps`.
    """
    return _damping(np.abs(scores) * kl, quantile, eps)


def question_damping(
    scores: NDArray[np.float64],
    kl: NDArray[np.float64],
    sizes: NDArray[np.intp],
    *,
    quantile: float,
    eps: float,
) -> NDArray[np.float64]:
    """(B,) multipliers of the paper: m = t / (t + max(score * k_q, 0)), k_q summed per question.

    `sizes` (Q,) rollouts of each question, in the order of `scores` and `kl` (B,). Only rollouts
    that are to become more likely are damped. The paper leaves t open; here, as in the code, it
    is the `quantile` of the positive products over the batch, at least `eps`.
    """
    starts = np.cumsum(sizes) - sizes
    pull = scores * np.repeat(np.add.reduceat(kl, starts), sizes)
    return _damping(pull, quantile, eps, positive=pull > 0)


def _damping(
    pull: NDArray[np.float64],
    quantile: float,
    eps: float,
    positive: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    pull = np.maximum(pull, 0.0)
    pool = pull if positive is None else pull[positive]
    threshold = max(float(np.quantile(pool, quantile)), eps) if pool.size else eps
    return threshold / (pull + threshold)
