"""One budget of attention: what share of training each domain is to have, and who sees to it.

The target is a share of each domain, in studies: n ** exponent. The stream's mix draws by it, as
far as `max_repeats` allows; DRPO's weights take the draws as they are and supply the rest, within
their bounds. Nothing is corrected twice: weight times draws is the target.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from qoqdata.errors import UsageError
from qoqdata.stream.mixing import Mix
from qoqtrain.drpo.settings import settings_of
from qoqtrain.trainer.plan.settings import Budget, TrainSettings

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset
    from qoqtrain.drpo import DRPO
    from qoqtrain.drpo.starting_weights import WeightRow
    from qoqtrain.trainer.plan.plan import TrainingPlan


def shares_budget(settings: TrainSettings) -> bool:
    """Whether sampling and weights share one budget: in the presets that weigh draws."""
    if settings.stage != "drpo":
        return False
    return settings_of(settings.drpo.preset, **settings.drpo.settings).rarity == "draws"


def mix_of(settings: TrainSettings) -> Mix | None:
    """The mix of the stream: the one that is set, else the budget's, else none.

    Raises UsageError for one that makes no sense.
    """
    if settings.mix is not None:
        try:
            return Mix(**settings.mix)
        except TypeError as error:
            fix = "by, weights, temperature, exponents, max_repeats"
            raise UsageError(f"{error}", where="mix", fix=fix) from error
    if not shares_budget(settings):
        return None
    return budget_mix(settings.budget, settings.drpo.domain_key)


def budget_mix(budget: Budget, key: str) -> Mix:
    """The mix that draws by the target, as far as it may."""
    by, exponents = [key, budget.within], [budget.exponent, budget.within_exponent]
    if budget.difficulty_exponent is not None:
        by, exponents = [*by, "difficulty"], [*exponents, budget.difficulty_exponent]
    return Mix(
        by="/".join(by),
        weights="target",
        exponents=tuple(exponents),
        max_repeats=budget.max_repeats,
    )


def target_of(records: pl.DataFrame, key: str, exponent: float) -> dict[str, float]:
    """The share of attention of each value of `key`: studies ** exponent, over their sum.

    A question is its part of the questions about its study.
    """
    mass = (
        records.with_columns(part=1.0 / pl.len().over("study"))
        .group_by(key)
        .agg(pl.col("part").sort().sum())
        .sort(key)
    )
    powers = {str(name): float(part) ** exponent for name, part in mass.iter_rows()}
    total = sum(powers.values())
    return {name: power / total for name, power in powers.items()}


@dataclass(frozen=True)
class AttentionRow:
    """One domain: the `target` share, the share `sampled` by the stream, the mean `weight` of its
    questions before the first step, within bounds, and their `product` as a share of all."""

    domain: str
    target: float
    sampled: float
    weight: float
    product: float


def attention(
    target: Mapping[str, float], sampled: Mapping[str, float], weights: list[WeightRow]
) -> list[AttentionRow]:
    """The rows of all domains that are drawn, in order of name."""
    by_domain = {row["domain"]: row["weight_bounded"] for row in weights}
    products = {name: share * by_domain.get(name, 1.0) for name, share in sampled.items()}
    total = sum(products.values()) or 1.0
    return [
        AttentionRow(
            name, target.get(name, 0.0), share, by_domain.get(name, 1.0), products[name] / total
        )
        for name, share in sorted(sampled.items())
    ]


def budgeted(plan: TrainingPlan, stream: Any) -> TrainingPlan:
    """The plan with an estimator that knows what the stream draws, where they share a budget."""
    if plan.drpo is None or not shares_budget(plan.settings):
        return plan
    target = target_of(plan.records, plan.drpo.domain_key, plan.settings.budget.exponent)
    return replace(plan, drpo=plan.drpo.drawn(stream.sampled(plan.drpo.domain_key), target))


def by_default(drpo: DRPO, dataset: Dataset) -> DRPO:
    """An estimator before its first step on a data set, under the mix and the budget of a run that
    is told no others."""
    if drpo.settings.rarity != "draws":
        return drpo
    budget, key = Budget(), drpo.domain_key
    with closing(dataset.stream("train", mix=budget_mix(budget, key), columns=("id",))) as stream:
        sampled = stream.sampled(key)
    records = dataset.for_training().filter(pl.col("split") == "train")
    return drpo.drawn(sampled, target_of(records, key, budget.exponent))
