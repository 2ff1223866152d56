"""Two policies on the same questions, by a paired bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qoqdata.errors import UsageError
from qoqtrain.evaluate.class_metrics import Floats
from qoqtrain.evaluate.levels import Levels, bounds, clusters_of, hierarchy_of, levels, replicates
from qoqtrain.evaluate.results import Estimate, QuestionOutcome
from qoqtrain.evaluate.sheet import METRICS, Sheet, mean_errors, sheets_of
from qoqtrain.evaluate.summary import task_figures, varied

#: What must be the same of a record for two outcomes to be a pair.
_PAIRED = ("id", "source", "domain", "task", "kind", "patient", "options", "truth", "value", "unit")


@dataclass(frozen=True)
class ScoreDifference:
    """One figure of two policies at one level ("overall", "over_sources", "domain", "source").

    The mean absolute error of numbers has a unit, so it is compared at the level "task", over the
    questions of which both policies gave a number.

    difference  second minus first, with its 95 % interval
    p           two-sided: twice the smaller share of draws on either side of no difference, both
                counting draws without difference and the data as a draw of their own; None
                without interval
    """

    level: str
    name: str
    metric: str
    first: float
    second: float
    difference: Estimate
    p: float | None


def compare(
    first: Sequence[QuestionOutcome],
    second: Sequence[QuestionOutcome],
    *,
    bootstrap: int = 1000,
    seed: int = 0,
) -> list[ScoreDifference]:
    """The differences between two policies in every figure that both have, level by level.

    Every draw of patients is applied to both, so that what makes a question easy for both cancels
    (Efron and Tibshirani, "An introduction to the bootstrap", 1993, chapters 8 and 15). Raises
    UsageError where the two have not judged the same questions.
    """
    if not first or not second:
        raise UsageError("there is nothing to compare")
    first, second = _sorted(first), _sorted(second)
    if [_key(one) for one in first] != [_key(one) for one in second]:
        fix = "compare evaluations of the same data set and split"
        raise UsageError("the two have not judged the same questions", fix=fix)
    runs = sheets_of(first), sheets_of(second)
    hierarchy, clusters = hierarchy_of(runs[0]), clusters_of(first)
    ones = np.ones(len(first))
    before, after = (levels(task_figures(sheets, ones), hierarchy) for sheets in runs)
    shape = (0, 2, len(runs[0]), len(METRICS))
    errors = _shared_errors(*runs)
    draws, error_changes = [], np.empty((bootstrap, len(runs[0])))
    for number, weights in enumerate(replicates(clusters, bootstrap, seed)):
        draws.append(np.stack([task_figures(sheets, weights) for sheets in runs]))
        error_changes[number] = np.subtract(*[mean_errors(one, weights) for one in errors[::-1]])
    replicate_levels = levels(np.stack(draws) if draws else np.empty(shape), hierarchy)
    change = Levels(*(part[:, 1] - part[:, 0] for part in replicate_levels))
    has_interval = varied(runs[0], clusters.cluster, hierarchy)
    differences = _differences(
        ("overall", "all"), (before.overall, after.overall), change.overall, all(has_interval)
    )
    differences += _differences(
        ("over_sources", "all"),
        (before.over_sources, after.over_sources),
        change.over_sources,
        all(has_interval),
    )
    for index, name in enumerate(hierarchy.domains):
        members = np.flatnonzero(hierarchy.domain_of_source == index)
        differences += _differences(
            ("domain", name),
            (before.domains[index], after.domains[index]),
            change.domains[:, index],
            all(has_interval[member] for member in members),
        )
    for index, name in enumerate(hierarchy.sources):
        differences += _differences(
            ("source", name),
            (before.sources[index], after.sources[index]),
            change.sources[:, index],
            has_interval[index],
        )
    first_errors, second_errors = (mean_errors(one, ones) for one in errors)
    for index, sheet in enumerate(runs[0]):
        differences += _differences(
            ("task", f"{sheet.source}, {sheet.task}"),
            (first_errors[[index]], second_errors[[index]]),
            error_changes[:, [index]],
            len(np.unique(clusters.cluster[sheet.rows])) > 1,
            ("mean_absolute_error",),
        )
    return differences


def _shared_errors(
    first: Sequence[Sheet], second: Sequence[Sheet]
) -> tuple[list[Sheet], list[Sheet]]:
    """The sheets with the errors of those questions alone of which both have one."""
    pairs: tuple[list[Sheet], list[Sheet]] = [], []
    for one, other in zip(first, second, strict=True):
        lacking = np.isnan(one.errors) | np.isnan(other.errors)
        for sheets, sheet in zip(pairs, (one, other), strict=True):
            sheets.append(replace(sheet, errors=np.where(lacking, np.nan, sheet.errors)))
    return pairs


def _differences(
    level: tuple[str, str],
    values: tuple[Floats, Floats],
    change: Floats,
    has_interval: bool,
    metrics: Sequence[str] = METRICS,
) -> list[ScoreDifference]:
    low, high = bounds(change)
    differences = []
    for index, metric in enumerate(metrics):
        first, second = float(values[0][index]), float(values[1][index])
        if np.isnan(first) or np.isnan(second):
            continue
        estimate, p = Estimate(second - first), None
        if has_interval and not np.isnan(low[index]):
            estimate = Estimate(second - first, float(low[index]), float(high[index]))
            p = _p_value(change[:, index])
        differences.append(ScoreDifference(*level, metric, first, second, estimate, p))
    return differences


def _p_value(change: Floats) -> float:
    change = change[~np.isnan(change)]
    tail = min(int((change <= 0).sum()), int((change >= 0).sum()))
    return min(1.0, 2 * (1 + tail) / (1 + change.size))


def _sorted(outcomes: Sequence[QuestionOutcome]) -> list[QuestionOutcome]:
    return sorted(outcomes, key=lambda outcome: outcome.id)


def _key(outcome: QuestionOutcome) -> tuple[Any, ...]:
    return tuple(getattr(outcome, name) for name in _PAIRED)
