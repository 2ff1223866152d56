"""Two published ways to balance domains other than temperatures, for comparison.

DISCO (arXiv 2505.15074, and the code of its authors): rewards of a question are scaled by
log(1 + 1 / p_d), p_d the share of its domain in the data, and by 1 / (SC + 1e-5), SC the share of
right rollouts in its group; advantages are deviations from the group's mean. Scaling rewards and
scaling these deviations is the same.

MedGRPO (arXiv 2512.06581): rewards of each data set and task become
1 / (1 + exp(-k (r - p50) / (p75 - p25))) with k = 3 before the groups are compared, percentiles
those of a policy before training. Here a domain stands for a data set and task.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import UsageError
from qoqtrain.drpo.batch import RolloutBatch
from qoqtrain.drpo.memory import Memory
from qoqtrain.drpo.priors import DomainPrior, Priors

#: What DISCO adds to the self-consistency of a question, and the slope of MedGRPO.
CONSISTENCY_FLOOR, SLOPE = 1e-5, 3.0
#: Statistics keep success rates in bins of this width; quartiles are told apart no better.
WIDTH = 1 / 64


def domain_factors(
    domains: Iterable[str], history: Mapping[str, Memory], priors: Priors
) -> dict[str, float]:
    """log(1 + 1 / p_d) of each domain: p_d its records over those of all, or the questions seen of
    a domain that the priors do not count."""
    seen = {domain: memory.n_seen for domain, memory in history.items()}
    names = {*seen, *priors.domains}
    sizes = {
        name: float(priors.domains.get(name, DomainPrior()).n_records or seen.get(name, 0))
        for name in names
    }
    total = sum(sizes.values())
    return {name: math.log1p(total / sizes[name]) for name in domains}


def difficulty_factors(rates: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / (SC + 1e-5) of success rates, of any shape."""
    return 1.0 / (rates + CONSISTENCY_FLOOR)


def normalised(batch: RolloutBatch, priors: Priors) -> RolloutBatch:
    """The batch with its rewards, in [0, 1], mapped by the quartiles of their domain.

    Quartiles are those of the success rates of the domain's questions in the statistics, which hold
    no single rollouts; equal ones are taken to be a bin apart. Raises UsageError for a domain
    without success rates: raw rewards beside normalised ones would be another scale.
    """
    mapped = np.empty_like(batch.rewards)
    domains = np.repeat(np.array(batch.domains), batch.sizes)
    for name in dict.fromkeys(batch.domains):
        low, middle, high = _quartiles(name, priors.domains.get(name, DomainPrior()))
        here = domains == name
        steps = SLOPE * (batch.rewards[here] - middle) / max(high - low, WIDTH)
        mapped[here] = 1.0 / (1.0 + np.exp(-steps))
    return replace(batch, rewards=mapped, parts=mapped[:, None])


def _quartiles(name: str, prior: DomainPrior) -> tuple[float, float, float]:
    if not prior.histogram:
        raise UsageError(
            f"{name!r} has no success rates to take quartiles of",
            where="normalise",
            fix="run `qoqdata difficulty` with rollouts, then `qoqdata stats`",
        )
    centres, counts, _ = np.array(sorted(prior.histogram)).T
    below = np.cumsum(counts) / counts.sum()
    low, middle, high = centres[np.searchsorted(below, (0.25, 0.5, 0.75))]
    return float(low), float(middle), float(high)
