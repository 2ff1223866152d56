"""Bounds on the weights 1 / (T_d T_c): a clip around the batch median and a floor on the ESS."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Exponents tried from alpha downwards before the bisection; the effective sample size need not
# be monotone in the exponent, and the largest one that reaches the floor is wanted.
GRID = 33
BISECTIONS = 40


@dataclass(frozen=True)
class LogWeights:
    """Bounded log weights: `values` (Q,); `level` their median over the questions that count.

    `alpha` the exponent in force, `n_clipped` questions at a bound, `floor_met` whether the
    effective sample size reached its floor (None without one).
    """

    values: NDArray[np.float64]
    level: float
    alpha: float
    n_clipped: int
    floor_met: bool | None


def bounded_log_weights(
    log_factors: NDArray[np.float64],
    squares: NDArray[np.float64],
    fourths: NDArray[np.float64],
    n_rollouts: int,
    *,
    alpha: float,
    clip: float | None,
    ess_floor: float | None,
) -> LogWeights:
    """log w = -alpha log(T_d T_c), clipped to the batch median +- log(clip), alpha lowered to ESS.

    `log_factors` (Q,); `squares`, `fourths` (Q,) sums of score^2 and score^4 over the rollouts of
    each question; `n_rollouts` B. Questions whose scores are all 0 have no say in the median,
    unless all are. The largest exponent up to `alpha` is taken whose effective sample size,
    (sum A^2)^2 / (B sum A^4), is at least `ess_floor`, or half of what equal weights would have
    where that is less: a batch in which most groups are tied must not switch the weights off.
    """
    voters = squares > 0
    if tie := not voters.any():
        voters = ~voters
    median = float(np.median(log_factors[voters]))
    reach = np.inf if clip is None else float(np.log(clip))

    def relative(distance: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
        return np.minimum(np.maximum(exponent * distance, -reach), reach)

    distance = median - log_factors
    near, second, fourth = distance[voters], squares[voters], fourths[voters]

    def ess(exponent: float) -> float:
        logs = relative(near, exponent)
        squared = np.exp(2.0 * (logs - logs.max()))
        top = float(squared @ second)
        return top * top / (n_rollouts * float((squared * squared) @ fourth))

    exponent, floor_met = alpha, None
    if ess_floor is not None and not tie:
        # A hair above the floor, so that rounding in the advantages does not take it below.
        exponent = _largest(ess, min(ess_floor * (1 + 1e-9), ess(0.0) / 2.0), alpha)
        floor_met = ess(exponent) >= ess_floor
    logs = relative(distance, exponent)
    return LogWeights(
        values=logs - exponent * median,
        level=-exponent * median,
        alpha=exponent,
        n_clipped=int((np.abs(logs[voters]) >= reach).sum()),
        floor_met=floor_met,
    )


def _largest(ess: Callable[[float], float], target: float, alpha: float) -> float:
    """The largest exponent in [0, alpha] with ess(exponent) >= target; 0 always has it."""
    if ess(alpha) >= target:
        return alpha
    grid = np.linspace(alpha, 0.0, GRID)
    good = next((i for i, a in enumerate(grid) if ess(float(a)) >= target), GRID - 1)
    below, above = float(grid[good]), float(grid[max(good - 1, 0)])
    for _ in range(BISECTIONS):
        middle = (below + above) / 2.0
        if ess(middle) >= target:
            below = middle
        else:
            above = middle
    return below
