"""DRPO: domain-aware relative policy optimisation (QoQ-Med, arXiv 2506.00711), as one estimator.

Per step, for a rollout i of question q in domain d and difficulty cluster c:

    z_i = (r_i - mean_q) / (std_q + eps)
    T_d = max(sqrt(N_d) success_rate_d, eps), T_c likewise
    s_i = z_i / (T_d T_c), within bounds
    A_i = s_i / (std(s over the batch) + eps)

`DRPO.step` takes these lines one by one: `batch` checks the input, `memory` adds its questions to
those of earlier steps, `advantage` holds the formula, `health` reports on the result. The state is
small, exact and the estimator's own: nothing lives in a module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qoqdata.errors import UsageError
from qoqtrain.drpo.advantage import (
    advantages_of,
    measure_domains,
    question_success_rates,
    record_counts,
)
from qoqtrain.drpo.batch import batch_of
from qoqtrain.drpo.health import report_of
from qoqtrain.drpo.memory import (
    Memory,
    checksum,
    merge_histories,
    read_domain_key,
    read_history,
    read_priors,
    read_settings,
    refuse_other,
    remember,
    write_state,
)
from qoqtrain.drpo.priors import Priors, Statistics, drawn, read_mapping, read_statistics
from qoqtrain.drpo.published_scaling import domain_factors, normalised
from qoqtrain.drpo.settings import DEFAULT_PRESET, DRPOSettings, settings_of
from qoqtrain.drpo.starting_weights import WeightRow, weight_rows


@dataclass(frozen=True)
class Step:
    """Result of one step, in the order of the caller's rows.

    `advantages` (B,) float64, 0 for rollouts that were not valid; `factors` (B,) float64, what the
    score of each rollout was divided by before the batch std, NaN where not valid; `report` the
    health of the step as plain data.
    """

    advantages: NDArray[np.float64]
    factors: NDArray[np.float64]
    report: dict[str, Any]


class DRPO:
    """The estimator: settings, priors, and a memory of each domain's questions."""

    def __init__(
        self,
        settings: DRPOSettings | None = None,
        *,
        domain_key: str = "domain",
        priors: Priors | None = None,
    ) -> None:
        self.settings = settings or DRPOSettings()
        self.domain_key = domain_key
        self.priors = priors or Priors()
        self._history: dict[str, Memory] = {}

    @classmethod
    def preset(
        cls, name: str = DEFAULT_PRESET, *, domain_key: str = "domain", **settings: Any
    ) -> Self:
        """An estimator without priors. `name`: a key of PRESETS; `settings`: its changed fields."""
        return cls(settings_of(name, **settings), domain_key=domain_key)

    @classmethod
    def from_stats(
        cls,
        stats: Statistics | None,
        domain_key: str = "domain",
        preset: str = DEFAULT_PRESET,
        *,
        priors: Mapping[Any, Any] | None = None,
        **settings: Any,
    ) -> Self:
        """An estimator whose sizes and success rates of domains start from the data's statistics.

        `domain_key` "domain" or "source" reads the table of that name; any other column needs
        `priors`, a mapping of its values to record counts or DomainPrior fields (which replaces
        the table for "domain" and "source" too). A key without a success rate starts without a
        difficulty prior. Raises UsageError, or BadTable and DuplicateKey for unusable tables.
        """
        choices = settings_of(preset, **settings)
        if priors is not None:
            start = read_mapping(priors, stats.digest if stats is not None else "")
        elif stats is not None and domain_key in ("domain", "source"):
            start = read_statistics(stats, domain_key)
        else:
            raise UsageError(
                f"the statistics have no table for the column {domain_key!r}",
                where="domain_key",
                fix="use 'domain' or 'source', or pass priors={value: record count, ...}",
            )
        return cls(choices, domain_key=domain_key, priors=start)

    def drawn(self, sampled: Mapping[str, float], target: Mapping[str, float]) -> Self:
        """This estimator before its first step, for a sampler of its own (see `priors.drawn`)."""
        priors = drawn(self.priors, sampled, target)
        return type(self)(self.settings, domain_key=self.domain_key, priors=priors)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """The estimator that `state_dict` described, without the data set at hand."""
        settings = read_settings(state)
        drpo = cls(settings, domain_key=read_domain_key(state), priors=read_priors(state))
        drpo._history = read_history(state, settings)
        return drpo

    def step(
        self,
        rewards: ArrayLike,
        questions: Sequence[Any] | NDArray[Any],
        domains: Sequence[Any] | NDArray[Any],
        *,
        success: ArrayLike | None = None,
        kl: ArrayLike | None = None,
        valid: ArrayLike | None = None,
        update: bool = True,
    ) -> Step:
        """Advantages of one global batch, one entry per rollout in any order.

        `rewards` (B,), or (B, parts) whose weighted sum is the reward; `questions`, `domains` (B,)
        labels; `success` (B,) in [0, 1], what success rates, and with them the clusters, are taken
        from instead of the reward: the answer part (`rewards.success`), so that how many records
        of a domain have annotated regions does not move its weight; `kl` (B,) divergence from the
        reference, for `kl_damping`; `valid` (B,) False for padding and rollouts without a score.
        With `update` False (evaluation) the batch is weighed but not remembered. Raises UsageError
        for input that cannot be used, and then remembers nothing of it. Bit-identical for any order
        of the rows and any question ids, but for the presets that cluster feature="raw".
        """
        settings = self.settings
        batch = batch_of(
            rewards,
            questions,
            domains,
            settings=settings,
            success=success,
            kl=kl,
            valid=valid,
        )
        if settings.normalise == "logistic":
            batch = normalised(batch, self.priors)
        rates = question_success_rates(batch)
        history = {**self._history, **remember(batch, rates, self._history, settings)}
        counts, uncounted = record_counts(history, self.priors, settings)
        measurements = measure_domains(batch, rates, history, counts, self.priors, settings)
        by_domain = domain_factors(batch.domains, history, self.priors)
        result = advantages_of(batch, measurements, settings, rates, by_domain)
        if update and settings.history != "batch":
            self._history = history
        size = len(np.asarray(rewards))
        advantages, factors = np.zeros(size), np.full(size, np.nan)
        advantages[batch.rows] = result.values
        factors[batch.rows] = batch.per_rollout(result.factors)
        report = report_of(batch, result, measurements, uncounted, self.priors, settings)
        return Step(advantages, factors, report)

    def weights(self) -> list[WeightRow]:
        """What each domain weighs now; before the first step, from the priors alone."""
        return weight_rows(self.priors, self._history, self.settings)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to continue, as JSON-able data; at most a few hundred numbers a domain
        with kmeans "binned", all questions ever with the other memories."""
        return write_state(self.settings, self.domain_key, self.priors, self._history)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`, bit for bit; raises UsageError, and changes nothing, when it was
        written with other settings, another domain key or other data, or is damaged."""
        refuse_other(state, self.settings, self.domain_key, self.priors)
        self._history = read_history(state, self.settings)

    def checksum(self) -> str:
        """SHA-256 of the state, as hex: equal on two ranks exactly when their states are equal."""
        return checksum(self.state_dict())

    @classmethod
    def merge(cls, estimators: Sequence[Self], base: Self | None = None) -> Self:
        """One estimator that has seen the questions of all, exactly as if it had met them alone.

        The estimators hold different questions; those that they share, because all were loaded
        from one checkpoint, are passed as `base` and counted once. With kmeans "binned" the result
        has the same bits for any split. Raises UsageError for none, for different settings, keys
        or data, and with decay, whose weights depend on the order of the questions.
        """
        if not estimators:
            raise UsageError("no estimators to merge")
        first = estimators[0]
        if first.settings.half_life_questions is not None:
            raise UsageError(
                "decayed states cannot be merged exactly",
                where="half_life_questions",
                fix="gather the batch and step every rank on all of it",
            )
        for other in (*estimators[1:], *([base] if base else [])):
            refuse_other(other.state_dict(), first.settings, first.domain_key, first.priors)
        union = cls(first.settings, domain_key=first.domain_key, priors=first.priors)
        union._history = merge_histories(
            [drpo._history for drpo in estimators], base._history if base else {}
        )
        return union
